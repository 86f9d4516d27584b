/* Reference values: what may be one, and which claims fit it (E-3). */
#include "check.h"

#include "attest/attest.h"
#include "crypto/crypto.h"

#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B64 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define A96 A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define TPM2 "{\"kind\":\"tpm2\",\"pcrs\":{\"0\":\"" A64 "\",\"7\":\"" B64 "\"}"
#define SNP "{\"kind\":\"sev-snp\",\"measurement\":\"sha384:" A96 "\""

static void invalid_ones_are_refused_by_name(void **state)
{
    static const struct {
        const char *json, *names;
    } cases[] = {
        {"", ""},
        {"[]", ""},
        {"{}", "kind"},
        {"{\"kind\":\"sgx\"}", "kind"},
        {"{\"kind\":1}", "kind"},
        {"{\"kind\":\"tpm2\"}", "pcrs"},
        {"{\"kind\":\"tpm2\",\"pcrs\":{}}", "pcrs"},
        {"{\"kind\":\"tpm2\",\"pcrs\":[]}", "pcrs"},
        {"{\"kind\":\"tpm2\",\"pcrs\":{\"16\":\"" A64 "\"}}", "pcrs"},
        {"{\"kind\":\"tpm2\",\"pcrs\":{\"23\":\"" A64 "\"}}", "pcrs"},
        {"{\"kind\":\"tpm2\",\"pcrs\":{\"24\":\"" A64 "\"}}", "pcrs"},
        {"{\"kind\":\"tpm2\",\"pcrs\":{\"07\":\"" A64 "\"}}", "pcrs"},
        {"{\"kind\":\"tpm2\",\"pcrs\":{\"-1\":\"" A64 "\"}}", "pcrs"},
        {"{\"kind\":\"tpm2\",\"pcrs\":{\"\":\"" A64 "\"}}", "pcrs"},
        {"{\"kind\":\"tpm2\",\"pcrs\":{\"0\":\"" A64 "\",\"0\":\"" A64 "\"}}", ""},
        {"{\"kind\":\"tpm2\",\"pcrs\":{\"0\":\"" A96 "\"}}", "pcrs"},
        {"{\"kind\":\"tpm2\",\"pcrs\":{\"0\":\"AA\"}}", "pcrs"},
        {"{\"kind\":\"tpm2\",\"pcrs\":{\"0\":1}}", "pcrs"},
        {TPM2 ",\"loaders\":[\"" A64 "\"]}", "loaders"},
        {TPM2 ",\"loaders\":[\"sha1:aa\"]}", "loaders"},
        {TPM2 ",\"loaders\":[1]}", "loaders"},
        {TPM2 ",\"loaders\":[\"sha256:" A64 "\",\"sha256:" A64 "\"]}", "loaders"},
        {TPM2 ",\"loaders\":[1,2,3,4,5,6,7,8,9]}", "loaders"},
        {TPM2 ",\"vmpl_max\":0}", "vmpl_max"},
        {TPM2 ",\"least_tcb\":{}}", "least_tcb"},
        {TPM2 ",\"other\":1}", ""},
        {"{\"kind\":\"sev-snp\"}", "measurement"},
        {"{\"kind\":\"sev-snp\",\"measurement\":\"\"}", "measurement"},
        {"{\"kind\":\"sev-snp\",\"measurement\":\"sha384:" A64 "\"}", "measurement"},
        {"{\"kind\":\"sev-snp\",\"measurement\":\"sha256:" A64 "\"}", "measurement"},
        {SNP ",\"pcrs\":{\"0\":\"" A64 "\"}}", "pcrs"},
        {SNP ",\"loaders\":[]}", "loaders"},
        {SNP ",\"vmpl_max\":4}", "vmpl_max"},
        {SNP ",\"vmpl_max\":-1}", "vmpl_max"},
        {SNP ",\"least_tcb\":{\"snp\":256}}", "least_tcb"},
        {SNP ",\"least_tcb\":{\"snp\":-1}}", "least_tcb"},
        {SNP ",\"least_tcb\":{\"psp\":1}}", "least_tcb"},
        {SNP "} ,", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct lethe_error err = {0};
        struct attest_reference r = {.kind = ATTEST_SEV_SNP, .vmpl_max = 3};
        lethe_result result =
            attest_reference_parse(cases[i].json, strlen(cases[i].json), &r, &err);
        if (result != LETHE_INVALID || strstr(err.text, cases[i].names) == NULL)
            fail_msg("%s: %s: %s", cases[i].json, lethe_result_name(result),
                     (const char *)err.text);
        assert_int_equal(r.measurement[0], 0);
        assert_int_equal(r.pcr_mask, 0);
    }
}

static struct attest_reference parsed(const char *json)
{
    struct lethe_error err = {0};
    struct attest_reference r;
    assert_ok(attest_reference_parse(json, strlen(json), &r, &err), &err);
    return r;
}

static void what_is_written_is_read_back(void **state)
{
    static const char *const texts[] = {
        "{\"kind\":\"tpm2\",\"pcrs\":{\"0\":\"" A64 "\",\"22\":\"" B64 "\"},\"loaders\":[]}",
        TPM2 ",\"loaders\":[\"sha256:" B64 "\",\"sha256:" A64 "\"]}",
        TPM2 ",\"loaders\":[],\"measurement\":\"sha384:" A96
             "\",\"least_tcb\":{\"fmc\":1,\"bootloader\":2,\"tee\":3,\"snp\":4,\"microcode\":255},"
             "\"vmpl_max\":2}",
        SNP ",\"least_tcb\":{\"fmc\":0,\"bootloader\":0,\"tee\":0,\"snp\":0,\"microcode\":0},"
            "\"vmpl_max\":0}",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct attest_reference r = parsed(texts[i]);
        struct buffer json = {0};
        attest_reference_format(&r, &json);
        assert_string_equal(json.bytes, texts[i]);
        buffer_clear(&json);
    }
    struct attest_reference short_one = parsed(SNP "}");
    assert_int_equal(short_one.vmpl_max, 0);
    assert_int_equal(short_one.kind, ATTEST_SEV_SNP);
}

/* ---- fitting --------------------------------------------------------------------------------- */

static void assert_why(const struct attest_reference *r, const struct attest_claims *claims,
                       const char *expected)
{
    char why[ATTEST_WHY_SIZE];
    assert_int_equal(attest_reference_fits(r, claims, why), expected[0] == '\0');
    assert_string_equal(why, expected);
}

static struct attest_claims of_tpm(void)
{
    struct attest_claims claims = {.kind = ATTEST_TPM2, .verified = true, .pcr_mask = 0x81};
    memset(claims.pcrs[0], 0xaa, 32);
    memset(claims.pcrs[7], 0xbb, 32);
    return claims;
}

static void pcrs_are_compared(void **state)
{
    struct attest_reference r = parsed(TPM2 "}");
    struct attest_claims claims = of_tpm();
    assert_why(&r, &claims, "");
    claims.pcr_mask |= 1 << 4; /* more than is asked for */
    assert_why(&r, &claims, "");
    claims.pcrs[7][31] = 0xba;
    assert_why(&r, &claims,
               "PCR 7 is bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbba, "
               "expected " B64);
    claims.pcr_mask = 0x80;
    assert_why(&r, &claims, "PCR 0 was not quoted");
    claims = of_tpm();
    claims.verified = false;
    assert_why(&r, &claims, "the evidence was not verified");
    claims = of_tpm();
    claims.kind = ATTEST_SEV_SNP;
    assert_why(&r, &claims, "kind is sev-snp, expected tpm2");
    claims = of_tpm();
    r.revoked_s = 1;
    assert_why(&r, &claims, "the reference value was revoked");
}

static void every_loader_is_among_the_expected(void **state)
{
    struct attest_reference r =
        parsed(TPM2 ",\"loaders\":[\"sha256:" A64 "\",\"sha256:" B64 "\"]}");
    struct attest_claims claims = of_tpm();
    assert_why(&r, &claims, "there is no IMA log that says which loader ran");
    claims.ima_replayed = true;
    claims.ima_violations = 1;
    assert_why(&r, &claims, "the IMA log has 1 files that changed while they were measured");
    claims.ima_violations = 0;
    assert_why(&r, &claims, "the IMA log names no loader");
    claims.loader_count = 1;
    strcpy(claims.loaders[0], "sha256:" B64);
    assert_why(&r, &claims, "");
    claims.loader_count = 2;
    strcpy(claims.loaders[1], "sha256:cc");
    assert_why(&r, &claims, "the loader is sha256:cc, which is not among the expected");
}

static struct attest_claims of_guest(void)
{
    struct attest_claims claims = {.kind = ATTEST_SEV_SNP,
                                   .verified = true,
                                   .has_report = true,
                                   .vmpl = 1,
                                   .tcb = {5, 5, 5, 5, 5}};
    strcpy(claims.report_measurement, "sha384:" A96);
    return claims;
}

static void levels_are_compared_one_by_one(void **state)
{
    struct attest_reference r =
        parsed(SNP ",\"vmpl_max\":1,\"least_tcb\":{\"fmc\":5,\"bootloader\":5,\"tee\":5,\"snp\":5,"
                   "\"microcode\":5}}");
    struct attest_claims claims = of_guest();
    assert_why(&r, &claims, "");
    claims.tcb = (struct attest_tcb){255, 255, 255, 4, 255}; /* greater as one number */
    assert_why(&r, &claims, "TCB: snp is 4, expected at least 5");
    claims.tcb = (struct attest_tcb){4, 255, 255, 255, 255};
    assert_why(&r, &claims, "TCB: fmc is 4, expected at least 5");
    claims = of_guest();
    claims.vmpl = 2;
    assert_why(&r, &claims, "VMPL is 2, expected at most 1");
    claims = of_guest();
    claims.report_measurement[7] = 'b';
    assert_false(attest_reference_fits(&r, &claims, (char[ATTEST_WHY_SIZE]){0}));
}

static void a_virtual_tpm_is_vouched_for_where_that_is_asked(void **state)
{
    struct attest_reference r = parsed(TPM2 ",\"measurement\":\"sha384:" A96 "\",\"vmpl_max\":1}");
    struct attest_claims claims = of_tpm();
    assert_why(&r, &claims, "no report vouches for the TPM");
    struct attest_claims guest = of_guest();
    claims.has_report = true;
    claims.vmpl = 1;
    memcpy(claims.report_measurement, guest.report_measurement, sizeof guest.report_measurement);
    assert_why(&r, &claims, "");
    claims.vmpl = 2;
    assert_why(&r, &claims, "VMPL is 2, expected at most 1");
}

static void a_reference_that_names_nothing_fits_nothing(void **state)
{
    const struct attest_reference nothing = {.kind = ATTEST_SEV_SNP};
    const struct attest_claims claims = of_guest();
    assert_why(&nothing, &claims, "no measurement is expected");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(invalid_ones_are_refused_by_name),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(pcrs_are_compared),
        cmocka_unit_test(every_loader_is_among_the_expected),
        cmocka_unit_test(levels_are_compared_one_by_one),
        cmocka_unit_test(a_virtual_tpm_is_vouched_for_where_that_is_asked),
        cmocka_unit_test(a_reference_that_names_nothing_fits_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
