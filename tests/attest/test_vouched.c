/* E-2: a virtual TPM is as good as the guest whose report has its key in it. */
#include "snp_scene.h"

#include "attest/tpm2.h"
#include "crypto/hash.h"

#define REPORT_DATA 0x50

static struct lethe_error err;

struct parts {
    struct buffer quote, signature, ak, values;
    struct tpm2_check check;
    struct scene scene;
};

static void read_part(const char *kind, struct buffer *out)
{
    char path[512];
    snprintf(path, sizeof path, TEST_VECTORS "/tpm2/ecdsa.%s", kind);
    assert_ok(file_read_all(AT_FDCWD, path, 4096, out, &err), &err);
}

/* A recorded quote, and a report of a guest that names its key. */
static int load_parts(void **state)
{
    static struct parts p;
    static const unsigned quoted[] = {0, 7, 16};
    p = (struct parts){0};
    read_part("quote", &p.quote);
    read_part("signature", &p.signature);
    read_part("ak", &p.ak);
    read_part("pcrs", &p.values);
    scene_make(&p.scene, &machines[0], 3);
    memset(p.scene.report + REPORT_DATA, 0, SEVSNP_DATA_BYTES);
    sha256(p.ak.bytes, p.ak.size_bytes, p.scene.report + REPORT_DATA);
    sign_report(pki.vek, p.scene.report);
    p.check = (struct tpm2_check){.quote = p.quote.bytes,
                                  .quote_bytes = p.quote.size_bytes,
                                  .signature = p.signature.bytes,
                                  .signature_bytes = p.signature.size_bytes,
                                  .ak = p.ak.bytes,
                                  .ak_bytes = p.ak.size_bytes,
                                  .vouched = &p.scene.check};
    for (size_t i = 0; i < ARRAY_LEN(quoted); i++) {
        p.check.pcrs.mask |= 1u << quoted[i];
        memcpy(p.check.pcrs.values[quoted[i]], p.values.bytes + 32 * i, 32);
    }
    *state = &p;
    return 0;
}

static int unload_parts(void **state)
{
    struct parts *p = *state;
    buffer_clear(&p->quote);
    buffer_clear(&p->signature);
    buffer_clear(&p->ak);
    buffer_clear(&p->values);
    scene_clear(&p->scene);
    return 0;
}

static void assert_answer(enum attest_reason expected, const struct tpm2_check *check)
{
    CLEANUP(attest_claims_clear) struct attest_claims claims = {0};
    lethe_result result = tpm2_verify(check, &claims, &err);
    assert_string_equal(attest_reason_code(expected), attest_reason_code(claims.reason));
    assert_result(expected == ATTEST_VERIFIED ? LETHE_OK : LETHE_DENIED, result);
    assert_int_equal(expected == ATTEST_VERIFIED, claims.verified);
}

static void a_report_vouches_for_its_key(void **state)
{
    struct parts *p = *state;
    CLEANUP(attest_claims_clear) struct attest_claims claims = {0};
    assert_ok(tpm2_verify(&p->check, &claims, &err), &err);
    assert_true(claims.verified && claims.has_report);
    assert_int_equal(ATTEST_TPM2, claims.kind);
    assert_string_equal("Milan", claims.product);
    assert_int_equal(0, strncmp(claims.measurement, "sha256:", 7));
    assert_int_equal(0, strncmp(claims.report_measurement, "sha384:", 7));
    assert_non_null(strstr(claims.json.bytes, ",\"report\":{\"kind\":\"sev-snp\""));
    attest_claims_clear(&claims);
    p->check.vouched = NULL; /* without one it is a TPM like others */
    assert_ok(tpm2_verify(&p->check, &claims, &err), &err);
    assert_false(claims.has_report);
    assert_string_equal("", claims.report_measurement);
}

static void another_key_is_not_vouched_for(void **state)
{
    struct parts *p = *state;
    p->scene.report[REPORT_DATA] ^= 1;
    sign_report(pki.vek, p->scene.report);
    assert_answer(ATTEST_KEY_NOT_VOUCHED, &p->check);
    p->scene.report[REPORT_DATA] ^= 1;
    p->scene.report[REPORT_DATA + 63] ^= 1; /* what is behind it is zeros */
    sign_report(pki.vek, p->scene.report);
    assert_answer(ATTEST_KEY_NOT_VOUCHED, &p->check);
}

/* What is wrong with the report is wrong with the quote. */
static void a_bad_report_does_not_vouch(void **state)
{
    struct parts *p = *state;
    p->scene.report[REPORT_DATA] ^= 1; /* and nobody has signed that */
    assert_answer(ATTEST_SIGNATURE, &p->check);
    p->scene.report[REPORT_DATA] ^= 1;
    assert_answer(ATTEST_VERIFIED, &p->check);
    p->scene.report[8 + 2] |= 1 << 3; /* a debugger may look into the guest */
    sign_report(pki.vek, p->scene.report);
    assert_answer(ATTEST_DEBUG, &p->check);
}

int main(void)
{
#define WITH_PARTS(test) cmocka_unit_test_setup_teardown(test, load_parts, unload_parts)
    const struct CMUnitTest tests[] = {
        WITH_PARTS(a_report_vouches_for_its_key),
        WITH_PARTS(another_key_is_not_vouched_for),
        WITH_PARTS(a_bad_report_does_not_vouch),
    };
    return cmocka_run_group_tests(tests, pki_start, pki_stop);
}
