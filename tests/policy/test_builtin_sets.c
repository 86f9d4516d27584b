#include "check.h"

#include "policy/builtin_call.h"

static const struct builtin_caller caller;

static void sets_meet_and_join(void **state)
{
    static const struct builtin_example examples[] = {
        {"and", "[{\"$set\": [1, 2, 3]}, {\"$set\": [2, 3, 4]}]", "{2, 3}"},
        {"and", "[{\"$set\": [1]}, {\"$set\": []}]", "set()"},
        {"or", "[{\"$set\": [3, 1]}, {\"$set\": [2, 1]}]", "{1, 2, 3}"},
        {"or", "[{\"$set\": []}, {\"$set\": []}]", "set()"},
        {"intersection", "[{\"$set\": []}]", "set()"},
        {"intersection", "[{\"$set\": [{\"$set\": []}, {\"$set\": [1, 2]}]}]", "set()"},
        {"intersection",
         "[{\"$set\": [{\"$set\": [\"a\", \"b\", \"d\"]}, {\"$set\": [\"b\", \"d\"]}, "
         "{\"$set\": [\"d\"]}]}]",
         "{\"d\"}"},
        {"union", "[{\"$set\": []}]", "set()"},
        {"union", "[{\"$set\": [{\"$set\": [1, 2]}, {\"$set\": [2, 3]}]}]", "{1, 2, 3}"},
    };
    BUILTIN_CHECK(&caller, examples);
}

static void only_sets_are_taken(void **state)
{
    static const struct builtin_example examples[] = {
        {"and", "[[1], {\"$set\": []}]",
         "eval_type_error: and: operand 1 must be set but got array"},
        {"or", "[{\"$set\": []}, 1]", "eval_type_error: or: operand 2 must be set but got number"},
        {"union", "[[]]", "eval_type_error: union: operand 1 must be set but got array"},
        {"union", "[{\"$set\": [1]}]",
         "eval_type_error: union: operand 1 must be set but got number"},
        {"intersection", "[{\"$set\": [\"a\"]}]",
         "eval_type_error: intersection: operand 1 must be set but got string"},
    };
    BUILTIN_CHECK(&caller, examples);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_meet_and_join),
        cmocka_unit_test(only_sets_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
