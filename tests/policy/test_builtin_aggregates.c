#include "check.h"

#include "policy/builtin_call.h"

static const struct builtin_caller caller;

static void one_value_is_made_of_all_elements(void **state)
{
    static const struct builtin_example examples[] = {
        {"count", "[[1, 1, 2]]", "3"},
        {"count", "[{\"$set\": [1, 1, 2]}]", "2"},
        {"count", "[{\"a\": 1}]", "1"},
        {"count", "[\"åäö日\"]", "4"},
        {"sum", "[[1, 2.5, {\"$set\": []}]]",
         "eval_type_error: sum: operand 1 must be array of numbers but got array containing set"},
        {"sum", "[[]]", "0"},
        {"sum", "[[1.5, 2.5]]", "4"},
        {"sum", "[[9223372036854775807, 1]]", "9223372036854775808"},
        {"sum", "[{\"$set\": [-9223372036854775808, -1]}]", "-9223372036854775809"},
        {"product", "[[]]", "1"},
        {"product", "[{\"$set\": [2, 3, 4]}]", "24"},
        {"product", "[[18446744073709551617, 2]]", "36893488147419103234"},
    };
    BUILTIN_CHECK(&caller, examples);
}

static void extremes_follow_the_order_of_kinds(void **state)
{
    static const struct builtin_example examples[] = {
        {"max", "[[1, \"a\", [0], null]]", "[0]"},
        {"max", "[[{\"$set\": []}, {\"a\": 1}, [9]]]", "set()"},
        {"max", "[{\"$set\": [3, 1, 2]}]", "3"},
        {"min", "[[1, \"a\", false, null]]", "null"},
        {"min", "[[3, 2, 1, 4, 6, -7, 10]]", "-7"},
        {"min", "[{\"$set\": [3, 1, 2]}]", "1"},
        {"max", "[[]]", "undefined"},
        {"min", "[{\"$set\": []}]", "undefined"},
        {"sort", "[[3, \"b\", null, 1, \"a\", 1]]", "[null, 1, 1, 3, \"a\", \"b\"]"},
        {"sort", "[{\"$set\": [3, 1, 2]}]", "[1, 2, 3]"},
        {"sort", "[[]]", "[]"},
    };
    BUILTIN_CHECK(&caller, examples);
}

static void what_is_no_list_is_refused(void **state)
{
    static const struct builtin_example examples[] = {
        {"count", "[1]",
         "eval_type_error: count: operand 1 must be one of {string, object, set, array} but got "
         "number"},
        {"sum", "[{}]",
         "eval_type_error: sum: operand 1 must be one of {set, array} but got object"},
        {"max", "[\"a\"]",
         "eval_type_error: max: operand 1 must be one of {set, array} but got string"},
        {"sort", "[null]",
         "eval_type_error: sort: operand 1 must be one of {set, array} but got null"},
        {"product", "[[\"a\"]]",
         "eval_type_error: product: operand 1 must be array of numbers but got array containing "
         "string"},
    };
    BUILTIN_CHECK(&caller, examples);
}

static void all_and_any_are_of_the_older_syntax(void **state)
{
    static const struct builtin_example examples[] = {
        {"all", "[[]]", "true"},
        {"all", "[[true, true]]", "true"},
        {"all", "[[true, 1]]", "false"},
        {"all", "[{\"$set\": [true, false]}]", "false"},
        {"any", "[[]]", "false"},
        {"any", "[[1, true]]", "true"},
        {"any", "[{\"$set\": [false, 1]}]", "false"},
        {"any", "[1]",
         "eval_type_error: any: operand 1 must be one of {array, set} but got number"},
    };
    struct builtin_caller older = {.v0 = true};
    BUILTIN_CHECK(&older, examples);
    assert_null(builtin_find("all", 3, false));
    assert_null(builtin_find("any", 3, false));
}

static void a_number_that_grows_too_long_is_refused(void **state)
{
    CLEANUP(buffer_clear) struct buffer operands = {0};
    CLEANUP(buffer_clear) struct buffer out = {0};
    buffer_text(&operands, "[[1e4000");
    for (int i = 0; i < 5; i++)
        buffer_text(&operands, ", 1e4000");
    buffer_text(&operands, "]]");
    builtin_call_text(&caller, "product", operands.bytes, &out);
    assert_string_equal(out.bytes, "eval_builtin_error: product: the result has more than 4096 "
                                   "digits, or an exponent over 4096");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_value_is_made_of_all_elements),
        cmocka_unit_test(extremes_follow_the_order_of_kinds),
        cmocka_unit_test(what_is_no_list_is_refused),
        cmocka_unit_test(all_and_any_are_of_the_older_syntax),
        cmocka_unit_test(a_number_that_grows_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
