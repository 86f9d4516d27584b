#include "check.h"

#include "policy/builtin_call.h"

static const struct builtin_caller caller;

static void each_type_of_operand_has_its_verbs(void **state)
{
    static const struct builtin_example examples[] = {
        {"sprintf", "[\"%s %v\", [\"a\", \"b\"]]", "\"a b\""},
        {"sprintf", "[\"%d %b %o %O %x %X\", [10, 10, 10, 10, 255, 255]]",
         "\"10 1010 12 0o12 ff FF\""},
        {"sprintf", "[\"%c%c %q %U\", [8364, 65, 10, 120]]", "\"€A '\\\\n' U+0078\""},
        {"sprintf", "[\"%v %f %e %g\", [3.5, 3.5, 3.5, 3.5]]", "\"3.5 3.500000 3.500000e+00 3.5\""},
        {"sprintf", "[\"%q %x\", [\"a\\\"b\", \"hé\"]]", "\"\\\"a\\\\\\\"b\\\" 68c3a9\""},
        {"sprintf", "[\"%T %T %T %T\", [1, 1.5, \"a\", 18446744073709551616]]",
         "\"int float64 string *big.Int\""},
        {"sprintf", "[\"100%%\", []]", "\"100%\""},
    };
    BUILTIN_CHECK(&caller, examples);
}

/* A whole number is an integer however it was written: there is only one form of it. */
static void whole_numbers_print_as_integers(void **state)
{
    static const struct builtin_example examples[] = {
        {"sprintf", "[\"%d\", [1e3]]", "\"1000\""},
        {"sprintf", "[\"%v\", [4.0]]", "\"4\""},
        {"sprintf",
         "[\"%s %d %v %x\", [123456789123456789123, 123456789123456789123, "
         "-123456789123456789123, 18446744073709551617]]",
         "\"123456789123456789123 123456789123456789123 -123456789123456789123 "
         "10000000000000001\""},
    };
    BUILTIN_CHECK(&caller, examples);
}

static void other_values_print_as_terms(void **state)
{
    static const struct builtin_example examples[] = {
        {"sprintf", "[\"%v\", [[1, \"a\", null, true]]]", "\"[1, \\\"a\\\", null, true]\""},
        {"sprintf", "[\"%s\", [{\"$set\": [2, 1]}]]", "\"{1, 2}\""},
        {"sprintf", "[\"%v %v\", [{\"$set\": []}, {\"$object\": [[1, 2]]}]]", "\"set() {1: 2}\""},
        {"sprintf", "[\"%10s|\", [null]]", "\"      null|\""},
    };
    BUILTIN_CHECK(&caller, examples);
}

static void flags_width_and_precision_are_those_of_go(void **state)
{
    static const struct builtin_example examples[] = {
        {"sprintf", "[\"%05d|%-5d|%+d|% d\", [42, 42, 42, 42]]", "\"00042|42   |+42| 42\""},
        {"sprintf", "[\"%#x %#o %#b\", [255, 8, 5]]", "\"0xff 010 0b101\""},
        {"sprintf", "[\"%08.3f|%-8.2f|%+.1e\", [-3.14159, 3.14159, 12345.678]]",
         "\"-003.142|3.14    |+1.2e+04\""},
        {"sprintf", "[\"%6s|%-6s|%.2s|%06s\", [\"ab\", \"ab\", \"äöü\", \"ab\"]]",
         "\"    ab|ab    |äö|0000ab\""},
        {"sprintf", "[\"%*d|%-*d|%.*f\", [5, 42, 5, 42, 2, 3.14159]]", "\"   42|42   |3.14\""},
        {"sprintf", "[\"%[2]d %[1]d\", [1, 2]]", "\"2 1\""},
        {"sprintf", "[\"%g %g %g\", [0.00001, 1234567.5, 123456.5]]",
         "\"1e-05 1.2345675e+06 123456.5\""},
    };
    BUILTIN_CHECK(&caller, examples);
}

static void what_does_not_fit_is_said_in_the_text(void **state)
{
    static const struct builtin_example examples[] = {
        {"sprintf", "[\"%d\", [\"x\"]]", "\"%!d(string=x)\""},
        {"sprintf", "[\"%s\", [5]]", "\"%!s(int=5)\""},
        {"sprintf", "[\"%s %t\", [true, true]]", "\"true %!t(string=true)\""},
        {"sprintf", "[\"%d\", [1.5]]", "\"%!d(float64=1.5)\""},
        {"sprintf", "[\"%c\", [123456789123456789123]]", "\"%!c(big.Int=123456789123456789123)\""},
        {"sprintf", "[\"%v %v\", [1]]", "\"1 %!v(MISSING)\""},
        {"sprintf", "[\"a\", [1, \"x\", 1.5]]", "\"a%!(EXTRA int=1, string=x, float64=1.5)\""},
        {"sprintf", "[\"%\", [1]]", "\"%!(NOVERB)%!(EXTRA int=1)\""},
        {"sprintf", "[\"%[3]d\", [1]]", "\"%!d(BADINDEX)\""},
        {"sprintf", "[\"%z\", [1]]", "\"%!z(int=1)\""},
        {"sprintf", "[\"%*d\", [\"x\", 1]]", "\"%!(BADWIDTH)1\""},
        {"sprintf", "[\"%.*d\", [-1, 1]]", "\"%!(BADPREC)1\""},
    };
    BUILTIN_CHECK(&caller, examples);
}

static void a_width_that_no_memory_holds_is_refused(void **state)
{
    static const struct builtin_example examples[] = {
        {"sprintf", "[\"%1000000000d\", [1]]", "\"%!(NOVERB)%!(EXTRA int=1)\""},
        {"sprintf", "[\"%*d\", [1000000000, 1]]", "\"%!(BADWIDTH)1\""},
        {"sprintf", "[\"%.1000000000f\", [1.5]]", "\"%!(NOVERB)%!(EXTRA float64=1.5)\""},
    };
    static const struct builtin_example limited[] = {
        {"sprintf", "[\"%1000000d%1000000d\", [1, 1]]", "limit"},
        {"sprintf", "[\"%.1000000f\", [1.5]]", "limit"},
    };
    BUILTIN_CHECK(&caller, examples);
    struct builtin_caller small = {.memory_bytes = 500000};
    BUILTIN_CHECK(&small, limited);
    struct builtin_caller few = {.steps = 5000};
    BUILTIN_CHECK(&few, limited);
}

static void operands_of_another_kind_are_type_errors(void **state)
{
    static const struct builtin_example examples[] = {
        {"sprintf", "[1, []]", "eval_type_error: sprintf: operand 1 must be string but got number"},
        {"sprintf", "[\"a\", \"b\"]",
         "eval_type_error: sprintf: operand 2 must be array but got string"},
        {"sprintf", "[\"a\", {\"$set\": [1]}]",
         "eval_type_error: sprintf: operand 2 must be array but got set"},
    };
    BUILTIN_CHECK(&caller, examples);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_type_of_operand_has_its_verbs),
        cmocka_unit_test(whole_numbers_print_as_integers),
        cmocka_unit_test(other_values_print_as_terms),
        cmocka_unit_test(flags_width_and_precision_are_those_of_go),
        cmocka_unit_test(what_does_not_fit_is_said_in_the_text),
        cmocka_unit_test(a_width_that_no_memory_holds_is_refused),
        cmocka_unit_test(operands_of_another_kind_are_type_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
