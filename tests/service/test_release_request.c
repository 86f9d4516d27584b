/* Requests for data keys as JSON: strict, each member once, none but those of
 * docs/release-protocol.md, and within their limits. K-5 */
#include "check.h"

#include <stdlib.h>

#include "service/release.h"

#define SHARD "{\"id\":\"0000\",\"wrapped\":\"vault:v1:AAAA\",\"aad\":\"c2hhcmQ=\"}"

static const struct {
    const char *name, *value;
    size_t most; /* of a text */
} members[] = {
    {"principal", "\"p\"", 127}, {"operation", "\"o\"", 63},   {"model_id", "\"m\"", 64},
    {"tenant", "\"t\"", 64},     {"tier", "\"hot\"", 31},      {"purpose", "\"load\"", 31},
    {"release", "3", 0},         {"shards", "[" SHARD "]", 0},
};
#define NONE ARRAY_LEN(members)

/* With another value for one of them; NULL: without it. `more` stands behind all. */
static lethe_result read_with(size_t which, const char *value, const char *more,
                              struct release_request *out, struct buffer *text,
                              struct lethe_error *err)
{
    buffer_clear(text);
    buffer_text(text, "{");
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        const char *now = i == which ? value : members[i].value;
        if (now != NULL)
            buffer_format(text, "%s\"%s\":%s", text->size_bytes > 1 ? "," : "", members[i].name,
                          now);
    }
    buffer_format(text, "%s}", more);
    return release_request_read(text->bytes, text->size_bytes, out, err);
}

static void assert_refused(size_t which, const char *value, const char *more, const char *why)
{
    struct release_request request;
    struct lethe_error err = {0};
    CLEANUP(buffer_clear) struct buffer text = {0};
    if (read_with(which, value, more, &request, &text, &err) != LETHE_MALFORMED)
        fail_msg("taken: %.200s", text.bytes);
    if (strstr(err.text, why) == NULL)
        fail_msg("%s does not say %s", (const char *)err.text, why);
}

static void a_request_is_read(void **state)
{
    struct release_request request;
    struct lethe_error err = {0};
    CLEANUP(buffer_clear) struct buffer text = {0};
    (void)state;
    assert_ok(read_with(NONE, NULL, ",\"engine\":{\"digest\":\"x\"}", &request, &text, &err), &err);
    assert_string_equal("p", request.principal);
    assert_string_equal("hot", request.tier);
    assert_int_equal(3, request.release);
    assert_int_equal(1, request.shard_count);
    assert_int_equal(strlen("{\"digest\":\"x\"}"), request.engine.length);
    struct release_shard shard;
    struct json_walk walk = json_walk_over(&request.shards);
    assert_ok(release_shard_next(&walk, &shard, &err), &err);
    assert_string_equal("0000", shard.id);
    assert_string_equal("vault:v1:AAAA", shard.wrapped);
    assert_int_equal(5, shard.aad_bytes);
    assert_memory_equal("shard", shard.aad, 5);
    assert_result(LETHE_NOT_FOUND, release_shard_next(&walk, &shard, &err));
}

static void every_member_counts(void **state)
{
    static const char *const others[] = {"null", "true", "[]", "{}", "-1", "1.5"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        char twice[128];
        assert_refused(i, NULL, "", members[i].name);
        snprintf(twice, sizeof twice, ",\"%s\":%s", members[i].name, members[i].value);
        assert_refused(NONE, NULL, twice, members[i].name);
        for (size_t j = 0; j < ARRAY_LEN(others); j++)
            assert_refused(i, others[j], "", i == 7 && j == 2 ? "shards" : members[i].name);
    }
    assert_refused(NONE, NULL, ",\"x\":1", "not known");
    assert_refused(NONE, NULL, ",\"\":1", "not known");
    assert_refused(NONE, NULL, ",\"Principal\":\"p\"", "not known");
    assert_refused(NONE, NULL, ",\"engine\":[]", "engine");
    assert_refused(NONE, NULL, ",\"engine\":{},\"engine\":{}", "engine");
    assert_refused(6, "18446744073709551616", "", "release");
    assert_refused(6, "\"3\"", "", "release");
}

static void texts_have_limits(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        char value[256] = "\"";
        struct release_request request;
        struct lethe_error err = {0};
        CLEANUP(buffer_clear) struct buffer text = {0};
        if (members[i].most == 0)
            continue;
        memset(value + 1, 'a', members[i].most);
        strcpy(value + 1 + members[i].most, "\"");
        assert_ok(read_with(i, value, "", &request, &text, &err), &err);
        memset(value + 1, 'a', members[i].most + 1);
        strcpy(value + 2 + members[i].most, "\"");
        assert_refused(i, value, "", members[i].name);
    }
}

static void what_is_no_json_object_is_refused(void **state)
{
    static const char *const texts[] = {"",  "x",   "null",    "[]",   "\"a\"",
                                        "{", "{}x", "{\"a\"}", "{}{}", "{\"a\":\"\xff\"}"};
    struct release_request request;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        assert_result(LETHE_MALFORMED,
                      release_request_read(texts[i], strlen(texts[i]), &request, NULL));
    size_t too_long = RELEASE_REQUEST_MAX + 1;
    char *blanks = malloc(too_long);
    memset(blanks, ' ', too_long);
    assert_result(LETHE_MALFORMED, release_request_read(blanks, too_long, &request, NULL));
    free(blanks);
}

static lethe_result next_of(const char *shards, struct release_shard *shard)
{
    struct release_request request;
    struct lethe_error err = {0};
    static struct buffer text;
    assert_ok(read_with(7, shards, "", &request, &text, &err), &err);
    struct json_walk walk = json_walk_over(&request.shards);
    lethe_result result = release_shard_next(&walk, shard, &err);
    buffer_clear(&text);
    return result;
}

static void every_member_of_a_shard_counts(void **state)
{
    static const char *const wrong[] = {
        "[1]",
        "[null]",
        "[\"a\"]",
        "[[]]",
        "[{}]",
        "[{\"id\":\"a\",\"wrapped\":\"b\"}]",
        "[{\"id\":\"a\",\"aad\":\"\"}]",
        "[{\"wrapped\":\"b\",\"aad\":\"\"}]",
        "[{\"id\":1,\"wrapped\":\"b\",\"aad\":\"\"}]",
        "[{\"id\":\"a\",\"wrapped\":null,\"aad\":\"\"}]",
        "[{\"id\":\"a\",\"wrapped\":\"b\",\"aad\":\"A\"}]",
        "[{\"id\":\"a\",\"wrapped\":\"b\",\"aad\":\"AA=\"}]",
        "[{\"id\":\"a\",\"wrapped\":\"b\",\"aad\":\"\",\"x\":1}]",
        "[{\"id\":\"a\",\"id\":\"a\",\"wrapped\":\"b\",\"aad\":\"\"}]",
        "[{\"id\":\"a\",\"wrapped\":\"b\",\"wrapped\":\"b\",\"aad\":\"\"}]",
    };
    struct release_shard shard;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        if (next_of(wrong[i], &shard) != LETHE_MALFORMED)
            fail_msg("taken: %s", wrong[i]);
    assert_result(LETHE_OK, next_of("[{\"id\":\"a\",\"wrapped\":\"b\",\"aad\":\"\"}]", &shard));
    assert_int_equal(0, shard.aad_bytes);
}

static void parts_of_a_shard_have_limits(void **state)
{
    static const struct {
        const char *before, *after;
        size_t most;
    } parts[] = {
        {"[{\"wrapped\":\"b\",\"aad\":\"\",\"id\":\"", "\"}]", 64},
        {"[{\"id\":\"a\",\"aad\":\"\",\"wrapped\":\"", "\"}]", RELEASE_WRAPPED_MAX},
        {"[{\"id\":\"a\",\"wrapped\":\"b\",\"aad\":\"", "\"}]", RELEASE_AAD_MAX / 3 * 4},
    };
    struct release_shard shard;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        for (size_t over = 0; over <= 8; over += 8) {
            CLEANUP(buffer_clear) struct buffer text = {0};
            buffer_text(&text, parts[i].before);
            memset(buffer_extend(&text, parts[i].most + over), 'A', parts[i].most + over);
            buffer_text(&text, parts[i].after);
            assert_result(over == 0 ? LETHE_OK : LETHE_MALFORMED, next_of(text.bytes, &shard));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_read),
        cmocka_unit_test(every_member_counts),
        cmocka_unit_test(texts_have_limits),
        cmocka_unit_test(what_is_no_json_object_is_refused),
        cmocka_unit_test(every_member_of_a_shard_counts),
        cmocka_unit_test(parts_of_a_shard_have_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
