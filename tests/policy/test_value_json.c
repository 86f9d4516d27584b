#include "check.h"

#include "policy/value.h"

#define ARENA CLEANUP(arena_clear) struct arena arena = {.limit_bytes = (size_t)64 << 20}
#define BUFFER(name) CLEANUP(buffer_clear) struct buffer name = {0}

static const struct value *parsed(struct arena *arena, const char *text)
{
    struct lethe_error err = {0};
    const struct value *value = NULL;
    assert_ok(value_parse_json(arena, text, strlen(text), &value, &err), &err);
    return value;
}

static void assert_prints(const char *text, const char *expected)
{
    ARENA;
    BUFFER(out);
    value_print_json(parsed(&arena, text), &out);
    assert_string_equal(out.bytes, expected);
}

static void json_is_read_and_printed_compactly(void **state)
{
    static const char *const cases[][2] = {
        {" null ", "null"},
        {"[true,\tfalse\n]", "[true,false]"},
        {"{\"b\": 1, \"a\": [ ]}", "{\"a\":[],\"b\":1}"},
        {"{ }", "{}"},
        {"\"\"", "\"\""},
        {"[1, -0, 0.10, 1e2, 1.50E+1, 3.14]", "[1,0,0.1,100,15,3.14]"},
        {"\"\\u00e9\\ud83d\\ude00\\n\\/\\\\\\\"\"", "\"\u00e9\U0001F600\\n/\\\\\\\"\""},
        {"\"<a & b>\\u0001\\u2028\\u2027\"", "\"\\u003ca \\u0026 b\\u003e\\u0001\\u2028\u2027\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_prints(cases[i][0], cases[i][1]);
}

static void terms_show_sets_and_keys_of_any_kind(void **state)
{
    ARENA;
    BUFFER(term);
    BUFFER(json);
    struct value_list items = {0};
    value_list_append(&arena, &items, value_small(&arena, 2));
    value_list_append(&arena, &items, value_small(&arena, 1));
    value_list_append(&arena, &items, &value_empty_set);
    struct value_pairs pairs = {0};
    const struct value *set = value_set(&arena, &items);
    value_pairs_append(&arena, &pairs, set, value_text(&arena, "<"));
    const struct value *object = value_object(&arena, &pairs, NULL);
    value_print_term(object, &term);
    assert_string_equal(term.bytes, "{{1, 2, set()}: \"<\"}");
    value_print_json(object, &json);
    assert_string_equal(json.bytes, "{\"[1,2,[]]\":\"\\u003c\"}");
}

static void pretty_json_has_an_element_a_line(void **state)
{
    ARENA;
    BUFFER(out);
    value_print_json_pretty(parsed(&arena, "{\"a\":[1,{}],\"b\":[]}"), "  ", &out);
    assert_string_equal(out.bytes, "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": []\n}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_read_and_printed_compactly),
        cmocka_unit_test(terms_show_sets_and_keys_of_any_kind),
        cmocka_unit_test(pretty_json_has_an_element_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
