/* Attested release, attacked: by a tenant's node, by whoever is root on a machine, by what an
 * operator gets wrong (E-4, K-4, K-5). */
#include "check.h"

#include "release_check.h"

#include "base/text.h"
#include "crypto/hash.h"
#include "service/release.h"

#define REVOKE "{\"reason\":\"stolen\"}"

static const struct wanted all_well;

static void begin(struct scene *scene)
{
    take_challenge(scene);
    write_request(scene, &all_well);
}

static void finish(struct scene *scene)
{
    bind_request(scene);
    prove_tpm(scene);
    send_release(scene, "lethe/release");
}

/* Every `from` of the request becomes `to`. */
static void change_request(struct scene *scene, const char *from, const char *to)
{
    struct buffer changed = {0};
    size_t count = 0;
    buffer_byte(&scene->request, '\0');
    const char *at = scene->request.bytes;
    for (const char *next; (next = strstr(at, from)) != NULL; at = next + strlen(from), count++) {
        buffer_append(&changed, at, (size_t)(next - at));
        buffer_text(&changed, to);
    }
    buffer_text(&changed, at);
    assert_true(count > 0);
    buffer_clear(&scene->request);
    scene->request = changed;
}

/* ---- records --------------------------------------------------------------------------------- */

/* K-4: ids are what the requester calls its shards, and what the record names them by. */
static void no_name_of_a_shard_keeps_a_release_off_the_record(void **state)
{
    static const char *const ids[] = {
        "",                      /* nothing to write down */
        "0001,0002",             /* two, in the record */
        "\\u0007\\u0007\\u0007", /* longer on record than it is */
        "\\u00e9",
        " ",
        "a b",
    };
    struct scene *scene = *state;
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        char id[64];
        snprintf(id, sizeof id, "\"id\":\"%s\"", ids[i]);
        begin(scene);
        change_request(scene, "\"id\":\"0000\"", id);
        change_request(scene, "\"id\":\"0001\"", id);
        change_request(scene, "\"id\":\"0002\"", id);
        finish(scene);
        assert_denied(scene, "request_malformed");
    }
    begin(scene);
    change_request(scene, "\"id\":\"0001\"", "\"id\":\"(state)\"");
    finish(scene);
    assert_released(scene);
    assert_int_equal(1, records(scene->check, "key_released", "\"shards\":\"0000,(state),0002\""));
}

/* ---- requests -------------------------------------------------------------------------------- */

static void a_request_reads_in_one_way_only(void **state)
{
    static const struct {
        const char *from, *to;
    } changes[] = {
        {"\"release\":3", "\"release\":1e3"},
        {"\"release\":3", "\"release\":3.0"},
        {"\"release\":3", "\"release\":-0"},
        {"\"release\":3", "\"release\":03"},
        {"\"release\":3", "\"release\":18446744073709551616"},
        {"\"release\":3", "\"release\":3,\"\\u0072elease\":4"},
        {"\"tenant\":\"acme\"", "\"tenant\":\"acme\",\"t\\u0065nant\":\"beta\""},
        {"\"tenant\":\"acme\"", "\"tenant\":\"acme\\u0000beta\""},
        {"\"tenant\":\"acme\"", "\"tenant\":\"acme\\ud800\""},
        {"\"tenant\":\"acme\"", "\"tenant\":\"acme\\udc00\\ud800\""},
        {"\"principal\":\"" PRINCIPAL "\"", "\"principal\":\"" PRINCIPAL "\\u0000\""},
        {"\"model_id\":\"llama\"", "\"model_id\":\"llama.hot\""},
        {"\"model_id\":\"llama\"", "\"model_id\":\"\""},
        {"\"tier\":\"hot\"", "\"tier\":\"\""},
        {"\"tier\":\"hot\"", "\"tier\":\"hot/\""},
        {"\"aad\":\"c2hhcmQ=\"", "\"aad\":\"c2hhcmQ\""},
        {"\"aad\":\"c2hhcmQ=\"", "\"aad\":\"c2hhcmR=\""}, /* bits that mean nothing */
        {"\"aad\":\"c2hhcmQ=\"", "\"aad\":\"c2hhcmQ=\",\"\\u0061ad\":\"\""},
    };
    struct scene *scene = *state;
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        begin(scene);
        change_request(scene, changes[i].from, changes[i].to);
        finish(scene);
        if (scene->check->status != 403)
            fail_msg("%s: %u %s", changes[i].to, scene->check->status, body_text(scene->check));
        assert_denied(scene, "request_malformed");
    }
    begin(scene);
    change_request(scene, "\"tenant\":\"acme\"", "\"t\\u0065nant\":\"\\u0061cme\"");
    finish(scene); /* the control: escapes are JSON */
    assert_released(scene);
}

static void nesting_ends(void **state)
{
    struct scene *scene = *state;
    struct buffer engine = {0};
    buffer_text(&engine, ",\"engine\":");
    for (size_t i = 0; i < 200000; i++)
        buffer_text(&engine, "{\"a\":");
    buffer_text(&engine, "1");
    for (size_t i = 0; i < 200000; i++)
        buffer_text(&engine, "}");
    buffer_byte(&engine, '\0');
    take_challenge(scene);
    write_request(scene, &(struct wanted){.members = engine.bytes});
    finish(scene);
    assert_denied(scene, "request_malformed");
    begin(scene);
    bind_request(scene);
    buffer_clear(&scene->evidence);
    memset(buffer_extend(&scene->evidence, 1 << 20), '[', 1 << 20);
    send_release(scene, "lethe/release");
    assert_denied(scene, "evidence_malformed");
    buffer_clear(&engine);
}

/* The policy takes it apart, and everybody else waits meanwhile. */
static void an_engine_has_a_limit(void **state)
{
    struct scene *scene = *state;
    for (size_t over = 0; over <= 1; over++) {
        CLEANUP(buffer_clear) struct buffer engine = {0};
        size_t fill = RELEASE_ENGINE_MAX - strlen("{\"a\":\"\"}") + over;
        buffer_text(&engine, ",\"engine\":{\"a\":\"");
        memset(buffer_extend(&engine, fill), 'a', fill);
        buffer_text(&engine, "\"}");
        buffer_byte(&engine, '\0');
        take_challenge(scene);
        write_request(scene, &(struct wanted){.members = engine.bytes});
        finish(scene);
        if (over == 0)
            assert_released(scene);
        else
            assert_has(scene->check, "request_malformed: the request: engine is longer");
    }
    assert_int_equal(1, records(scene->check, "key_denied", "request_malformed"));
}

/* ---- keys ------------------------------------------------------------------------------------ */

static void another_tenants_shard_among_ones_own_releases_nothing(void **state)
{
    static const char *const others[] = {"beta.llama.hot", "acme.mistral.hot", "acme.llama.cold"};
    struct scene *scene = *state;
    char own[600];
    strcpy(own, scene->wrapped);
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        char first[700], foreign[700];
        scene_make_key(scene, others[i]);
        snprintf(foreign, sizeof foreign, "\"id\":\"0001\",\"wrapped\":\"%s\"", scene->wrapped);
        strcpy(scene->wrapped, own);
        snprintf(first, sizeof first, "\"id\":\"0001\",\"wrapped\":\"%s\"", own);
        begin(scene);
        change_request(scene, first, foreign);
        finish(scene);
        assert_denied(scene, "key_unusable");
    }
    assert_int_equal(200, ask_release(scene, &all_well));
}

/* The longest ids there may be: each is on record, in as many records as that takes. */
static void as_many_shards_as_there_can_be_are_on_record(void **state)
{
    struct scene *scene = *state;
    const struct wanted most = {.shards = 10000};
    char whole[96];
    take_challenge(scene);
    write_request(scene, &most);
    change_request(scene, "{\"id\":\"",
                   "{\"id\":\"idididididididididididididididididididididididididididididid");
    finish(scene);
    assert_released(scene);
    for (unsigned i = 0; i < 10000; i += 1111) {
        snprintf(whole, sizeof whole,
                 "idididididididididididididididididididididididididididididid%04u", i);
        assert_int_equal(1, records(scene->check, "key_released", whole));
    }
    assert_log_verifies(scene->check->home);
}

/* ---- between challenge and release ----------------------------------------------------------- */

static void revoke_machine(struct scene *scene)
{
    must_ask(scene, "POST", "lethe/attest/machines/rack7/revoke", REVOKE);
}

static void revoke_reference(struct scene *scene)
{
    must_ask(scene, "POST", "lethe/attest/references/prod/revoke", REVOKE);
}

static void revoke_key(struct scene *scene)
{
    must_ask(scene, "POST", "lethe/keys/acme.llama.hot/revoke", REVOKE);
}

static void change_policy(struct scene *scene)
{
    must_ask(scene, "POST", "lethe/policies/data", "{\"document\":\"{}\"}");
}

static void revoke_identity(struct scene *scene)
{
    must_ask(scene, "POST", "lethe/identities/revoke",
             "{\"id\":\"" LOADER_ID "\",\"reason\":\"stolen\"}");
}

static void take_permission(struct scene *scene)
{
    must_ask(scene, "POST", "sys/policies/acl/release",
             "{\"policy\":\"path \\\"transit/*\\\" { capabilities = [\\\"read\\\"] }\"}");
}

/* What is good is what is good when keys leave, not when they were asked for. */
static void a_change_before_the_release_counts(void **state, void (*change)(struct scene *),
                                               const char *code)
{
    struct scene *scene = *state;
    begin(scene);
    bind_request(scene);
    prove_tpm(scene);
    change(scene);
    assert_int_equal(403, send_release(scene, "lethe/release"));
    assert_has_not(scene->check, "\"ciphertext\":");
    if (code != NULL)
        assert_denied(scene, code);
    assert_int_equal(0, records(scene->check, "key_released", NULL));
}

static void a_machine_revoked_meanwhile_gets_nothing(void **state)
{
    a_change_before_the_release_counts(state, revoke_machine, "machine_revoked");
}

static void a_reference_revoked_meanwhile_is_good_no_more(void **state)
{
    a_change_before_the_release_counts(state, revoke_reference, "pcr_selection");
}

static void a_key_revoked_meanwhile_is_not_released(void **state)
{
    a_change_before_the_release_counts(state, revoke_key, "key_unusable");
}

static void a_policy_changed_meanwhile_decides(void **state)
{
    a_change_before_the_release_counts(state, change_policy, "policy_denied");
}

static void an_identity_revoked_meanwhile_is_nobody(void **state)
{
    a_change_before_the_release_counts(state, revoke_identity, NULL);
}

static void a_permission_taken_meanwhile_is_missing(void **state)
{
    a_change_before_the_release_counts(state, take_permission, NULL);
}

static void a_token_learns_nothing_by_asking_whether(void **state)
{
    struct scene *scene = *state;
    struct check *check = scene->check;
    begin(scene);
    bind_request(scene);
    prove_tpm(scene);
    assert_int_equal(200, send_release(scene, "lethe/release/check")); /* makes the body */
    connect_with_chain(check, NULL, 0);
    assert_int_equal(200,
                     call(check, "POST", "lethe/release/check", check->root, scene->body.bytes));
    assert_has(check, "\"allowed\":false");
    assert_has(check, "\"reason\":\"certificate_needed\"");
    assert_has(check, "valid\\\":false");
    assert_has_not(check, "acme");
    assert_has_not(check, "rack7");
}

static void fields_come_once(void **state)
{
    struct scene *scene = *state;
    begin(scene);
    bind_request(scene);
    prove_tpm(scene);
    send_release(scene, "lethe/release/check");
    scene->body.bytes[0] = ' ';
    CLEANUP(buffer_clear) struct buffer twice = {0};
    buffer_format(&twice, "{\"public_key\":\"AAAA\",%s", scene->body.bytes);
    assert_int_equal(400, call(scene->check, "POST", "lethe/release", NULL, twice.bytes));
    assert_int_equal(0, records(scene->check, "key_released", NULL));
}

static void one_nonce_is_one_release(void **state)
{
    struct scene *scene = *state;
    begin(scene);
    finish(scene);
    assert_released(scene);
    assert_int_equal(403, send_release(scene, "lethe/release")); /* the very same bytes */
    assert_has(scene->check, "nonce_unknown");
    assert_int_equal(1, records(scene->check, "key_released", NULL));
    assert_int_equal(1, records(scene->check, "key_denied", "nonce_unknown"));
}

/* ---- whoever is root on the machine ---------------------------------------------------------- */

/* "Measurement" is over values, and says not of which PCRs. Of PCR 16, and of those that nothing
 * uses, software can make what PCR 7 was in a good state: it extends them with the same events. */
static void values_in_other_pcrs_are_no_measurement(void **state)
{
    struct scene *scene = *state;
    uint8_t hash[32];
    char hex[65], body[256];
    struct tpm other = scene->tpm;
    must_ask(scene, "POST", "lethe/attest/references/prod/revoke", REVOKE);
    uint8_t both[64];
    memcpy(both, scene->tpm.pcrs[0], 32);
    memcpy(both + 32, scene->tpm.pcrs[7], 32);
    sha256(both, sizeof both, hash);
    hex_encode(hash, sizeof hash, hex);
    snprintf(body, sizeof body,
             "{\"document\":\"{\\\"required_measurement\\\":\\\"sha256:%s\\\","
             "\\\"tenant_models\\\":{\\\"acme\\\":{\\\"llama\\\":true}}}\"}",
             hex);
    must_ask(scene, "POST", "lethe/policies/data", body);
    snprintf(
        body, sizeof body,
        "{\"document\":\"{\\\"kind\\\":\\\"tpm2\\\",\\\"pcrs\\\":{\\\"0\\\":\\\"%064d\\\"}}\"}", 0);
    must_ask(scene, "POST", "lethe/attest/references/others", body);
    memcpy(other.pcrs[16], scene->tpm.pcrs[7], 32);
    memset(other.pcrs[7], 0xee, 32);
    begin(scene);
    assert_int_equal(1u << 0, scene->pcr_mask);
    bind_request(scene);
    tpm_prove(&other, scene->binding, 1u << 0 | 1u << 16, NULL, &scene->evidence);
    send_release(scene, "lethe/release");
    assert_denied(scene, "measurement_unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_SCENE(no_name_of_a_shard_keeps_a_release_off_the_record),
        ON_SCENE(a_request_reads_in_one_way_only),
        ON_SCENE(nesting_ends),
        ON_SCENE(an_engine_has_a_limit),
        ON_SCENE(another_tenants_shard_among_ones_own_releases_nothing),
        ON_SCENE(as_many_shards_as_there_can_be_are_on_record),
        ON_SCENE(a_machine_revoked_meanwhile_gets_nothing),
        ON_SCENE(a_reference_revoked_meanwhile_is_good_no_more),
        ON_SCENE(a_key_revoked_meanwhile_is_not_released),
        ON_SCENE(a_policy_changed_meanwhile_decides),
        ON_SCENE(an_identity_revoked_meanwhile_is_nobody),
        ON_SCENE(a_permission_taken_meanwhile_is_missing),
        ON_SCENE(a_token_learns_nothing_by_asking_whether),
        ON_SCENE(fields_come_once),
        ON_SCENE(one_nonce_is_one_release),
        ON_SCENE(values_in_other_pcrs_are_no_measurement),
    };
    return cmocka_run_group_tests(tests, service_start, NULL);
}
