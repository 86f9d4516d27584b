/* Reports that a test's own AMD has signed: every version, every product (E-3), and what no
 * signature excuses. */
#include "snp_scene.h"

static void reports_of_every_version_and_product_are_believed(void **state)
{
    for (size_t i = 0; i < MACHINES; i++) {
        for (uint8_t version = 2; version <= 5; version++) {
            struct scene s;
            struct lethe_error err = {0};
            struct attest_claims claims = {0};
            const struct machine *m = &machines[i];
            scene_make(&s, m, version);
            assert_ok(sevsnp_verify(&s.check, &claims, &err), &err);
            assert_true(claims.verified);
            assert_string_equal(claims.product, m->anchors_product);
            assert_int_equal(claims.report_version, version);
            assert_int_equal(claims.tcb.fmc, m->levels[0]);
            assert_int_equal(claims.tcb.bootloader, m->levels[1]);
            assert_int_equal(claims.tcb.tee, m->levels[2]);
            assert_int_equal(claims.tcb.snp, m->levels[3]);
            assert_int_equal(claims.tcb.microcode, m->levels[4]);
            assert_int_equal(claims.is_vlek, m->is_vlek);
            assert_string_equal(claims.report_measurement, claims.measurement);
            attest_claims_clear(&claims);
            scene_clear(&s);
        }
    }
}

static void another_roots_reports_are_not_believed(void **state)
{
    struct scene s;
    scene_make(&s, &machines[0], 3);
    assert_reason(ATTEST_VERIFIED, &s.check);
    s.check.anchors = NULL;
    assert_reason(ATTEST_CHAIN, &s.check);
    scene_clear(&s);
}

/* ---- signed, and refused --------------------------------------------------------------------- */

struct change {
    size_t at;
    uint8_t value;
    enum attest_reason reason;
};

static void assert_changes(const struct machine *m, uint8_t version, const struct change *changes,
                           size_t count)
{
    struct scene s;
    scene_make(&s, m, version);
    assert_reason(ATTEST_VERIFIED, &s.check);
    for (size_t i = 0; i < count; i++) {
        uint8_t kept[SEVSNP_REPORT_BYTES];
        memcpy(kept, s.report, sizeof kept);
        s.report[changes[i].at] = changes[i].value;
        sign_report(pki.vek, s.report);
        if (strcmp(reason_of(&s.check), attest_reason_code(changes[i].reason)) != 0)
            fail_msg("%s, version %u, byte %03zx: %s instead of %s", m->product, version,
                     changes[i].at, reason_of(&s.check), attest_reason_code(changes[i].reason));
        memcpy(s.report, kept, sizeof kept);
    }
    scene_clear(&s);
}

static void what_must_not_be_is_refused_though_it_is_signed(void **state)
{
    static const struct change changes[] = {
        {0x00, 0, ATTEST_VERSION},
        {0x00, 1, ATTEST_VERSION},
        {0x00, 6, ATTEST_VERSION},
        {0x01, 1, ATTEST_VERSION},
        {0x0a, 0x0b, ATTEST_DEBUG},
        {0x0a, 0x07, ATTEST_MIGRATION},
        {0x0a, 0x01, ATTEST_POLICY_BITS},
        {0x0b, 0x04, ATTEST_POLICY_BITS},
        {0x0f, 0x80, ATTEST_POLICY_BITS},
        {0x0b, 0x03, ATTEST_VERIFIED}, /* ciphertext hiding, no page swap: of this version */
        {0x30, 4, ATTEST_VMPL},
        {0x33, 0xff, ATTEST_VMPL},
        {0x30, 3, ATTEST_VERIFIED},
        {0x34, 0, ATTEST_ALGORITHM},
        {0x34, 2, ATTEST_ALGORITHM},
        {0x3a, 1, ATTEST_RESERVED},
        {0x40, 0x40, ATTEST_RESERVED},
        {0x41, 1, ATTEST_RESERVED},
        {0x48, 1, ATTEST_VERIFIED},
        {0x48, 2, ATTEST_CHIP_MASKED},
        {0x48, 1 << 2, ATTEST_SIGNING_KEY},
        {0x48, 7 << 2, ATTEST_SIGNING_KEY},
        {0x48, 0x20, ATTEST_RESERVED},
        {0x4c, 1, ATTEST_RESERVED},
        {0x180, 4, ATTEST_TCB},
        {0x181, 2, ATTEST_TCB},
        {0x186, 7, ATTEST_TCB},
        {0x187, 116, ATTEST_TCB},
        {0x182, 1, ATTEST_RESERVED},
        {0x185, 1, ATTEST_RESERVED},
        {0x188, 0x1a, ATTEST_PRODUCT},
        {0x189, 0x11, ATTEST_PRODUCT},
        {0x189, 0x80, ATTEST_PRODUCT},
        {0x18b, 1, ATTEST_RESERVED},
        {0x19f, 1, ATTEST_RESERVED},
        {0x1a0, 0x12, ATTEST_CHIP},
        {0x1df, 1, ATTEST_CHIP},
        {0x1e2, 1, ATTEST_RESERVED},
        {0x1eb, 1, ATTEST_RESERVED},
        {0x1ef, 1, ATTEST_RESERVED},
        {0x1f3, 1, ATTEST_RESERVED},
        {0x1f8, 1, ATTEST_RESERVED},
        {0x207, 1, ATTEST_RESERVED},
        {0x208, 1, ATTEST_RESERVED},
        {0x29f, 1, ATTEST_RESERVED},
    };
    assert_changes(&machines[0], 3, changes, ARRAY_LEN(changes));
}

static void versions_and_products_differ_in_what_must_be_zero(void **state)
{
    static const struct change of_2[] = {
        {0x188, 0x19, ATTEST_RESERVED}, {0x18a, 1, ATTEST_RESERVED}, {0x1f8, 1, ATTEST_RESERVED}};
    static const struct change of_4[] = {{0x200, 1, ATTEST_RESERVED}};
    static const struct change of_5[] = {{0x200, 0xff, ATTEST_VERIFIED},
                                         {0x1ff, 0xff, ATTEST_VERIFIED},
                                         {0x40, 0x80, ATTEST_VERIFIED}};
    static const struct change of_turin[] = {
        {0x180, 8, ATTEST_TCB},      {0x181, 9, ATTEST_TCB},        {0x182, 8, ATTEST_TCB},
        {0x183, 7, ATTEST_TCB},      {0x187, 254, ATTEST_TCB},      {0x184, 1, ATTEST_RESERVED},
        {0x186, 1, ATTEST_RESERVED}, {0x188, 0x19, ATTEST_PRODUCT}, {0x189, 0x12, ATTEST_PRODUCT},
        {0x1a7, 9, ATTEST_CHIP},
    };
    assert_changes(&machines[0], 2, of_2, ARRAY_LEN(of_2));
    assert_changes(&machines[1], 4, of_4, ARRAY_LEN(of_4));
    assert_changes(&machines[2], 5, of_5, ARRAY_LEN(of_5));
    assert_changes(&machines[3], 5, of_turin, ARRAY_LEN(of_turin));
}

static void a_masked_chip_is_refused_but_for_a_clouds_key(void **state)
{
    struct scene s;
    struct machine m = machines[0];
    scene_make(&s, &m, 3);
    memset(s.report + 0x1a0, 0, 64);
    sign_report(pki.vek, s.report);
    assert_reason(ATTEST_CHIP_MASKED, &s.check);
    scene_clear(&s);
    m = machines[4];
    scene_make(&s, &m, 3);
    assert_reason(ATTEST_VERIFIED, &s.check);
    scene_clear(&s);
}

static void another_keys_signature_is_refused(void **state)
{
    struct scene s;
    EVP_PKEY *other = EVP_EC_gen("P-384");
    scene_make(&s, &machines[0], 3);
    sign_report(other, s.report);
    assert_reason(ATTEST_SIGNATURE, &s.check);
    EVP_PKEY_free(other);
    scene_clear(&s);
}

static void numbers_of_a_signature_lie_within_the_order(void **state)
{
    struct scene s;
    uint8_t kept[SEVSNP_REPORT_BYTES];
    scene_make(&s, &machines[0], 3);
    memcpy(kept, s.report, sizeof kept);
    for (size_t at = 0x2a0; at <= 0x2e8; at += 72) {
        for (size_t behind = 48; behind < 72; behind++) {
            s.report[at + behind] = 0x80;
            assert_reason(ATTEST_SIGNATURE, &s.check);
            s.report[at + behind] = 0;
        }
        memset(s.report + at, 0xff, 48);
        assert_reason(ATTEST_SIGNATURE, &s.check);
        memset(s.report + at, 0, 48);
        assert_reason(ATTEST_SIGNATURE, &s.check);
        memcpy(s.report, kept, sizeof kept);
    }
    for (size_t at = 0x330; at < SEVSNP_REPORT_BYTES; at++) {
        s.report[at] = 1;
        assert_reason(ATTEST_RESERVED, &s.check);
        s.report[at] = 0;
    }
    assert_reason(ATTEST_VERIFIED, &s.check);
    scene_clear(&s);
}

static void all_of_report_data_is_compared(void **state)
{
    struct scene s;
    uint8_t data[SEVSNP_DATA_BYTES];
    scene_make(&s, &machines[3], 5);
    memcpy(data, s.report + 0x50, sizeof data);
    s.check.data = data;
    assert_reason(ATTEST_VERIFIED, &s.check);
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] ^= 0x10;
        assert_reason(ATTEST_BINDING, &s.check);
        data[i] ^= 0x10;
    }
    scene_clear(&s);
}

static void reasons_have_codes_of_their_own(void **state)
{
    for (size_t i = 0; i < ATTEST_REASON_COUNT; i++)
        for (size_t j = i + 1; j < ATTEST_REASON_COUNT; j++) {
            assert_string_not_equal(attest_reason_code((enum attest_reason)i),
                                    attest_reason_code((enum attest_reason)j));
            assert_string_not_equal(attest_reason_sentence((enum attest_reason)i),
                                    attest_reason_sentence((enum attest_reason)j));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reports_of_every_version_and_product_are_believed),
        cmocka_unit_test(another_roots_reports_are_not_believed),
        cmocka_unit_test(what_must_not_be_is_refused_though_it_is_signed),
        cmocka_unit_test(versions_and_products_differ_in_what_must_be_zero),
        cmocka_unit_test(a_masked_chip_is_refused_but_for_a_clouds_key),
        cmocka_unit_test(another_keys_signature_is_refused),
        cmocka_unit_test(numbers_of_a_signature_lie_within_the_order),
        cmocka_unit_test(all_of_report_data_is_compared),
        cmocka_unit_test(reasons_have_codes_of_their_own),
    };
    return cmocka_run_group_tests(tests, pki_start, pki_stop);
}
