/* Attested release: machines, their states, and what becomes of both (E-4, K-5). */
#include "check.h"

#include "release_check.h"

#define REVOKE "{\"reason\":\"stolen\"}"

static const struct wanted all_well;

/* ---- states ---------------------------------------------------------------------------------- */

/* E-4: a state that is not known is refused, with what differs; the operator adds it. */
static void another_state_is_denied_until_it_is_added(void **state)
{
    struct scene *scene = *state;
    memset(scene->tpm.pcrs[7], 0xee, 32);
    ask_release(scene, &all_well);
    assert_denied(scene, "measurement_unknown");
    assert_has(scene->check, "PCR 7 is eeeeee");
    assert_has(scene->check, "expected 171717");
    assert_has(scene->check, "(reference value prod, version 1)");
    must_add_reference(scene, "prod", &scene->tpm);
    assert_int_equal(200, ask_release(scene, &all_well));
    assert_has(scene->check, "\"reference_version\":2");
    memset(scene->tpm.pcrs[7], 0x17, 32); /* an old version stays good */
    assert_int_equal(200, ask_release(scene, &all_well));
    assert_has(scene->check, "\"reference_version\":1");
}

static void a_revoked_reference_is_good_no_more(void **state)
{
    struct scene *scene = *state;
    assert_int_equal(
        404, call_operator(scene->check, "POST", "lethe/attest/references/x/revoke", REVOKE));
    must_ask(scene, "POST", "lethe/attest/references/prod/revoke",
             "{\"reason\":\"hole\",\"version\":1}");
    ask_release(scene, &all_well);
    assert_denied(scene, "measurement_unknown");
    assert_int_equal(1, records(scene->check, "permission_changed", "version 1 revoked: hole"));
    assert_int_equal(
        404, call_operator(scene->check, "POST", "lethe/attest/references/prod/revoke", REVOKE));
    must_add_reference(scene, "prod", &scene->tpm); /* the number does not come back */
    assert_has(scene->check, "\"version\":2");
    assert_int_equal(200, ask_release(scene, &all_well));
}

static void references_are_checked_before_they_are_kept(void **state)
{
    static const char *const documents[] = {
        "", "{}", "[]", "{\\\"kind\\\":\\\"tpm2\\\",\\\"pcrs\\\":{\\\"16\\\":\\\"00\\\"}}",
        "{\\\"kind\\\":\\\"sgx\\\"}"};
    struct scene *scene = *state;
    for (size_t i = 0; i < ARRAY_LEN(documents); i++) {
        char body[256];
        snprintf(body, sizeof body, "{\"document\":\"%s\"}", documents[i]);
        assert_int_equal(400,
                         call_operator(scene->check, "POST", "lethe/attest/references/a", body));
    }
    static const char *const names[] = {".a", "a%20b", "%2e%2e",
                                        "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffff"
                                        "ffg123456"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char path[160];
        snprintf(path, sizeof path, "lethe/attest/references/%s", names[i]);
        unsigned status = call_operator(
            scene->check, "POST", path,
            "{\"document\":\"{\\\"kind\\\":\\\"tpm2\\\",\\\"pcrs\\\":{\\\"0\\\":\\\"1010101010"
            "101010101010101010101010101010101010101010101010101010\\\"}}\"}");
        if (status != 400 && status != 404)
            fail_msg("%s: %u", names[i], status);
    }
    must_ask(scene, "GET", "lethe/attest/references", NULL);
    assert_has_not(scene->check, "\"version\":2");
}

/* ---- machines -------------------------------------------------------------------------------- */

static void an_unknown_machine_is_refused(void **state)
{
    struct scene *scene = *state;
    struct tpm other, known = scene->tpm;
    tpm_make(&other);
    scene->tpm = other;
    ask_release(scene, &all_well);
    assert_denied(scene, "machine_unknown");
    assert_int_equal(1, records(scene->check, "attestation_failed", "machine_unknown"));
    scene->tpm = known;
    tpm_clear(&other);
    assert_int_equal(200, ask_release(scene, &all_well));
}

static void a_revoked_machine_is_refused_for_good(void **state)
{
    struct scene *scene = *state;
    struct check *check = scene->check;
    assert_int_equal(
        403, call(check, "POST", "lethe/attest/machines/rack7/revoke", check->root, REVOKE));
    must_ask(scene, "POST", "lethe/attest/machines/rack7/revoke", REVOKE);
    ask_release(scene, &all_well);
    assert_denied(scene, "machine_revoked");
    assert_int_equal(1, records(check, "permission_changed", "revoked: stolen"));
    char body[256];
    assert_int_equal(200, begin_enrolment(scene, "again", &scene->tpm, ""));
    enrolment_answer(scene, &scene->tpm, body);
    assert_int_equal(400,
                     call_operator(check, "POST", "lethe/attest/machines/again/activate", body));
    assert_has(check, "was revoked");
    struct tpm fresh, of_same = scene->tpm; /* the same TPM, which has made another key */
    tpm_make(&fresh);
    of_same.ak = fresh.ak;
    of_same.ak_public = fresh.ak_public;
    assert_int_equal(200, begin_enrolment(scene, "again", &of_same, ""));
    enrolment_answer(scene, &of_same, body);
    assert_int_equal(400,
                     call_operator(check, "POST", "lethe/attest/machines/again/activate", body));
    assert_has(check, "was revoked");
    tpm_clear(&fresh);
    scene_reopen(scene);
    ask_release(scene, &all_well);
    assert_denied(scene, "machine_revoked");
}

static void a_machine_may_belong_to_one_identity(void **state)
{
    struct scene *scene = *state;
    struct tpm other, known = scene->tpm;
    tpm_make(&other);
    must_enrol(scene, "theirs", &other, ",\"identity\":\"spiffe://example.org/tenant/acme/other\"");
    scene->tpm = other;
    ask_release(scene, &all_well);
    assert_denied(scene, "machine_foreign");
    scene->tpm = known;
    tpm_clear(&other);
    tpm_make(&other);
    must_enrol(scene, "ours", &other, ",\"identity\":\"" LOADER_ID "\"");
    scene->tpm = other;
    assert_int_equal(200, ask_release(scene, &all_well));
    assert_has(scene->check, "\"machine\":\"ours\"");
    scene->tpm = known;
    tpm_clear(&other);
}

/* A quote from before, or a TPM that was put back to an older state. */
static void counters_never_go_back(void **state)
{
    static const struct {
        uint32_t reset, restart;
        uint64_t clock_ms;
        bool is_good;
    } rows[] = {
        {5, 2, 1000, true},  {5, 2, 2000, true}, {5, 2, 1999, false}, {5, 1, 9000, false},
        {4, 9, 9000, false}, {5, 3, 10, true},   {5, 2, 9000, false}, {6, 0, 5, true},
        {5, 9, 9000, false}, {6, 0, 4, false},   {6, 0, 6, true},
    };
    struct scene *scene = *state;
    size_t denied = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        scene->tpm.reset_count = rows[i].reset;
        scene->tpm.restart_count = rows[i].restart;
        scene->tpm.clock_ms = rows[i].clock_ms;
        unsigned status = ask_release(scene, &all_well);
        if (status != (rows[i].is_good ? 200 : 403))
            fail_msg("row %zu: %u %s", i, status, body_text(scene->check));
        denied += !rows[i].is_good;
        assert_has(scene->check, rows[i].is_good ? "\"machine\":\"rack7\"" : "counter_rolled_back");
    }
    assert_int_equal(denied, records(scene->check, "key_denied", "counter_rolled_back"));
    assert_int_equal(3, records(scene->check, "permission_changed", "started anew"));
    scene_reopen(scene); /* and another process has not forgotten */
    scene->tpm.reset_count = 5;
    assert_int_equal(403, ask_release(scene, &all_well));
    assert_has(scene->check, "counter_rolled_back");
}

/* ---- guests ---------------------------------------------------------------------------------- */

static void add_guest_reference(struct scene *scene, const char *name, const char *more)
{
    char path[128], body[1024];
    snprintf(path, sizeof path, "lethe/attest/references/%s", name);
    snprintf(body, sizeof body,
             "{\"document\":\"{\\\"kind\\\":\\\"sev-snp\\\",\\\"measurement\\\":\\\"%s\\\"%s}\"}",
             GUEST_MEASUREMENT, more);
    must_ask(scene, "POST", path, body);
}

static unsigned ask_as_guest(struct scene *scene)
{
    take_challenge(scene);
    write_request(scene, &all_well);
    bind_request(scene);
    prove_guest(scene);
    return send_release(scene, "lethe/release");
}

static void a_guest_proves_itself_by_its_report(void **state)
{
    struct scene *scene = *state;
    ask_as_guest(scene);
    assert_denied(scene, "measurement_unknown");
    assert_has(scene->check, "no reference value for sev-snp");
    add_guest_reference(scene, "guests", "");
    guest_measure(scene->guest, 0xac);
    ask_as_guest(scene);
    assert_denied(scene, "measurement_unknown");
    assert_has(scene->check, "measurement is sha384:acac");
    guest_measure(scene->guest, 0xab);
    take_challenge(scene);
    write_request(scene, &all_well);
    bind_request(scene);
    scene->binding[31] ^= 1;
    prove_guest(scene);
    send_release(scene, "lethe/release");
    assert_denied(scene, "binding_mismatch");
    assert_int_equal(200, ask_as_guest(scene)); /* nobody enrolled it: its maker vouches */
    assert_released(scene);
    assert_has(scene->check, "\"machine\":\"\"");
    assert_has(scene->check, "\"reference\":\"guests\"");
}

static void enrol_chip(struct scene *scene, const char *name)
{
    char path[128], body[256];
    snprintf(path, sizeof path, "lethe/attest/machines/%s/enroll", name);
    snprintf(body, sizeof body, "{\"kind\":\"sev-snp\",\"chip_id\":\"%s\"}",
             guest_chip(scene->guest));
    must_ask(scene, "POST", path, body);
}

static void an_older_tcb_than_shown_is_refused(void **state)
{
    struct scene *scene = *state;
    add_guest_reference(scene, "guests", "");
    enrol_chip(scene, "chip");
    assert_int_equal(200, ask_as_guest(scene));
    assert_has(scene->check, "\"machine\":\"chip\"");
    must_ask(scene, "GET", "lethe/attest/machines/chip", NULL);
    assert_has(scene->check,
               "\"tcb\":{\"fmc\":0,\"bootloader\":3,\"tee\":1,\"snp\":8,\"microcode\":115}");
    guest_roll_back(scene->guest, 1);
    assert_int_equal(403, ask_as_guest(scene));
    assert_has(scene->check, "tcb_rolled_back");
    assert_int_equal(1, records(scene->check, "key_denied", "tcb_rolled_back"));
    scene_reopen(scene);
    assert_int_equal(403, ask_as_guest(scene));
    guest_roll_back(scene->guest, (uint8_t)-1);
    assert_int_equal(200, ask_as_guest(scene));
    must_ask(scene, "POST", "lethe/attest/machines/chip/revoke", REVOKE);
    assert_int_equal(403, ask_as_guest(scene));
    assert_has(scene->check, "machine_revoked");
}

/* Anybody's guest can report on a TPM that it has made up. */
static unsigned ask_as_vouched(struct scene *scene, const struct tpm *tpm)
{
    uint8_t hash[32];
    struct buffer report = {0};
    unsigned size_bytes;
    assert_int_equal(1, EVP_Digest(tpm->ak_public.bytes, tpm->ak_public.size_bytes, hash,
                                   &size_bytes, EVP_sha256(), NULL));
    guest_prove(scene->guest, hash, &report);
    take_challenge(scene);
    write_request(scene, &all_well);
    bind_request(scene);
    tpm_prove(tpm, scene->binding, scene->pcr_mask, report.bytes, &scene->evidence);
    buffer_clear(&report);
    return send_release(scene, "lethe/release");
}

static void a_vouched_tpm_needs_a_guest_that_is_known(void **state)
{
    static const char with_measurement[] =
        "{\"document\":\"{\\\"kind\\\":\\\"tpm2\\\",\\\"pcrs\\\":{\\\"7\\\":"
        "\\\"17171717171717171717"
        "17171717171717171717171717171717171717171717\\\"},\\\"measurement\\\":"
        "\\\"" GUEST_MEASUREMENT "\\\"}\"}";
    struct scene *scene = *state;
    struct tpm made_up;
    tpm_make(&made_up);
    ask_as_vouched(scene, &made_up); /* its PCRs are those of "prod" */
    assert_denied(scene, "measurement_unknown");
    must_ask(scene, "POST", "lethe/policies/data",
             "{\"document\":\"{\\\"required_measurement\\\":\\\"sha256:"
             "00\\\",\\\"tenant_models\\\":{\\\"acme\\\":{\\\"llama\\\":true}}}\"}");
    must_ask(scene, "POST", "lethe/attest/references/virtual", with_measurement);
    guest_measure(scene->guest, 0xac);
    ask_as_vouched(scene, &made_up);
    assert_denied(scene, "measurement_unknown");
    guest_measure(scene->guest, 0xab);
    assert_int_equal(200, ask_as_vouched(scene, &made_up));
    assert_released(scene);
    assert_has(scene->check, "\"reference\":\"virtual\"");
    enrol_chip(scene, "chip");
    assert_int_equal(200, ask_as_vouched(scene, &made_up));
    guest_roll_back(scene->guest, 1); /* what a chip has shown counts by whichever way it came */
    assert_int_equal(403, ask_as_vouched(scene, &made_up));
    assert_has(scene->check, "tcb_rolled_back");
    add_guest_reference(scene, "guests", "");
    assert_int_equal(403, ask_as_guest(scene));
    assert_has(scene->check, "tcb_rolled_back");
    guest_roll_back(scene->guest, (uint8_t)-1);
    assert_int_equal(200, ask_as_vouched(scene, &made_up));
    must_ask(scene, "POST", "lethe/attest/machines/chip/revoke", REVOKE);
    assert_int_equal(403, ask_as_vouched(scene, &made_up));
    assert_has(scene->check, "machine_revoked");
    tpm_clear(&made_up);
}

/* ---- another process ------------------------------------------------------------------------- */

static void a_restart_keeps_what_was_enrolled_and_forgets_challenges(void **state)
{
    struct scene *scene = *state;
    take_challenge(scene);
    write_request(scene, &all_well);
    bind_request(scene);
    prove_tpm(scene);
    scene_reopen(scene);
    send_release(scene, "lethe/release");
    assert_denied(scene, "nonce_unknown");
    assert_int_equal(200, ask_release(scene, &all_well));
    assert_has(scene->check, "\"machine\":\"rack7\"");
    assert_log_verifies(scene->check->home);
}

/* ---- only so --------------------------------------------------------------------------------- */

static void with_only_there_is_no_other_way(void **state)
{
    struct scene *scene = *state;
    struct check *check = scene->check;
    char body[800];
    snprintf(body, sizeof body,
             "{\"ciphertext\":\"%s\",\"associated_data\":\"c2hhcmQ=\",\"release\":3}",
             scene->wrapped);
    assert_int_equal(200, call(check, "POST", "transit/decrypt/acme.llama.hot", NULL, body));
    check->options.attest.only = true;
    scene_reopen(scene);
    assert_int_equal(403, call(check, "POST", "transit/decrypt/acme.llama.hot", NULL, body));
    assert_has(check, "lethe/release");
    assert_has_not(check, "plaintext");
    assert_int_equal(403, call(check, "POST", "transit/decrypt/acme.llama.hot", check->root, body));
    char batch[1024];
    snprintf(batch, sizeof batch, "{\"batch_input\":[%s]}", body);
    (void)call(check, "POST", "transit/decrypt/acme.llama.hot", check->root, batch);
    assert_has_not(check, "\"plaintext\":\"");
    assert_int_equal(
        403, call(check, "GET", "transit/export/encryption-key/acme.llama.hot", check->root, NULL));
    must_ask(scene, "POST", "transit/decrypt/acme.llama.hot", body); /* an operator */
    must_ask(scene, "POST", "transit/keys/plain", "{}");
    assert_int_equal(
        200, call(check, "POST", "transit/encrypt/plain", check->root, "{\"plaintext\":\"YQ==\"}"));
    snprintf(body, sizeof body, "{\"ciphertext\":\"%s\"}", body_member(check, "ciphertext"));
    assert_int_equal(200, call(check, "POST", "transit/decrypt/plain", check->root, body));
    assert_int_equal(200, ask_release(scene, &all_well));
    assert_released(scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_SCENE(another_state_is_denied_until_it_is_added),
        ON_SCENE(a_revoked_reference_is_good_no_more),
        ON_SCENE(references_are_checked_before_they_are_kept),
        ON_SCENE(an_unknown_machine_is_refused),
        ON_SCENE(a_revoked_machine_is_refused_for_good),
        ON_SCENE(a_machine_may_belong_to_one_identity),
        ON_SCENE(counters_never_go_back),
        ON_SCENE(a_guest_proves_itself_by_its_report),
        ON_SCENE(an_older_tcb_than_shown_is_refused),
        ON_SCENE(a_vouched_tpm_needs_a_guest_that_is_known),
        ON_SCENE(a_restart_keeps_what_was_enrolled_and_forgets_challenges),
        ON_SCENE(with_only_there_is_no_other_way),
    };
    return cmocka_run_group_tests(tests, service_start, NULL);
}
