#include "check.h"

#include "builtin_call.h"

static const struct builtin_caller plain;

static void what_is_no_amount_is_an_error(void **state)
{
    static const struct builtin_example examples[] = {
        {"units.parse", "[\"\"]", "eval_builtin_error: units.parse: no amount provided"},
        {"units.parse", "[\"GB\"]", "eval_builtin_error: units.parse: no amount provided"},
        {"units.parse", "[\"foo\"]", "eval_builtin_error: units.parse: no amount provided"},
        {"units.parse", "[\"E\"]", "eval_builtin_error: units.parse: no amount provided"},
        {"units.parse", "[\"0.0.0\"]",
         "eval_builtin_error: units.parse: could not parse amount to a number"},
        {"units.parse", "[\".5.2\"]",
         "eval_builtin_error: units.parse: could not parse amount to a number"},
        {"units.parse", "[\".\"]",
         "eval_builtin_error: units.parse: could not parse amount to a number"},
        {"units.parse", "[\"1+2\"]",
         "eval_builtin_error: units.parse: could not parse amount to a number"},
        {"units.parse", "[\"1e3e2\"]",
         "eval_builtin_error: units.parse: could not parse amount to a number"},
        {"units.parse", "[\"1e+K\"]",
         "eval_builtin_error: units.parse: could not parse amount to a number"},
        {"units.parse", "[\"-\"]",
         "eval_builtin_error: units.parse: could not parse amount to a number"},
        {"units.parse", "[\"100 k\"]",
         "eval_builtin_error: units.parse: spaces not allowed in resource strings"},
        {"units.parse", "[\" 327Mi \"]",
         "eval_builtin_error: units.parse: spaces not allowed in resource strings"},
        {"units.parse", "[\"10e10000000Ei\"]",
         "eval_builtin_error: units.parse: exponent too large"},
        {"units.parse", "[\"1e9999\"]",
         "eval_builtin_error: units.parse: could not parse amount to a number"},
        {"units.parse", "[\"1e-0000009K\"]", "eval_builtin_error: units.parse: exponent too large"},
        {"units.parse", "[\"10kk\"]", "eval_builtin_error: units.parse: unit kk not recognized"},
        {"units.parse", "[\"1\\u00e9\"]",
         "eval_builtin_error: units.parse: unit \u00e9 not recognized"},
        {"units.parse", "[\"10b\"]", "eval_builtin_error: units.parse: unit b not recognized"},
        {"units.parse", "[\"1x\\u0000y\"]",
         "eval_builtin_error: units.parse: unit x not recognized"},
        {"units.parse_bytes", "[\"\"]",
         "eval_builtin_error: units.parse_bytes: no byte amount provided"},
        {"units.parse_bytes", "[\"GB\"]",
         "eval_builtin_error: units.parse_bytes: no byte amount provided"},
        {"units.parse_bytes", "[\"foo\"]",
         "eval_builtin_error: units.parse_bytes: no byte amount provided"},
        {"units.parse_bytes", "[\"E\"]",
         "eval_builtin_error: units.parse_bytes: no byte amount provided"},
        {"units.parse_bytes", "[\"0.0.0\"]",
         "eval_builtin_error: units.parse_bytes: could not parse byte amount to a number"},
        {"units.parse_bytes", "[\".5.2\"]",
         "eval_builtin_error: units.parse_bytes: could not parse byte amount to a number"},
        {"units.parse_bytes", "[\".\"]",
         "eval_builtin_error: units.parse_bytes: could not parse byte amount to a number"},
        {"units.parse_bytes", "[\"1+2\"]",
         "eval_builtin_error: units.parse_bytes: could not parse byte amount to a number"},
        {"units.parse_bytes", "[\"1e3e2\"]",
         "eval_builtin_error: units.parse_bytes: could not parse byte amount to a number"},
        {"units.parse_bytes", "[\"1e+K\"]",
         "eval_builtin_error: units.parse_bytes: could not parse byte amount to a number"},
        {"units.parse_bytes", "[\"-\"]",
         "eval_builtin_error: units.parse_bytes: could not parse byte amount to a number"},
        {"units.parse_bytes", "[\"100 k\"]",
         "eval_builtin_error: units.parse_bytes: spaces not allowed in resource strings"},
        {"units.parse_bytes", "[\" 327Mi \"]",
         "eval_builtin_error: units.parse_bytes: spaces not allowed in resource strings"},
        {"units.parse_bytes", "[\"10e10000000Ei\"]",
         "eval_builtin_error: units.parse_bytes: exponent too large"},
        {"units.parse_bytes", "[\"1e9999\"]",
         "eval_builtin_error: units.parse_bytes: could not parse byte amount to a number"},
        {"units.parse_bytes", "[\"1e-0000009K\"]",
         "eval_builtin_error: units.parse_bytes: exponent too large"},
        {"units.parse_bytes", "[\"10kk\"]",
         "eval_builtin_error: units.parse_bytes: byte unit kk not recognized"},
        {"units.parse_bytes", "[\"1\\u00e9\"]",
         "eval_builtin_error: units.parse_bytes: byte unit \u00e9 not recognized"},
        {"units.parse_bytes", "[\"10b\"]",
         "eval_builtin_error: units.parse_bytes: byte unit b not recognized"},
        {"units.parse_bytes", "[\"1x\\u0000y\"]",
         "eval_builtin_error: units.parse_bytes: byte unit x not recognized"},
    };
    BUILTIN_CHECK(&plain, examples);
}

static void only_texts_are_taken(void **state)
{
    static const struct builtin_example examples[] = {
        {"units.parse", "[1]",
         "eval_type_error: units.parse: operand 1 must be string but got number"},
        {"units.parse_bytes", "[null]",
         "eval_type_error: units.parse_bytes: operand 1 must be string but got null"},
    };
    BUILTIN_CHECK(&plain, examples);
}

/* A unit that is long is cut between characters, so that the error stays UTF-8. */
static void a_long_unit_is_cut(void **state)
{
    static const struct builtin_example example = {
        "units.parse", "[\"1xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\u20ac\u20ac\u20ac\"]",
        "eval_builtin_error: units.parse: unit xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\u20ac not "
        "recognized"};
    builtin_check(&plain, &example, 1);
}

static void a_small_m_is_a_thousandth_but_not_of_bytes(void **state)
{
    static const struct builtin_example examples[] = {
        {"units.parse", "[\"500m\"]", "0.5"},
        {"units.parse", "[\"500M\"]", "500000000"},
        {"units.parse", "[\"1mi\"]", "1048576"},
        {"units.parse_bytes", "[\"500m\"]", "500000000"},
        {"units.parse_bytes", "[\"1e3mB\"]", "1000000000"},
    };
    BUILTIN_CHECK(&plain, examples);
}

static void quotation_marks_do_not_count(void **state)
{
    static const struct builtin_example examples[] = {
        {"units.parse", "[\"\\\"100TI\\\"\"]", "109951162777600"},
        {"units.parse_bytes", "[\"\\\"1\\\"0ki\\\"B\"]", "10240"},
    };
    BUILTIN_CHECK(&plain, examples);
}

/* An e with a number behind it is an exponent, else the unit exa. */
static void an_e_is_an_exponent_or_a_unit(void **state)
{
    static const struct builtin_example examples[] = {
        {"units.parse", "[\"5E\"]", "5000000000000000000"},
        {"units.parse", "[\"5E2\"]", "500"},
        {"units.parse", "[\"5E2E\"]", "500000000000000000000"},
        {"units.parse", "[\"10ei\"]", "11529215046068469760"},
        {"units.parse_bytes", "[\"10eb\"]", "10000000000000000000"},
    };
    BUILTIN_CHECK(&plain, examples);
}

/* Ten decimals, and half of the last one away from zero; of bytes only whole ones. */
static void what_is_too_small_is_rounded_or_left_out(void **state)
{
    static const struct builtin_example examples[] = {
        {"units.parse", "[\"0.00000000005\"]", "1e-10"},
        {"units.parse", "[\"-0.00000000005\"]", "-1e-10"},
        {"units.parse", "[\"0.000000000049999\"]", "0"},
        {"units.parse", "[\"9.99999999995\"]", "10"},
        {"units.parse", "[\"99.999999999949\"]", "99.9999999999"},
        {"units.parse", "[\"1e-999999\"]", "0"},
        {"units.parse", "[\"-0\"]", "0"},
        {"units.parse_bytes", "[\"0.9\"]", "0"},
        {"units.parse_bytes", "[\"-1.9\"]", "-1"},
        {"units.parse_bytes", "[\"1e-2KB\"]", "10"},
        {"units.parse_bytes", "[\"1e-999999EB\"]", "0"},
    };
    BUILTIN_CHECK(&plain, examples);
}

/* Made by Python's fractions: rounded to ten decimals, or truncated. */
static void amounts_are_those_of_exact_fractions(void **state)
{
    static const struct builtin_example examples[] = {
        {"units.parse", "[\"-00030.33333333333333333333e-12M\"]", "-0.0000303333"},
        {"units.parse", "[\"12.000001e3ki\"]", "12288001.024"},
        {"units.parse", "[\"-999.33333333333333333333k\"]", "-999333.3333333333"},
        {"units.parse", "[\"-00030.000001E-2g\"]", "-300000010"},
        {"units.parse", "[\"-999.125T\"]", "-999125000000000"},
        {"units.parse", "[\"-3e+1ki\"]", "-30720"},
        {"units.parse", "[\"999.00000000005e+1M\"]", "9990000000.0005"},
        {"units.parse", "[\"+00030.125e3M\"]", "30125000000"},
        {"units.parse", "[\"-12.000001e-12Pi\"]", "-13510.8000080114"},
        {"units.parse", "[\"0.000001E-2m\"]", "0"},
        {"units.parse", "[\"+00030e-12p\"]", "30000"},
        {"units.parse", "[\"-12.125e-12g\"]", "-0.012125"},
        {"units.parse", "[\"+.5e-12Gi\"]", "0.0005368709"},
        {"units.parse", "[\"-00030.5E-2ki\"]", "-312.32"},
        {"units.parse", "[\"+12.99999999999g\"]", "12999999999.99"},
        {"units.parse", "[\"-.125e+1k\"]", "-1250"},
        {"units.parse", "[\"-.125e3ki\"]", "-128000"},
        {"units.parse", "[\"999e-12ti\"]", "1098.4121161482"},
        {"units.parse", "[\"+.0000000000499e+1p\"]", "499000"},
        {"units.parse", "[\"00030.000001k\"]", "30000.001"},
        {"units.parse", "[\"+0.33333333333333333333ki\"]", "341.3333333333"},
        {"units.parse", "[\"12.5m\"]", "0.0125"},
        {"units.parse", "[\"+7.0000000000499E-2g\"]", "70000000.000499"},
        {"units.parse", "[\"+12.000001Gi\"]", "12884902961.741824"},
        {"units.parse", "[\".125\"]", "0.125"},
        {"units.parse", "[\"+12.000001M\"]", "12000001"},
        {"units.parse", "[\"4503599627370497.5e-12\"]", "4503.5996273705"},
        {"units.parse", "[\"12.5e+1Gi\"]", "134217728000"},
        {"units.parse", "[\"12.000001ki\"]", "12288.001024"},
        {"units.parse", "[\"00030.000001MI\"]", "31457281.048576"},
        {"units.parse", "[\".00000000005e-12\"]", "0"},
        {"units.parse", "[\"7e3g\"]", "7000000000000"},
        {"units.parse", "[\".0000000000499e+1Pi\"]", "561824.0535144694"},
        {"units.parse", "[\"7.000001g\"]", "7000001000"},
        {"units.parse", "[\"+.5Gi\"]", "536870912"},
        {"units.parse", "[\"7k\"]", "7000"},
        {"units.parse", "[\"+0m\"]", "0"},
        {"units.parse", "[\"3e+1m\"]", "0.03"},
        {"units.parse", "[\"-999.0000000000499E-2k\"]", "-9990.0000000005"},
        {"units.parse", "[\"7ki\"]", "7168"},
        {"units.parse", "[\"+00030.5e3\"]", "30500"},
        {"units.parse", "[\"00030.00000000005T\"]", "30000000000050"},
        {"units.parse", "[\"-4503599627370497.99999999999\"]", "-4503599627370498"},
        {"units.parse", "[\"0.00000000005E-2p\"]", "500"},
        {"units.parse", "[\"+7.00000000005e-12Gi\"]", "0.0075161928"},
        {"units.parse", "[\"+12MI\"]", "12582912"},
        {"units.parse", "[\"999.00000000005E-2m\"]", "0.00999"},
        {"units.parse", "[\"-0m\"]", "0"},
        {"units.parse", "[\"00030.00000000005E-2MI\"]", "314572.8000005243"},
        {"units.parse", "[\"-7e3ki\"]", "-7168000"},
        {"units.parse_bytes", "[\"+12.99999999999e+1kB\"]", "129999"},
        {"units.parse_bytes", "[\"4503599627370497MIb\"]", "4722366482869646262272"},
        {"units.parse_bytes", "[\"999.000001e-12PiB\"]", "1124774"},
        {"units.parse_bytes", "[\"-00030.99999999999Eb\"]", "-30999999999990000000"},
        {"units.parse_bytes", "[\"12.99999999999E-2\"]", "0"},
        {"units.parse_bytes", "[\"0.000001e+1Gi\"]", "10737"},
        {"units.parse_bytes", "[\"+.5e-12PiB\"]", "562"},
        {"units.parse_bytes", "[\"-3E-2Pi\"]", "-33776997205278"},
        {"units.parse_bytes", "[\"0.000001k\"]", "0"},
        {"units.parse_bytes", "[\"+00030.5E-2\"]", "0"},
        {"units.parse_bytes", "[\"+999.99999999999e-12Pib\"]", "1125899"},
        {"units.parse_bytes", "[\"+0.125E-2gb\"]", "1250000"},
        {"units.parse_bytes", "[\"12.99999999999E-2EIb\"]", "149879795598774814"},
        {"units.parse_bytes", "[\"-00030e-12E\"]", "-30000000"},
        {"units.parse_bytes", "[\"+.00000000005e-12MIb\"]", "0"},
        {"units.parse_bytes", "[\"+.33333333333333333333E-2\"]", "0"},
        {"units.parse_bytes", "[\"7.0000000000499TB\"]", "7000000000049"},
        {"units.parse_bytes", "[\"00030E-2TB\"]", "300000000000"},
        {"units.parse_bytes", "[\"-00030.99999999999e-12MIb\"]", "0"},
        {"units.parse_bytes", "[\"-999.00000000005e3kib\"]", "-1022976000"},
        {"units.parse_bytes", "[\"0.00000000005e3MI\"]", "0"},
        {"units.parse_bytes", "[\"7e3pb\"]", "7000000000000000000"},
        {"units.parse_bytes", "[\"12.000001e+1k\"]", "120000"},
        {"units.parse_bytes", "[\"-4503599627370497e3kib\"]", "-4611686018427388928000"},
        {"units.parse_bytes", "[\"+4503599627370497.99999999999e+1EIb\"]",
         "51922968585348299343735055313848329"},
        {"units.parse_bytes", "[\"12.0000000000499e-12kib\"]", "0"},
        {"units.parse_bytes", "[\"0.33333333333333333333Mb\"]", "333333"},
        {"units.parse_bytes", "[\"-7.5E-2Eb\"]", "-75000000000000000"},
        {"units.parse_bytes", "[\"+999.000001e+1Pib\"]", "11247740080616812828"},
        {"units.parse_bytes", "[\"+12.99999999999e-12gB\"]", "0"},
        {"units.parse_bytes", "[\"+4503599627370497.0000000000499e3k\"]", "4503599627370497000000"},
        {"units.parse_bytes", "[\"0.125Pi\"]", "140737488355328"},
        {"units.parse_bytes", "[\"+.000001EI\"]", "1152921504606"},
        {"units.parse_bytes", "[\"12.5e-12kb\"]", "0"},
        {"units.parse_bytes", "[\"999E-2MIb\"]", "10475274"},
        {"units.parse_bytes", "[\"7e+1PiB\"]", "78812993478983680"},
        {"units.parse_bytes", "[\"00030.33333333333333333333e-12TB\"]", "30"},
        {"units.parse_bytes", "[\"7.5e3EI\"]", "8646911284551352320000"},
        {"units.parse_bytes", "[\"+00030e-12kB\"]", "0"},
        {"units.parse_bytes", "[\"+12.000001e+1E\"]", "120000010000000000000"},
        {"units.parse_bytes", "[\"999.0000000000499EB\"]", "999000000000049900000"},
        {"units.parse_bytes", "[\"-00030.125EB\"]", "-30125000000000000000"},
        {"units.parse_bytes", "[\"+999.000001e-12tiB\"]", "1098"},
        {"units.parse_bytes", "[\"+0.99999999999e-12k\"]", "0"},
        {"units.parse_bytes", "[\"-4503599627370497.99999999999e+1\"]", "-45035996273704979"},
        {"units.parse_bytes", "[\"999.0000000000499gB\"]", "999000000000"},
        {"units.parse_bytes", "[\"7.000001e+1E\"]", "70000010000000000000"},
        {"units.parse_bytes", "[\"+0.000001MIB\"]", "1"},
        {"units.parse_bytes", "[\"999E-2Eb\"]", "9990000000000000000"},
        {"units.parse_bytes", "[\"-7.0000000000499e+1Tb\"]", "-70000000000499"},
        {"units.parse_bytes", "[\"+0.0000000000499gb\"]", "0"},
        {"units.parse_bytes", "[\"+0.5e+1MI\"]", "5242880"},
        {"units.parse_bytes", "[\".00000000005ti\"]", "54"},
        {"units.parse_bytes", "[\"-7.0000000000499e3k\"]", "-7000000"},
        {"units.parse_bytes", "[\"0.000001tiB\"]", "1099511"},
        {"units.parse_bytes", "[\"4503599627370497E-2ti\"]", "49517601571415221991081246"},
        {"units.parse_bytes", "[\"-0.125E-2Eb\"]", "-1250000000000000"},
        {"units.parse_bytes", "[\"-3e-12Gi\"]", "0"},
        {"units.parse_bytes", "[\"-.125TB\"]", "-125000000000"},
        {"units.parse_bytes", "[\"00030.00000000005e3kb\"]", "30000000"},
    };
    BUILTIN_CHECK(&plain, examples);
}

static void digits_have_a_limit_and_cost_steps(void **state)
{
    static const struct builtin_caller poor = {.steps = 1000};
    CLEANUP(buffer_clear) struct buffer operands = {0};
    CLEANUP(buffer_clear) struct buffer rich_out = {0};
    CLEANUP(buffer_clear) struct buffer poor_out = {0};
    buffer_text(&operands, "[\"");
    for (int i = 0; i < 20000; i++)
        buffer_byte(&operands, '9');
    buffer_text(&operands, "ki\"]");
    builtin_call_text(&plain, "units.parse", operands.bytes, &rich_out);
    assert_string_equal(rich_out.bytes, "eval_builtin_error: units.parse: could not parse amount "
                                        "to a number");
    builtin_call_text(&poor, "units.parse", operands.bytes, &poor_out);
    assert_string_equal(poor_out.bytes, "limit");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_amount_is_an_error),
        cmocka_unit_test(only_texts_are_taken),
        cmocka_unit_test(a_long_unit_is_cut),
        cmocka_unit_test(a_small_m_is_a_thousandth_but_not_of_bytes),
        cmocka_unit_test(quotation_marks_do_not_count),
        cmocka_unit_test(an_e_is_an_exponent_or_a_unit),
        cmocka_unit_test(what_is_too_small_is_rounded_or_left_out),
        cmocka_unit_test(amounts_are_those_of_exact_fractions),
        cmocka_unit_test(digits_have_a_limit_and_cost_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
