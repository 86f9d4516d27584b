#include "check.h"

#include "base/validate.h"
#include "policy/builtin_call.h"

static const struct builtin_caller caller;

static void numbers_are_read_as_go_reads_them(void **state)
{
    static const struct builtin_example examples[] = {
        {"to_number", "[\"-42.0\"]", "-42"},
        {"to_number", "[\"+1\"]", "1"},
        {"to_number", "[\"007\"]", "7"},
        {"to_number", "[\"00.50\"]", "0.5"},
        {"to_number", "[\".5\"]", "0.5"},
        {"to_number", "[\"5.\"]", "5"},
        {"to_number", "[\"1e3\"]", "1000"},
        {"to_number", "[\"-1.5E-1\"]", "-0.15"},
        {"to_number", "[\"123456789123456789123\"]", "123456789123456789123"},
        {"to_number", "[false]", "0"},
        {"to_number", "[true]", "1"},
        {"to_number", "[null]", "0"},
        {"to_number", "[100.1]", "100.1"},
    };
    BUILTIN_CHECK(&caller, examples);
}

static void what_is_no_number_is_refused(void **state)
{
    static const struct builtin_example examples[] = {
        {"to_number", "[\"broken\"]",
         "eval_builtin_error: to_number: parsing \"broken\": invalid syntax"},
        {"to_number", "[\"\"]", "eval_builtin_error: to_number: parsing \"\": invalid syntax"},
        {"to_number", "[\".\"]", "eval_builtin_error: to_number: parsing \".\": invalid syntax"},
        {"to_number", "[\"-\"]", "eval_builtin_error: to_number: parsing \"-\": invalid syntax"},
        {"to_number", "[\"1e\"]", "eval_builtin_error: to_number: parsing \"1e\": invalid syntax"},
        {"to_number", "[\"1e+\"]",
         "eval_builtin_error: to_number: parsing \"1e+\": invalid syntax"},
        {"to_number", "[\" 1\"]", "eval_builtin_error: to_number: parsing \" 1\": invalid syntax"},
        {"to_number", "[\"1 \"]", "eval_builtin_error: to_number: parsing \"1 \": invalid syntax"},
        {"to_number", "[\"1\\u0000\"]",
         "eval_builtin_error: to_number: parsing \"1\": invalid syntax"},
        {"to_number", "[\"0x10\"]",
         "eval_builtin_error: to_number: parsing \"0x10\": invalid syntax"},
        {"to_number", "[\"inf\"]",
         "eval_builtin_error: to_number: parsing \"inf\": invalid syntax"},
        {"to_number", "[\"1e99999\"]",
         "eval_builtin_error: to_number: parsing \"1e99999\": value out of range"},
        {"to_number", "[[1]]",
         "eval_type_error: to_number: operand 1 must be one of {null, boolean, number, string} but "
         "got array"},
    };
    BUILTIN_CHECK(&caller, examples);
}

/* A text that is cut where an error has no room for more ends with a whole character. */
static void errors_are_utf8_wherever_they_are_cut(void **state)
{
    for (int before = 0; before < 4; before++) {
        CLEANUP(buffer_clear) struct buffer operands = {0};
        CLEANUP(buffer_clear) struct buffer out = {0};
        buffer_format(&operands, "[\"%.*s", before, "xxx");
        for (int i = 0; i < 200; i++)
            buffer_text(&operands, "😀");
        buffer_text(&operands, "\"]");
        builtin_call_text(&caller, "to_number", operands.bytes, &out);
        assert_true(text_is_utf8(out.bytes, out.size_bytes));
        assert_non_null(strstr(out.bytes, "invalid syntax"));
    }
}

static void casts_are_of_the_older_syntax(void **state)
{
    static const struct builtin_example examples[] = {
        {"cast_array", "[{\"$set\": [2, 1]}]", "[1, 2]"},
        {"cast_array", "[[2, 1]]", "[2, 1]"},
        {"cast_array", "[\"hello\"]",
         "eval_type_error: cast_array: operand 1 must be one of {array, set} but got string"},
        {"cast_set", "[[1, 1, 1]]", "{1}"},
        {"cast_set", "[{\"$set\": [1]}]", "{1}"},
        {"cast_null", "[null]", "null"},
        {"cast_object", "[{}]", "{}"},
        {"cast_string", "[1]",
         "eval_type_error: cast_string: operand 1 must be string but got number"},
        {"cast_boolean", "[1]",
         "eval_type_error: cast_boolean: operand 1 must be boolean but got number"},
    };
    struct builtin_caller older = {.v0 = true};
    BUILTIN_CHECK(&older, examples);
    assert_null(builtin_find("cast_array", 10, false));
    assert_null(builtin_find("cast_null", 9, false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_read_as_go_reads_them),
        cmocka_unit_test(what_is_no_number_is_refused),
        cmocka_unit_test(errors_are_utf8_wherever_they_are_cut),
        cmocka_unit_test(casts_are_of_the_older_syntax),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
