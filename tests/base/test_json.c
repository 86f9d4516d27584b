#include "check.h"

#include <math.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/text.h"
#include "check_files.h"

#define VECTORS TEST_VECTORS "/jcs/"

/* The case files of RFC 8785's reference implementation. */
static void rfc_8785_cases(void **state)
{
    static const char *const cases[] = {"arrays",  "french", "structures",
                                        "unicode", "values", "weird"};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char path[512];
        struct lethe_error err = {0};
        snprintf(path, sizeof path, VECTORS "input/%s.json", cases[i]);
        CLEANUP(buffer_clear) struct buffer input = get_file(path);
        snprintf(path, sizeof path, VECTORS "output/%s.json", cases[i]);
        CLEANUP(buffer_clear) struct buffer expected = get_file(path);

        CLEANUP(json_decref) json_t *json = NULL;
        CLEANUP(buffer_clear) struct buffer out = {0};
        assert_ok(json_parse(input.bytes, input.size_bytes, &json, &err), &err);
        assert_ok(json_canonical(json, &out, &err), &err);
        assert_string_equal(out.bytes, expected.bytes);
        assert_int_equal(out.size_bytes, expected.size_bytes);
    }
}

/* Seven more whose output comes from the reference implementation. They have numbers as doubles
 * and a NUL, which json_parse() does not take, so jansson reads them. */
static void more_cases_from_the_reference(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(buffer_clear) struct buffer file = get_file(VECTORS "edge.json");
    CLEANUP(json_decref) json_t *cases = NULL;
    assert_ok(json_parse(file.bytes, file.size_bytes, &cases, &err), &err);
    assert_int_equal(json_array_size(cases), 7);
    size_t index;
    json_t *row;
    json_array_foreach(cases, index, row)
    {
        const json_t *input = json_object_get(row, "input");
        CLEANUP(json_decref)
        json_t *json = json_loadb(json_string_value(input), json_string_length(input),
                                  JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, NULL);
        assert_non_null(json);
        CLEANUP(buffer_clear) struct buffer out = {0};
        assert_ok(json_canonical(json, &out, &err), &err);
        CLEANUP(memory_free) char *hex = malloc(2 * out.size_bytes + 1);
        hex_encode(out.bytes, out.size_bytes, hex);
        assert_string_equal(hex, json_string_value(json_object_get(row, "outhex")));
    }
}

static lethe_result parse(const char *text, struct lethe_error *err)
{
    CLEANUP(json_decref) json_t *json = NULL;
    lethe_result result = json_parse(text, strlen(text), &json, err);
    assert_int_equal(json != NULL, result == LETHE_OK);
    return result;
}

/* jansson steps over a NUL that stands between two values. */
static void a_raw_nul_is_refused_wherever_it_stands(void **state)
{
    static const char document[] = "{\"a\": [1, \"b\\n\"]}";
    char text[sizeof document];
    struct lethe_error err;
    for (size_t at = 0; at < sizeof text; at++) {
        CLEANUP(json_decref) json_t *json = NULL;
        memcpy(text, document, at);
        text[at] = '\0';
        memcpy(text + at + 1, document + at, sizeof document - 1 - at);
        assert_int_equal(json_parse(text, sizeof text, &json, &err), LETHE_MALFORMED);
        assert_null(json);
    }
    assert_int_equal(parse(document, &err), LETHE_OK); /* without one */
}

static void one_valid_document_is_read(void **state)
{
    static const char *const good[] = {"{}",
                                       "[]",
                                       "\"\"",
                                       "1",
                                       "-0",
                                       "null",
                                       " [1 , 2]\n",
                                       "\"[[[[\\\"[[\"",
                                       "{\"a\":{\"b\":[true,false,null]}}",
                                       "\"\\ud83d\\ude00\""};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct lethe_error err = {0};
        assert_ok(parse(good[i], &err), &err);
    }
}

static void everything_else_is_refused_with_a_place(void **state)
{
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"", "line 1, column 1: "},
        {"{\"a\":1,\"a\":2}", "line 1, column 10: a name that the object has already"},
        {"{\"a\":{\"b\":1,\n\"b\":1}}", "line 2, column 3: a name that the object has already"},
        {"{\"\\u0061\":1,\"a\":2}", "a name that the object has already"},
        {"\"\\ud83d\"", "not valid JSON"},
        {"\"\\ude00\"", "not valid JSON"},
        {"\"\\ud83dx\"", "not valid JSON"},
        {"\"\\ud83d\\ud83d\"", "not valid JSON"},
        {"\"\xed\xa0\xbd\"", "not UTF-8"},
        {"\"\xc0\xaf\"", "not UTF-8"},
        {"\"\xff\"", "not UTF-8"},
        {"\"a\\u0000b\"", "a NUL character"},
        {"{\"a\\u0000b\":1}", "a NUL character"},
        {"\"a\nb\"", "not valid JSON"},
        {"{} {}", "more text behind the end"},
        {"[1,]", "not valid JSON"},
        {"[1", "too early"},
        {"{\"a\"", "too early"},
        {"\"abc", "too early"},
        {"\"abc\\", "not valid JSON"},
        {"01", "not valid JSON"},
        {"+1", "not valid JSON"},
        {".5", "not valid JSON"},
        {"NaN", "not valid JSON"},
        {"Infinity", "not valid JSON"},
        {"1e999", "too large"},
        {"9223372036854775808", "too large"},
        {"// no\n1", "not valid JSON"},
        {"'a'", "not valid JSON"},
        {"\xef\xbb\xbf{}", "not valid JSON"},
        {"]", "not valid JSON"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct lethe_error err = {0};
        assert_result(LETHE_MALFORMED, parse(rows[i].text, &err));
        if (strstr(err.text, rows[i].words) == NULL)
            fail_msg("%s: %s", rows[i].text, err.text);
        assert_memory_equal(err.text, "JSON, line ", 11);
    }
}

static void an_error_never_quotes_the_document(void **state)
{
    static const char *const rows[] = {"{\"hunter2\":1,\"hunter2\":2}",
                                       "[hunter2]",
                                       "\"hunter2",
                                       "\"hunter2\\ud83d\"",
                                       "[1] hunter2",
                                       "{\"hunter2\\u0000\":1}",
                                       "\"hunter2\xff\""};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct lethe_error err = {0};
        assert_result(LETHE_MALFORMED, parse(rows[i], &err));
        assert_null(strstr(err.text, "hunter"));
        assert_null(strstr(err.hint, "hunter"));
    }
}

static lethe_result parse_nested(size_t depth, char open, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    for (size_t i = 0; i < depth; i++)
        buffer_text(&text, open == '[' ? "[" : "{\"a\":");
    buffer_text(&text, "1");
    for (size_t i = 0; i < depth; i++)
        buffer_byte(&text, open == '[' ? ']' : '}');
    return parse(text.bytes, err);
}

static void depth_is_bounded_before_anything_recurses(void **state)
{
    struct lethe_error err = {0};
    assert_ok(parse_nested(JSON_DEPTH_MAX, '[', &err), &err);
    assert_ok(parse_nested(JSON_DEPTH_MAX, '{', &err), &err);
    assert_result(LETHE_MALFORMED, parse_nested(JSON_DEPTH_MAX + 1, '[', &err));
    assert_non_null(strstr(err.text, "column 65: nested too deeply"));
    assert_result(LETHE_MALFORMED, parse_nested(JSON_DEPTH_MAX + 1, '{', &err));
    assert_result(LETHE_MALFORMED, parse_nested(3000000, '[', &err));
    /* Brackets in strings are text, also behind an escaped quote or backslash. */
    CLEANUP(buffer_clear) struct buffer text = {0};
    buffer_text(&text, "[\"\\\\\",\"\\\"");
    for (int i = 0; i < 1000; i++)
        buffer_byte(&text, '[');
    buffer_text(&text, "\"]");
    assert_ok(parse(text.bytes, &err), &err);
}

static void the_size_of_the_tree_is_bounded(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(buffer_clear) struct buffer text = {0};
    buffer_text(&text, "[0");
    for (size_t i = 0; i < JSON_VALUES_MAX; i++)
        buffer_text(&text, ",0");
    buffer_text(&text, "]");
    assert_result(LETHE_MALFORMED, parse(text.bytes, &err));
    assert_non_null(strstr(err.text, "too many values"));
    json_t *json = NULL;
    assert_result(LETHE_MALFORMED, json_parse("never read", JSON_SIZE_MAX + 1, &json, &err));
    assert_null(json);
}

/* Takes the reference. */
static void refuse_canonical(json_t *json)
{
    struct lethe_error err = {0};
    CLEANUP(buffer_clear) struct buffer out = {0};
    buffer_text(&out, "before");
    assert_non_null(json);
    assert_result(LETHE_INVALID, json_canonical(json, &out, &err));
    assert_string_equal(out.bytes, "before");
    assert_true(err.text[0] != '\0');
    json_decref(json);
}

static void what_has_no_canonical_form_is_refused(void **state)
{
    refuse_canonical(json_integer((json_int_t)JSON_INTEGER_MAX + 1));
    refuse_canonical(json_integer(-(json_int_t)JSON_INTEGER_MAX - 1));
    refuse_canonical(json_integer(INT64_MIN));
    refuse_canonical(json_stringn_nocheck("a\xff", 2));
    refuse_canonical(json_pack("[s,[o]]", "x", json_stringn_nocheck("\xed\xa0\x80", 3)));
    json_t *named = json_object();
    json_object_set_new_nocheck(named, "\xc3", json_null());
    refuse_canonical(named);
    json_t *deep = json_array();
    for (int i = 0; i < JSON_DEPTH_MAX + 1; i++)
        deep = json_pack("[o]", deep);
    refuse_canonical(deep);
}

static void the_largest_integers_are_exact(void **state)
{
    struct lethe_error err = {0};
    CLEANUP(json_decref)
    json_t *json = json_pack("[I,I]", (json_int_t)JSON_INTEGER_MAX, -(json_int_t)JSON_INTEGER_MAX);
    CLEANUP(buffer_clear) struct buffer out = {0};
    assert_ok(json_canonical(json, &out, &err), &err);
    assert_string_equal(out.bytes, "[9007199254740991,-9007199254740991]");
}

static void strings_are_escaped_as_little_as_can_be(void **state)
{
    CLEANUP(buffer_clear) struct buffer out = {0};
    json_append_string(&out, "\0\x01\b\t\n\x0b\f\r\x1f\"\\/\x7f\xe2\x80\xa8", 16);
    assert_string_equal(out.bytes,
                        "\"\\u0000\\u0001\\b\\t\\n\\u000b\\f\\r\\u001f\\\"\\\\/\x7f\xe2\x80\xa8\"");
    buffer_truncate(&out, 0);
    json_append_string(&out, "", 0);
    assert_string_equal(out.bytes, "\"\"");
}

struct fields {
    const char *text;
    uint64_t number;
    const json_t *list, *object;
};

static lethe_result read_fields(const char *text, struct fields *out, struct lethe_error *err)
{
    CLEANUP(json_decref) json_t *json = NULL;
    assert_ok(json_parse(text, strlen(text), &json, err), err);
    const struct json_field fields[] = {
        {"name", JSON_FIELD_TEXT, false, &out->text},
        {"size", JSON_FIELD_UINT, false, &out->number},
        {"list", JSON_FIELD_ARRAY, true, &out->list},
        {"object", JSON_FIELD_OBJECT, true, &out->object},
    };
    return json_read_fields(json, "thing", fields, ARRAY_LEN(fields), err);
}

static void fields_are_read_by_their_table(void **state)
{
    struct fields out = {.list = (const json_t *)&out};
    struct lethe_error err = {0};
    assert_ok(read_fields("{\"size\":9007199254740991,\"name\":\"\",\"object\":{}}", &out, &err),
              &err);
    assert_true(out.number == JSON_INTEGER_MAX);
    assert_non_null(out.object);
    assert_ptr_equal(out.list, &out); /* absent: left as it was */
}

static void fields_outside_the_table_are_refused(void **state)
{
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"{\"name\":\"x\"}", "\"size\" is missing"},
        {"{\"name\":1,\"size\":1}", "\"name\" is not a string"},
        {"{\"name\":null,\"size\":1}", "\"name\" is not a string"},
        {"{\"name\":\"x\",\"size\":-1}", "\"size\" is not an integer"},
        {"{\"name\":\"x\",\"size\":1.0}", "\"size\" is not an integer"},
        {"{\"name\":\"x\",\"size\":9007199254740992}", "\"size\" is not an integer"},
        {"{\"name\":\"x\",\"size\":\"1\"}", "\"size\" is not an integer"},
        {"{\"name\":\"x\",\"size\":true}", "\"size\" is not an integer"},
        {"{\"name\":\"x\",\"size\":1,\"list\":{}}", "\"list\" is not an array"},
        {"{\"name\":\"x\",\"size\":1,\"object\":[]}", "\"object\" is not an object"},
        {"{\"name\":\"x\",\"size\":1,\"extra\":1}", "1 fields that its format does not know"},
        {"{\"name\":\"x\",\"size\":1,\"Name\":1,\"hunter2\":1}", "2 fields that its"},
        {"[]", "thing is not a JSON object"},
        {"7", "thing is not a JSON object"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fields out = {0};
        struct lethe_error err = {0};
        assert_result(LETHE_MALFORMED, read_fields(rows[i].text, &out, &err));
        if (strstr(err.text, rows[i].words) == NULL || strstr(err.text, "hunter") != NULL)
            fail_msg("%s: %s", rows[i].text, err.text);
    }
}

/* A tree that our own parser did not make may hold a NUL; a C string would be cut there. */
static void a_text_field_with_a_nul_is_refused(void **state)
{
    struct lethe_error err = {0};
    const char *text = NULL;
    const struct json_field fields[] = {{"name", JSON_FIELD_TEXT, false, &text}};
    CLEANUP(json_decref) json_t *json = json_pack("{s:o}", "name", json_stringn("a\0b", 3));
    assert_result(LETHE_MALFORMED, json_read_fields(json, "thing", fields, 1, &err));
    assert_null(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc_8785_cases),
        cmocka_unit_test(more_cases_from_the_reference),
        cmocka_unit_test(a_raw_nul_is_refused_wherever_it_stands),
        cmocka_unit_test(one_valid_document_is_read),
        cmocka_unit_test(everything_else_is_refused_with_a_place),
        cmocka_unit_test(an_error_never_quotes_the_document),
        cmocka_unit_test(depth_is_bounded_before_anything_recurses),
        cmocka_unit_test(the_size_of_the_tree_is_bounded),
        cmocka_unit_test(what_has_no_canonical_form_is_refused),
        cmocka_unit_test(the_largest_integers_are_exact),
        cmocka_unit_test(strings_are_escaped_as_little_as_can_be),
        cmocka_unit_test(fields_are_read_by_their_table),
        cmocka_unit_test(fields_outside_the_table_are_refused),
        cmocka_unit_test(a_text_field_with_a_nul_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
