/* Evidence that is not what it should be: each kind of wrong has its own code, is on record with
 * it, and releases nothing (E-2, E-4, K-5). */
#include "check.h"

#include "release_check.h"

static const struct wanted all_well;

static void begin(struct scene *scene)
{
    take_challenge(scene);
    write_request(scene, &all_well);
    bind_request(scene);
}

static void add_guest_reference(struct scene *scene)
{
    must_ask(scene, "POST", "lethe/attest/references/guests",
             "{\"document\":\"{\\\"kind\\\":\\\"sev-snp\\\",\\\"measurement\\\":"
             "\\\"" GUEST_MEASUREMENT "\\\"}\"}");
}

/* The nonce of a challenge is used up by each. */
static void no_byte_can_be_changed(struct scene *scene, void (*prove)(struct scene *), size_t step)
{
    size_t asked = 0, length = SIZE_MAX;
    for (size_t at = 0; at < length; at += step) {
        begin(scene);
        prove(scene);
        length = scene->evidence.size_bytes;
        if (at >= length)
            break;
        scene->evidence.bytes[at] ^= 1;
        if (send_release(scene, "lethe/release") != 403)
            fail_msg("byte %zu of %zu: %s", at, length, body_text(scene->check));
        assert_has_not(scene->check, "\"ciphertext\":");
        asked++;
    }
    assert_true(asked > 100);
    assert_int_equal(asked, records(scene->check, "key_denied", "\"evidence_digest\":\"sha256:"));
    assert_int_equal(asked, records(scene->check, "attestation_failed", NULL));
    assert_int_equal(0, records(scene->check, "key_released", NULL));
    begin(scene); /* the control */
    prove(scene);
    assert_int_equal(200, send_release(scene, "lethe/release"));
    assert_released(scene);
}

static void no_byte_of_a_quote_can_be_changed(void **state)
{
    no_byte_can_be_changed(*state, prove_tpm, 1);
    struct check *check = ((struct scene *)*state)->check;
    static const char *const codes[] = {"signature",     "evidence_malformed", "pcr_digest",
                                        "pcr_selection", "key_attributes",     "not_of_tpm",
                                        "not_a_quote"};
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (records(check, "attestation_failed", codes[i]) == 0)
            fail_msg("no change came to %s", codes[i]);
}

static void no_byte_of_a_report_can_be_changed(void **state)
{
    struct scene *scene = *state;
    add_guest_reference(scene);
    no_byte_can_be_changed(scene, prove_guest, 29);
    struct check *check = scene->check;
    static const char *const codes[] = {"signature", "evidence_malformed", "chain"};
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (records(check, "attestation_failed", codes[i]) == 0)
            fail_msg("no change came to %s", codes[i]);
}

/* AMD 56860, table 23: what a report says is signed, and still not good. */
static void each_wrong_of_a_report_has_its_code(void **state)
{
    static const struct {
        size_t at;
        uint8_t bits;
        const char *code;
    } rows[] = {
        {0x000, 0x05, "version_unknown"}, /* 6 instead of 3 */
        {0x00a, 0x08, "debug_allowed"},
        {0x00a, 0x04, "migration_allowed"},
        {0x00a, 0x02, "guest_policy"}, /* bit 17 must be one */
        {0x030, 0x04, "vmpl"},
        {0x034, 0x02, "algorithm"},
        {0x048, 0x02, "chip_masked"},
        {0x048, 0x04, "signing_key"},
        {0x04c, 0x01, "reserved_bits"},
        {0x050, 0x01, "binding_mismatch"},
        {0x187, 0x01, "tcb_mismatch"},
        {0x189, 0x10, "product_mismatch"},
        {0x1a0, 0x01, "chip_mismatch"},
    };
    struct scene *scene = *state;
    add_guest_reference(scene);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        begin(scene);
        guest_change(scene->guest, rows[i].at, rows[i].bits);
        prove_guest(scene);
        send_release(scene, "lethe/release");
        assert_denied(scene, rows[i].code);
        if (records(scene->check, "attestation_failed", rows[i].code) != 1)
            fail_msg("%s is not on record", rows[i].code);
    }
    guest_change(scene->guest, 0x00a, 0);
    begin(scene);
    prove_guest(scene);
    assert_int_equal(200, send_release(scene, "lethe/release"));
}

static void an_expired_certificate_is_refused(void **state)
{
    struct scene *scene = *state;
    add_guest_reference(scene);
    guest_expire(scene->guest, true);
    begin(scene);
    prove_guest(scene);
    send_release(scene, "lethe/release");
    assert_denied(scene, "certificate_dates");
    guest_expire(scene->guest, false);
    begin(scene);
    prove_guest(scene);
    assert_int_equal(200, send_release(scene, "lethe/release"));
}

/* With some other text in place of what the member has. */
static void replace(struct buffer *json, const char *member, const char *text)
{
    struct buffer changed = {0};
    buffer_byte(json, '\0');
    char *at = strstr(json->bytes, member);
    assert_non_null(at);
    at += strlen(member);
    buffer_append(&changed, json->bytes, (size_t)(at - json->bytes));
    buffer_text(&changed, text);
    buffer_text(&changed, at + strcspn(at, "\""));
    buffer_clear(json);
    *json = changed;
}

static void what_is_cut_short_or_goes_on_is_refused(void **state)
{
    struct scene *scene = *state;
    static char over[3000];
    const struct {
        void (*prove)(struct scene *);
        const char *member, *text, *code;
    } rows[] = {
        {prove_guest, "\"report\":\"", "AAAA", "evidence_size"},
        {prove_guest, "\"report\":\"", over, "evidence_malformed"},
        {prove_guest, "\"report\":\"", "", "evidence_malformed"},
        {prove_guest, "\"vek\":\"", "MIIB", "certificate_malformed"},
        {prove_tpm, "\"quote\":\"", "/1RDR4AY", "evidence_size"},
        {prove_tpm, "\"quote\":\"", over, "evidence_malformed"},
        {prove_tpm, "\"signature\":\"", "ABgACwAg", "evidence_size"},
        {prove_tpm, "\"ak\":\"", "ACMACw==", "evidence_size"},
        {prove_tpm, "\"ak\":\"", over, "evidence_malformed"},
        {prove_tpm, "\"kind\":\"", "sev-snp", "evidence_malformed"},
        {prove_tpm, "\"7\":\"", "17", "evidence_malformed"},
        {prove_tpm, "\"7\":\"", over, "evidence_malformed"},
    };
    memset(over, 'A', sizeof over - 4);
    add_guest_reference(scene);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        begin(scene);
        rows[i].prove(scene);
        replace(&scene->evidence, rows[i].member, rows[i].text);
        send_release(scene, "lethe/release");
        if (strstr(body_text(scene->check), rows[i].code) == NULL)
            fail_msg("row %zu: %s", i, body_text(scene->check));
        assert_denied(scene, rows[i].code);
    }
}

/* What takes long to read is refused before: the service has one thread. */
static void a_flood_of_values_is_not_read(void **state)
{
    static const char *const values[] = {"1", "{}", "\"\"", "[[]]"};
    struct scene *scene = *state;
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        begin(scene);
        buffer_clear(&scene->evidence);
        buffer_text(&scene->evidence, "{\"kind\":[");
        while (scene->evidence.size_bytes < 2000000)
            buffer_format(&scene->evidence, "%s,", values[i]);
        buffer_text(&scene->evidence, "0]}");
        send_release(scene, "lethe/release");
        assert_denied(scene, "evidence_malformed");
        assert_has(scene->check, "more members than any kind has");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_SCENE(no_byte_of_a_quote_can_be_changed),
        ON_SCENE(no_byte_of_a_report_can_be_changed),
        ON_SCENE(each_wrong_of_a_report_has_its_code),
        ON_SCENE(an_expired_certificate_is_refused),
        ON_SCENE(what_is_cut_short_or_goes_on_is_refused),
        ON_SCENE(a_flood_of_values_is_not_read),
    };
    return cmocka_run_group_tests(tests, service_start, NULL);
}
