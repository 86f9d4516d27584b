#include "check.h"

#include "builtin_call.h"

static const struct builtin_caller caller = {.v0 = true};

/* Patterns and delimiters. */
static const struct builtin_example refused[] = {
    {"glob.match", "[1, [], \"x\"]",
     "eval_type_error: glob.match: operand 1 must be string but got number"},
    {"glob.match", "[\"*\", [], 1]",
     "eval_type_error: glob.match: operand 3 must be string but got number"},
    {"glob.match", "[\"*\", \".\", \"x\"]",
     "eval_type_error: glob.match: operand 2 must be one of {array, null} but got string"},
    {"glob.match", "[\"*\", [1], \"x\"]",
     "eval_type_error: glob.match: operand 2 must be array of strings but got array containing "
     "number"},
    {"glob.match", "[\"*\", [\"ab\"], \"x\"]",
     "eval_type_error: glob.match: operand 2 must be array of runes but got array containing "
     "string"},
    {"glob.match", "[\"*\", [\"\"], \"x\"]",
     "eval_type_error: glob.match: operand 2 must be array of runes but got array containing "
     "string"},
    {"glob.match", "[\"[abc\", [], \"a\"]",
     "eval_builtin_error: glob.match: unexpected end of input"},
    {"glob.match", "[\"[\", [], \"a\"]", "eval_builtin_error: glob.match: unexpected end of input"},
    {"glob.match", "[\"[!\", [], \"a\"]",
     "eval_builtin_error: glob.match: unexpected end of input"},
    {"glob.match", "[\"[a-\", [], \"a\"]",
     "eval_builtin_error: glob.match: unexpected end of input"},
    {"glob.match", "[\"[]\", [], \"a\"]", "eval_builtin_error: glob.match: could not parse range"},
    {"glob.match", "[\"[!]\", [], \"a\"]", "eval_builtin_error: glob.match: could not parse range"},
    {"glob.match", "[\"[c-a]\", [], \"b\"]",
     "eval_builtin_error: glob.match: range hi character is less than lo"},
    {"glob.match", "[\"[a-z0-9]\", [], \"b\"]",
     "eval_builtin_error: glob.match: expected close range character"},
    {"glob.match", "[\"{a,b\", [], \"a\"]", "eval_builtin_error: glob.match: unclosed {"},
    {"glob.match", "[\"a\\\\\", [], \"a\"]", "eval_builtin_error: glob.match: trailing backslash"},
    {"glob.match",
     "[\"{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{a}}}}}}}}}}}}}}}}}}}}}}}}"
     "}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}\", [], \"a\"]",
     "eval_builtin_error: glob.match: too many { in each other"},
    {"glob.quote_meta", "[1]",
     "eval_type_error: glob.quote_meta: operand 1 must be string but got number"},
};

static void what_is_no_glob_is_refused(void **state)
{
    BUILTIN_CHECK(&caller, refused);
}

/* As a regular expression of Python's that says the same. */
static const struct builtin_example matched[] = {
    {"glob.match", "[\"*.github.com\", null, \"fat\"]", "false"},
    {"glob.match", "[\"*.github.com\", null, \"x.ab\"]", "false"},
    {"glob.match", "[\"*.github.com\", [], \".github.com\"]", "true"},
    {"glob.match", "[\"api.**.com\", null, \"a.bb.c\"]", "false"},
    {"glob.match", "[\"api.**.com\", [\".\"], \"a\"]", "false"},
    {"glob.match", "[\"api.**.com\", [], \"x.ab\"]", "false"},
    {"glob.match", "[\"api.**.com\", null, \"x.ab\"]", "false"},
    {"glob.match", "[\"[abc]at\", null, \".github.com\"]", "false"},
    {"glob.match", "[\"[!a-c]at\", [\".\"], \"a.b.c\"]", "false"},
    {"glob.match", "[\"[!a-c]at\", [], \"a.b.github.com\"]", "false"},
    {"glob.match", "[\"[!a-c]at\", [\"b\"], \"abc\"]", "false"},
    {"glob.match", "[\"[!a-c]at\", [\".\"], \"\\n\"]", "false"},
    {"glob.match", "[\"?at\", [\"b\"], \"at\"]", "false"},
    {"glob.match", "[\"?at\", [\".\"], \"1\"]", "false"},
    {"glob.match", "[\"?at\", [\".\"], \"x.ab\"]", "false"},
    {"glob.match", "[\"?at\", [\"b\"], \"fat\"]", "true"},
    {"glob.match", "[\"{cat,bat,[fr]at}\", [\".\"], \"a.b.c\"]", "false"},
    {"glob.match", "[\"{cat,bat,[fr]at}\", [], \"cat\"]", "true"},
    {"glob.match", "[\"{cat,bat,[fr]at}\", [\".\"], \"ab.c\"]", "false"},
    {"glob.match", "[\"{cat,bat,[fr]at}\", null, \"api.github.com\"]", "false"},
    {"glob.match", "[\"{cat,bat,[fr]at}\", [\"b\"], \"api.github.com\"]", "false"},
    {"glob.match", "[\"{cat,bat,[fr]at}\", [\".\"], \"éab\"]", "false"},
    {"glob.match", "[\"*\", [\"b\"], \"axc.ab\"]", "false"},
    {"glob.match", "[\"*\", [\".\"], \"a\"]", "true"},
    {"glob.match", "[\"**\", [], \"abbc\"]", "true"},
    {"glob.match", "[\"**\", null, \"abbc\"]", "true"},
    {"glob.match", "[\"**\", [\".\"], \"éab\"]", "true"},
    {"glob.match", "[\"**\", null, \"éab\"]", "true"},
    {"glob.match", "[\"**\", [\"b\"], \"éab\"]", "true"},
    {"glob.match", "[\"**\", null, \"a.bb.c\"]", "true"},
    {"glob.match", "[\"**\", [\"b\"], \"\"]", "true"},
    {"glob.match", "[\"**\", [\"b\"], \"cat\"]", "true"},
    {"glob.match", "[\"**\", null, \"axc.ab\"]", "true"},
    {"glob.match", "[\"{a,{b,c}d}*\", [], \"y\"]", "false"},
    {"glob.match", "[\"{a,{b,c}d}*\", [\".\"], \"y\"]", "false"},
    {"glob.match", "[\"**a*b\", [\".\"], \"éab\"]", "true"},
    {"glob.match", "[\"*a**b\", [], \"1\"]", "false"},
    {"glob.match", "[\"*a**b\", [\".\"], \"xy\"]", "false"},
    {"glob.match", "[\"*a**b\", [\"b\"], \"xy\"]", "false"},
    {"glob.match", "[\"*a**b\", [\".\"], \".x\"]", "false"},
    {"glob.match", "[\"{*,**}{a,b}\", null, \"bc\"]", "false"},
    {"glob.match", "[\"{*,**}{a,b}\", [\".\"], \"*x\"]", "false"},
    {"glob.match", "[\"{,x}y\", [], \"xy\"]", "true"},
    {"glob.match", "[\"{,x}y\", [\"b\"], \"api.github.com\"]", "false"},
    {"glob.match", "[\"{,x}y\", [], \"x.ab\"]", "false"},
    {"glob.match", "[\"{,x}y\", [\".\"], \"x.ab\"]", "false"},
    {"glob.match", "[\"a.?.c\", null, \"\\n\"]", "false"},
    {"glob.match", "[\"a.?.c\", [\".\"], \"\"]", "false"},
    {"glob.match", "[\"a.?.c\", [], \"*x\"]", "false"},
    {"glob.match", "[\"[!.]*\", [], \"abcd\"]", "true"},
    {"glob.match", "[\"[!.]*\", [], \"a.b.c\"]", "false"},
    {"glob.match", "[\"[!.]*\", [\".\"], \"a.b.c\"]", "false"},
    {"glob.match", "[\"[!.]*\", null, \"a.b.c\"]", "true"},
    {"glob.match", "[\"[!.]*\", [], \"ab.c\"]", "false"},
    {"glob.match", "[\"[!.]*\", [\".\"], \"ab.c\"]", "false"},
    {"glob.match", "[\"[!.]*\", null, \"bd\"]", "true"},
    {"glob.match", "[\"[!.]*\", null, \"api.github.com\"]", "true"},
    {"glob.match", "[\"{a*,b}c\", [\".\"], \"y\"]", "false"},
    {"glob.match", "[\"{a*,b}c\", [\".\"], \"xy\"]", "false"},
    {"glob.match", "[\"{a*,b}c\", [\"b\"], \"ab.c\"]", "false"},
    {"glob.match", "[\"{a*,b}c\", [\".\"], \"abbc\"]", "true"},
    {"glob.match", "[\"{a*,b}c\", null, \"a.b.c\"]", "true"},
    {"glob.match", "[\"\\\\*x\", null, \"ab.c\"]", "false"},
    {"glob.match", "[\"\\\\*x\", [\".\"], \"abcd\"]", "false"},
    {"glob.match", "[\"\\\\*x\", [\".\"], \"axbxc\"]", "false"},
    {"glob.match", "[\"\\\\*x\", [], \"*x\"]", "true"},
    {"glob.match", "[\"\\\\*x\", [\"b\"], \"*x\"]", "true"},
    {"glob.match", "[\"*{*0,}\", null, \".x\"]", "true"},
    {"glob.match", "[\"*{*0,}\", [\"b\"], \"1\"]", "true"},
    {"glob.match", "[\"*{*0,}\", [\".\"], \".github.com\"]", "false"},
    {"glob.match", "[\"*{*0,}\", [\"b\"], \".github.com\"]", "false"},
    {"glob.match", "[\"*{*0,}\", null, \"a.bb.c\"]", "true"},
    {"glob.match", "[\"*{*0,}\", [\"b\"], \"axbxc\"]", "false"},
    {"glob.match", "[\"é?*\", [], \"fat\"]", "false"},
    {"glob.match", "[\"é?*\", [\"b\"], \"cat\"]", "false"},
    {"glob.match", "[\"é?*\", null, \"\\n\"]", "false"},
    {"glob.match", "[\"é?*\", [], \"abc\"]", "false"},
    {"glob.match", "[\"{a,ab,abc}{bc,c}\", null, \"api.github.com\"]", "false"},
    {"glob.match", "[\"{a,ab,abc}{bc,c}\", [\"b\"], \"api.github.com\"]", "false"},
    {"glob.match", "[\"{a,ab,abc}{bc,c}\", [\"b\"], \"axc.ab\"]", "false"},
    {"glob.match", "[\"{a,ab,abc}{bc,c}\", [], \"a.b.github.com\"]", "false"},
    {"glob.match", "[\"{a,ab,abc}{bc,c}\", null, \"a.b.github.com\"]", "false"},
    {"glob.match", "[\"{a,ab,abc}{bc,c}\", [\".\"], \"cat\"]", "false"},
    {"glob.match", "[\"***\", [\".\"], \"x.ab\"]", "true"},
    {"glob.match", "[\"***\", [], \"abc\"]", "true"},
    {"glob.match", "[\"\", [], \"y\"]", "false"},
    {"glob.match", "[\"\", [\"b\"], \"y\"]", "false"},
    {"glob.match", "[\"\", [], \"a.b.c\"]", "false"},
    {"glob.match", "[\"\", null, \"axbxc\"]", "false"},
    {"glob.match", "[\"\", [], \"a.bb.c\"]", "false"},
    {"glob.match", "[\"\", [], \"cat\"]", "false"},
};

static void globs_match_as_the_expressions_that_they_stand_for(void **state)
{
    BUILTIN_CHECK(&caller, matched);
}

/* Signs that mean themselves where they stand, and characters of any length. */
static const struct builtin_example corners[] = {
    {"glob.match", "[\"}\", [], \"}\"]", "true"},
    {"glob.match", "[\",\", [], \",\"]", "true"},
    {"glob.match", "[\"]\", [], \"]\"]", "true"},
    {"glob.match", "[\"-!\", [], \"-!\"]", "true"},
    {"glob.match", "[\"\\\\{a\\\\,b}\", [], \"{a,b}\"]", "true"},
    {"glob.match", "[\"[]-a]\", [], \"^\"]", "true"},
    {"glob.match", "[\"[a\\\\]]\", [], \"]\"]", "true"},
    {"glob.match", "[\"[a\\\\]]\", [], \"\\\\\"]", "false"},
    {"glob.match", "[\"[abc-e]\", [], \"-\"]", "true"},
    {"glob.match", "[\"[abc-e]\", [], \"d\"]", "false"},
    {"glob.match", "[\"[*]\", [], \"*\"]", "true"},
    {"glob.match", "[\"[!*]\", [], \"*\"]", "false"},
    {"glob.match", "[\"{[,]}\", [], \",\"]", "true"},
    {"glob.match", "[\"{\\\\,}\", [], \",\"]", "true"},
    {"glob.match", "[\"{}\", [], \"\"]", "true"},
    {"glob.match", "[\"{,}x\", [], \"x\"]", "true"},
    {"glob.match",
     "[\"{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{a}}}}}}}}}}}}}}}}}}}}}}}}}"
     "}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}\", [], \"a\"]",
     "true"},
    {"glob.match", "[\"a\\u0000b\", [], \"a\\u0000b\"]", "true"},
    {"glob.match", "[\"a\\u0000b\", [], \"a\"]", "false"},
    {"glob.match", "[\"?\", null, \"é\"]", "true"},
    {"glob.match", "[\"?\", [\"é\"], \"é\"]", "false"},
    {"glob.match", "[\"*\", [\"é\"], \"aéb\"]", "false"},
    {"glob.match", "[\"**\", [\"é\"], \"aéb\"]", "true"},
    {"glob.match", "[\"[à-é]\", [], \"è\"]", "true"},
    {"glob.match", "[\"[日]?\", [], \"日本\"]", "true"},
    {"glob.match", "[\"[!a]\", [\".\"], \".\"]", "true"},
    {"glob.match", "[\".\", [\".\"], \".\"]", "true"},
    {"glob.match", "[\"*\", [\":\", \".\"], \"a:b\"]", "false"},
    {"glob.match", "[\"*\", [\":\", \".\"], \"ab\"]", "true"},
};

static void corners_of_patterns(void **state)
{
    BUILTIN_CHECK(&caller, corners);
}

/* glob.quote_meta. */
static const struct builtin_example quoted[] = {
    {"glob.quote_meta", "[\"*.github.com\"]", "\"\\\\*.github.com\""},
    {"glob.quote_meta", "[\"*?\\\\[]{}-!,\"]", "\"\\\\*\\\\?\\\\\\\\\\\\[\\\\]\\\\{\\\\}-!,\""},
    {"glob.quote_meta", "[\"\"]", "\"\""},
};

static void what_is_quoted_matches_itself_only(void **state)
{
    BUILTIN_CHECK(&caller, quoted);
}

/* A pattern of `count` units and a b, on as many letters. */
static void check_repeated(const char *unit, unsigned count, const char *want)
{
    const struct builtin_caller modest = {.steps = 200000};
    CLEANUP(buffer_clear) struct buffer operands = {0};
    buffer_text(&operands, "[\"");
    for (unsigned i = 0; i < count; i++)
        buffer_text(&operands, unit);
    buffer_text(&operands, "b\", null, \"");
    for (unsigned i = 0; i < count; i++)
        buffer_text(&operands, "a");
    buffer_text(&operands, "\"]");
    assert_result(LETHE_OK, buffer_result(&operands, NULL));
    const struct builtin_example example = {"glob.match", operands.bytes, want};
    builtin_check(&modest, &example, 1);
}

/* Patterns that would keep a matcher that tries one way after another busy for ever. */
static void no_pattern_takes_more_than_its_length_times_that_of_the_text(void **state)
{
    check_repeated("*a", 1000, "false");
    check_repeated("**a", 600, "false");
    check_repeated("{a,*,**}", 400, "false");
    check_repeated("{,a}", 400, "false");
    check_repeated("*a", 8000, "limit");
}

static void a_pattern_that_is_too_long_ends_the_evaluation(void **state)
{
    static const struct {
        int length;
        const char *want;
    } cases[] = {{16384, "false"}, {16385, "limit"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(buffer_clear) struct buffer operands = {0};
        buffer_format(&operands, "[\"%0*d\", [], \"0\"]", cases[i].length, 0);
        const struct builtin_example example = {"glob.match", operands.bytes, cases[i].want};
        builtin_check(&caller, &example, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_glob_is_refused),
        cmocka_unit_test(globs_match_as_the_expressions_that_they_stand_for),
        cmocka_unit_test(corners_of_patterns),
        cmocka_unit_test(what_is_quoted_matches_itself_only),
        cmocka_unit_test(no_pattern_takes_more_than_its_length_times_that_of_the_text),
        cmocka_unit_test(a_pattern_that_is_too_long_ends_the_evaluation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
