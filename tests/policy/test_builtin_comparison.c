#include "check.h"

#include "policy/builtin_call.h"

static const struct builtin_caller caller;

static void values_compare_by_kind_and_then_by_what_they_hold(void **state)
{
    static const struct builtin_example examples[] = {
        {"equal", "[1, 1.0]", "true"},
        {"equal", "[1, \"1\"]", "false"},
        {"equal", "[[1, {\"a\": 2}], [1, {\"a\": 2}]]", "true"},
        {"equal", "[[], {}]", "false"},
        {"neq", "[28857836529306024611913, 28857836529306024611912]", "true"},
        {"neq", "[{\"$set\": [1, 2]}, {\"$set\": [2, 1]}]", "false"},
        {"lt", "[null, false]", "true"},
        {"lt", "[[1, 2], [1, 3]]", "true"},
        {"lt", "[1, 1]", "false"},
        {"lte", "[1, 1]", "true"},
        {"lte", "[\"b\", \"a\"]", "false"},
        {"gt", "[\"a\", 99]", "true"},
        {"gt", "[2, 2]", "false"},
        {"gte", "[2, 2]", "true"},
        {"gte", "[{}, {\"$set\": []}]", "false"},
    };
    BUILTIN_CHECK(&caller, examples);
}

static void members_are_elements_or_values(void **state)
{
    static const struct builtin_example examples[] = {
        {"internal.member_2", "[2, [1, 2]]", "true"},
        {"internal.member_2", "[3, [1, 2]]", "false"},
        {"internal.member_2", "[\"b\", {\"a\": \"b\"}]", "true"},
        {"internal.member_2", "[\"a\", {\"a\": \"b\"}]", "false"},
        {"internal.member_2", "[1, {\"$set\": [1]}]", "true"},
        {"internal.member_2", "[[1], {\"$set\": [1]}]", "false"},
        {"internal.member_2", "[\"a\", \"abc\"]", "false"},
        {"internal.member_3", "[0, \"a\", [\"a\"]]", "true"},
        {"internal.member_3", "[1, \"a\", [\"a\"]]", "false"},
        {"internal.member_3", "[\"k\", 1, {\"k\": 1}]", "true"},
        {"internal.member_3", "[\"k\", 2, {\"k\": 1}]", "false"},
        {"internal.member_3", "[1, 1, {\"$set\": [1]}]", "true"},
        {"internal.member_3", "[1, 2, {\"$set\": [1, 2]}]", "false"},
        {"internal.member_3", "[0, \"a\", \"a\"]", "false"},
    };
    BUILTIN_CHECK(&caller, examples);
}

static void types_are_told(void **state)
{
    static const struct builtin_example examples[] = {
        {"type_name", "[null]", "\"null\""},
        {"type_name", "[true]", "\"boolean\""},
        {"type_name", "[1.5]", "\"number\""},
        {"type_name", "[\"\"]", "\"string\""},
        {"type_name", "[[]]", "\"array\""},
        {"type_name", "[{}]", "\"object\""},
        {"type_name", "[{\"$set\": []}]", "\"set\""},
        {"is_null", "[null]", "true"},
        {"is_null", "[false]", "false"},
        {"is_boolean", "[false]", "true"},
        {"is_boolean", "[0]", "false"},
        {"is_number", "[-42.0]", "true"},
        {"is_number", "[\"1\"]", "false"},
        {"is_string", "[\"a\"]", "true"},
        {"is_string", "[null]", "false"},
        {"is_array", "[[1]]", "true"},
        {"is_array", "[{\"$set\": [1]}]", "false"},
        {"is_object", "[{}]", "true"},
        {"is_object", "[[]]", "false"},
        {"is_set", "[{\"$set\": [1]}]", "true"},
        {"is_set", "[{}]", "false"},
    };
    BUILTIN_CHECK(&caller, examples);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_compare_by_kind_and_then_by_what_they_hold),
        cmocka_unit_test(members_are_elements_or_values),
        cmocka_unit_test(types_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
