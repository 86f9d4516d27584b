#include "check.h"

#include "builtin_call.h"

static const struct builtin_caller caller = {.v0 = true};

/* As glob-intersection says it. */
static const struct builtin_example bad_globs[] = {
    {"regex.globs_match", "[\"+\", \"x\"]",
     "eval_builtin_error: regex.globs_match: input:+, pos:1, flag '+' must be preceded by a "
     "non-flag: the input provided is invalid"},
    {"regex.globs_match", "[\"a**\", \"x\"]",
     "eval_builtin_error: regex.globs_match: input:a**, pos:3, flag '*' must be preceded by a "
     "non-flag: the input provided is invalid"},
    {"regex.globs_match", "[\"a]\", \"x\"]",
     "eval_builtin_error: regex.globs_match: input:a], pos:2, set-close ']' with no preceding '[': "
     "the input provided is invalid"},
    {"regex.globs_match", "[\"[a\", \"x\"]",
     "eval_builtin_error: regex.globs_match: input:[a, pos:2, found [ without matching ]: the "
     "input provided is invalid"},
    {"regex.globs_match", "[\"a\\\\\", \"x\"]",
     "eval_builtin_error: regex.globs_match: input:a\\, pos:1, input ends with a \\ (escape) "
     "character: the input provided is invalid"},
    {"regex.globs_match", "[\"[-a]\", \"x\"]",
     "eval_builtin_error: regex.globs_match: input:[-a], pos:2, range character '-' must be "
     "preceded by a Unicode character: the input provided is invalid"},
    {"regex.globs_match", "[\"[a-\", \"x\"]",
     "eval_builtin_error: regex.globs_match: input:[a-, pos:3, range character '-' must be "
     "followed by a Unicode character: the input provided is invalid"},
    {"regex.globs_match", "[\"[a-]x\", \"x\"]",
     "eval_builtin_error: regex.globs_match: input:[a-]x, pos:4, range character '-' cannot be "
     "followed by a special symbol: the input provided is invalid"},
    {"regex.globs_match", "[\"[a-c-e]\", \"x\"]",
     "eval_builtin_error: regex.globs_match: input:[a-c-e], pos:5, range character '-' must be "
     "preceded by a Unicode character: the input provided is invalid"},
    {"regex.globs_match", "[\"[z-a]\", \"x\"]",
     "eval_builtin_error: regex.globs_match: input:[z-a], pos:4, range is out of order: the input "
     "provided is invalid"},
    {"regex.globs_match", "[\"x\", 1]",
     "eval_type_error: regex.globs_match: operand 2 must be string but got number"},
};

static void what_is_no_glob_is_refused(void **state)
{
    BUILTIN_CHECK(&caller, bad_globs);
}

/* As trying all texts of up to five characters of "ab.1" says. */
static const struct builtin_example globs[] = {
    {"regex.globs_match", "[\"b\", \"[ab]+1\"]", "false"},
    {"regex.globs_match", "[\"a*\", \"[1]\"]", "false"},
    {"regex.globs_match", "[\"\", \"[1]1+\"]", "false"},
    {"regex.globs_match", "[\"\", \"[1]+[1]*\"]", "false"},
    {"regex.globs_match", "[\"[ab]+\\\\..\", \"[ab]*.\"]", "false"},
    {"regex.globs_match", "[\"a\", \"[ab]ab+\"]", "false"},
    {"regex.globs_match", "[\"1*b+[1]*[ab]\", \"[1]*1*\"]", "false"},
    {"regex.globs_match", "[\"1*.*.b\", \"[a-b]*\\\\.*\"]", "true"},
    {"regex.globs_match", "[\"[ab]+1[1]\", \"\"]", "false"},
    {"regex.globs_match", "[\"\\\\.*a\\\\.+\", \"b*\"]", "false"},
    {"regex.globs_match", "[\"[a-b][1]\\\\.+1\", \"1*\\\\.+\"]", "false"},
    {"regex.globs_match", "[\"b+[ab]*\", \"a*\"]", "false"},
    {"regex.globs_match", "[\"\", \"ab1+.\"]", "false"},
    {"regex.globs_match", "[\"\", \"\"]", "true"},
    {"regex.globs_match", "[\"1+1[1]*b+\", \"[1]\"]", "false"},
    {"regex.globs_match", "[\".b\", \"b+a*\\\\.[1]\"]", "false"},
    {"regex.globs_match", "[\".\\\\.\\\\.*\", \".b[1]*\"]", "false"},
    {"regex.globs_match", "[\"[1]+b*\", \"[a-b]*[a-b]+b\"]", "false"},
    {"regex.globs_match", "[\"ab[a-b]+\\\\.*\", \"[1][a-b]*\"]", "false"},
    {"regex.globs_match", "[\"[ab]*1*\", \"[a-b]+a+.[1]\"]", "true"},
    {"regex.globs_match", "[\"b+\", \"\"]", "false"},
    {"regex.globs_match", "[\"\\\\.1a*[1]\", \"a\\\\.*\\\\.\"]", "false"},
    {"regex.globs_match", "[\".*\", \".1\"]", "true"},
    {"regex.globs_match", "[\"[a-b]*\", \"[ab][a-b]+[a-b]\"]", "true"},
    {"regex.globs_match", "[\"[a-b]\\\\.+\", \"[ab]*[1]*a[1]+\"]", "false"},
    {"regex.globs_match", "[\"\", \"[1]*\"]", "true"},
    {"regex.globs_match", "[\"[1]*[a-b]*\", \"\"]", "true"},
    {"regex.globs_match", "[\"b+\\\\.*a+.*\", \"[a-b]+[a-b]*1b+\"]", "true"},
    {"regex.globs_match", "[\".*\", \"\"]", "true"},
    {"regex.globs_match", "[\"a*\", \"b*aa+[ab]*\"]", "true"},
    {"regex.globs_match", "[\"\\\\.[a-b]+b\", \"1*.*\\\\.+[ab]*\"]", "true"},
    {"regex.globs_match", "[\"[ab][a-b][1]*\", \"a.*b\"]", "true"},
    {"regex.globs_match", "[\"b*\", \".+[ab]+.[a-b]+\"]", "true"},
    {"regex.globs_match", "[\"b*\", \"\"]", "true"},
    {"regex.globs_match", "[\"1*.*[1]\", \"[a-b]*[1]\"]", "true"},
    {"regex.globs_match", "[\"1*[ab]+\", \"[ab]*\"]", "true"},
    {"regex.globs_match", "[\"b\", \"[a-b]\"]", "true"},
    {"regex.globs_match", "[\"a+\\\\.+[a-b]\", \".*a\"]", "true"},
    {"regex.globs_match", "[\"\\\\.*[a-b]*\", \"[a-b]+\"]", "true"},
    {"regex.globs_match", "[\".+\", \"1*[a-b]\"]", "true"},
    {"regex.globs_match", "[\"\", \"\"]", "true"},
    {"regex.globs_match", "[\"\", \"a*\"]", "true"},
    {"regex.globs_match", "[\"\", \"a+\"]", "false"},
    {"regex.globs_match", "[\"[a-z]+\", \"[0-9]*\"]", "false"},
    {"regex.globs_match", "[\"b.*\", \"bar\"]", "true"},
    {"regex.globs_match", "[\"[a-z]+\\\\[[0-9]+\\\\]\", \"foo\\\\[1\\\\]\"]", "true"},
    {"regex.globs_match", "[\"[]\", \"[]\"]", "false"},
    {"regex.globs_match", "[\"[]*\", \"\"]", "true"},
    {"regex.globs_match", "[\"é\", \"[è-ê]\"]", "true"},
    {"regex.globs_match", "[\"a.c+\", \"ab*c\"]", "true"},
    {"regex.globs_match", "[\".+a\", \"b*\"]", "false"},
    {"regex.globs_match", "[\"\\\\+\", \"\\\\+*\"]", "true"},
};

static void globs_meet_where_a_text_matches_both(void **state)
{
    BUILTIN_CHECK(&caller, globs);
}

static void append_many(struct buffer *out, const char *unit, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        buffer_text(out, unit);
}

/* Two patterns of so many units, one of which ends in a letter that the other has not. */
static void check_repeated(const char *unit, unsigned count, const char *want)
{
    CLEANUP(buffer_clear) struct buffer operands = {0};
    buffer_text(&operands, "[\"");
    append_many(&operands, unit, count);
    buffer_text(&operands, "x\", \"");
    append_many(&operands, unit, count);
    buffer_text(&operands, "y\"]");
    assert_result(LETHE_OK, buffer_result(&operands, NULL));
    const struct builtin_example example = {"regex.globs_match", operands.bytes, want};
    builtin_check(&caller, &example, 1);
}

static void no_patterns_take_more_than_the_product_of_their_lengths(void **state)
{
    check_repeated("a*", 1000, "false");
    check_repeated(".*.+", 400, "false");
    check_repeated("[a-z]*a", 500, "false");
    check_repeated("[abcdefgh]*", 370, "false");
}

static void patterns_that_are_too_long_end_the_evaluation(void **state)
{
    check_repeated("a", 4095, "false");
    check_repeated("a", 4096, "limit");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_glob_is_refused),
        cmocka_unit_test(globs_meet_where_a_text_matches_both),
        cmocka_unit_test(no_patterns_take_more_than_the_product_of_their_lengths),
        cmocka_unit_test(patterns_that_are_too_long_end_the_evaluation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
