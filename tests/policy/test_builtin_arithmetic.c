#include "check.h"

#include "policy/builtin_call.h"

static const struct builtin_caller caller;

static void operators_compute_exactly(void **state)
{
    static const struct builtin_example examples[] = {
        {"plus", "[9223372036854775807, 1]", "9223372036854775808"},
        {"minus", "[1, 2.5]", "-1.5"},
        {"mul", "[99999999999, 99999999999]", "9999999999800000000001"},
        {"div", "[7, 2]", "3.5"},
        {"div", "[6, 3]", "2"},
        {"rem", "[7, 4]", "3"},
        {"rem", "[-7, 4]", "-3"},
        {"rem", "[100000000000000000000, 7]", "2"},
        {"abs", "[-10]", "10"},
        {"abs", "[-9223372036854775808]", "9223372036854775808"},
        {"round", "[2.5]", "3"},
        {"round", "[-2.5]", "-3"},
        {"round", "[2.4999]", "2"},
        {"ceil", "[-1.99999]", "-1"},
        {"ceil", "[2222.2222222222]", "2223"},
        {"floor", "[-1.001]", "-2"},
        {"floor", "[1]", "1"},
    };
    BUILTIN_CHECK(&caller, examples);
}

static void minus_is_also_the_difference_of_sets(void **state)
{
    static const struct builtin_example examples[] = {
        {"minus", "[{\"$set\": [1, 2, 3]}, {\"$set\": [2, \"x\"]}]", "{1, 3}"},
        {"minus", "[{\"$set\": [1]}, {\"$set\": [1]}]", "set()"},
        {"minus", "[{\"$set\": [1]}, 1]",
         "eval_type_error: minus: operand 2 must be set but got number"},
        {"minus", "[1, {\"$set\": [1]}]",
         "eval_type_error: minus: operand 2 must be number but got set"},
        {"minus", "[\"a\", 1]",
         "eval_type_error: minus: operand 1 must be one of {number, set} but got string"},
    };
    static const struct builtin_example older[] = {
        {"set_diff", "[{\"$set\": [1, 2]}, {\"$set\": [2]}]", "{1}"},
        {"set_diff", "[{\"$set\": [1, 2]}, [2]]",
         "eval_type_error: set_diff: operand 2 must be set but got array"},
    };
    struct builtin_caller v0 = {.v0 = true};
    BUILTIN_CHECK(&caller, examples);
    BUILTIN_CHECK(&v0, older);
    assert_null(builtin_find("set_diff", 8, false));
}

static void impossible_arithmetic_is_an_error(void **state)
{
    static const struct builtin_example examples[] = {
        {"div", "[1, 0]", "eval_builtin_error: div: divide by zero"},
        {"div", "[1, 0.0]", "eval_builtin_error: div: divide by zero"},
        {"rem", "[1, 0]", "eval_builtin_error: rem: modulo by zero"},
        {"rem", "[1.5, 2]", "eval_builtin_error: rem: modulo on floating-point number"},
        {"rem", "[2, 1.5]", "eval_builtin_error: rem: modulo on floating-point number"},
        {"plus", "[\"a\", 1]", "eval_type_error: plus: operand 1 must be number but got string"},
        {"abs", "[null]", "eval_type_error: abs: operand 1 must be number but got null"},
        {"mul", "[1e4000, 1e4000]",
         "eval_builtin_error: mul: the result has more than 4096 digits, or an exponent over 4096"},
    };
    BUILTIN_CHECK(&caller, examples);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operators_compute_exactly),
        cmocka_unit_test(minus_is_also_the_difference_of_sets),
        cmocka_unit_test(impossible_arithmetic_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
