/* The fields of a request: what is no JSON, or does not fit its table, is refused with a text that
 * says why; what Vault's clients send is read as they mean it. */
#include "check.h"

#include "service/fields.h"

static const struct field item_fields[] = {
    {"plaintext", FIELD_BASE64, true, "", NULL}, {"reference", FIELD_TEXT, false, "", NULL}, {0}};
enum { TEXT, DATA, NUMBER, FLAG, TTL, LIST, MAP, ITEMS, COUNT };
static const struct field fields[] = {
    [TEXT] = {"text", FIELD_TEXT, false, "", NULL},
    [DATA] = {"data", FIELD_BASE64, false, "", NULL},
    [NUMBER] = {"number", FIELD_INTEGER, false, "", NULL},
    [FLAG] = {"flag", FIELD_BOOLEAN, false, "", NULL},
    [TTL] = {"ttl", FIELD_DURATION, false, "", NULL},
    [LIST] = {"list", FIELD_LIST, false, "", NULL},
    [MAP] = {"map", FIELD_MAP, false, "", NULL},
    [ITEMS] = {"batch_input", FIELD_ITEMS, false, "", item_fields},
    [COUNT] = {0},
};

struct read {
    struct guarded scratch;
    struct field_value values[COUNT];
    struct lethe_error err;
};

static lethe_result read_both(struct read *read, const char *body, size_t body_bytes,
                              const char *query)
{
    const struct fields_input input = {.body = (const uint8_t *)body,
                                       .body_bytes = body_bytes,
                                       .query = (const uint8_t *)query,
                                       .query_bytes = strlen(query)};
    guarded_wipe(&read->scratch);
    return fields_read(fields, &input, &read->scratch, read->values, &read->err);
}

static lethe_result read_body(struct read *read, const char *body)
{
    return read_both(read, body, strlen(body), "");
}

static void check_text(const struct field_value *value, const char *expected)
{
    assert_true(value->given);
    assert_int_equal(value->length, strlen(expected));
    assert_memory_equal(value->text, expected, value->length);
}

/* ---- what is refused ------------------------------------------------------------------------- */

static void test_no_json(void **state)
{
    static const char *const bodies[] = {
        " ",
        "[]",
        "1",
        "null",
        "\"text\"",
        "{",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":}",
        "{\"a\":1",
        "{\"a\":1,}",
        "{,}",
        "{\"a\" 1}",
        "{\"a\":1 \"b\":2}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":.5}",
        "{\"a\":-}",
        "{\"a\":+1}",
        "{\"a\":1e}",
        "{\"a\":0x1}",
        "{\"a\":NaN}",
        "{\"a\":nul}",
        "{\"a\":True}",
        "{\"a\":[1,]}",
        "{\"a\":[1 2]}",
        "{\"a\":[1}",
        "{\"a\":1]",
        "{}{}",
        "{} x",
        "{\"a\":\"x}",
        "{\"a\":\"\\\"}",
        "{\"a\":\"\\x41\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\\udc00\"}",
        "{\"a\":\"\\ud800\\u0041\"}",
        "{\"a\":\"\\ud800x\"}",
        "{\"a\":\"\x01\"}",
        "{\"a\":\"line\nbreak\"}",
        "{\"a\":\"\xff\"}",
        "{\"a\":\"\xc0\x80\"}",
        "{\"a\":\"\xed\xa0\x80\"}",
        "{\"a\":\"12345678\xe2\x82\"}",
        "{\"\xff\":1}",
        "{/**/\"a\":1}",
        "\xef\xbb\xbf{}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,\"\\u0061\":2}",
        "{\"x\":{\"a\":1,\"b\":2,\"a\":3}}",
        "{\"x\":[{\"a\":1,\"a\":3}]}",
        "{\"\":1,\"\":2}",
    };
    struct read read = {0};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        if (read_body(&read, bodies[i]) != LETHE_MALFORMED)
            fail_msg("taken: %s", bodies[i]);
        assert_non_null(strstr(read.err.text, "the body is no JSON object: "));
    }
    assert_result(LETHE_MALFORMED, read_both(&read, "{\"a\":\"x\0y\"}", 11, ""));
    guarded_clear(&read.scratch);
}

static void test_no_fit(void **state)
{
    static const struct {
        const char *body, *says;
    } cases[] = {
        {"{\"text\":true}", "field text: expected a text"},
        {"{\"text\":[]}", "field text: expected a text"},
        {"{\"data\":1}", "field data: expected a text in base64"},
        {"{\"number\":1.5}", "field number: expected a whole number"},
        {"{\"number\":\"1x\"}", "field number"},
        {"{\"number\":\"\"}", "field number"},
        {"{\"number\":9223372036854775808}", "field number"},
        {"{\"number\":true}", "field number"},
        {"{\"flag\":2}", "field flag: expected true or false"},
        {"{\"flag\":\"yes\"}", "field flag"},
        {"{\"ttl\":\"10x\"}", "field ttl: expected seconds"},
        {"{\"ttl\":-1}", "field ttl"},
        {"{\"ttl\":\"\"}", "field ttl"},
        {"{\"ttl\":\"m\"}", "field ttl"},
        {"{\"ttl\":\"9223372036854775807d\"}", "field ttl"},
        {"{\"list\":{}}", "field list: expected a list of texts"},
        {"{\"list\":7}", "field list"},
        {"{\"map\":[]}", "field map: expected an object of texts"},
        {"{\"map\":\"x\"}", "field map"},
        {"{\"batch_input\":{}}", "field batch_input: expected a list of objects"},
        {"{\"flag\":2,\"number\":\"x\"}", "field flag"}, /* the first of several */
    };
    struct read read = {0};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (read_body(&read, cases[i].body) != LETHE_INVALID ||
            strstr(read.err.text, cases[i].says) == NULL)
            fail_msg("%s: %s", cases[i].body, read.err.text);
    }
    guarded_clear(&read.scratch);
}

/* A body of `before`, then `count` times `each`, then `after`. */
static lethe_result read_many(struct read *read, const char *before, const char *each, size_t count,
                              const char *after)
{
    CLEANUP(guarded_clear) struct guarded body = {0};
    guarded_text(&body, before);
    for (size_t i = 0; i < count; i++)
        guarded_text(&body, each);
    guarded_text(&body, after);
    return read_both(read, (const char *)body.bytes, body.size_bytes, "");
}

static void test_limits(void **state)
{
    struct read read = {0};
    (void)state;
    assert_result(LETHE_OK, read_many(&read, "{\"x\":", "[", 15, "]]]]]]]]]]]]]]]}"));
    assert_result(LETHE_MALFORMED, read_many(&read, "{\"x\":", "[", 16, "]]]]]]]]]]]]]]]]}"));
    assert_non_null(strstr(read.err.text, "too deep"));
    assert_result(LETHE_MALFORMED, read_many(&read, "{\"x\":", "[", 1000000, ""));
    assert_result(LETHE_MALFORMED, read_many(&read, "{\"x\":", "{\"a\":", 1000000, ""));
    assert_result(LETHE_OK, read_many(&read, "{\"list\":[1", ",1", FIELD_LIST_MAX - 1, "]}"));
    assert_result(LETHE_INVALID, read_many(&read, "{\"list\":[1", ",1", FIELD_LIST_MAX, "]}"));
    assert_result(LETHE_OK, read_many(&read, "{\"x\":[1", ",1", FIELD_ITEMS_MAX - 1, "]}"));
    assert_result(LETHE_MALFORMED, read_many(&read, "{\"x\":[1", ",1", FIELD_ITEMS_MAX, "]}"));
    assert_non_null(strstr(read.err.text, "too long"));
    guarded_clear(&read.scratch);
}

static void test_too_many_names(void **state)
{
    CLEANUP(guarded_clear) struct guarded body = {0};
    struct read read = {0};
    (void)state;
    guarded_text(&body, "{\"a\":1");
    for (unsigned i = 0; i < 2000; i++)
        guarded_format(&body, ",\"name%u\":1", i);
    guarded_text(&body, "}");
    assert_result(LETHE_MALFORMED, read_both(&read, (char *)body.bytes, body.size_bytes, ""));
    assert_non_null(strstr(read.err.text, "too many names"));
    guarded_clear(&read.scratch);
}

static void test_required(void **state)
{
    static const struct field table[] = {{"name", FIELD_TEXT, true, "", NULL}, {0}};
    CLEANUP(guarded_clear) struct guarded scratch = {0};
    struct field_value value;
    struct lethe_error err = {0};
    struct fields_input input = {0};
    (void)state;
    assert_result(LETHE_INVALID, fields_read(table, &input, &scratch, &value, &err));
    assert_string_equal(err.text, "field name is missing");
    input = (struct fields_input){.body = (const uint8_t *)"{\"name\":null}", .body_bytes = 13};
    assert_result(LETHE_INVALID, fields_read(table, &input, &scratch, &value, &err));
    input.query = (const uint8_t *)"name=";
    input.query_bytes = 5;
    assert_ok(fields_read(table, &input, &scratch, &value, &err), &err);
    check_text(&value, "");
}

/* ---- what is read ---------------------------------------------------------------------------- */

static void test_scalars(void **state)
{
    struct read read = {0};
    (void)state;
    assert_ok(read_body(&read, " {\"text\" : \"abc\",\n\"data\":\"AAEC\", \"number\":-42,"
                               "\"flag\":true,\"ttl\":90, \"unknown\":{\"a\":[1,2.5e3,{}]}} \n"),
              &read.err);
    check_text(&read.values[TEXT], "abc");
    check_text(&read.values[DATA], "AAEC");
    assert_int_equal(read.values[NUMBER].integer, -42);
    assert_true(read.values[FLAG].boolean);
    assert_int_equal(read.values[TTL].integer, 90);
    assert_false(read.values[LIST].given);
    assert_int_equal(read.scratch.size_bytes, 0); /* nothing was copied */

    assert_ok(read_body(&read, "{\"text\":2,\"number\":\"17\",\"flag\":\"False\",\"ttl\":\"1h30m\","
                               "\"data\":null,\"list\":null,\"batch_input\":null}"),
              &read.err);
    check_text(&read.values[TEXT], "2");
    assert_int_equal(read.values[NUMBER].integer, 17);
    assert_true(read.values[FLAG].given && !read.values[FLAG].boolean);
    assert_int_equal(read.values[TTL].integer, 5400);
    assert_false(read.values[DATA].given || read.values[LIST].given || read.values[ITEMS].given);
    assert_ok(read_body(&read, ""), &read.err);
    assert_ok(read_body(&read, "{}"), &read.err);
    guarded_clear(&read.scratch);
}

static void test_escapes(void **state)
{
    struct read read = {0};
    (void)state;
    assert_ok(read_body(&read, "{\"te\\u0078t\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e4\\u20ac"
                               "\\ud83d\\ude00 \xf0\x9f\x98\x80\",\"data\":\"A\\/8=\"}"),
              &read.err);
    check_text(&read.values[TEXT],
               "\"\\/\b\f\n\r\tA\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80 \xf0\x9f\x98\x80");
    check_text(&read.values[DATA], "A/8=");
    assert_ok(read_body(&read, "{\"text\":\"a\\u0000b\"}"), &read.err);
    char copy[8];
    assert_int_equal(read.values[TEXT].length, 3);
    assert_result(LETHE_INVALID, field_copy(&read.values[TEXT], "text", copy, 8, &read.err));
    /* A name goes on behind a NUL. */
    assert_ok(read_body(&read, "{\"text\\u0000\":1,\"text\\u0000padding behind it\":2}"),
              &read.err);
    assert_false(read.values[TEXT].given);
    guarded_clear(&read.scratch);
}

/* Texts of every length around the eight bytes that are looked at together, with what ends a run in
 * every place. */
static void test_every_offset(void **state)
{
    struct read read = {0};
    char body[80];
    (void)state;
    for (unsigned length = 0; length < 24; length++) {
        for (unsigned at = 0; at < length; at++) {
            int size = snprintf(body, sizeof body, "{\"text\":\"%.*s\"}", length,
                                "abcdefghijklmnopqrstuvwxyz");
            body[9 + at] = '\x1f';
            assert_result(LETHE_MALFORMED, read_both(&read, body, (size_t)size, ""));
            body[9 + at] = '\x80';
            assert_result(LETHE_MALFORMED, read_both(&read, body, (size_t)size, ""));
            body[9 + at] = '\x7f';
            assert_ok(read_both(&read, body, (size_t)size, ""), &read.err);
            assert_int_equal(read.values[TEXT].length, length);
        }
    }
    guarded_clear(&read.scratch);
}

static void test_query(void **state)
{
    struct read read = {0};
    (void)state;
    assert_ok(read_both(&read, "{\"text\":\"bo\\u0064y\"}", 20,
                        "text=query&number=5&list=a%2cb,+c&flag=1&x&ttl=2m&data=A%2B8%3D&data=no"),
              &read.err);
    check_text(&read.values[TEXT], "body");
    check_text(&read.values[DATA], "A+8=");
    assert_int_equal(read.values[NUMBER].integer, 5);
    assert_int_equal(read.values[TTL].integer, 120);
    assert_true(read.values[FLAG].boolean);
    check_text(&read.values[LIST], "a,b, c");
    assert_result(LETHE_MALFORMED, read_both(&read, "", 0, "text=%4"));
    assert_result(LETHE_MALFORMED, read_both(&read, "", 0, "text=%zz"));
    assert_result(LETHE_MALFORMED, read_both(&read, "", 0, "text=%ff"));
    assert_result(LETHE_INVALID, read_both(&read, "", 0, "number=x"));
    assert_result(LETHE_INVALID, read_both(&read, "", 0, "map=x"));
    assert_true(fields_query_says((const uint8_t *)"a=b&list=true", 13, "list"));
    assert_true(fields_query_says((const uint8_t *)"list=1", 6, "list"));
    assert_false(fields_query_says((const uint8_t *)"list=false", 10, "list"));
    assert_false(fields_query_says((const uint8_t *)"list", 4, "list"));
    assert_false(fields_query_says((const uint8_t *)"", 0, "list"));
    guarded_clear(&read.scratch);
}

/* ---- lists ----------------------------------------------------------------------------------- */

static void check_list(struct read *read, const char *body, const char *joined)
{
    CLEANUP(guarded_clear) struct guarded scratch = {0};
    CLEANUP(guarded_clear) struct guarded all = {0};
    struct field_value element;
    const char *at = NULL;
    lethe_result result;
    assert_ok(read_body(read, body), &read->err);
    while ((result = field_list_next(&read->values[LIST], &at, &scratch, &element, &read->err)) ==
           LETHE_OK) {
        guarded_append(&all, element.text, element.length);
        guarded_text(&all, "|");
    }
    assert_result(LETHE_NOT_FOUND, result);
    assert_int_equal(all.size_bytes, strlen(joined));
    if (all.size_bytes > 0)
        assert_memory_equal(all.bytes, joined, all.size_bytes);
}

static void test_lists(void **state)
{
    struct read read = {0};
    struct field_value element;
    const char *at = NULL;
    (void)state;
    check_list(&read, "{}", "");
    check_list(&read, "{\"list\":[]}", "");
    check_list(&read, "{\"list\":\"\"}", "");
    check_list(&read, "{\"list\":[\"a\", \"\" , \"b\\\"c\", 5]}", "a||b\"c|5|");
    check_list(&read, "{\"list\":\"a, b ,,c\"}", "a|b|c|");
    check_list(&read, "{\"list\":\"[x]\"}", "[x]|");
    assert_ok(read_body(&read, "{\"list\":[{}, \"b\"]}"), &read.err);
    assert_result(LETHE_INVALID,
                  field_list_next(&read.values[LIST], &at, &read.scratch, &element, &read.err));
    assert_ok(field_list_next(&read.values[LIST], &at, &read.scratch, &element, &read.err),
              &read.err);
    check_text(&element, "b");
    guarded_clear(&read.scratch);
}

static void test_maps(void **state)
{
    struct read read = {0};
    CLEANUP(guarded_clear) struct guarded scratch = {0};
    struct field_value name, value;
    const char *at = NULL;
    (void)state;
    assert_ok(read_body(&read, "{\"map\":{\"a\\n\":\"\\u0031\", \"b\":2}}"), &read.err);
    assert_ok(field_map_next(&read.values[MAP], &at, &scratch, &name, &value, &read.err),
              &read.err);
    check_text(&name, "a\n");
    check_text(&value, "1");
    assert_ok(field_map_next(&read.values[MAP], &at, &scratch, &name, &value, &read.err),
              &read.err);
    check_text(&name, "b");
    check_text(&value, "2");
    assert_result(LETHE_NOT_FOUND,
                  field_map_next(&read.values[MAP], &at, &scratch, &name, &value, &read.err));
    guarded_clear(&read.scratch);
}

static void test_items(void **state)
{
    struct read read = {0};
    CLEANUP(guarded_clear) struct guarded scratch = {0};
    struct field_value item[2];
    const char *at = NULL;
    static const lethe_result expected[] = {LETHE_OK,      LETHE_INVALID, LETHE_INVALID,
                                            LETHE_INVALID, LETHE_OK,      LETHE_NOT_FOUND};
    (void)state;
    assert_ok(read_body(&read, "{\"batch_input\":[{\"plaintext\":\"AA==\",\"x\":{}},"
                               "{\"reference\":\"r\"}, 7, {\"plaintext\":[1],\"reference\":\"s\"},"
                               "{\"reference\":\"\\u0074\",\"plaintext\":\"\"}]}"),
              &read.err);
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        assert_result(expected[i], field_item_next(item_fields, &read.values[ITEMS], &at, &scratch,
                                                   item, &read.err));
        if (i == 3)
            check_text(&item[1], "s"); /* what is there of one that does not fit */
        if (i == 4)
            check_text(&item[1], "t");
    }
    guarded_clear(&read.scratch);
}

static void test_decoding(void **state)
{
    static const char *const wrong[] = {
        "A", "AA", "AA=", "AB==", "A===", "AA==AA==", "AA-_", "AA=A", "A A=", "AAA=\n", "===="};
    CLEANUP(guarded_clear) struct guarded out = {0};
    struct field_value value = {.given = true, .text = "AAEC/w==", .length = 8};
    (void)state;
    assert_int_equal(field_decode(&value, &out), LETHE_OK);
    assert_int_equal(out.size_bytes, 4);
    assert_memory_equal(out.bytes, "\0\1\2\xff", 4);
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        value.text = wrong[i];
        value.length = strlen(wrong[i]);
        if (field_decode(&value, &out) != LETHE_MALFORMED)
            fail_msg("taken: %s", wrong[i]);
        assert_int_equal(out.size_bytes, 4); /* nothing is left behind */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_json),  cmocka_unit_test(test_no_fit),
        cmocka_unit_test(test_limits),   cmocka_unit_test(test_too_many_names),
        cmocka_unit_test(test_required), cmocka_unit_test(test_scalars),
        cmocka_unit_test(test_escapes),  cmocka_unit_test(test_every_offset),
        cmocka_unit_test(test_query),    cmocka_unit_test(test_lists),
        cmocka_unit_test(test_maps),     cmocka_unit_test(test_items),
        cmocka_unit_test(test_decoding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
