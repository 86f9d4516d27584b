#include "check.h"

#include "policy/builtin_call.h"

static const struct builtin_caller caller;

static void ranges_go_up_and_down_and_hold_both_ends(void **state)
{
    static const struct builtin_example examples[] = {
        {"numbers.range", "[0, 0]", "[0]"},
        {"numbers.range", "[-2, 3]", "[-2, -1, 0, 1, 2, 3]"},
        {"numbers.range", "[2, -1]", "[2, 1, 0, -1]"},
        {"numbers.range", "[9223372036854775806, 9223372036854775808]",
         "[9223372036854775806, 9223372036854775807, 9223372036854775808]"},
        {"numbers.range_step", "[0, 10, 4]", "[0, 4, 8]"},
        {"numbers.range_step", "[0, -10, 5]", "[0, -5, -10]"},
        {"numbers.range_step", "[0, 10, 99999999999999999999]", "[0]"},
    };
    BUILTIN_CHECK(&caller, examples);
}

static void bounds_are_integers_and_steps_positive(void **state)
{
    static const struct builtin_example examples[] = {
        {"numbers.range", "[3.14, 4]",
         "eval_type_error: numbers.range: operand 1 must be integer number but got floating-point "
         "number"},
        {"numbers.range", "[3, 3.14]",
         "eval_type_error: numbers.range: operand 2 must be integer number but got floating-point "
         "number"},
        {"numbers.range", "[\"a\", 4]",
         "eval_type_error: numbers.range: operand 1 must be number but got string"},
        {"numbers.range_step", "[0, 10, 0]",
         "eval_builtin_error: numbers.range_step: step must be a positive integer"},
        {"numbers.range_step", "[0, 10, -2]",
         "eval_builtin_error: numbers.range_step: step must be a positive integer"},
        {"numbers.range_step", "[0, 10, 0.5]",
         "eval_type_error: numbers.range_step: operand 3 must be integer number but got "
         "floating-point number"},
    };
    BUILTIN_CHECK(&caller, examples);
}

static void a_range_without_end_meets_a_limit(void **state)
{
    static const struct builtin_example examples[] = {
        {"numbers.range", "[0, 1000000000000]", "limit"},
        {"numbers.range", "[0, -1000000000000]", "limit"},
        {"numbers.range_step", "[0, 1e100, 3]", "limit"},
    };
    BUILTIN_CHECK(&caller, examples);
    struct builtin_caller few_steps = {.steps = 5000};
    BUILTIN_CHECK(&few_steps, examples);
    struct builtin_caller little_memory = {.memory_bytes = 1 << 16};
    BUILTIN_CHECK(&little_memory, examples);
}

static void integers_are_written_in_four_bases(void **state)
{
    static const struct builtin_example examples[] = {
        {"format_int", "[15.9, 16]", "\"f\""},
        {"format_int", "[-15.9, 16]", "\"-f\""},
        {"format_int", "[10, 2]", "\"1010\""},
        {"format_int", "[8, 8]", "\"10\""},
        {"format_int", "[0.5, 10]", "\"0\""},
        {"format_int", "[-18446744073709551617, 16]", "\"-10000000000000001\""},
        {"format_int", "[1, 7]",
         "eval_type_error: format_int: operand 2 must be one of {2, 8, 10, 16}"},
        {"format_int", "[1, 2.5]",
         "eval_type_error: format_int: operand 2 must be one of {2, 8, 10, 16}"},
        {"format_int", "[\"1\", 10]",
         "eval_type_error: format_int: operand 1 must be number but got string"},
    };
    BUILTIN_CHECK(&caller, examples);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_go_up_and_down_and_hold_both_ends),
        cmocka_unit_test(bounds_are_integers_and_steps_positive),
        cmocka_unit_test(a_range_without_end_meets_a_limit),
        cmocka_unit_test(integers_are_written_in_four_bases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
