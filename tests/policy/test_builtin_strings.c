#include "check.h"

#include "policy/builtin_call.h"

static const struct builtin_caller caller;

static void texts_are_joined_and_cut(void **state)
{
    static const struct builtin_example examples[] = {
        {"concat", "[\"/\", [\"\", \"foo\", \"0\"]]", "\"/foo/0\""},
        {"concat", "[\",\", {\"$set\": [\"b\", \"a\"]}]", "\"a,b\""},
        {"concat", "[\",\", []]", "\"\""},
        {"split", "[\"\", \".\"]", "[\"\"]"},
        {"split", "[\"\", \"\"]", "[]"},
        {"split", "[\"tä😀\", \"\"]", "[\"t\", \"ä\", \"😀\"]"},
        {"split", "[\"a..b.\", \".\"]", "[\"a\", \"\", \"b\", \"\"]"},
        {"strings.split_n", "[\"a.b.c.d\", \".\", 2]", "[\"a\", \"b\"]"},
        {"strings.split_n", "[\"a.b.c.d\", \".\", 0]", "[]"},
        {"strings.split_n", "[\"a.b.c.d\", \".\", -2]", "[\"c\", \"d\"]"},
        {"strings.split_n", "[\"a.b.c.d\", \".\", -10]", "[\"a\", \"b\", \"c\", \"d\"]"},
        {"strings.split_n", "[\"abc\", \"\", -9223372036854775808]", "[\"a\", \"b\", \"c\"]"},
        {"substring", "[\"abcdefgh\", 2, 3]", "\"cde\""},
        {"substring", "[\"åäö\", 1, 1]", "\"ä\""},
        {"substring", "[\"abc\", 1, 9223372036854775807]", "\"bc\""},
        {"substring", "[\"aaa\", 3, -1]", "\"\""},
        {"substring", "[\"aaa\", 4, 1]", "\"\""},
        {"strings.reverse", "[\"aé😀\"]", "\"😀éa\""},
        {"strings.reverse", "[\"\"]", "\"\""},
    };
    BUILTIN_CHECK(&caller, examples);
}

static void places_are_counted_in_characters(void **state)
{
    static const struct builtin_example examples[] = {
        {"indexof", "[\"äbcabc\", \"ca\"]", "2"},
        {"indexof", "[\"abc\", \"x\"]", "-1"},
        {"indexof", "[\"abc\", \"\"]", "eval_builtin_error: indexof: empty search character"},
        {"indexof_n", "[\"😇😀😇😀\", \"😀\"]", "[1, 3]"},
        {"indexof_n", "[\"aaaa\", \"aa\"]", "[0, 1, 2]"},
        {"indexof_n", "[\"abc\", \"x\"]", "[]"},
        {"indexof_n", "[\"abc\", \"\"]", "eval_builtin_error: indexof_n: empty search character"},
        {"strings.count", "[\"aaaa\", \"aa\"]", "2"},
        {"strings.count", "[\"åäö\", \"\"]", "4"},
    };
    BUILTIN_CHECK(&caller, examples);
}

static void affixes_match_any_of_a_list(void **state)
{
    static const struct builtin_example examples[] = {
        {"strings.any_prefix_match", "[[\"a/b\", \"e\"], [\"d/\", \"a/\"]]", "true"},
        {"strings.any_prefix_match", "[\"a/b\", \"a\"]", "true"},
        {"strings.any_prefix_match", "[{\"$set\": [\"a\"]}, [\"aa\"]]", "false"},
        {"strings.any_prefix_match", "[[], [\"a\"]]", "false"},
        {"strings.any_suffix_match", "[\"a/b\", {\"$set\": [\"/a\", \"/b\"]}]", "true"},
        {"strings.any_suffix_match", "[[\"a\"], []]", "false"},
        {"strings.any_suffix_match", "[1, [\"a\"]]",
         "eval_type_error: strings.any_suffix_match: operand 1 must be one of {string, set, array} "
         "but got number"},
        {"strings.any_prefix_match", "[\"a\", [1]]",
         "eval_type_error: strings.any_prefix_match: operand 2 must be array of strings but got "
         "array containing number"},
    };
    BUILTIN_CHECK(&caller, examples);
}

static void ends_are_trimmed_by_characters(void **state)
{
    static const struct builtin_example examples[] = {
        {"trim", "[\"¡¡¡foo, bar!!!\", \"!¡\"]", "\"foo, bar\""},
        {"trim", "[\"\", \".\"]", "\"\""},
        {"trim", "[\"...\", \".\"]", "\"\""},
        {"trim", "[\" a \", \"\"]", "\" a \""},
        {"trim_left", "[\"¡¡¡foo!\", \"!¡\"]", "\"foo!\""},
        {"trim_right", "[\"!foo¡¡\", \"!¡\"]", "\"!foo\""},
        {"trim_prefix", "[\"¡¡¡foo\", \"¡¡¡\"]", "\"foo\""},
        {"trim_prefix", "[\"foo\", \"fooo\"]", "\"foo\""},
        {"trim_suffix", "[\"foo!\", \"o!\"]", "\"fo\""},
        {"trim_space", "[\"\\t \\u00a0\\u3000a b\\u2028\\r\\n\"]", "\"a b\""},
        {"trim_space", "[\"\\u200b\"]", "\"\u200b\""},
    };
    BUILTIN_CHECK(&caller, examples);
}

static void what_was_replaced_is_not_looked_at_again(void **state)
{
    static const struct builtin_example examples[] = {
        {"replace", "[\"foo...bar\", \"..\", \",,\"]", "\"foo,,.bar\""},
        {"replace", "[\"ä\", \"\", \"-\"]", "\"-ä-\""},
        {"replace", "[\"\", \"hi\", \"bye\"]", "\"\""},
        {"strings.replace_n", "[{\"<\": \"&lt;\", \">\": \"&gt;\"}, \"<b>\"]", "\"&lt;b&gt;\""},
        {"strings.replace_n", "[{\"f\": \"x\", \"foo\": \"xxx\"}, \"foobar\"]", "\"xoobar\""},
        {"strings.replace_n", "[{\"a\": \"b\", \"b\": \"a\"}, \"ab\"]", "\"ba\""},
        {"strings.replace_n", "[{}, \"ab\"]", "\"ab\""},
        {"strings.replace_n", "[{\"\": \"-\"}, \"aé\"]", "\"-a-é-\""},
        {"strings.replace_n", "[{\"\": \"-\", \"a\": \"b\"}, \"aa\"]", "\"-b-b-\""},
        {"strings.replace_n", "[{\"$object\": [[2, \"x\"]]}, \"foo\"]",
         "eval_type_error: strings.replace_n: operand 1 non-string key found in pattern object"},
        {"strings.replace_n", "[{\"f\": 100}, \"foo\"]",
         "eval_type_error: strings.replace_n: operand 1 non-string value found in pattern object"},
    };
    BUILTIN_CHECK(&caller, examples);
}

static void letters_change_case_one_by_one(void **state)
{
    static const struct builtin_example examples[] = {
        {"lower", "[\"AbC Ä Σ Ж İ ẞ 𐐀\"]", "\"abc ä σ ж i ß 𐐨\""},
        {"upper", "[\"abc ä ς ж ß ǆ ÿ µ\"]", "\"ABC Ä Σ Ж ß Ǆ Ÿ Μ\""},
        {"lower", "[\"\"]", "\"\""},
        {"upper", "[\"az{`@\"]", "\"AZ{`@\""},
        {"lower", "[\"AZ[`@\"]", "\"az[`@\""},
    };
    BUILTIN_CHECK(&caller, examples);
}

static void wrong_operands_of_texts_are_type_errors(void **state)
{
    static const struct builtin_example examples[] = {
        {"concat", "[\",\", [\"a\", 1]]",
         "eval_type_error: concat: operand 2 must be array of strings but got array containing "
         "number"},
        {"concat", "[\",\", \"a\"]",
         "eval_type_error: concat: operand 2 must be one of {set, array} but got string"},
        {"substring", "[\"aaa\", -1, -1]", "eval_builtin_error: substring: negative offset"},
        {"substring", "[\"aaa\", 0.5, 1]",
         "eval_type_error: substring: operand 2 must be integer number but got floating-point "
         "number"},
        {"strings.split_n", "[\"a\", \".\", 1.5]",
         "eval_type_error: strings.split_n: operand 3 must be integer number but got "
         "floating-point number"},
        {"strings.reverse", "[{}]",
         "eval_type_error: strings.reverse: operand 1 must be string but got object"},
        {"lower", "[1]", "eval_type_error: lower: operand 1 must be string but got number"},
    };
    BUILTIN_CHECK(&caller, examples);
}

/* Results whose size is the product of those of two operands. */
static void texts_that_grow_without_bound_meet_a_limit(void **state)
{
    CLEANUP(buffer_clear) struct buffer long_text = {0};
    CLEANUP(buffer_clear) struct buffer operands = {0};
    CLEANUP(buffer_clear) struct buffer out = {0};
    for (int i = 0; i < 20000; i++)
        buffer_byte(&long_text, 'a');
    buffer_format(&operands, "[\"%s\", \"a\", \"%s\"]", long_text.bytes, long_text.bytes);
    struct builtin_caller little_memory = {.memory_bytes = 1 << 20};
    builtin_call_text(&little_memory, "replace", operands.bytes, &out);
    assert_string_equal(out.bytes, "limit");

    buffer_truncate(&operands, 0);
    buffer_truncate(&out, 0);
    buffer_format(&operands, "[{\"a\": \"%s\"}, \"%s\"]", long_text.bytes, long_text.bytes);
    struct builtin_caller few_steps = {.steps = 100000, .memory_bytes = (size_t)1 << 30};
    builtin_call_text(&few_steps, "strings.replace_n", operands.bytes, &out);
    assert_string_equal(out.bytes, "limit");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_joined_and_cut),
        cmocka_unit_test(places_are_counted_in_characters),
        cmocka_unit_test(affixes_match_any_of_a_list),
        cmocka_unit_test(ends_are_trimmed_by_characters),
        cmocka_unit_test(what_was_replaced_is_not_looked_at_again),
        cmocka_unit_test(letters_change_case_one_by_one),
        cmocka_unit_test(wrong_operands_of_texts_are_type_errors),
        cmocka_unit_test(texts_that_grow_without_bound_meet_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
