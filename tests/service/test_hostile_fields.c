/* Every field of every route against what no client means: never a fault, never half done. K-12 */
#include "hostile.h"

#include <jansson.h>
#include <stdlib.h>

/* ---- fields ---------------------------------------------------------------------------------- */

#define DEEP_50 "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
/* In place of the field's value. */
static const struct bytes values[] = {
    BYTES("null"),
    BYTES("0"),
    BYTES("1"),
    BYTES("-1"),
    BYTES("\"\""),
    BYTES("\"x\""),
    BYTES("true"),
    BYTES("false"),
    BYTES("[]"),
    BYTES("{}"),
    BYTES("[{}]"),
    BYTES("[[]]"),
    BYTES("[null]"),
    BYTES("[1]"),
    BYTES("[\"\"]"),
    BYTES("{\"a\":1}"),
    BYTES("{\"\":\"\"}"),
    BYTES("\"a\\u0000b\""),
    BYTES("\"\\u0000\""),
    BYTES("[\"\\u0000\"]"),
    BYTES("{\"\\u0000\":\"\\u0000\"}"),
    BYTES("\"a\xff\""),
    BYTES("\"\xc0\x80\""),
    BYTES("\"\xed\xa0\x80\""),
    BYTES("\"\\ud800\""),
    BYTES("\"\\udc00\\ud800\""),
    BYTES("\"\\ud800x\""),
    BYTES("\"\\u12\""),
    BYTES("\"\\x41\""),
    BYTES("\"\x01\""),
    BYTES("9223372036854775807"),
    BYTES("-9223372036854775808"),
    BYTES("9223372036854775808"),
    BYTES("\"9223372036854775807\""),
    BYTES("\"-9223372036854775808\""),
    BYTES("\"9223372036854775807h\""),
    BYTES("\"106751991167300d\""),
    BYTES("1e400"),
    BYTES("1e3"),
    BYTES("-0"),
    BYTES("-0.0"),
    BYTES("0.1"),
    BYTES("01"),
    BYTES("+1"),
    BYTES("0x10"),
    BYTES("NaN"),
    BYTES("Infinity"),
    BYTES("\"-1\""),
    BYTES("\"1e3\""),
    BYTES("\" 1\""),
    BYTES("\"1 \""),
    BYTES("\"%s%n%x\""),
    BYTES("\"../../x\""),
    BYTES("\"a/b\""),
    BYTES("\"====\""),
    BYTES("\"AA=A\""),
    BYTES("\"vault:v1:\""),
    BYTES("\"vault:v0:AAAA\""),
    BYTES("\"vault:v99999999999999999999:AAAA\""),
    BYTES("\"vault:v1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\""),
    BYTES("\"-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----\\n\""),
    BYTES("\"-----BEGIN CERTIFICATE REQUEST-----\\n\\n-----END CERTIFICATE REQUEST-----\\n\""),
    BYTES(DEEP_50),
    BYTES(DEEP_50 DEEP_50),
    BYTES("{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}}"),
    BYTES("\"a\""),
    BYTES("\"root\""),
    BYTES("\"node.log\""),
};

/* What the others of the table are, so that a handler gets as far as the one that is attacked. */
static const char *usual(const struct field *field)
{
    static const struct {
        const char *name, *json;
    } names[] = {{"backup", "\"AAAA\""},
                 {"id", "\"spiffe://example.org/tenant/acme/y\""},
                 {"minimum", "1"},
                 {"rotate_every", "3600"},
                 {"min_available_version", "1"},
                 {"document", "\"{}\""},
                 {"common_name", "\"a.example.org\""}};
    static const char *const types[] = {
        [FIELD_TEXT] = "\"x\"",        [FIELD_BASE64] = "\"aGk=\"", [FIELD_INTEGER] = "1",
        [FIELD_BOOLEAN] = "true",      [FIELD_DURATION] = "\"1h\"", [FIELD_LIST] = "[\"x\"]",
        [FIELD_MAP] = "{\"a\":\"b\"}", [FIELD_ITEMS] = "[{}]"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(field->name, names[i].name) == 0)
            return names[i].json;
    return types[field->type];
}

/* 'other': the required ones too. */
static void put_body(struct buffer *out, const struct field *table, const struct field *attacked,
                     struct bytes value)
{
    buffer_truncate(out, 0);
    buffer_format(out, "{\"%s\":", attacked->name);
    buffer_append(out, value.at, value.size_bytes);
    for (; table->name != NULL; table++)
        if (table->required && table != attacked)
            buffer_format(out, ",\"%s\":%s", table->name, usual(table));
    buffer_text(out, ",\"unknown\":[{\"tenant\":1}]}");
    assert_int_equal(LETHE_OK, out->failure);
}

static void assert_answered(struct check *check, const char *path, const struct buffer *body)
{
    json_error_t why;
    unsigned status = check->status;
    bool is_known =
        status == 200 || status == 204 || status == 400 || status == 403 || status == 404;
    bool is_json = strcmp(check->content_type, "application/json") == 0;
    if (!is_known)
        fail_msg("%s %.300s: %u %.200s", path, body->bytes, status, body_text(check));
    assert_int_equal(status == 204, check->content_type[0] == '\0');
    if (!is_json)
        return;
    json_t *json = json_loadb(body_text(check), check->body.size_bytes,
                              JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &why);
    if (json == NULL)
        fail_msg("%s %.300s: %s: %s", path, body->bytes, why.text, body_text(check));
    if (status != 200 && status != 204 && json_object_get(json, "data") == NULL)
        assert_true(json_is_array(json_object_get(json, "errors")));
    json_decref(json);
}

static unsigned send(struct check *check, const struct route *route, const char *path,
                     const struct buffer *body)
{
    const struct attack one = {.method = first_method(route),
                               .path = path,
                               .token = check->root,
                               .body = {body->bytes, body->size_bytes}};
    bool is_operators = (route->flags & ROUTE_ADMIN) != 0;
    unsigned status = is_operators ? attack_as_operator(check, &one) : attack(check, &one);
    assert_answered(check, path, body);
    return status;
}

static bool takes_body(const struct route *route)
{
    return route->fields != NULL && (first_method(route) & (CALL_POST | CALL_DELETE)) != 0;
}

static void attack_field(struct check *check, const struct route *route, const struct field *field,
                         struct buffer *body)
{
    char path[256];
    path_of(route, MADE, path);
    uint64_t before = state_of(check);
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        put_body(body, route->fields, field, values[i]);
        unsigned status = send(check, route, path, body);
        uint64_t now = state_of(check);
        if (status >= 300 && before != now)
            fail_msg("%s %.300s: refused, and rows have changed", path, body->bytes);
        before = now;
    }
}

static void no_value_of_any_field_is_a_fault(void **state)
{
    struct check *check = *state;
    CLEANUP(buffer_clear) struct buffer body = {0};
    size_t fields = 0;
    make_all(check);
    for (const struct route *route = next_route(NULL); route != NULL; route = next_route(route)) {
        for (const struct field *field = route->fields; takes_body(route) && field->name != NULL;
             field++, fields++)
            attack_field(check, route, field, &body);
    }
    assert_true(fields > 200);
    assert_int_equal(200, call(check, "GET", "sys/mounts", check->root, NULL));
}

/* ---- whole bodies ---------------------------------------------------------------------------- */

static const char *const bodies[] = {"",
                                     " ",
                                     "null",
                                     "[]",
                                     "\"x\"",
                                     "1",
                                     "{",
                                     "}",
                                     "{}{}",
                                     "{}x",
                                     "{\"a\"}",
                                     "{\"a\":}",
                                     "{,}",
                                     "{\"a\":1,}",
                                     "{a:1}",
                                     "{'a':1}",
                                     "\xef\xbb\xbf{}",
                                     "// x\n{}",
                                     "{\"a\":1,\"a\":2}",
                                     "{\"name\":1,\"\\u006eame\":2}",
                                     "{\"\\u0074enant\":\"other\"}",
                                     "{\"\":1,\"\":2}",
                                     "{\"a\":{\"b\":1,\"b\":1}}",
                                     "{\"\\ud83d\\ude00\":1}",
                                     "{\"\\ud83d\":1}",
                                     "{\"\xff\":1}"};

static void no_body_is_a_fault(void **state)
{
    struct check *check = *state;
    make_all(check);
    for (const struct route *route = next_route(NULL); route != NULL; route = next_route(route)) {
        char path[256];
        path_of(route, "none", path);
        bool is_harmless = (first_method(route) & CALL_POST) != 0 &&
                           strcmp(path, "sys/seal") != 0 && strstr(path, "-self") == NULL;
        for (size_t i = 0; i < ARRAY_LEN(bodies) && is_harmless; i++) {
            struct buffer body = {.bytes = (char *)bodies[i], .size_bytes = strlen(bodies[i])};
            (void)send(check, route, path, &body);
        }
    }
    assert_int_equal(200, call(check, "GET", "sys/mounts", check->root, NULL));
}

/* ---- large ones ------------------------------------------------------------------------------ */

static void attack_large(struct check *check, const struct route *route, const struct field *field,
                         size_t length)
{
    CLEANUP(buffer_clear) struct buffer body = {0}, value = {0};
    char path[256];
    path_of(route, MADE, path);
    buffer_byte(&value, '"');
    memset(buffer_extend(&value, length), 'A', length);
    buffer_byte(&value, '"');
    put_body(&body, route->fields, field, (struct bytes){value.bytes, value.size_bytes});
    uint64_t before = state_of(check);
    if (send(check, route, path, &body) >= 300)
        assert_true(before == state_of(check));
}

static void no_length_is_a_fault(void **state)
{
    struct check *check = *state;
    make_all(check);
    for (const struct route *route = next_route(NULL); route != NULL; route = next_route(route)) {
        for (const struct field *field = route->fields; takes_body(route) && field->name != NULL;
             field++) {
            attack_large(check, route, field, 10000);
            attack_large(check, route, field, LARGE_BYTES);
        }
    }
    assert_int_equal(200, call(check, "GET", "sys/mounts", check->root, NULL));
}

/* ---- many items ------------------------------------------------------------------------------ */

static unsigned encrypt_items(struct check *check, size_t count, const char *const *items,
                              size_t kinds)
{
    CLEANUP(buffer_clear) struct buffer body = {0};
    buffer_text(&body, "{\"batch_input\":[");
    for (size_t i = 0; i < count; i++)
        buffer_format(&body, "%s%s", i > 0 ? "," : "", items[i % kinds]);
    buffer_text(&body, "]}");
    const struct attack one = {.method = CALL_POST,
                               .path = "transit/encrypt/" MADE,
                               .token = check->root,
                               .body = {body.bytes, body.size_bytes}};
    unsigned status = attack(check, &one);
    assert_answered(check, one.path, &body);
    return status;
}

static size_t count_of(struct check *check, const char *text)
{
    size_t count = 0;
    for (const char *at = body_text(check); (at = strstr(at, text)) != NULL; at++)
        count++;
    return count;
}

static void items_are_counted(void **state)
{
    static const char *const good[] = {"{\"plaintext\":\"aGk=\"}"};
    static const char *const mixed[] = {"{\"plaintext\":\"aGk=\"}", "{\"plaintext\":\"?\"}", "{}",
                                        "{\"plaintext\":1}", "{\"plaintext\":\"aGk=\",\"x\":[]}"};
    static const char *const none[] = {
        "1", "null", "[]", "\"x\"", "true", "{\"plaintext\":\"aGk=\",\"plaintext\":\"aGk=\"}"};
    struct check *check = *state;
    make_all(check);
    assert_int_equal(400, encrypt_items(check, 0, good, 1));
    assert_int_equal(200, encrypt_items(check, 1, good, 1));
    assert_int_equal(200, encrypt_items(check, 10000, good, 1));
    assert_int_equal(10000, count_of(check, "vault:v1:"));
    assert_int_equal(400, encrypt_items(check, 10001, good, 1));
    assert_int_equal(0, count_of(check, "vault:v1:"));
    assert_int_equal(400, encrypt_items(check, 100, mixed, ARRAY_LEN(mixed)));
    assert_int_equal(40, count_of(check, "vault:v1:"));
    assert_int_equal(60, count_of(check, "\"error\":"));
    for (size_t i = 0; i < ARRAY_LEN(none); i++) {
        const char *const two[] = {good[0], none[i]};
        assert_int_equal(400, encrypt_items(check, 2, two, 2));
        assert_true(count_of(check, "vault:v1:") <= 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_SERVICE(no_value_of_any_field_is_a_fault),
        ON_SERVICE(no_body_is_a_fault),
        ON_SERVICE(no_length_is_a_fault),
        ON_SERVICE(items_are_counted),
    };
    return cmocka_run_group_tests(tests, service_start, NULL);
}
