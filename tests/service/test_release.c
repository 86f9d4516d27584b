/* Attested release (docs/release-protocol.md): keys go to who has proven what it runs, and to
 * nobody else (E-4, K-5). */
#include "check.h"

#include "release_check.h"

#include "attest/evidence.h"
#include "base/text.h"

static const struct wanted all_well;

static void keys_are_released_to_a_machine_that_proves_itself(void **state)
{
    struct scene *scene = *state;
    struct check *check = scene->check;
    assert_int_equal(200, ask_release(scene, &all_well));
    assert_released(scene);
    assert_has(check, "\"machine\":\"rack7\"");
    assert_has(check, "\"reference\":\"prod\"");
    assert_has(check, "\"reference_version\":1");
    assert_has(check, "\"justification\":\"Conditions met\"");
    assert_int_equal(1, records(check, "key_released", "\"shards\":\"0000,0001,0002\""));
    assert_int_equal(1, records(check, "key_released", body_member(check, "evidence_digest")));
    assert_int_equal(1, records(check, "key_released", body_member(check, "policy_digest")));
    assert_int_equal(1, records(check, "key_released", LOADER_ID));
    assert_int_equal(1, records(check, "attestation_verified", NULL));
    assert_int_equal(0, records(check, "key_denied", NULL));
    assert_log_verifies(check->home);
}

/* No data key is in the answer, in any form that is not sealed. */
static void an_answer_holds_no_key_in_plain(void **state)
{
    struct scene *scene = *state;
    char base64[64] = "", hex[2 * DATA_KEY_BYTES + 1];
    assert_int_equal(200, ask_release(scene, &all_well));
    const struct guarded *body = &scene->check->body;
    base64_write(scene->data_key, DATA_KEY_BYTES, base64);
    base64[40] = '\0'; /* what stands behind it may be another byte's */
    hex_encode(scene->data_key, DATA_KEY_BYTES, hex);
    assert_has_not(scene->check, base64);
    assert_has_not(scene->check, hex);
    assert_null(memmem(body->bytes, body->size_bytes, scene->data_key, DATA_KEY_BYTES));
}

/* K-14: what came of releases is counted. */
static void releases_are_counted_by_what_came_of_them(void **state)
{
    struct scene *scene = *state;
    struct check *check = scene->check;
    take_challenge(scene);
    assert_int_equal(200, ask_release(scene, &all_well));
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(403, ask_release(scene, &(struct wanted){.operation = "export"}));
    assert_int_equal(200, call(check, "GET", "metrics", check->root, NULL));
    assert_has(check, "lethe_challenges_pending 1\n");
    assert_has(check, "lethe_releases_total{code=\"released\"} 1\n");
    assert_has(check, "lethe_releases_total{code=\"policy_denied\"} 2\n");
}

/* ---- all combinations ------------------------------------------------------------------------ */

enum { BAD_EVIDENCE, BAD_STATE, BAD_PRINCIPAL, BAD_OPERATION, BAD_TENANT, BAD_MODEL, CONDITIONS };

static unsigned ask_with(struct scene *scene, unsigned bad, const struct identity *identities,
                         char wrapped[4][600])
{
    bool is_other = (bad & 1u << BAD_PRINCIPAL) != 0, is_beta = (bad & 1u << BAD_TENANT) != 0;
    bool is_mistral = (bad & 1u << BAD_MODEL) != 0;
    const struct wanted wanted = {
        .principal = is_other ? "other-sa" : NULL,
        .tenant = is_beta ? "beta" : NULL,
        .model = is_mistral ? "mistral" : NULL,
        .operation = (bad & 1u << BAD_OPERATION) != 0 ? "export" : NULL,
    };
    strcpy(scene->wrapped, wrapped[2 * is_beta + is_mistral]);
    scene_come_back(scene, &identities[2 * is_beta + is_other]);
    memset(scene->tpm.pcrs[7], (bad & 1u << BAD_STATE) != 0 ? 0xee : 0x17, 32);
    take_challenge(scene);
    write_request(scene, &wanted);
    bind_request(scene);
    scene->binding[0] ^= (bad & 1u << BAD_EVIDENCE) != 0;
    prove_tpm(scene);
    return send_release(scene, "lethe/release");
}

/* K-5: exactly one of 64. */
static void only_all_conditions_together_release(void **state)
{
    static const char *const ids[] = {LOADER_ID, "spiffe://example.org/tenant/acme/other-sa",
                                      "spiffe://example.org/tenant/beta/" PRINCIPAL,
                                      "spiffe://example.org/tenant/beta/other-sa"};
    static const char *const keys[] = {NULL, "acme.mistral.hot", "beta.llama.hot",
                                       "beta.mistral.hot"};
    struct scene *scene = *state;
    struct identity identities[4] = {0};
    char wrapped[4][600];
    strcpy(wrapped[0], scene->wrapped);
    identities[0] = scene->loader;
    for (size_t i = 1; i < 4; i++) {
        scene_make_key(scene, keys[i]);
        strcpy(wrapped[i], scene->wrapped);
        scene_connect_as(scene, ids[i], &identities[i]);
    }
    for (unsigned bad = (1u << CONDITIONS) - 1; bad > 0; bad--) {
        ask_with(scene, bad, identities, wrapped);
        assert_denied(scene, (bad & 1u << BAD_EVIDENCE) != 0 ? "binding_mismatch"
                             : (bad & 1u << BAD_STATE) != 0  ? "measurement_unknown"
                                                             : "policy_denied");
    }
    assert_int_equal(200, ask_with(scene, 0, identities, wrapped));
    assert_released(scene);
    for (size_t i = 1; i < 4; i++)
        buffer_clear(&identities[i].chain);
    assert_int_equal(63, records(scene->check, "key_denied", NULL));
    assert_int_equal(32, records(scene->check, "attestation_failed", "binding_mismatch"));
    assert_int_equal(32, records(scene->check, "attestation_verified", NULL));
    assert_int_equal(1, records(scene->check, "key_released", NULL));
}

/* ---- who ------------------------------------------------------------------------------------- */

static void who_comes_without_a_certificate_gets_nothing(void **state)
{
    struct scene *scene = *state;
    struct check *check = scene->check;
    take_challenge(scene);
    write_request(scene, &all_well);
    bind_request(scene);
    prove_tpm(scene);
    assert_int_equal(200, send_release(scene, "lethe/release/check"));
    connect_with_chain(check, NULL, 0);
    assert_int_equal(403, send_release(scene, "lethe/release"));
    assert_int_equal(403, call(check, "POST", "lethe/release/challenge", NULL, "{}"));
    assert_int_equal(403, call(check, "POST", "lethe/release/challenge", check->root, "{}"));
    assert_has(check, "certificate_needed");
    assert_int_equal(403, call(check, "POST", "lethe/release", check->root, scene->body.bytes));
    assert_denied(scene, "certificate_needed");
}

static void another_name_than_the_certificates_is_refused(void **state)
{
    static const struct wanted wrong[] = {{.principal = "someone"},
                                          {.principal = LOADER_ID},
                                          {.principal = ""},
                                          {.tenant = "beta"},
                                          {.tenant = "ACME"}};
    struct scene *scene = *state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        ask_release(scene, &wrong[i]);
        assert_denied(scene, "identity_mismatch");
    }
    assert_int_equal(ARRAY_LEN(wrong), records(scene->check, "key_denied", "identity_mismatch"));
    assert_int_equal(200, ask_release(scene, &all_well));
}

/* ---- what was signed ------------------------------------------------------------------------- */

static void begin(struct scene *scene)
{
    take_challenge(scene);
    write_request(scene, &all_well);
    bind_request(scene);
    prove_tpm(scene);
}

static void change_key(struct scene *scene)
{
    scene->public_key[5] ^= 1;
}

static void change_request(struct scene *scene)
{
    buffer_text(&scene->request, " "); /* says the same, in another byte */
}

static void bind_with(struct scene *scene, char *service)
{
    char kept[sizeof scene->service];
    strcpy(kept, scene->service);
    strcpy(scene->service, service);
    bind_request(scene);
    prove_tpm(scene);
    strcpy(scene->service, kept);
}

static void sign_for_another_service(struct scene *scene)
{
    char other[] = "lethe-kms:0000000000000000000000000000000000000000000000000000000000000000";
    bind_with(scene, other);
}

static void sign_another_nonce(struct scene *scene)
{
    scene->nonce[31] ^= 1;
    bind_request(scene);
    prove_tpm(scene);
    scene->nonce[31] ^= 1;
}

static void sign_for_another_identity(struct scene *scene)
{
    struct identity other = {.id = "spiffe://example.org/tenant/acme/other"};
    const struct identity *who = scene->who;
    scene->who = &other;
    bind_request(scene);
    prove_tpm(scene);
    scene->who = who;
}

static void evidence_is_for_one_exchange_alone(void **state)
{
    static void (*const changes[])(struct scene *) = {change_key, change_request,
                                                      sign_for_another_service, sign_another_nonce,
                                                      sign_for_another_identity};
    struct scene *scene = *state;
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        begin(scene);
        changes[i](scene);
        send_release(scene, "lethe/release");
        assert_denied(scene, "binding_mismatch");
    }
    begin(scene); /* the control */
    assert_int_equal(200, send_release(scene, "lethe/release"));
}

static void malformed_evidence_is_on_record_with_its_digest(void **state)
{
    static const char *const texts[] = {"{}", "[]", "x", "{\"kind\":\"sgx\"}"};
    struct scene *scene = *state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        begin(scene);
        buffer_clear(&scene->evidence);
        buffer_text(&scene->evidence, texts[i]);
        send_release(scene, "lethe/release");
        assert_denied(scene, "evidence_malformed");
    }
    assert_int_equal(ARRAY_LEN(texts),
                     records(scene->check, "attestation_failed", "\"evidence_digest\":\"sha256:"));
    begin(scene);
    char *blanks = (char *)buffer_extend(&scene->evidence, EVIDENCE_TEXT_MAX);
    memset(blanks, ' ', EVIDENCE_TEXT_MAX);
    send_release(scene, "lethe/release");
    assert_denied(scene, "evidence_malformed");
    begin(scene); /* a PCR that is asked for, and not quoted */
    tpm_prove(&scene->tpm, scene->binding, 1u << 0, NULL, &scene->evidence);
    send_release(scene, "lethe/release");
    assert_denied(scene, "pcr_selection");
    begin(scene);
    scene->tpm.pcrs[7][3] ^= 1;
    struct buffer other = {0};
    tpm_prove(&scene->tpm, scene->binding, scene->pcr_mask, NULL, &other);
    char *pcrs = strstr(scene->evidence.bytes, "\"pcrs\"");
    buffer_truncate(&scene->evidence, (size_t)(pcrs - scene->evidence.bytes));
    buffer_text(&scene->evidence, strstr(other.bytes, "\"pcrs\""));
    buffer_clear(&other);
    send_release(scene, "lethe/release");
    assert_denied(scene, "pcr_digest");
}

/* ---- requests -------------------------------------------------------------------------------- */

static void send_text(struct scene *scene, const char *text)
{
    buffer_clear(&scene->request);
    buffer_text(&scene->request, text);
    bind_request(scene);
    prove_tpm(scene);
    send_release(scene, "lethe/release");
}

static void a_request_that_is_none_is_refused(void **state)
{
    static const struct wanted wrong[] = {
        {.members = ",\"other\":1"},
        {.members = ",\"engine\":1"},
        {.members = ",\"release\":4"},
        {.members = ",\"engine\":{\"a\":1,\"a\":2},\"engine\":{}"},
        {.tier = "hot.hot"},
        {.model = "a.b"},
        {.model = ""},
        {.tier = "ho t"},
    };
    struct scene *scene = *state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        ask_release(scene, &wrong[i]);
        assert_denied(scene, "request_malformed");
    }
    static const char *const texts[] = {"", "{}", "[]", "null",
                                        "{\"principal\":\"" PRINCIPAL "\"}"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        take_challenge(scene);
        write_request(scene, &all_well);
        send_text(scene, texts[i]);
        assert_denied(scene, "request_malformed");
    }
    const struct wanted with_engine = {
        .members = ",\"engine\":{\"digest\":\"sha256:aa\",\"arguments\":[\"-x\"]}"};
    assert_int_equal(200, ask_release(scene, &with_engine));
    assert_released(scene);
}

static void fields_of_other_sizes_are_refused(void **state)
{
    static const char *const bodies[] = {
        "{}",
        "{\"nonce\":\"AAAA\",\"public_key\":\"AAAA\",\"request\":\"e30=\",\"evidence\":\"e30=\"}",
        "{\"nonce\":\"?\",\"public_key\":\"AAAA\",\"request\":\"e30=\",\"evidence\":\"e30=\"}",
        "{\"nonce\":1,\"public_key\":\"AAAA\",\"request\":\"e30=\",\"evidence\":\"e30=\"}",
    };
    struct scene *scene = *state;
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++)
        assert_int_equal(400, call(scene->check, "POST", "lethe/release", NULL, bodies[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_SCENE(keys_are_released_to_a_machine_that_proves_itself),
        ON_SCENE(an_answer_holds_no_key_in_plain),
        ON_SCENE(releases_are_counted_by_what_came_of_them),
        ON_SCENE(only_all_conditions_together_release),
        ON_SCENE(who_comes_without_a_certificate_gets_nothing),
        ON_SCENE(another_name_than_the_certificates_is_refused),
        ON_SCENE(evidence_is_for_one_exchange_alone),
        ON_SCENE(malformed_evidence_is_on_record_with_its_digest),
        ON_SCENE(a_request_that_is_none_is_refused),
        ON_SCENE(fields_of_other_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, service_start, NULL);
}
