#include "check.h"

#include "policy/builtin_call.h"

static const struct builtin_caller caller;

static void arrays_are_joined_cut_and_turned_round(void **state)
{
    static const struct builtin_example examples[] = {
        {"array.concat", "[[1, 2], [3]]", "[1, 2, 3]"},
        {"array.concat", "[[], []]", "[]"},
        {"array.slice", "[[1, 2, 3, 4, 5], 1, 3]", "[2, 3]"},
        {"array.slice", "[[1, 2, 3], 0, 0]", "[]"},
        {"array.slice", "[[1, 2, 3, 4, 5], -4, -1]", "[]"},
        {"array.slice", "[[1, 2, 3, 4, 5], 4, 1]", "[]"},
        {"array.slice", "[[1, 2, 3, 4, 5], 3, 6]", "[4, 5]"},
        {"array.slice", "[[1, 2, 3], -5, 2]", "[1, 2]"},
        {"array.slice", "[[1, 2, 3], 1000, 2000]", "[]"},
        {"array.reverse", "[[1, 2, 3]]", "[3, 2, 1]"},
        {"array.reverse", "[[]]", "[]"},
        {"array.flatten", "[[1, [2, [3]], [], \"a\", {\"$set\": [4]}]]", "[1, 2, [3], \"a\", {4}]"},
    };
    BUILTIN_CHECK(&caller, examples);
}

static void only_arrays_and_whole_bounds_are_taken(void **state)
{
    static const struct builtin_example examples[] = {
        {"array.concat", "[{}, [1]]",
         "eval_type_error: array.concat: operand 1 must be array but got object"},
        {"array.concat", "[[1], {\"$set\": [1]}]",
         "eval_type_error: array.concat: operand 2 must be array but got set"},
        {"array.reverse", "[{}]",
         "eval_type_error: array.reverse: operand 1 must be array but got object"},
        {"array.slice", "[[1], 0.5, 1]",
         "eval_type_error: array.slice: operand 2 must be integer number but got floating-point "
         "number"},
        {"array.slice", "[[1], 0, \"1\"]",
         "eval_type_error: array.slice: operand 3 must be number but got string"},
    };
    BUILTIN_CHECK(&caller, examples);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrays_are_joined_cut_and_turned_round),
        cmocka_unit_test(only_arrays_and_whole_bounds_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
