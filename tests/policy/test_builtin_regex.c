#include "check.h"

#include "builtin_call.h"

static const struct builtin_caller caller = {.v0 = true};

/* As Go's regexp/syntax says it. */
static const struct builtin_example refused[] = {
    {"regex.match", "[\"[\", \"x\"]",
     "eval_builtin_error: regex.match: error parsing regexp: missing closing ]: `[`"},
    {"regex.match", "[\"$^[[[\", \"x\"]",
     "eval_builtin_error: regex.match: error parsing regexp: missing closing ]: `[[[`"},
    {"regex.match", "[\"(a\", \"x\"]",
     "eval_builtin_error: regex.match: error parsing regexp: missing closing ): `(a`"},
    {"regex.match", "[\"a)\", \"x\"]",
     "eval_builtin_error: regex.match: error parsing regexp: unexpected ): `a)`"},
    {"regex.match", "[\"*\", \"x\"]",
     "eval_builtin_error: regex.match: error parsing regexp: missing argument to repetition "
     "operator: `*`"},
    {"regex.match", "[\"a**\", \"x\"]",
     "eval_builtin_error: regex.match: error parsing regexp: invalid nested repetition operator: "
     "`**`"},
    {"regex.match", "[\"a{1001}\", \"x\"]",
     "eval_builtin_error: regex.match: error parsing regexp: invalid repeat count: `{1001}`"},
    {"regex.match", "[\"(a{100}){100}\", \"x\"]",
     "eval_builtin_error: regex.match: error parsing regexp: invalid repeat count: `{100}`"},
    {"regex.match", "[\"[z-a]\", \"x\"]",
     "eval_builtin_error: regex.match: error parsing regexp: invalid character class range: `z-a`"},
    {"regex.match", "[\"[[:foo:]]\", \"x\"]",
     "eval_builtin_error: regex.match: error parsing regexp: invalid character class range: "
     "`[:foo:]`"},
    {"regex.match", "[\"\\\\8\", \"x\"]",
     "eval_builtin_error: regex.match: error parsing regexp: invalid escape sequence: `\\8`"},
    {"regex.match", "[\"\\\\\", \"x\"]",
     "eval_builtin_error: regex.match: error parsing regexp: trailing backslash at end of "
     "expression: ``"},
    {"regex.match", "[\"(?z)\", \"x\"]",
     "eval_builtin_error: regex.match: error parsing regexp: invalid or unsupported Perl syntax: "
     "`(?z`"},
    {"regex.match", "[\"(?=a)\", \"x\"]",
     "eval_builtin_error: regex.match: error parsing regexp: invalid or unsupported Perl syntax: "
     "`(?=`"},
    {"regex.match", "[\"(?P<n\", \"x\"]",
     "eval_builtin_error: regex.match: error parsing regexp: invalid named capture: `(?P<n`"},
    {"regex.match", "[\"\\\\C\", \"x\"]",
     "eval_builtin_error: regex.match: error parsing regexp: invalid escape sequence: `\\C`"},
    {"regex.match", "[\"(a)\\\\1\", \"x\"]",
     "eval_builtin_error: regex.match: error parsing regexp: invalid escape sequence: `\\1`"},
    {"regex.match", "[\"\\\\p{Foo}\", \"x\"]",
     "eval_builtin_error: regex.match: error parsing regexp: invalid character class range: "
     "`\\p{Foo}`"},
    {"regex.match", "[1, \"x\"]",
     "eval_type_error: regex.match: operand 1 must be string but got number"},
    {"regex.match", "[\"x\", 1]",
     "eval_type_error: regex.match: operand 2 must be string but got number"},
    {"regex.find_n", "[\"x\", \"x\", 1.5]",
     "eval_type_error: regex.find_n: operand 3 must be integer number but got floating-point "
     "number"},
    {"regex.find_n", "[\"x\", \"x\", \"1\"]",
     "eval_type_error: regex.find_n: operand 3 must be number but got string"},
    {"regex.split", "[\"(\", \"x\"]",
     "eval_builtin_error: regex.split: error parsing regexp: missing closing ): `(`"},
    {"regex.replace", "[\"x\", \"(\", \"y\"]",
     "eval_builtin_error: regex.replace: error parsing regexp: missing closing ): `(`"},
    {"regex.is_valid", "[\"(\"]", "false"},
    {"regex.is_valid", "[1]", "false"},
    {"regex.is_valid", "[\"\\\\C\"]", "false"},
    {"regex.is_valid", "[\"[\\\\C]\"]", "false"},
    {"regex.template_match", "[\"a\", \"a\", \"{{\", \"}\"]",
     "eval_builtin_error: regex.template_match: start delimiter has to be exactly one character "
     "long but is 2 long"},
    {"regex.template_match", "[\"a\", \"a\", \"{\", \"\"]",
     "eval_builtin_error: regex.template_match: end delimiter has to be exactly one character long "
     "but is 0 long"},
    {"regex.template_match", "[\"a{b\", \"a\", \"{\", \"}\"]",
     "eval_builtin_error: regex.template_match: unbalanced braces in \"a{b\""},
    {"regex.template_match", "[\"a}b{\", \"a\", \"{\", \"}\"]",
     "eval_builtin_error: regex.template_match: unbalanced braces in \"a}b{\""},
    {"regex.template_match", "[\"<a|>\", \"a\", \"<\", \"<\"]",
     "eval_builtin_error: regex.template_match: unbalanced braces in \"<a|>\""},
    {"regex.template_match", "[\"<(>x<)>\", \"x\", \"<\", \">\"]",
     "eval_builtin_error: regex.template_match: error parsing regexp: missing closing ): `^($`"},
};

static void what_is_no_expression_is_refused_in_the_words_of_go(void **state)
{
    BUILTIN_CHECK(&caller, refused);
}

/* As Python's re has it, of patterns that match no empty text. */
static const struct builtin_example found[] = {
    {"regex.match", "[\"a+\", \"a\\nb\"]", "true"},
    {"regex.find_n", "[\"a+\", \"a\\nb\", -1]", "[\"a\"]"},
    {"regex.find_all_string_submatch_n", "[\"a+\", \"a\\nb\", -1]", "[[\"a\"]]"},
    {"regex.split", "[\"a+\", \"a\\nb\"]", "[\"\", \"\\nb\"]"},
    {"regex.replace", "[\"a\\nb\", \"a+\", \"<$0>\"]", "\"<a>\\nb\""},
    {"regex.match", "[\"[a-c]\", \"banana\"]", "true"},
    {"regex.find_n", "[\"[a-c]\", \"banana\", -1]", "[\"b\", \"a\", \"a\", \"a\"]"},
    {"regex.find_all_string_submatch_n", "[\"[a-c]\", \"banana\", -1]",
     "[[\"b\"], [\"a\"], [\"a\"], [\"a\"]]"},
    {"regex.split", "[\"[a-c]\", \"banana\"]", "[\"\", \"\", \"n\", \"n\", \"\"]"},
    {"regex.replace", "[\"banana\", \"[a-c]\", \"<$0>\"]", "\"<b><a>n<a>n<a>\""},
    {"regex.match", "[\"(a)(b)?\", \"a\\nb\"]", "true"},
    {"regex.find_n", "[\"(a)(b)?\", \"a\\nb\", -1]", "[\"a\"]"},
    {"regex.find_all_string_submatch_n", "[\"(a)(b)?\", \"a\\nb\", -1]", "[[\"a\", \"a\", \"\"]]"},
    {"regex.replace", "[\"a\\nb\", \"(a)(b)?\", \"<$0>\"]", "\"<a>\\nb\""},
    {"regex.match", "[\"\\\\d+\", \"xaxb\"]", "false"},
    {"regex.find_n", "[\"\\\\d+\", \"xaxb\", -1]", "[]"},
    {"regex.find_all_string_submatch_n", "[\"\\\\d+\", \"xaxb\", -1]", "[]"},
    {"regex.split", "[\"\\\\d+\", \"xaxb\"]", "[\"xaxb\"]"},
    {"regex.replace", "[\"xaxb\", \"\\\\d+\", \"<$0>\"]", "\"xaxb\""},
    {"regex.match", "[\"\\\\w+\", \"banana\"]", "true"},
    {"regex.find_n", "[\"\\\\w+\", \"banana\", -1]", "[\"banana\"]"},
    {"regex.find_all_string_submatch_n", "[\"\\\\w+\", \"banana\", -1]", "[[\"banana\"]]"},
    {"regex.split", "[\"\\\\w+\", \"banana\"]", "[\"\", \"\"]"},
    {"regex.replace", "[\"banana\", \"\\\\w+\", \"<$0>\"]", "\"<banana>\""},
    {"regex.match", "[\"(?i)B\", \"aaab.a\"]", "true"},
    {"regex.find_n", "[\"(?i)B\", \"aaab.a\", -1]", "[\"b\"]"},
    {"regex.find_all_string_submatch_n", "[\"(?i)B\", \"aaab.a\", -1]", "[[\"b\"]]"},
    {"regex.split", "[\"(?i)B\", \"aaab.a\"]", "[\"aaa\", \".a\"]"},
    {"regex.replace", "[\"aaab.a\", \"(?i)B\", \"<$0>\"]", "\"aaa<b>.a\""},
    {"regex.match", "[\"b|ab\", \"a\\nb\"]", "true"},
    {"regex.find_n", "[\"b|ab\", \"a\\nb\", -1]", "[\"b\"]"},
    {"regex.find_all_string_submatch_n", "[\"b|ab\", \"a\\nb\", -1]", "[[\"b\"]]"},
    {"regex.split", "[\"b|ab\", \"a\\nb\"]", "[\"a\\n\", \"\"]"},
    {"regex.replace", "[\"a\\nb\", \"b|ab\", \"<$0>\"]", "\"a\\n<b>\""},
    {"regex.match", "[\"(?:ab)+\", \"\"]", "false"},
    {"regex.find_n", "[\"(?:ab)+\", \"\", -1]", "[]"},
    {"regex.find_all_string_submatch_n", "[\"(?:ab)+\", \"\", -1]", "[]"},
    {"regex.split", "[\"(?:ab)+\", \"\"]", "[\"\"]"},
    {"regex.replace", "[\"\", \"(?:ab)+\", \"<$0>\"]", "\"\""},
    {"regex.match", "[\"\\\\bb\", \"aaab.a\"]", "false"},
    {"regex.find_n", "[\"\\\\bb\", \"aaab.a\", -1]", "[]"},
    {"regex.find_all_string_submatch_n", "[\"\\\\bb\", \"aaab.a\", -1]", "[]"},
    {"regex.split", "[\"\\\\bb\", \"aaab.a\"]", "[\"aaab.a\"]"},
    {"regex.replace", "[\"aaab.a\", \"\\\\bb\", \"<$0>\"]", "\"aaab.a\""},
    {"regex.match", "[\"a.\", \"12 ab\"]", "true"},
    {"regex.find_n", "[\"a.\", \"12 ab\", -1]", "[\"ab\"]"},
    {"regex.find_all_string_submatch_n", "[\"a.\", \"12 ab\", -1]", "[[\"ab\"]]"},
    {"regex.split", "[\"a.\", \"12 ab\"]", "[\"12 \", \"\"]"},
    {"regex.replace", "[\"12 ab\", \"a.\", \"<$0>\"]", "\"12 <ab>\""},
    {"regex.match", "[\"[^a]\", \"xaxb\"]", "true"},
    {"regex.find_n", "[\"[^a]\", \"xaxb\", -1]", "[\"x\", \"x\", \"b\"]"},
    {"regex.find_all_string_submatch_n", "[\"[^a]\", \"xaxb\", -1]", "[[\"x\"], [\"x\"], [\"b\"]]"},
    {"regex.split", "[\"[^a]\", \"xaxb\"]", "[\"\", \"a\", \"\", \"\"]"},
    {"regex.replace", "[\"xaxb\", \"[^a]\", \"<$0>\"]", "\"<x>a<x><b>\""},
    {"regex.match", "[\"\\\\.\", \"banana\"]", "false"},
    {"regex.find_n", "[\"\\\\.\", \"banana\", -1]", "[]"},
    {"regex.find_all_string_submatch_n", "[\"\\\\.\", \"banana\", -1]", "[]"},
    {"regex.split", "[\"\\\\.\", \"banana\"]", "[\"banana\"]"},
    {"regex.replace", "[\"banana\", \"\\\\.\", \"<$0>\"]", "\"banana\""},
    {"regex.match", "[\"(x)|(a)\", \"abab aB 12\"]", "true"},
    {"regex.find_n", "[\"(x)|(a)\", \"abab aB 12\", -1]", "[\"a\", \"a\", \"a\"]"},
    {"regex.find_all_string_submatch_n", "[\"(x)|(a)\", \"abab aB 12\", -1]",
     "[[\"a\", \"\", \"a\"], [\"a\", \"\", \"a\"], [\"a\", \"\", \"a\"]]"},
    {"regex.replace", "[\"abab aB 12\", \"(x)|(a)\", \"<$0>\"]", "\"<a>b<a>b <a>B 12\""},
    {"regex.match", "[\"^a\", \"a\\nb\"]", "true"},
    {"regex.find_n", "[\"^a\", \"a\\nb\", -1]", "[\"a\"]"},
    {"regex.find_all_string_submatch_n", "[\"^a\", \"a\\nb\", -1]", "[[\"a\"]]"},
    {"regex.split", "[\"^a\", \"a\\nb\"]", "[\"\", \"\\nb\"]"},
    {"regex.replace", "[\"a\\nb\", \"^a\", \"<$0>\"]", "\"<a>\\nb\""},
    {"regex.match", "[\"a$\", \"\"]", "false"},
    {"regex.find_n", "[\"a$\", \"\", -1]", "[]"},
    {"regex.find_all_string_submatch_n", "[\"a$\", \"\", -1]", "[]"},
    {"regex.split", "[\"a$\", \"\"]", "[\"\"]"},
    {"regex.replace", "[\"\", \"a$\", \"<$0>\"]", "\"\""},
    {"regex.match", "[\"(?s)a.b\", \"banana\"]", "false"},
    {"regex.find_n", "[\"(?s)a.b\", \"banana\", -1]", "[]"},
    {"regex.find_all_string_submatch_n", "[\"(?s)a.b\", \"banana\", -1]", "[]"},
    {"regex.split", "[\"(?s)a.b\", \"banana\"]", "[\"banana\"]"},
    {"regex.replace", "[\"banana\", \"(?s)a.b\", \"<$0>\"]", "\"banana\""},
    {"regex.match", "[\"a{2,3}\", \"aaab.a\"]", "true"},
    {"regex.find_n", "[\"a{2,3}\", \"aaab.a\", -1]", "[\"aaa\"]"},
    {"regex.find_all_string_submatch_n", "[\"a{2,3}\", \"aaab.a\", -1]", "[[\"aaa\"]]"},
    {"regex.split", "[\"a{2,3}\", \"aaab.a\"]", "[\"\", \"b.a\"]"},
    {"regex.replace", "[\"aaab.a\", \"a{2,3}\", \"<$0>\"]", "\"<aaa>b.a\""},
};

static void matches_agree_with_an_independent_implementation(void **state)
{
    BUILTIN_CHECK(&caller, found);
}

/* What expressions may hold. */
static const struct builtin_example syntax[] = {
    {"regex.match", "[\"\", \"x\"]", "true"},
    {"regex.match", "[\"^$\", \"\"]", "true"},
    {"regex.match", "[\"^$\", \"x\"]", "false"},
    {"regex.match", "[\"(?P<n>a)\", \"a\"]", "true"},
    {"regex.match", "[\"(?<n>a)\", \"a\"]", "true"},
    {"regex.match", "[\"[(?<]n\", \"<n\"]", "true"},
    {"regex.match", "[\"[](?<]n\", \"(n\"]", "true"},
    {"regex.match", "[\"\\\\(?<n\", \"<n\"]", "true"},
    {"regex.match", "[\"\\\\Q(?<n>\\\\E\", \"(?<n>\"]", "true"},
    {"regex.match", "[\"[[:alpha:](?<]\", \"?\"]", "true"},
    {"regex.match", "[\"\\\\Qa\\\\\", \"a\\\\\"]", "true"},
    {"regex.match", "[\"\\\\QC\\\\C\\\\E\", \"C\\\\C\"]", "true"},
    {"regex.match", "[\"\\\\pL\", \"é\"]", "true"},
    {"regex.match", "[\"\\\\p{Greek}\", \"λ\"]", "true"},
    {"regex.match", "[\"^.$\", \"日\"]", "true"},
    {"regex.match", "[\"^..$\", \"日\"]", "false"},
    {"regex.match", "[\"a.b\", \"a\\nb\"]", "false"},
    {"regex.match", "[\"(?s)a.b\", \"a\\nb\"]", "true"},
    {"regex.match", "[\"a$\", \"a\\n\"]", "false"},
    {"regex.match", "[\"(?m)^b$\", \"a\\nb\\nc\"]", "true"},
    {"regex.match", "[\"\\\\d\", \"٣\"]", "false"},
    {"regex.match", "[\"(?i)É\", \"é\"]", "true"},
    {"regex.match", "[\"\\\\x{65e5}\", \"日\"]", "true"},
    {"regex.match", "[\"\\\\z\", \"x\"]", "true"},
    {"regex.match", "[\"a\\u0000b\", \"a\\u0000b\"]", "true"},
    {"regex.match", "[\"\\\\B\", \"aéa\"]", "false"},
    {"regex.match", "[\"\\\\B\", \"ab\"]", "true"},
    {"re_match", "[\"a+\", \"caat\"]", "true"},
    {"regex.is_valid", "[\"(?<n>.+)\"]", "true"},
    {"regex.is_valid", "[\"\"]", "true"},
};

static void syntax_is_that_of_go(void **state)
{
    BUILTIN_CHECK(&caller, syntax);
}

/* n of them; all when it is negative; empty ones not right behind another. */
static const struct builtin_example numbers[] = {
    {"regex.find_n", "[\"a.\", \"paranormal\", 2]", "[\"ar\", \"an\"]"},
    {"regex.find_n", "[\"a.\", \"paranormal\", 0]", "[]"},
    {"regex.find_n", "[\"a.\", \"paranormal\", -7]", "[\"ar\", \"an\", \"al\"]"},
    {"regex.find_n", "[\"^a.\", \"abacadaeaf\", -1]", "[\"ab\"]"},
    {"regex.find_n", "[\"a*\", \"baaab\", -1]", "[\"\", \"aaa\", \"\"]"},
    {"regex.find_n", "[\"\", \"日本\", -1]", "[\"\", \"\", \"\"]"},
    {"regex.find_n", "[\"x*\", \"日x\", -1]", "[\"\", \"x\"]"},
    {"regex.find_n", "[\"\\\\B\", \"aéb\", -1]", "[]"},
    {"regex.find_n", "[\"\\\\b\", \"é a\", -1]", "[\"\", \"\"]"},
    {"regex.find_n", "[\"\\\\B\", \"éa日\", -1]", "[\"\", \"\"]"},
    {"regex.find_all_string_submatch_n", "[\"[^aouiye]([aouiye])([^aouiye])?\", \"somestri\", -1]",
     "[[\"som\", \"o\", \"m\"], [\"ri\", \"i\", \"\"]]"},
    {"regex.find_all_string_submatch_n", "[\"(x)|(y)|z\", \"yz\", -1]",
     "[[\"y\", \"\", \"y\"], [\"z\", \"\", \"\"]]"},
    {"regex.find_all_string_submatch_n", "[\"(a)(b)(c)(d)(e)(f)(g)(h)(i)\", \"abcdefghi\", 1]",
     "[[\"abcdefghi\", \"a\", \"b\", \"c\", \"d\", \"e\", \"f\", \"g\", \"h\", \"i\"]]"},
};

static void a_number_of_matches_is_found(void **state)
{
    BUILTIN_CHECK(&caller, numbers);
}

/* Go's Regexp.Split. */
static const struct builtin_example split[] = {
    {"regex.split", "[\"a*\", \"abaabaccadaaae\"]",
     "[\"\", \"b\", \"b\", \"c\", \"c\", \"d\", \"e\"]"},
    {"regex.split", "[\"\", \"abc\"]", "[\"a\", \"b\", \"c\"]"},
    {"regex.split", "[\"a\", \"\"]", "[\"\"]"},
    {"regex.split", "[\"\", \"\"]", "[]"},
    {"regex.split", "[\"z+\", \"pizza\"]", "[\"pi\", \"a\"]"},
    {"regex.split", "[\",\", \",a,\"]", "[\"\", \"a\", \"\"]"},
    {"regex.split", "[\"x*\", \"日本\"]", "[\"日\", \"本\"]"},
    {"regex.split", "[\"a\", \"b\"]", "[\"b\"]"},
    {"regex.split", "[\"^\", \"ab\"]", "[\"ab\"]"},
    {"regex.split", "[\"$\", \"ab\"]", "[\"ab\"]"},
};

static void texts_are_split_as_go_splits_them(void **state)
{
    BUILTIN_CHECK(&caller, split);
}

/* Go's Regexp.ReplaceAllString: expression, template, text. */
static const struct builtin_example replaced[] = {
    {"regex.replace", "[\"\", \"\", \"\"]", "\"\""},
    {"regex.replace", "[\"\", \"\", \"x\"]", "\"x\""},
    {"regex.replace", "[\"abc\", \"\", \"x\"]", "\"xaxbxcx\""},
    {"regex.replace", "[\"abc\", \"b\", \"\"]", "\"ac\""},
    {"regex.replace", "[\"abc\", \"y\", \"x\"]", "\"abc\""},
    {"regex.replace", "[\"日\", \"[a-c]*\", \"x\"]", "\"x日x\""},
    {"regex.replace", "[\"abc日def\", \"[^日]\", \"x\"]", "\"xxx日xxx\""},
    {"regex.replace", "[\"abcdabc\", \"^[a-c]*\", \"x\"]", "\"xdabc\""},
    {"regex.replace", "[\"abcdabc\", \"[a-c]*$\", \"x\"]", "\"abcdx\""},
    {"regex.replace", "[\"abcdabc\", \"^[a-c]*$\", \"x\"]", "\"abcdabc\""},
    {"regex.replace", "[\"dabce\", \"^[a-c]*\", \"x\"]", "\"xdabce\""},
    {"regex.replace", "[\"dabce\", \"[a-c]*$\", \"x\"]", "\"dabcex\""},
    {"regex.replace", "[\"xxxXxxx\", \"x\", \"xXx\"]", "\"xXxxXxxXxXxXxxXxxXx\""},
    {"regex.replace", "[\"banana\", \"a+\", \"($0)\"]", "\"b(a)n(a)n(a)\""},
    {"regex.replace", "[\"banana\", \"a+\", \"(${0})$0\"]", "\"b(a)an(a)an(a)a\""},
    {"regex.replace", "[\"hello, world\", \"hello, (.+)\", \"goodbye, ${1}\"]",
     "\"goodbye, world\""},
    {"regex.replace", "[\"hello, world\", \"hello, (.+)\", \"goodbye, $1x\"]", "\"goodbye, \""},
    {"regex.replace", "[\"hello, world\", \"hello, (.+)\", \"goodbye, ${1}x\"]",
     "\"goodbye, worldx\""},
    {"regex.replace", "[\"hello, world\", \"hello, (.+)\", \"<$0><$1><$2><$3>\"]",
     "\"<hello, world><world><><>\""},
    {"regex.replace", "[\"hello, world\", \"hello, (?P<noun>.+)\", \"goodbye, $noun!\"]",
     "\"goodbye, world!\""},
    {"regex.replace", "[\"hi\", \"(?<x>hi)|(?P<y>bye)\", \"$x$y$xy\"]", "\"hi\""},
    {"regex.replace", "[\"aaa\", \"a+\", \"${oops\"]", "\"${oops\""},
    {"regex.replace", "[\"aaa\", \"a+\", \"$$\"]", "\"$\""},
    {"regex.replace", "[\"aaa\", \"a+\", \"$\"]", "\"$\""},
    {"regex.replace", "[\"aaa\", \"a+\", \"${}$-\"]", "\"${}$-\""},
    {"regex.replace", "[\"aaa\", \"a+\", \"$01\"]", "\"\""},
    {"regex.replace", "[\"aaa\", \"a+\", \"$999999999999\"]", "\"\""},
    {"regex.replace", "[\"123\", \"(x)?\", \"$1\"]", "\"123\""},
    {"regex.replace", "[\"123\", \"abc\", \"$1\"]", "\"123\""},
    {"regex.replace", "[\"xacxacx\", \"(a)(b){0}(c)\", \".$1|$3.\"]", "\"x.a|c.x.a|c.x\""},
    {"regex.replace", "[\"say aaaaaaaaaaaaaaaah\", \"((a(b){0}){3}){5}(h)\", \"y caramb$2\"]",
     "\"say ay caramba\""},
};

static void texts_are_replaced_as_go_replaces_them(void **state)
{
    BUILTIN_CHECK(&caller, replaced);
}

/* What is outside of delimiters is text. */
static const struct builtin_example templates[] = {
    {"regex.template_match", "[\"urn:foo:{.*}\", \"urn:foo:bar:baz\", \"{\", \"}\"]", "true"},
    {"regex.template_match", "[\"urn:foo:<.*>\", \"urn:foo:bar:baz\", \"<\", \">\"]", "true"},
    {"regex.template_match", "[\"urn:foo:{.*}\", \"xurn:foo:bar\", \"{\", \"}\"]", "false"},
    {"regex.template_match", "[\"a.c\", \"abc\", \"{\", \"}\"]", "false"},
    {"regex.template_match", "[\"a.c\", \"a.c\", \"{\", \"}\"]", "true"},
    {"regex.template_match", "[\"{a{2}}\", \"aa\", \"{\", \"}\"]", "true"},
    {"regex.template_match", "[\"{a|b}c\", \"bc\", \"{\", \"}\"]", "true"},
    {"regex.template_match", "[\"{a|b}c\", \"b\", \"{\", \"}\"]", "false"},
    {"regex.template_match", "[\"\", \"\", \"{\", \"}\"]", "true"},
    {"regex.template_match", "[\"{}x\", \"x\", \"{\", \"}\"]", "true"},
    {"regex.template_match", "[\"a(b\", \"a(b\", \"{\", \"}\"]", "true"},
};

static void templates_match_as_a_whole(void **state)
{
    BUILTIN_CHECK(&caller, templates);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_expression_is_refused_in_the_words_of_go),
        cmocka_unit_test(matches_agree_with_an_independent_implementation),
        cmocka_unit_test(syntax_is_that_of_go),
        cmocka_unit_test(a_number_of_matches_is_found),
        cmocka_unit_test(texts_are_split_as_go_splits_them),
        cmocka_unit_test(texts_are_replaced_as_go_replaces_them),
        cmocka_unit_test(templates_match_as_a_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
