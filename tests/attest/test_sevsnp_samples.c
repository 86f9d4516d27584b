/* What AMD's own keys have signed (E-3): it is believed, and nothing that differs from it is. */
#include "snp_samples.h"

#include <stdlib.h>

#include "attest/anchors.h"
#include "base/json.h"

#define REPORT "trustee-test-report.bin"
#define VCEK "trustee-test-vcek.der"
#define VLEK_REPORT "trustee-test-vlek-report.bin"
#define VLEK "trustee-test-vlek.der"

/* ---- as they are ----------------------------------------------------------------------------- */

static void a_report_of_version_2_is_believed(void **state)
{
    struct evidence_sample s = load(REPORT, VCEK);
    struct sevsnp_check check = check_of(&s);
    struct lethe_error err = {0};
    struct attest_claims claims = {0};
    assert_ok(sevsnp_verify(&check, &claims, &err), &err);
    assert_true(claims.verified);
    assert_string_equal(claims.product, "Milan");
    assert_int_equal(claims.report_version, 2);
    assert_int_equal(claims.vmpl, 0);
    assert_int_equal(claims.guest_policy, 0x3001f);
    assert_int_equal(claims.tcb.bootloader, 3);
    assert_int_equal(claims.tcb.tee, 0);
    assert_int_equal(claims.tcb.snp, 8);
    assert_int_equal(claims.tcb.microcode, 0x73);
    assert_false(claims.is_vlek);
    assert_memory_equal(claims.machine, "c38427a30d4c7af9d96f7a15", 24);
    assert_int_equal(strlen(claims.machine), 128);
    assert_memory_equal(claims.measurement, "sha384:", 7);
    assert_int_equal(strlen(claims.measurement), 7 + 96);
    attest_claims_clear(&claims);
    unload(&s);
}

static void a_report_of_version_3_by_a_clouds_key_is_believed(void **state)
{
    struct evidence_sample s = load(VLEK_REPORT, VLEK);
    struct sevsnp_check check = check_of(&s);
    struct lethe_error err = {0};
    struct attest_claims claims = {0};
    assert_ok(sevsnp_verify(&check, &claims, &err), &err);
    assert_string_equal(claims.product, "Milan");
    assert_int_equal(claims.report_version, 3);
    assert_int_equal(claims.vmpl, 1);
    assert_true(claims.is_vlek);
    assert_string_equal(claims.machine, "");
    assert_int_equal(claims.platform_info, 0x27);
    assert_non_null(strstr(claims.json.bytes, "cc-us-east-2.amazonaws.com"));
    attest_claims_clear(&claims);
    unload(&s);
}

static void a_clouds_key_is_believed_until_it_expires(void **state)
{
    struct evidence_sample s = load(VLEK_REPORT, VLEK);
    struct sevsnp_check check = check_of(&s);
    check.now_s = VLEK_EXPIRED_S - 1;
    assert_reason(ATTEST_VERIFIED, &check);
    check.now_s = VLEK_EXPIRED_S;
    assert_reason(ATTEST_CHAIN_DATES, &check);
    check.now_s = UINT64_C(1700000000); /* before it was made */
    assert_reason(ATTEST_CHAIN_DATES, &check);
    unload(&s);
}

static void a_guest_that_may_be_debugged_is_refused(void **state)
{
    struct evidence_sample s = load("gosev-milan-report.bin", "gosev-milan-vcek.der");
    struct sevsnp_check check = check_of(&s);
    assert_reason(ATTEST_DEBUG, &check);
    unload(&s);
}

static void certificates_that_are_not_what_they_say_are_refused(void **state)
{
    static const struct {
        const char *report, *vek;
        enum attest_reason reason;
    } cases[] = {
        {REPORT, "trustee-test-vcek-invalid-legacy.der", ATTEST_CHAIN},
        {REPORT, "trustee-test-vcek-invalid-new.der", ATTEST_CHAIN},
        {REPORT, "gosev-milan-vcek.der", ATTEST_CHIP},
        {"gosev-milan-report.bin", VCEK, ATTEST_CHIP},
        {REPORT, VLEK, ATTEST_SIGNING_KEY},
        {VLEK_REPORT, VCEK, ATTEST_SIGNING_KEY},
        {VLEK_REPORT, "virtee-turin-vcek.der", ATTEST_PRODUCT},
        {REPORT, "virtee-turin-vcek.der", ATTEST_CHIP},
        {REPORT, REPORT, ATTEST_CERTIFICATE},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct evidence_sample s = load(cases[i].report, cases[i].vek);
        struct sevsnp_check check = check_of(&s);
        assert_reason(cases[i].reason, &check);
        unload(&s);
    }
}

/* ---- other roots ----------------------------------------------------------------------------- */

static void another_products_chain_is_refused(void **state)
{
    static const struct {
        const unsigned char *pem;
        const size_t *size_bytes;
        const char *product;
        enum attest_reason reason;
    } cases[] = {
        {anchors_milan_ask, &anchors_milan_ask_bytes, "Milan", ATTEST_VERIFIED},
        {anchors_milan_asvk, &anchors_milan_asvk_bytes, "Milan", ATTEST_CHAIN},
        {anchors_genoa_ask, &anchors_genoa_ask_bytes, "Milan", ATTEST_CHAIN},
        {anchors_turin_ask, &anchors_turin_ask_bytes, "Milan", ATTEST_CHAIN},
        {anchors_genoa_ask, &anchors_genoa_ask_bytes, "Genoa", ATTEST_CHAIN},
        {anchors_milan_ask, &anchors_milan_ask_bytes, "Rome", ATTEST_CHAIN},
    };
    struct evidence_sample s = load(REPORT, VCEK);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *pem = strndup((const char *)cases[i].pem, *cases[i].size_bytes);
        struct sevsnp_check check = check_of(&s);
        check.anchors = pem;
        check.anchors_product = cases[i].product;
        assert_reason(cases[i].reason, &check);
        free(pem);
    }
    unload(&s);
}

/* ---- changed --------------------------------------------------------------------------------- */

static void no_byte_of_a_report_can_be_changed(void **state)
{
    static const struct {
        const char *report, *vek;
    } samples[] = {{REPORT, VCEK}, {VLEK_REPORT, VLEK}};
    struct sevsnp_cache *cache = NULL;
    struct lethe_error err = {0};
    assert_ok(sevsnp_cache_create(4, &cache, &err), &err);
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct evidence_sample s = load(samples[i].report, samples[i].vek);
        struct sevsnp_check check = check_of(&s);
        check.cache = cache;
        assert_reason(ATTEST_VERIFIED, &check);
        for (size_t at = 0; at < s.report.size_bytes; at++) {
            s.report.bytes[at] ^= (char)(1u << at % 8);
            if (strcmp(reason_of(&check), "verified") == 0)
                fail_msg("byte %zu of %s may be changed", at, samples[i].report);
            s.report.bytes[at] ^= (char)(1u << at % 8);
        }
        assert_reason(ATTEST_VERIFIED, &check);
        unload(&s);
    }
    sevsnp_cache_free(cache);
}

/* With a cache: what it knows is this certificate, not one like it. */
static void no_byte_of_a_certificate_can_be_changed(void **state)
{
    struct evidence_sample s = load(REPORT, VCEK);
    struct sevsnp_check check = check_of(&s);
    struct lethe_error err = {0};
    assert_ok(sevsnp_cache_create(4, &check.cache, &err), &err);
    assert_reason(ATTEST_VERIFIED, &check);
    for (size_t at = 0; at < s.vek.size_bytes; at++) {
        s.vek.bytes[at] ^= (char)(1u << at % 8);
        if (strcmp(reason_of(&check), "verified") == 0)
            fail_msg("byte %zu of the certificate may be changed", at);
        s.vek.bytes[at] ^= (char)(1u << at % 8);
    }
    assert_reason(ATTEST_VERIFIED, &check);
    sevsnp_cache_free(check.cache);
    unload(&s);
}

static void what_is_cut_short_or_goes_on_is_refused(void **state)
{
    struct evidence_sample s = load(REPORT, VCEK);
    struct sevsnp_check check = check_of(&s);
    for (size_t size = 0; size < s.report.size_bytes; size += 37) {
        check.report_bytes = size;
        assert_reason(ATTEST_SIZE, &check);
    }
    check.report_bytes = s.report.size_bytes - 1;
    assert_reason(ATTEST_SIZE, &check);
    buffer_byte(&s.report, 0);
    buffer_byte(&s.vek, 0);
    check = check_of(&s);
    check.vek_bytes--;
    assert_reason(ATTEST_SIZE, &check);
    check.report_bytes--;
    assert_reason(ATTEST_VERIFIED, &check);
    check.vek_bytes++;
    assert_reason(ATTEST_CERTIFICATE, &check);
    for (size_t size = 0; size < s.vek.size_bytes - 1; size += 37) {
        check.vek_bytes = size;
        assert_reason(ATTEST_CERTIFICATE, &check);
    }
    unload(&s);
}

static void versions_that_are_not_known_are_refused(void **state)
{
    static const uint8_t versions[] = {0, 1, 6, 255};
    struct evidence_sample s = load(REPORT, VCEK);
    struct sevsnp_check check = check_of(&s);
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        s.report.bytes[0] = (char)versions[i];
        assert_reason(ATTEST_VERSION, &check);
    }
    unload(&s);
}

static void reverse(char *bytes, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes / 2; i++) {
        char kept = bytes[i];
        bytes[i] = bytes[size_bytes - 1 - i];
        bytes[size_bytes - 1 - i] = kept;
    }
}

static void signatures_have_one_form(void **state)
{
    enum { R = 0x2a0, S = 0x2e8, BEHIND = 0x330 };
    struct evidence_sample s = load(REPORT, VCEK);
    struct sevsnp_check check = check_of(&s);
    char kept[SEVSNP_REPORT_BYTES];
    memcpy(kept, s.report.bytes, sizeof kept);
    for (size_t at = R; at <= S; at += S - R) {
        reverse(s.report.bytes + at, 48);
        assert_reason(ATTEST_SIGNATURE, &check);
        reverse(s.report.bytes + at, 48);
        memset(s.report.bytes + at, 0, 72);
        assert_reason(ATTEST_SIGNATURE, &check);
        memcpy(s.report.bytes, kept, sizeof kept);
        s.report.bytes[at + 71] = 1;
        assert_reason(ATTEST_SIGNATURE, &check);
        s.report.bytes[at + 71] = 0;
    }
    assert_reason(ATTEST_VERIFIED, &check);
    s.report.bytes[BEHIND] = 1;
    assert_reason(ATTEST_RESERVED, &check);
    s.report.bytes[BEHIND] = 0;
    s.report.bytes[0x34] = 2;
    assert_reason(ATTEST_ALGORITHM, &check);
    unload(&s);
}

/* ---- binding, reading ------------------------------------------------------------------------ */

static void report_data_is_compared(void **state)
{
    struct evidence_sample s = load(REPORT, VCEK);
    struct sevsnp_check check = check_of(&s);
    uint8_t data[SEVSNP_DATA_BYTES];
    memcpy(data, s.report.bytes + 0x50, sizeof data);
    check.data = data;
    assert_reason(ATTEST_VERIFIED, &check);
    data[63] ^= 1;
    assert_reason(ATTEST_BINDING, &check);
    unload(&s);
}

static void reports_can_be_read_without_believing_them(void **state)
{
    struct evidence_sample s = load(VLEK_REPORT, VLEK);
    struct lethe_error err = {0};
    CLEANUP(attest_claims_clear) struct attest_claims claims = {0};
    s.report.bytes[0x2a0] ^= 1;
    assert_ok(sevsnp_read(s.report.bytes, s.report.size_bytes, &claims, &err), &err);
    assert_false(claims.verified);
    assert_string_equal(claims.product, "Milan");
    CLEANUP(json_decref) json_t *json = NULL;
    assert_ok(json_parse(claims.json.bytes, claims.json.size_bytes, &json, &err), &err);
    assert_string_equal(json_string_value(json_object_get(json, "kind")), "sev-snp");
    assert_int_equal(json_integer_value(json_object_get(json, "vmpl")), 1);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(json, "tcb"), "snp")),
                     0x18);
    assert_true(json_is_false(json_object_get(json_object_get(json, "policy"), "debug_allowed")));
    assert_true(json_is_true(json_object_get(json_object_get(json, "platform"), "ecc")));
    struct attest_claims none;
    assert_result(LETHE_DENIED, sevsnp_read(s.report.bytes, 1183, &none, &err));
    assert_null(none.json.bytes);
    unload(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_report_of_version_2_is_believed),
        cmocka_unit_test(a_report_of_version_3_by_a_clouds_key_is_believed),
        cmocka_unit_test(a_clouds_key_is_believed_until_it_expires),
        cmocka_unit_test(a_guest_that_may_be_debugged_is_refused),
        cmocka_unit_test(certificates_that_are_not_what_they_say_are_refused),
        cmocka_unit_test(another_products_chain_is_refused),
        cmocka_unit_test(no_byte_of_a_report_can_be_changed),
        cmocka_unit_test(no_byte_of_a_certificate_can_be_changed),
        cmocka_unit_test(what_is_cut_short_or_goes_on_is_refused),
        cmocka_unit_test(versions_that_are_not_known_are_refused),
        cmocka_unit_test(signatures_have_one_form),
        cmocka_unit_test(report_data_is_compared),
        cmocka_unit_test(reports_can_be_read_without_believing_them),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
