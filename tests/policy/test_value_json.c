#include "check.h"

#include "failing_memory.h"
#include "random_value.h"

FAILS(malloc)

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

static void keys_of_json_are_sorted_as_texts_and_there_once(void **state)
{
    ARENA;
    BUFFER(json);
    struct value_pairs pairs = {0};
    value_pairs_append(&arena, &pairs, value_small(&arena, 2), &value_null);
    value_pairs_append(&arena, &pairs, value_small(&arena, 10), &value_true);
    value_pairs_append(&arena, &pairs, value_text(&arena, "10"), &value_false);
    value_pairs_append(&arena, &pairs, value_text(&arena, "a"), &value_empty_set);
    value_pairs_append(&arena, &pairs, &value_empty_array, &value_null);
    const struct value *object = value_object(&arena, &pairs, NULL);
    assert_int_equal(object->count, 5);
    value_print_json(object, &json);
    assert_string_equal(json.bytes, "{\"10\":false,\"2\":null,\"[]\":null,\"a\":[]}");
}

static void pretty_json_has_an_element_a_line(void **state)
{
    ARENA;
    BUFFER(out);
    value_print_json_pretty(parsed(&arena, "{\"a\":[1,{}],\"b\":[]}"), "  ", &out);
    assert_string_equal(out.bytes, "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": []\n}");
}

/* ---- what is refused ---- */

static void assert_refused(const char *text, size_t size_bytes, const char *message)
{
    ARENA;
    struct lethe_error err = {0};
    const struct value *value = &value_null;
    if (value_parse_json(&arena, text, size_bytes, &value, &err) != LETHE_MALFORMED)
        fail_msg("taken, or refused for another reason: %.*s (%s)", (int)size_bytes, text,
                 err.text);
    assert_ptr_equal(value, &value_null);
    if (strstr(err.text, message) == NULL)
        fail_msg("%s: no \"%s\" in \"%s\"", text, message, err.text);
}

static void what_is_no_json_is_refused_and_the_place_said(void **state)
{
    static const char *const cases[][2] = {
        {"", "line 1, column 1: expected a value, found the end"},
        {" \n ", "line 2, column 2: expected a value, found the end"},
        {"nul", "column 1: expected a value"},
        {"nulll", "column 5: expected nothing behind the value"},
        {"True", "expected a value"},
        {"1 2", "column 3: expected nothing behind the value"},
        {"01", "column 2: expected nothing behind"},
        {"-", "expected a value"},
        {"+1", "expected a value"},
        {".5", "expected a value"},
        {"[1.]", "column 3: expected a comma or a ]"},
        {"[1e]", "column 3: expected a comma or a ]"},
        {"NaN", "expected a value"},
        {"[1,]", "column 4: expected a value"},
        {"[1 2]", "column 4: expected a comma or a ], found something else"},
        {"[1", "expected a comma or a ], found the end"},
        {"[", "expected a value, found the end"},
        {"{\"a\":1,}", "expected a key"},
        {"{\"a\" 1}", "expected a colon"},
        {"{\"a\":}", "column 6: expected a value"},
        {"{a:1}", "column 2: expected a key"},
        {"{1:1}", "expected a key"},
        {"{\"a\":1 \"b\":2}", "expected a comma or a }"},
        {"[}", "expected a value"},
        {"{]", "expected a key"},
        {"]", "expected a value"},
        {"'a'", "expected a value"},
        {"\"a", "expected a \" at the string's end, found the end"},
        {"\"a\\", "expected a \""},
        {"\"a\\\"", "expected a \""},
        {"\"\\x\"", "column 2: no escape of JSON's"},
        {"\"\\u12g4\"", "no escape"},
        {"\"\\u123\"", "no escape"},
        {"\"a\nb\"", "column 3: a control character"},
        {"\"a\tb\"", "a control character"},
        {"\"\\\n\"", "no escape"},
        {"/* */ 1", "expected a value"},
        {"1 // x", "expected nothing behind"},
        {"\xef\xbb\xbf 1", "expected a value"},
        {"[\n\"\xc3\xa9\",\n \"\xf0\x9f\x98\x80\" x]", "line 3, column 6: expected a comma or a ]"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_refused(cases[i][0], strlen(cases[i][0]), cases[i][1]);
    assert_refused("1\0", 2, "expected nothing behind");
    assert_refused("\"a\0\"", 4, "a control character");
}

static void halves_of_surrogate_pairs_are_refused(void **state)
{
    static const char *const texts[] = {
        "\"\\ud800\"",        "\"\\udc00\"",        "\"\\ud83d\\u0041\"", "\"\\ud83dx\"",
        "\"\\ude00\\ud83d\"", "\"\\ud83d\\ud83d\"", "\"\\uD83D\\n\"",     "\"\\ud83d\\udc0\"",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        assert_refused(texts[i], strlen(texts[i]), "half of a pair of surrogates");
}

/* Wherever in a string it is, and so wherever the reader looks at eight bytes at once. */
static void strings_that_are_not_utf8_are_refused(void **state)
{
    static const char *const bad[] = {"\x80",     "\xc3",         "\xc0\x80",
                                      "\xe2\x82", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                      "\xff",     "\xc3(",        "\xf8\x88\x80\x80\x80"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        for (int before = 0; before < 20; before++) {
            char text[64];
            int length = snprintf(text, sizeof text, "\"%.*s%s%s\"", before,
                                  "abcdefghijklmnopqrstuvwxyz", bad[i], "0123456789");
            assert_refused(text, (size_t)length, "not UTF-8");
            assert_refused(text, (size_t)before + 2, "not UTF-8");
        }
    assert_refused("\"\\\xc3\xa9\"", 5, "not UTF-8");
}

static void special_bytes_are_seen_wherever_they_are(void **state)
{
    for (unsigned byte = 0; byte < 0x80; byte++)
        for (size_t at = 0; at < 20; at++) {
            ARENA;
            char text[24] = "\"aaaaaaaaaaaaaaaaaaaa\"";
            const struct value *value;
            text[1 + at] = (char)byte;
            bool plain = byte >= 0x20 && byte != '"' && byte != '\\';
            lethe_result result = value_parse_json(&arena, text, 22, &value, NULL);
            assert_result(plain ? LETHE_OK : LETHE_MALFORMED, result);
            if (plain)
                assert_memory_equal(value->string, text + 1, 20);
        }
}

static void a_key_that_is_there_twice_is_refused(void **state)
{
    static const char *const texts[] = {
        "{\"a\":1,\"a\":1}",
        "{\"a\":1,\"b\":2,\"a\":3}",
        "{\"a\":1,\"\\u0061\":1}",
        "[{\"x\":{\"\":[],\"\":[]}}]",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        assert_refused(texts[i], strlen(texts[i]), "has a key twice");
}

/* ---- limits ---- */

static lethe_result parse_nested(size_t depth, const char *open, const char *close,
                                 struct lethe_error *err)
{
    ARENA;
    BUFFER(text);
    const struct value *value;
    for (size_t i = 0; i < depth; i++)
        buffer_text(&text, open);
    buffer_text(&text, "0");
    for (size_t i = 0; i < depth; i++)
        buffer_text(&text, close);
    return value_parse_json(&arena, text.bytes, text.size_bytes, &value, err);
}

static void nesting_has_a_limit(void **state)
{
    struct lethe_error err = {0};
    assert_ok(parse_nested(VALUE_DEPTH_MAX, "[", "]", &err), &err);
    assert_ok(parse_nested(VALUE_DEPTH_MAX, "{\"a\":", "}", &err), &err);
    assert_result(LETHE_LIMIT, parse_nested(VALUE_DEPTH_MAX + 1, "[", "]", &err));
    assert_non_null(strstr(err.text, "line 1, column 513: arrays and objects are nested too"));
    assert_result(LETHE_LIMIT, parse_nested(VALUE_DEPTH_MAX + 1, "{\"a\":", "}", &err));
    assert_result(LETHE_LIMIT, parse_nested(1000000, "[", "]", &err));
}

static void numbers_over_a_limit_are_a_limit_with_a_place(void **state)
{
    static const char *const texts[] = {"[0,1e5000]", "[0,1e-5000]", "[0,-1e99999999999999]"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        ARENA;
        struct lethe_error err = {0};
        const struct value *value;
        assert_result(LETHE_LIMIT,
                      value_parse_json(&arena, texts[i], strlen(texts[i]), &value, &err));
        assert_non_null(strstr(err.text, "column 4: a number is too large"));
    }
}

static void big_numbers_keep_every_digit(void **state)
{
    assert_prints("[123456789012345678901234567890,1208925819614629174706175]",
                  "[123456789012345678901234567890,1208925819614629174706175]");
    assert_prints("18446744073709551616.000e-0", "18446744073709551616");
}

/* Without a bound each object within a key doubles its text. */
static void objects_in_keys_in_keys_do_not_grow_without_bounds(void **state)
{
    ARENA;
    BUFFER(json);
    BUFFER(text);
    const struct value *value = value_text(&arena, "\"");
    for (unsigned depth = 0; depth < 100; depth++)
        value = value_with(&arena, &value_empty_object, value, &value_null);
    value_print_term(value, &text);
    assert_true(text.failure == LETHE_OK && text.size_bytes < 2000);
    value_print_json(value, &json);
    assert_result(LETHE_LIMIT, json.failure);
    assert_true(json.capacity_bytes < 16u << 20);
}

/* Go prints one as an escape, and JSON has it as it is. */
static void delete_is_an_escape_in_terms_alone(void **state)
{
    ARENA;
    BUFFER(json);
    BUFFER(term);
    const struct value *value = value_text(&arena, "a\x7f");
    value_print_json(value, &json);
    value_print_term(value, &term);
    assert_string_equal(json.bytes, "\"a\x7f\"");
    assert_string_equal(term.bytes, "\"a\\u007f\"");
}

/* ---- properties ---- */

static void what_is_printed_reads_back(void **state)
{
    chance_seed_by_time();
    for (size_t i = 0; i < 2000; i++) {
        ARENA;
        const struct random_value_options options = {.arena = &arena, .only_json = true};
        const struct value *value = random_value(&options, 4);
        BUFFER(compact);
        BUFFER(pretty);
        value_print_json(value, &compact);
        value_print_json_pretty(value, "\t", &pretty);
        assert_true(value_equal(parsed(&arena, compact.bytes), value));
        assert_true(value_equal(parsed(&arena, pretty.bytes), value));
    }
}

static void any_value_prints_as_json_that_reads(void **state)
{
    chance_seed_by_time();
    for (size_t i = 0; i < 2000; i++) {
        ARENA;
        const struct random_value_options options = {.arena = &arena};
        BUFFER(json);
        value_print_json(random_value(&options, 3), &json);
        assert_result(LETHE_OK, json.failure);
        parsed(&arena, json.bytes);
    }
}

static void a_document_that_is_cut_short_is_refused(void **state)
{
    static const char text[] =
        "{\"a\": [1, -2.5e3, \"x\\u00e9\\ud83d\\ude00\xc3\xa9\"], \"b\": null}";
    for (size_t size = 0; size < sizeof text - 1; size++)
        assert_refused(text, size, "line 1");
    ARENA;
    assert_int_equal(parsed(&arena, text)->count, 2);
}

static void memory_that_is_missing_anywhere_is_said(void **state)
{
    BUFFER(text);
    buffer_text(&text, "[");
    for (unsigned i = 0; i < 3000; i++)
        buffer_format(&text, "{\"%u\":[1.5,\"\\n\",123456789012345678901234567890]},", i);
    buffer_text(&text, "0]");
    for (unsigned nth = 1;; nth++) {
        ARENA;
        const struct value *value;
        calls_left = nth;
        has_failed = false;
        lethe_result result = value_parse_json(&arena, text.bytes, text.size_bytes, &value, NULL);
        calls_left = 0;
        assert_result(has_failed ? LETHE_NO_MEMORY : LETHE_OK, result);
        if (!has_failed) {
            assert_true(nth > 5);
            break;
        }
    }
}

static void an_arena_that_failed_reads_nothing(void **state)
{
    struct arena arena = {.limit_bytes = 64};
    const struct value *value;
    assert_result(LETHE_LIMIT, value_parse_json(&arena, "[[1],[2],[3]]", 13, &value, NULL));
    assert_result(LETHE_LIMIT, value_parse_json(&arena, "null", 4, &value, NULL));
    arena_clear(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_read_and_printed_compactly),
        cmocka_unit_test(terms_show_sets_and_keys_of_any_kind),
        cmocka_unit_test(keys_of_json_are_sorted_as_texts_and_there_once),
        cmocka_unit_test(pretty_json_has_an_element_a_line),
        cmocka_unit_test(what_is_no_json_is_refused_and_the_place_said),
        cmocka_unit_test(halves_of_surrogate_pairs_are_refused),
        cmocka_unit_test(strings_that_are_not_utf8_are_refused),
        cmocka_unit_test(special_bytes_are_seen_wherever_they_are),
        cmocka_unit_test(a_key_that_is_there_twice_is_refused),
        cmocka_unit_test(nesting_has_a_limit),
        cmocka_unit_test(numbers_over_a_limit_are_a_limit_with_a_place),
        cmocka_unit_test(big_numbers_keep_every_digit),
        cmocka_unit_test(objects_in_keys_in_keys_do_not_grow_without_bounds),
        cmocka_unit_test(delete_is_an_escape_in_terms_alone),
        cmocka_unit_test(what_is_printed_reads_back),
        cmocka_unit_test(any_value_prints_as_json_that_reads),
        cmocka_unit_test(a_document_that_is_cut_short_is_refused),
        cmocka_unit_test(memory_that_is_missing_anywhere_is_said),
        cmocka_unit_test(an_arena_that_failed_reads_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
