/* The core: who has proven nothing learns nothing, nobody is somebody else, records come before
 * answers, and what a peer may not say ends it. */
#include "service_check.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "service/call.h"
#include "service/core_core.h"
#include "service/tokens_core.h"

/* ---- who asks -------------------------------------------------------------------------------- */

/* E-1: without a proof, a path that is there, one that is not, a wrong method and a wrong token are
 * all the same. */
static void nothing_is_learnt_without_a_proof(void **state)
{
    static const struct {
        const char *method, *path, *token;
    } cases[] = {
        {"GET", "sys/mounts", NULL},      {"GET", "no/such/path", NULL},
        {"DELETE", "sys/mounts", NULL},   {"GET", "sys/mounts", "wrong"},
        {"GET", "no/such/path", "wrong"}, {"GET", "sys/mounts", ""},
        {"POST", "sys/seal", NULL},       {"POST", "sys/init", NULL},
        {"GET", "../sys/mounts", NULL},   {"GET", "", NULL},
        {"GET", "metrics", NULL},         {"GET", "sys/internal/specs/openapi", NULL},
    };
    struct check *check = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (call(check, cases[i].method, cases[i].path, cases[i].token, NULL) != 403)
            fail_msg("%s %s: %u", cases[i].method, cases[i].path, check->status);
        assert_string_equal(body_text(check), "{\"errors\":[\"permission denied\"]}");
        assert_string_equal(check->content_type, "application/json");
    }
    assert_int_equal(200, call(check, "GET", "sys/mounts", check->root, NULL)); /* the control */
    assert_int_equal(404, call(check, "GET", "no/such/path", check->root, NULL));
    assert_int_equal(405, call(check, "DELETE", "sys/mounts", check->root, NULL));
}

/* K-12, A-6: whoever shows a wrong token waits, whoever shows none does not; both are on record, by
 * source. */
static void failed_proofs_are_counted(void **state)
{
    struct check *check = *state;
    call(check, "GET", "sys/mounts", NULL, NULL);
    assert_int_equal(0, check->penalties);
    call(check, "GET", "sys/mounts", "wrong", NULL);
    call(check, "GET", "sys/mounts", "wrong", NULL);
    assert_int_equal(2, check->penalties);
    assert_int_equal(0, records(check, "auth_failure", NULL));
    reopen(check);
    assert_int_equal(1, records(check, "auth_failure", "\"count\":3"));
    assert_int_equal(1, records(check, "auth_failure", "192.0.2.7"));
}

static void what_is_not_offered_is_refused(void **state)
{
    struct check *check = *state;
    assert_int_equal(400, call_with_flags(check, WIRE_WRAP_TTL, "/v1/sys/mounts", check->root));
    assert_int_equal(404, call_with_flags(check, WIRE_NAMESPACE, "/v1/sys/mounts", check->root));
}

static void paths_are_taken_as_they_are(void **state)
{
    static const struct {
        const char *path;
        unsigned status;
    } cases[] = {{"sys/health", 200},
                 {"sys/health/", 200},
                 {"sys//health", 404},
                 {"sys/./health", 404},
                 {"sys/../sys/health", 404},
                 {"/sys/health", 404},
                 {"sys/health\x01", 404},
                 {"sys/health\xff", 404},
                 {"sys/healt", 404},
                 {"sys/healthy", 404},
                 {"sys", 404},
                 {"sys/health/x", 404},
                 {"SYS/health", 404}};
    struct check *check = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (call(check, "GET", cases[i].path, check->root, NULL) != cases[i].status)
            fail_msg("%s: %u", cases[i].path, check->status);
    }
    char path[9001];
    memset(path, 'a', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_int_equal(404, call(check, "GET", path, check->root, NULL));
}

/* E-7 */
static void nobody_is_somebody_else(void **state)
{
    static const char *const lies[] = {
        "{\"tenant\":\"other\"}", "{\"tenant\":\"\"}", "{\"principal\":\"spiffe://example.org/x\"}",
        "{\"identity\":\"token:accessor-\"}", "{\"tenant\":\"acme\",\"principal\":\"root\"}"};
    struct check *check = *state;
    for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
        assert_int_equal(403, call(check, "POST", "sys/capabilities-self", check->other, lies[i]));
        assert_string_equal(body_text(check), "{\"errors\":[\"permission denied\"]}");
    }
    assert_int_equal(ARRAY_LEN(lies), records(check, "policy_violation", check->other_name));
    assert_int_equal(403, call(check, "GET", "sys/mounts?tenant=other", check->root, NULL));
    char truth[256];
    snprintf(truth, sizeof truth, "{\"tenant\":\"acme\",\"principal\":\"%s\"}", check->other_name);
    assert_int_equal(200, call(check, "POST", "sys/capabilities-self", check->other, truth));
}

/* E-1: the policy is asked, and what it says is on record. */
static void decisions_are_on_record(void **state)
{
    struct check *check = *state;
    assert_int_equal(200, call(check, "GET", "sys/mounts", check->root, NULL));
    assert_int_equal(403, call(check, "GET", "sys/mounts", check->other, NULL));
    assert_int_equal(403, call(check, "POST", "sys/seal", check->other, NULL));
    assert_int_equal(1, records(check, "authorization_granted", "\"resource\":\"sys/mounts\""));
    assert_int_equal(1, records(check, "authorization_denied", "\"resource\":\"sys/mounts\""));
    assert_int_equal(1, records(check, "authorization_denied", "\"action\":\"seal\""));
    assert_int_equal(2, records(check, "authorization_denied", "\"tenant\":\"acme\""));
    assert_int_equal(200, call(check, "GET", "sys/health", NULL, NULL));
    assert_int_equal(0, records(check, "authorization_granted", "sys/health"));
}

static void fields_are_read_before_anything_is_done(void **state)
{
    struct check *check = *state;
    assert_int_equal(400, call(check, "POST", "sys/capabilities-self", check->root, "{"));
    assert_has(check, "{\"errors\":[\"the body is no JSON object: ");
    assert_int_equal(400, call(check, "GET", "sys/health?activecode=x", NULL, NULL));
    assert_int_equal(400, call(check, "GET", "sys/health?activecode=99", NULL, NULL));
    assert_int_equal(200, call(check, "GET", "sys/mounts", check->root, "no JSON, with GET"));
}

/* ---- sealing --------------------------------------------------------------------------------- */

static void sealed_it_does_nothing(void **state)
{
    struct check *check = *state;
    assert_int_equal(204, call(check, "PUT", "sys/seal", check->root, NULL));
    assert_string_equal(check->content_type, "");
    assert_int_equal(0, check->body.size_bytes);
    assert_null(check->service->keeper);
    assert_int_equal(503, call(check, "GET", "sys/mounts", check->root, NULL));
    assert_int_equal(503, call(check, "GET", "no/such/path", NULL, NULL));
    assert_int_equal(403, call(check, "GET", "metrics", check->root, NULL)); /* nothing is proven */
    assert_int_equal(1, check->sealed);
    assert_int_equal(503, call(check, "GET", "sys/health", NULL, NULL));
    assert_int_equal(299, call(check, "GET", "sys/health?sealedcode=299", NULL, NULL));
    assert_has(check, "\"sealed\":true");
    assert_int_equal(200, call_operator(check, "GET", "metrics", NULL));
    assert_has(check, "lethe_sealed 1\n");

    assert_int_equal(200, call(check, "PUT", "sys/unseal", NULL, "{\"key\":\"whatever\"}"));
    assert_has(check, "\"sealed\":false");
    assert_int_equal(0, check->sealed);
    assert_int_equal(200, call(check, "GET", "sys/mounts", check->root, NULL));
}

/* K-2: without its root it stays sealed, and who tries waits. */
static void without_its_root_it_stays_sealed(void **state)
{
    struct check *check = *state;
    char away[160];
    snprintf(away, sizeof away, "%s.away", check->home->root_file);
    assert_int_equal(204, call(check, "PUT", "sys/seal", check->root, NULL));
    assert_int_equal(0, rename(check->home->root_file, away));
    assert_int_not_equal(200, call(check, "PUT", "sys/unseal", NULL, "{}"));
    assert_int_equal(1, check->penalties);
    assert_int_equal(200, call(check, "GET", "sys/seal-status", NULL, NULL));
    assert_has(check, "\"type\":\"file\",\"initialized\":true,\"sealed\":true");
    assert_int_equal(0, rename(away, check->home->root_file));
    assert_int_equal(200, call(check, "PUT", "sys/unseal", NULL, NULL));
}

static void it_is_initialised_once(void **state)
{
    struct check *check = *state;
    assert_int_equal(200, call(check, "GET", "sys/init", NULL, NULL));
    assert_string_equal(body_text(check), "{\"initialized\":true}");
    assert_int_equal(403, call(check, "PUT", "sys/init", check->root, "{\"secret_shares\":1}"));
    assert_int_equal(400, call_operator(check, "PUT", "sys/init", NULL));
    assert_has(check, "initialised before");
    reopen(check);
    assert_int_equal(400, call_operator(check, "PUT", "sys/init", NULL));
}

/* ---- answers --------------------------------------------------------------------------------- */

static json_t *parsed(struct check *check)
{
    json_t *json = NULL;
    struct lethe_error err = {0};
    assert_ok(json_parse(body_text(check), check->body.size_bytes, &json, &err), &err);
    return json;
}

static void mounts_are_at_the_top_and_below_data(void **state)
{
    struct check *check = *state;
    assert_int_equal(200, call(check, "GET", "sys/mounts", check->root, NULL));
    json_t *json = parsed(check);
    const char *id = json_string_value(json_object_get(json, "request_id"));
    assert_int_equal(36, strlen(id));
    assert_int_equal('4', id[14]);
    assert_string_equal(
        "transit", json_string_value(json_object_get(json_object_get(json, "transit/"), "type")));
    assert_true(json_equal(json_object_get(json, "transit/"),
                           json_object_get(json_object_get(json, "data"), "transit/")));
    json_decref(json);
}

static void capabilities_are_what_the_policy_says(void **state)
{
    struct check *check = *state;
    const char *body = "{\"paths\":[\"transit/keys/a\",\"sys/\\\"x\"]}";
    assert_int_equal(200, call(check, "POST", "sys/capabilities-self", check->root, body));
    assert_has(check, "\"data\":{\"transit/keys/a\":[\"root\"],\"sys/\\\"x\":[\"root\"]}");
    json_decref(parsed(check));
    assert_int_equal(200, call(check, "POST", "sys/capabilities-self", check->other, body));
    assert_has(check, "\"transit/keys/a\":[\"deny\"]");
    json_decref(parsed(check));
}

static void the_document_is_of_the_tables(void **state)
{
    struct check *check = *state;
    assert_int_equal(200, call(check, "GET", "lethe/openapi.json", check->other, NULL));
    json_t *json = parsed(check);
    json_t *paths = json_object_get(json, "paths");
    json_t *health = json_object_get(json_object_get(paths, "/sys/health"), "get");
    assert_true(json_is_true(json_object_get(health, "x-vault-unauthenticated")));
    assert_int_equal(5, json_array_size(json_object_get(health, "parameters")));
    json_t *proof = json_object_get(paths, "/lethe/audit/proof");
    assert_int_equal(2, json_object_size(proof));
    assert_non_null(json_object_get(json_object_get(proof, "post"), "requestBody"));
    json_decref(json);
}

static void numbers_are_counted(void **state)
{
    struct check *check = *state;
    struct wire_frame frame = {.kind = WIRE_COUNTS};
    frame.parts[0] = (struct wire_part){(const uint8_t *)"door_open 7\n", 12};
    wire_put(&check->client, &frame);
    call(check, "GET", "sys/mounts", check->root, NULL);
    call(check, "GET", "sys/mounts", check->other, NULL);
    assert_int_equal(200, call(check, "GET", "metrics", check->root, NULL));
    assert_string_equal(check->content_type, "text/plain; version=0.0.4");
    assert_has(check, "lethe_sealed 0\n");
    assert_has(check, "lethe_denied_total 1\n");
    assert_has(check, "{route=\"sys/mounts\",methods=\"1\",action=\"mounts\",status=\"2xx\"} 1\n");
    assert_has(check, "{route=\"sys/mounts\",methods=\"1\",action=\"mounts\",status=\"4xx\"} 1\n");
    assert_has(check, "door_open 7\n");
    assert_has_not(check, "accessor");
}

/* ---- turns ----------------------------------------------------------------------------------- */

static size_t checkpoints(struct check *check)
{
    char path[192];
    CLEANUP(buffer_clear) struct buffer text = {0};
    struct lethe_error err = {0};
    size_t count = 0;
    snprintf(path, sizeof path, "%s/checkpoints", check->home->audit);
    assert_ok(file_read_all(AT_FDCWD, path, 1 << 20, &text, &err), &err);
    for (const char *at = text.bytes; (at = strstr(at, "\n\n\xe2\x80\x94")) != NULL; at++)
        count++;
    return count;
}

/* what many calls at once leave on record is durable in one group, before any answer. */
static void calls_share_a_group(void **state)
{
    struct check *check = *state;
    assert_int_equal(0, records(check, "log_read", NULL));
    size_t before = checkpoints(check);
    for (unsigned i = 0; i < 100; i++)
        send_request(check, "GET", "lethe/audit?limit=0", check->root, NULL);
    run_core(check);
    assert_int_equal(before + 1, checkpoints(check));
    for (unsigned i = 0; i < 100; i++) {
        assert_true(answer_next(check));
        assert_int_equal(200, check->status);
    }
    assert_false(answer_next(check));
    assert_int_equal(100, records(check, "log_read", NULL));
}

/* a call whose record cannot be made durable is not answered; others are. */
static void no_answer_without_its_record(void **state)
{
    struct check *check = *state;
    check->options.keeper.audit_limits.identity_bytes = 8192;
    reopen(check);
    unsigned answered = 0;
    while (call(check, "GET", "lethe/audit?limit=1", check->root, NULL) == 200) {
        assert_has(check, "\"seq\":0");
        assert_true(++answered < 1000);
    }
    assert_true(answered > 3);
    send_request(check, "GET", "lethe/audit?limit=1", check->root, NULL);
    send_request(check, "GET", "sys/health", check->root, NULL);
    run_core(check);
    assert_true(answer_next(check));
    assert_int_equal(503, check->status);
    assert_string_equal(body_text(check),
                        "{\"errors\":[\"the record could not be made durable\"]}");
    assert_true(answer_next(check));
    assert_int_equal(200, check->status);
}

/* Answers of one turn do not get mixed up, whatever becomes of each. */
static void each_has_its_own_answer(void **state)
{
    struct check *check = *state;
    const struct {
        const char *path, *token, *has;
        unsigned status;
    } cases[] = {{"sys/health", NULL, "\"sealed\":false", 200},
                 {"sys/mounts", "wrong", "permission denied", 403},
                 {"lethe/audit/key", check->root, "lethe/node-1+", 200},
                 {"no/such/path", check->root, "no such path", 404},
                 {"sys/mounts", check->root, "\"transit/\":", 200},
                 {"lethe/audit/proof", check->root, "seq and old", 400}};
    for (size_t i = 0; i < 600; i++)
        send_request(check, "GET", cases[i % 6].path, cases[i % 6].token, NULL);
    run_core(check);
    for (size_t i = 0; i < 600; i++) {
        assert_true(answer_next(check));
        assert_int_equal(cases[i % 6].status, check->status);
        assert_has(check, cases[i % 6].has);
    }
}

/* ---- peers ----------------------------------------------------------------------------------- */

static lethe_result handle_frame(struct check *check, struct core_peer *peer, struct wire *ours,
                                 const struct wire_frame *frame)
{
    struct lethe_error err = {0};
    bool left;
    wire_put(ours, frame);
    assert_ok(wire_flush(ours, &left, &err), &err);
    assert_ok(wire_fill(&peer->wire, &err), &err);
    return core_handle(check->service, peer, &err);
}

/* K-13: a door that was taken over can ask, and nothing else. */
static void what_a_peer_may_not_say_ends_it(void **state)
{
    static const struct wire_frame frames[] = {
        {.kind = WIRE_REQUEST, .code = CALL_GET, .connection = 99}, /* of nobody */
        {.kind = WIRE_REQUEST, .code = 0, .connection = 1},
        {.kind = WIRE_REQUEST, .code = CALL_GET | CALL_POST, .connection = 1},
        {.kind = WIRE_CONNECTION, .connection = 1}, /* once more */
        {.kind = WIRE_ANSWER, .connection = 1},
        {.kind = WIRE_SETTINGS},
        {.kind = WIRE_READY},
        {.kind = WIRE_CLOSE, .connection = 1},
    };
    struct check *check = *state;
    struct wire_frame fine = {.kind = WIRE_CLOSED, .connection = 7};
    for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
        if (handle_frame(check, &check->door, &check->client, &frames[i]) != LETHE_MALFORMED)
            fail_msg("frame %zu", i);
    }
    assert_result(LETHE_OK, handle_frame(check, &check->door, &check->client, &fine));
    assert_result(LETHE_MALFORMED, handle_frame(check, &check->admin, &check->program, &fine));
}

static void a_door_is_told_what_it_needs(void **state)
{
    struct check *check = *state;
    struct wire_frame hello = {.kind = WIRE_HELLO};
    call(check, "GET", "sys/health", NULL, NULL);
    assert_int_equal(1, check->readies);
    assert_int_equal(0, check->settings);
    wire_put(&check->client, &hello);
    call(check, "GET", "sys/health", NULL, NULL);
    assert_int_equal(1, check->settings);
    service_tick(check->service);
    call(check, "GET", "sys/health", NULL, NULL);
    assert_int_equal(1, check->settings); /* nothing has changed */
}

/* E-5: revoked is ended, at once, and nobody else is; what was asked before is answered first. */
static void who_is_cut_off_is_gone(void **state)
{
    struct check *check = *state;
    call(check, "GET", "sys/mounts", check->other, NULL);
    connect_with_chain(check, NULL, 0);
    call(check, "GET", "sys/mounts", check->root, NULL);
    service_cut_off(check->service, "token:somebody-else");
    call(check, "GET", "sys/health", NULL, NULL);
    assert_int_equal(0, check->closes);
    service_cut_off(check->service, check->other_name);
    call(check, "GET", "sys/health", NULL, NULL);
    assert_int_equal(1, check->closes);
}

static void streams_get_what_is_told(void **state)
{
    struct check *check = *state;
    assert_int_equal(403, call(check, "GET", "lethe/events", check->other, NULL));
    assert_int_equal(200, call(check, "GET", "lethe/events", check->root, NULL));
    assert_true(check->stream);
    assert_string_equal(check->content_type, "text/event-stream");
    service_publish(check->service, "revoked", "", "\"key\":\"a\"");
    call(check, "GET", "sys/health", NULL, NULL);
    assert_int_equal(1, check->pieces);
    assert_string_equal((const char *)check->last_piece.bytes,
                        "event: revoked\ndata: {\"tenant\":\"\",\"key\":\"a\"}\n\n");

    struct wire_frame closed = {.kind = WIRE_CLOSED, .connection = check->connection};
    wire_put(&check->client, &closed);
    connect_with_chain(check, NULL, 0);
    call(check, "GET", "sys/health", NULL, NULL);
    service_publish(check->service, "revoked", "", "");
    call(check, "GET", "sys/health", NULL, NULL);
    assert_int_equal(1, check->pieces);
}

static unsigned heard(struct check *check, const char *tenant)
{
    unsigned before = check->pieces;
    service_publish_text(check->service, "key_rotated", tenant, "key", "k");
    call(check, "GET", "sys/health", NULL, NULL);
    return check->pieces - before;
}

/* E-7: what happens to one tenant's keys is nothing that another hears of; and who may no longer
 * listen hears nothing more, though the stream is open. */
static void streams_tell_of_whom_the_policy_lets_them(void **state)
{
    static const char listen[] =
        "{\"policy\":\"path \\\"lethe/events\\\" { capabilities = [\\\"read\\\"] }\"}";
    struct check *check = *state;
    assert_int_equal(204, call_operator(check, "PUT", "sys/policies/acl/nothing", listen));
    assert_int_equal(200, call(check, "GET", "lethe/events", check->other, NULL));
    assert_int_equal(1, heard(check, "acme"));
    assert_string_equal((const char *)check->last_piece.bytes,
                        "event: key_rotated\ndata: {\"tenant\":\"acme\",\"key\":\"k\"}\n\n");
    assert_int_equal(0, heard(check, "other"));
    assert_int_equal(0, heard(check, "acm"));
    assert_int_equal(1, heard(check, ""));
    assert_int_equal(200, call(check, "GET", "lethe/events", check->root, NULL));
    assert_int_equal(1, heard(check, "other"));
    assert_int_equal(2, heard(check, "acme"));
    unsigned before = check->pieces;
    assert_int_equal(204, call_operator(check, "DELETE", "sys/policies/acl/nothing", NULL));
    call(check, "GET", "sys/health", NULL, NULL);
    assert_int_equal(before + 1, check->pieces); /* root's */
    assert_int_equal(1, heard(check, "acme"));
}

/* Each kind of event says whose it is. */
static void events_say_whose_they_are(void **state)
{
    struct check *check = *state;
    assert_int_equal(200, call(check, "POST", "transit/keys/acme.m.hot", check->root, "{}"));
    assert_int_equal(200, call(check, "POST", "transit/keys/plain", check->root, "{}"));
    assert_int_equal(200, call(check, "GET", "lethe/events", check->root, NULL));
    call(check, "POST", "transit/keys/acme.m.hot/rotate", check->root, NULL);
    assert_non_null(strstr((const char *)check->last_piece.bytes, "{\"tenant\":\"acme\",\"key\""));
    call(check, "POST", "transit/keys/plain/rotate", check->root, NULL);
    assert_non_null(strstr((const char *)check->last_piece.bytes, "{\"tenant\":\"\",\"key\""));
    assert_int_equal(
        200, call_operator(check, "POST", "lethe/keys/acme.m.hot/revoke", "{\"reason\":\"x\"}"));
    call(check, "GET", "sys/health", NULL, NULL);
    assert_non_null(strstr((const char *)check->last_piece.bytes,
                           "event: key_revoked\ndata: {\"tenant\":\"acme\",\"key\""));
    char body[256];
    snprintf(body, sizeof body, "{\"accessor\":\"%s\"}", check->other_name + strlen("token:"));
    assert_int_equal(204, call_operator(check, "POST", "auth/token/revoke-accessor", body));
    call(check, "GET", "sys/health", NULL, NULL);
    assert_non_null(strstr((const char *)check->last_piece.bytes,
                           "event: token_revoked\ndata: {\"tenant\":\"acme\",\"accessor\""));
}

static void streams_are_bounded(void **state)
{
    struct check *check = *state;
    for (unsigned i = 0; i < 256; i++)
        assert_int_equal(200, call(check, "GET", "lethe/events", check->root, NULL));
    assert_int_equal(503, call(check, "GET", "lethe/events", check->root, NULL));
    assert_false(check->stream);
}

static void operators_are_who_the_socket_says(void **state)
{
    struct check *check = *state;
    struct wire_frame liar = {.kind = WIRE_CONNECTION, .connection = check->connection};
    liar.parts[0] = (struct wire_part){(const uint8_t *)"192.0.2.9", 9};
    assert_result(LETHE_OK, handle_frame(check, &check->admin, &check->program, &liar));
    assert_int_equal(200, call_operator(check, "GET", "sys/mounts", NULL));
    assert_int_equal(1, records(check, "authorization_granted", "\"actor\":\"uid:0\""));
    struct wire_frame frame = {.kind = WIRE_REQUEST, .code = CALL_GET, .connection = 3};
    frame.parts[1] = (struct wire_part){(const uint8_t *)"sys/mounts", 10};
    assert_result(LETHE_OK, handle_frame(check, &check->admin, &check->program, &frame));
    assert_int_equal(2, records(check, "authorization_granted", "\"actor\":\"uid:0\""));
    frame.connection = 1;
    assert_result(LETHE_OK, handle_frame(check, &check->door, &check->client, &frame));
    assert_int_equal(2,
                     records(check, "authorization_granted", "sys/mounts")); /* no path to a door */
}

#define OTHERS_GENERATION "\x11\x22\x33\x44\x55\x66\x77\x08"

static lethe_result spoil(struct store *store, void *context, uint64_t epoch,
                          struct audit_event *event, struct lethe_error *err)
{
    *event = audit_permission_changed("", "test", "spoilt");
    TRY(store_put(store, "pki/identities/settings", "no row", 6, STORE_ANY, err));
    return store_put(store, TOKEN_GENERATION_ROW, OTHERS_GENERATION, 8, STORE_ANY, err);
}

/* Tokens that another process has changed are read, though the part in front of them is broken. */
static void a_part_that_cannot_be_read_stops_no_other(void **state)
{
    struct check *check = *state;
    struct lethe_error err = {0};
    assert_ok(keeper_change(check->service->keeper, "", spoil, NULL, &err), &err);
    assert_int_equal(LETHE_INTEGRITY, service_refresh(check->service, &err));
    assert_non_null(strstr(err.text, "settings"));
    assert_int_equal(0x0877665544332211, check->service->tokens->generation);
}

static void a_service_has_an_identifier(void **state)
{
    struct check *check = *state;
    char before[64];
    assert_int_equal(200, call(check, "GET", "sys/health", check->root, NULL));
    snprintf(before, sizeof before, "%s", body_member(check, "cluster_id"));
    assert_int_equal(strlen(before), 36);
    assert_int_equal(before[8], '-');
    assert_int_equal(before[14], '8');
    reopen(check);
    assert_int_equal(200, call(check, "GET", "sys/seal-status", check->root, NULL));
    assert_string_equal(before, body_member(check, "cluster_id"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_SERVICE(nothing_is_learnt_without_a_proof),
        ON_SERVICE(failed_proofs_are_counted),
        ON_SERVICE(what_is_not_offered_is_refused),
        ON_SERVICE(paths_are_taken_as_they_are),
        ON_SERVICE(nobody_is_somebody_else),
        ON_SERVICE(decisions_are_on_record),
        ON_SERVICE(fields_are_read_before_anything_is_done),
        ON_SERVICE(sealed_it_does_nothing),
        ON_SERVICE(without_its_root_it_stays_sealed),
        ON_SERVICE(it_is_initialised_once),
        ON_SERVICE(mounts_are_at_the_top_and_below_data),
        ON_SERVICE(capabilities_are_what_the_policy_says),
        ON_SERVICE(the_document_is_of_the_tables),
        ON_SERVICE(numbers_are_counted),
        ON_SERVICE(calls_share_a_group),
        ON_SERVICE(no_answer_without_its_record),
        ON_SERVICE(each_has_its_own_answer),
        ON_SERVICE(what_a_peer_may_not_say_ends_it),
        ON_SERVICE(a_door_is_told_what_it_needs),
        ON_SERVICE(who_is_cut_off_is_gone),
        ON_SERVICE(streams_get_what_is_told),
        ON_SERVICE(streams_tell_of_whom_the_policy_lets_them),
        ON_SERVICE(events_say_whose_they_are),
        ON_SERVICE(streams_are_bounded),
        ON_SERVICE(operators_are_who_the_socket_says),
        ON_SERVICE(a_part_that_cannot_be_read_stops_no_other),
        ON_SERVICE(a_service_has_an_identifier),
    };
    return cmocka_run_group_tests(tests, service_start, NULL);
}
