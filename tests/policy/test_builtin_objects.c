#include "check.h"

#include "policy/builtin_call.h"

static const struct builtin_caller caller;

static void get_follows_a_path_or_a_key(void **state)
{
    static const struct builtin_example examples[] = {
        {"object.get", "[{\"a\": \"b\"}, \"a\", \"c\"]", "\"b\""},
        {"object.get", "[{\"a\": \"b\"}, \"c\", \"d\"]", "\"d\""},
        {"object.get", "[{\"$object\": [[1, 2]]}, 1, 3]", "2"},
        {"object.get", "[{\"a\": 1}, [], 2]", "{\"a\": 1}"},
        {"object.get", "[{\"a\": {\"b\": {\"c\": 1}}}, [\"a\", \"b\", \"c\"], 2]", "1"},
        {"object.get", "[{\"a\": {\"b\": [1, 2, 3]}}, [\"a\", \"b\", \"a\"], 2]", "2"},
        {"object.get", "[{\"a\": {\"b\": [{\"c\": 1}]}}, [\"a\", \"b\", 0, \"c\"], 2]", "1"},
        {"object.get", "[{\"a\": [1]}, [\"a\", 1], 2]", "2"},
        {"object.get", "[{\"a\": [1]}, [\"a\", 0.5], 2]", "2"},
        {"object.get", "[{\"a\": 1}, [\"a\", \"b\"], 2]", "2"},
        {"object.get", "[{\"$object\": [[1, {\"$object\": [[[2, 3], 4]]}]]}, [1, [2, 3]], 0]", "4"},
        {"object.get", "[{\"a\": {\"$set\": [5]}}, [\"a\", 5], 0]", "5"},
        {"object.get", "[\"object\", \"a\", 1]",
         "eval_type_error: object.get: operand 1 must be object but got string"},
    };
    BUILTIN_CHECK(&caller, examples);
}

static void keys_are_a_set(void **state)
{
    static const struct builtin_example examples[] = {
        {"object.keys", "[{\"b\": 2, \"a\": 1}]", "{\"a\", \"b\"}"},
        {"object.keys", "[{}]", "set()"},
        {"object.keys", "[{\"$object\": [[[\"a\"], 1], [{\"$set\": [1]}, 2]]}]", "{[\"a\"], {1}}"},
        {"object.keys", "[[]]",
         "eval_type_error: object.keys: operand 1 must be object but got array"},
    };
    BUILTIN_CHECK(&caller, examples);
}

static void pairs_are_kept_and_removed_by_keys(void **state)
{
    static const struct builtin_example examples[] = {
        {"object.filter", "[{\"a\": 1, \"b\": 2, \"c\": 3}, [\"c\", \"a\", \"x\"]]",
         "{\"a\": 1, \"c\": 3}"},
        {"object.filter", "[{\"a\": {\"b\": 7}, \"e\": 9}, {\"$set\": [\"a\"]}]",
         "{\"a\": {\"b\": 7}}"},
        {"object.filter", "[{\"a\": 1, \"b\": 2}, {\"a\": 0}]", "{\"a\": 1}"},
        {"object.filter", "[{\"a\": 7}, []]", "{}"},
        {"object.remove", "[{\"a\": 1, \"b\": 2}, {\"$set\": [\"a\"]}]", "{\"b\": 2}"},
        {"object.remove", "[{\"a\": 1, \"b\": 2, \"d\": 4}, [\"d\", \"b\", \"d\"]]", "{\"a\": 1}"},
        {"object.remove", "[{\"a\": 1, \"b\": 2}, {\"b\": 1}]", "{\"a\": 1}"},
        {"object.remove", "[{\"a\": 1}, []]", "{\"a\": 1}"},
        {"object.remove", "[{}, {\"$set\": [\"a\"]}]", "{}"},
        {"object.filter", "[[\"a\"], {\"$set\": [\"a\"]}]",
         "eval_type_error: object.filter: operand 1 must be object but got array"},
        {"object.remove", "[{\"a\": 1}, 22]",
         "eval_type_error: object.remove: operand 2 must be one of {object, set, array} but got "
         "number"},
    };
    BUILTIN_CHECK(&caller, examples);
}

static void unions_merge_objects_and_the_later_wins(void **state)
{
    static const struct builtin_example examples[] = {
        {"object.union", "[{\"a\": {\"b\": {\"c\": 1}}}, {\"b\": 2}]",
         "{\"a\": {\"b\": {\"c\": 1}}, \"b\": 2}"},
        {"object.union", "[{\"a\": 1}, {\"a\": {\"b\": 1}, \"d\": 7}]",
         "{\"a\": {\"b\": 1}, \"d\": 7}"},
        {"object.union", "[{\"a\": {\"x\": 1, \"y\": 2}}, {\"a\": {\"y\": 3, \"z\": 4}}]",
         "{\"a\": {\"x\": 1, \"y\": 3, \"z\": 4}}"},
        {"object.union", "[{}, {}]", "{}"},
        {"object.union_n", "[[]]", "{}"},
        {"object.union_n", "[[{\"a\": 1, \"b\": 2}, {\"a\": \"a\", \"d\": 4}, {\"a\": \"z\"}]]",
         "{\"a\": \"z\", \"b\": 2, \"d\": 4}"},
        {"object.union_n", "[[{\"a\": {\"b\": 1}}, {\"a\": 2}, {\"a\": {\"c\": 3}}]]",
         "{\"a\": {\"c\": 3}}"},
        {"object.union_n", "[[{}, \"baz\"]]",
         "eval_type_error: object.union_n: operand 1 must be array of objects but got array "
         "containing string"},
        {"object.union", "[{}, null]",
         "eval_type_error: object.union: operand 2 must be object but got null"},
    };
    BUILTIN_CHECK(&caller, examples);
}

static void subsets_are_found_in_objects_sets_and_arrays(void **state)
{
    static const struct builtin_example examples[] = {
        {"object.subset", "[{\"a\": 5, \"b\": 7}, {\"a\": 5}]", "true"},
        {"object.subset", "[{\"a\": 5, \"b\": 7}, {\"a\": 6}]", "false"},
        {"object.subset", "[{\"a\": 5}, {\"c\": 5}]", "false"},
        {"object.subset", "[{\"n\": {\"x\": 1, \"y\": 2}}, {\"n\": {\"x\": 1}}]", "true"},
        {"object.subset",
         "[{\"n\": {\"s\": {\"$set\": [1, 2, 3]}, \"r\": [6, 7, 8]}}, "
         "{\"n\": {\"s\": {\"$set\": [3, 1]}, \"r\": [7, 8]}}]",
         "true"},
        {"object.subset", "[{\"$set\": [1, 2, 3]}, {\"$set\": [3, 2]}]", "true"},
        {"object.subset", "[{\"$set\": [1, {\"$set\": [1, 2]}]}, {\"$set\": [{\"$set\": [1]}]}]",
         "false"},
        {"object.subset", "[[1, 2, 3, 4], [2, 3]]", "true"},
        {"object.subset", "[[1, 2, 3, 4], [2, 4]]", "false"},
        {"object.subset", "[[1, 1, 2], [1, 2]]", "true"},
        {"object.subset", "[[1], []]", "true"},
        {"object.subset", "[[], [1]]", "false"},
        {"object.subset", "[[1, 2, 3], {\"$set\": [3, 1]}]", "true"},
        {"object.subset", "[[1, 2, 3], {\"$set\": [4]}]", "false"},
        {"object.subset", "[{\"$set\": [1]}, [1]]",
         "eval_type_error: object.subset: both arguments object.subset must be of the same type or "
         "array and set"},
        {"object.subset", "[1, 1]",
         "eval_type_error: object.subset: both arguments object.subset must be of the same type or "
         "array and set"},
    };
    BUILTIN_CHECK(&caller, examples);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(get_follows_a_path_or_a_key),
        cmocka_unit_test(keys_are_a_set),
        cmocka_unit_test(pairs_are_kept_and_removed_by_keys),
        cmocka_unit_test(unions_merge_objects_and_the_later_wins),
        cmocka_unit_test(subsets_are_found_in_objects_sets_and_arrays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
