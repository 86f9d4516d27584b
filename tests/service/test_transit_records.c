/* What calls of transit leave on record, and which data keys they give away (K-5, K-6, E-8). */
#include "transit_check.h"

#define MODEL "acme.llama.hot"

static void make_model(struct check *check)
{
    must(check, "POST", "transit/keys/" MODEL, NULL);
    must(check, "POST", "transit/encrypt/" MODEL, "{\"plaintext\":\"aGVsbG8=\"}");
}

/* ---- releases -------------------------------------------------------------------------------- */

static void a_release_below_the_minimum_gets_no_key(void **state)
{
    static const char *const wanted[] = {
        ",\"purpose\":\"load\",\"release\":2,\"shard\":\"0007\"",
        ",\"purpose\":\"load\"",
        ",\"purpose\":\"reencrypt\",\"release\":2",
        "",
        ",\"release\":-1",
    };
    struct check *check = *state;
    char body[4096];
    make_model(check);
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        must(check, "POST", "transit/encrypt/" MODEL, "{\"plaintext\":\"aGVsbG8=\"}");
        strcpy(body, with_text(check, wanted[i]));
        if (i == 0) {
            must(check, "POST", "transit/decrypt/" MODEL, body); /* until there is a minimum */
            must(check, "POST", "lethe/keys/" MODEL "/minimum", "{\"minimum\":3}");
        }
        unsigned status = ask(check, "POST", "transit/decrypt/" MODEL, body);
        if (status != 403 && (i != 4 || status != 400))
            fail_msg("%s: %u %s", body, status, body_text(check));
        assert_has_not(check, "aGVsbG8");
    }
    assert_int_equal(1, records(check, "key_denied", "\"shards\":\"0007\""));
    assert_int_equal(4, records(check, "key_denied", "\"purpose\":"));
    assert_int_equal(1, records(check, "key_released", NULL));
}

static void a_minimum_is_only_raised(void **state)
{
    struct check *check = *state;
    must(check, "GET", "lethe/keys/acme.llama/minimum", NULL);
    assert_has(check, "\"minimum\":0");
    must(check, "POST", "lethe/keys/acme.llama/minimum", "{\"minimum\":\"3\"}");
    assert_int_equal(400, ask(check, "POST", "lethe/keys/acme.llama/minimum", "{\"minimum\":3}"));
    assert_int_equal(400, ask(check, "POST", "lethe/keys/acme.llama/minimum", "{\"minimum\":2}"));
    must(check, "GET", "lethe/keys/" MODEL "/minimum", NULL);
    assert_has(check, "\"model\":\"acme.llama\",\"minimum\":3");
}

static void a_release_is_on_record_with_its_purpose_and_shards(void **state)
{
    struct check *check = *state;
    char body[4096];
    const char *text;
    make_model(check);
    text = with_text(check, "");
    snprintf(body, sizeof body,
             "{\"purpose\":\"load\",\"release\":1,\"batch_input\":[%.*s,\"shard\":\"0001\"},"
             "%.*s,\"shard\":\"0002\"},{\"ciphertext\":\"vault:v1:AAAA\",\"shard\":\"0003\"}],"
             "\"partial_failure_response_code\":207}",
             (int)strlen(text) - 1, text, (int)strlen(text) - 1, text);
    assert_int_equal(207, ask(check, "POST", "transit/decrypt/" MODEL, body));
    assert_int_equal(1, records(check, "key_released", "\"shards\":\"0001,0002\""));
    assert_int_equal(1, records(check, "key_denied", "\"shards\":\"0003\""));
    assert_int_equal(1, records(check, "key_released", "\"purpose\":\"load\""));
    assert_int_equal(0, records(check, "key_used", "\"purpose\":\"decrypt\""));
}

static void more_shards_than_a_record_holds_are_in_several(void **state)
{
    enum { ITEMS = 100 };
    static char body[65536];
    struct check *check = *state;
    make_model(check);
    const char *text = with_text(check, "");
    size_t at = (size_t)snprintf(body, sizeof body, "{\"purpose\":\"load\",\"batch_input\":[");
    for (unsigned i = 0; i < ITEMS; i++)
        at += (size_t)snprintf(body + at, sizeof body - at, "%s%.*s,\"shard\":\"shard-%04u\"}",
                               i > 0 ? "," : "", (int)strlen(text) - 1, text, i);
    snprintf(body + at, sizeof body - at, "]}");
    must(check, "POST", "transit/decrypt/" MODEL, body);
    assert_int_equal(3, records(check, "key_released", NULL)); /* 100 names of 11 bytes, 511 each */
    for (unsigned i = 0; i < ITEMS; i++) {
        char name[32];
        snprintf(name, sizeof name, "shard-%04u", i);
        assert_int_equal(1, records(check, "key_released", name));
    }
}

static void any_key_releases_for_a_purpose(void **state)
{
    struct check *check = *state;
    must(check, "POST", "transit/keys/plain", NULL);
    must(check, "POST", "transit/encrypt/plain", "{\"plaintext\":\"aGVsbG8=\"}");
    char body[4096];
    strcpy(body, with_text(check, ",\"purpose\":\"export\""));
    must(check, "POST", "transit/decrypt/plain", body);
    assert_int_equal(1, records(check, "key_released", "\"purpose\":\"export\""));
}

/* ---- uses ------------------------------------------------------------------------------------ */

static void one_call_is_one_record(void **state)
{
    struct check *check = *state;
    must(check, "POST", "transit/keys/k", NULL);
    must(check, "POST", "transit/encrypt/k",
         "{\"batch_input\":[{\"plaintext\":\"\"},{\"plaintext\":\"\"},{\"plaintext\":\"!\"},"
         "{\"plaintext\":\"\"}],\"partial_failure_response_code\":207}");
    assert_int_equal(1, records(check, "key_used", NULL));
    assert_int_equal(1, records(check, "key_used", "\"count\":3"));
    must(check, "POST", "transit/hmac/k", "{\"input\":\"\"}");
    must(check, "POST", "transit/datakey/wrapped/k", NULL);
    assert_int_equal(1, records(check, "key_used", "\"purpose\":\"hmac\""));
    assert_int_equal(1, records(check, "key_used", "\"purpose\":\"datakey\""));
    must(check, "POST", "transit/random", NULL);
    assert_int_equal(3, records(check, "key_used", NULL));
}

static void each_version_of_a_batch_is_on_record(void **state)
{
    struct check *check = *state;
    char first[4096], body[20000];
    must(check, "POST", "transit/keys/k", NULL);
    must(check, "POST", "transit/encrypt/k", "{\"plaintext\":\"\"}");
    strcpy(first, with_text(check, ""));
    must(check, "POST", "transit/keys/k/rotate", NULL);
    must(check, "POST", "transit/encrypt/k", "{\"plaintext\":\"\"}");
    snprintf(body, sizeof body, "{\"batch_input\":[%s,%s,%s]}", first, first, with_text(check, ""));
    must(check, "POST", "transit/decrypt/k", body);
    assert_int_equal(2, records(check, "key_used", "\"purpose\":\"decrypt\""));
    assert_int_equal(1, records(check, "key_used", "\"count\":2"));
}

static void a_refused_use_is_on_record(void **state)
{
    struct check *check = *state;
    must(check, "POST", "transit/keys/k", NULL);
    must(check, "POST", "transit/encrypt/k", "{\"plaintext\":\"\"}");
    char body[4096];
    strcpy(body, with_text(check, ",\"associated_data\":\"YQ==\""));
    assert_int_equal(400, ask(check, "POST", "transit/decrypt/k", body));
    must(check, "POST", "lethe/keys/k/revoke", "{\"reason\":\"lost\"}");
    assert_int_equal(403, ask(check, "POST", "transit/encrypt/k", "{\"plaintext\":\"\"}"));
    assert_int_equal(2, records(check, "key_used", "\"decision\":\"refused\""));
    assert_int_equal(1, records(check, "key_revoked", "\"reason\":\"lost\""));
}

static void what_was_revoked_is_rewrapped_and_not_opened(void **state)
{
    struct check *check = *state;
    char old[4096];
    must(check, "POST", "transit/keys/k", NULL);
    must(check, "POST", "transit/encrypt/k", "{\"plaintext\":\"aGVsbG8=\"}");
    strcpy(old, with_text(check, ""));
    must(check, "POST", "lethe/keys/k/revoke", "{\"reason\":\"lost\"}");
    must(check, "GET", "lethe/keys/k/status?version=1", NULL);
    assert_has(check, "\"usable\":false,\"reason\":\"revoked\"");
    assert_int_equal(403, ask(check, "POST", "transit/decrypt/k", old));
    must(check, "POST", "transit/keys/k/rotate", NULL);
    must(check, "POST", "transit/rewrap/k", old);
    must(check, "POST", "transit/decrypt/k", with_text(check, ""));
    assert_has(check, "aGVsbG8=");
    must(check, "GET", "lethe/keys/k/status", NULL);
    assert_has(check, "\"usable\":true,\"reason\":\"\"");
}

/* ---- who may take keys out --------------------------------------------------------------------
 */

static void only_operators_take_keys_out_and_revoke(void **state)
{
    static const struct {
        const char *method, *path, *body;
    } calls[] = {{"GET", "transit/export/encryption-key/k", NULL},
                 {"GET", "transit/backup/k", NULL},
                 {"POST", "transit/restore", "{\"backup\":\"YQ==\"}"},
                 {"POST", "lethe/keys/k/revoke", "{\"reason\":\"x\"}"}};
    struct check *check = *state;
    must(check, "POST", "transit/keys/k", "{\"exportable\":true,\"allow_plaintext_backup\":true}");
    for (size_t i = 0; i < ARRAY_LEN(calls); i++)
        assert_int_equal(403,
                         call(check, calls[i].method, calls[i].path, check->root, calls[i].body));
    must(check, "GET", "transit/export/encryption-key/k", NULL); /* an operator may */
    assert_int_equal(1, records(check, "key_released", "\"purpose\":\"export\""));
}

static void schedules_are_kept(void **state)
{
    struct check *check = *state;
    must(check, "POST", "transit/keys/k", NULL);
    must(check, "POST", "lethe/keys/k/schedule", "{\"rotate_every\":\"90s\"}");
    assert_has(check, "\"auto_rotate_period\":90");
    assert_int_equal(400, ask(check, "POST", "lethe/keys/k/schedule", "{\"rotate_every\":-1}"));
    assert_int_equal(404, ask(check, "POST", "lethe/keys/none/schedule", "{\"rotate_every\":1}"));
}

/* K-8 */
static void a_rollout_is_what_was_reported(void **state)
{
    static const char *const bad[] = {
        "{}",
        "{\"model\":\"m\"}",
        "{\"model\":\"m\",\"counts\":[{}]}",
        "{\"model\":\"\",\"counts\":[{\"version\":1,\"shards\":1}]}",
        "{\"model\":\"m\",\"counts\":[{\"version\":0,\"shards\":1}]}",
        "{\"model\":\"m\",\"counts\":[{\"version\":1,\"shards\":0}]}",
        "{\"model\":\"m\",\"counts\":[{\"version\":9,\"shards\":1}]}"};
    struct check *check = *state;
    must(check, "POST", "transit/keys/k", NULL);
    must(check, "POST", "transit/keys/k/rotate", NULL);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (ask(check, "POST", "lethe/keys/k/usage", bad[i]) != 400)
            fail_msg("%s: %u %s", bad[i], check->status, body_text(check));
    assert_int_equal(404, ask(check, "GET", "lethe/keys/none/rollout", NULL));
    must(check, "POST", "lethe/keys/k/usage",
         "{\"model\":\"/models/a\",\"counts\":[{\"version\":1,\"shards\":3},"
         "{\"version\":\"2\",\"shards\":4}]}");
    must(check, "POST", "lethe/keys/k/usage",
         "{\"model\":\"b\",\"counts\":[{\"version\":1,\"shards\":2}]}");
    must(check, "GET", "lethe/keys/k/rollout", NULL);
    assert_has(check, "\"model\":\"/models/a\",\"version\":1,\"shards\":3");
    assert_has(check, "\"1\":5");
    assert_has(check, "\"2\":4");
    assert_has(check, "\"behind\":5");
    must(check, "POST", "lethe/keys/k/usage", "{\"model\":\"b\",\"counts\":[]}");
    must(check, "GET", "lethe/keys/k/rollout", NULL);
    assert_has(check, "\"behind\":3");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        ON_SERVICE(a_release_below_the_minimum_gets_no_key),
        ON_SERVICE(a_minimum_is_only_raised),
        ON_SERVICE(a_release_is_on_record_with_its_purpose_and_shards),
        ON_SERVICE(more_shards_than_a_record_holds_are_in_several),
        ON_SERVICE(any_key_releases_for_a_purpose),
        ON_SERVICE(one_call_is_one_record),
        ON_SERVICE(each_version_of_a_batch_is_on_record),
        ON_SERVICE(a_refused_use_is_on_record),
        ON_SERVICE(what_was_revoked_is_rewrapped_and_not_opened),
        ON_SERVICE(only_operators_take_keys_out_and_revoke),
        ON_SERVICE(schedules_are_kept),
        ON_SERVICE(a_rollout_is_what_was_reported),
    };
    return cmocka_run_group_tests(tests, service_start, NULL);
}
