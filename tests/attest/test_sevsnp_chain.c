/* From a chip's key to the root (E-3): who has signed what, with which algorithm, until when, and
 * what was taken back. And what a cache may remember of it. */
#include "snp_scene.h"

static const struct machine *const milan = &machines[0];

/* ---- the certificate of the chip's key ------------------------------------------------------- */

static void assert_vek(const struct machine *m, enum attest_reason expected,
                       const struct certificate_spec *spec, const char *what)
{
    struct scene s;
    scene_make(&s, m, 3);
    scene_vek(&s, m, spec);
    const char *got = reason_of(&s.check);
    if (strcmp(got, attest_reason_code(expected)) != 0)
        fail_msg("%s: %s instead of %s", what, got, attest_reason_code(expected));
    scene_clear(&s);
}

static void certificates_say_all_that_they_must_once(void **state)
{
    static const char *const needed[] = {"2", "3.1", "3.2", "3.3", "3.8", "4"};
    for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
        struct certificate_spec spec = vek_spec(milan);
        spec.leave_out = needed[i];
        assert_vek(milan, ATTEST_CERTIFICATE, &spec, needed[i]);
        spec = vek_spec(milan);
        spec.twice = needed[i];
        assert_vek(milan, ATTEST_CERTIFICATE, &spec, needed[i]);
    }
    struct certificate_spec turin = vek_spec(&machines[3]);
    turin.leave_out = "3.9";
    assert_vek(&machines[3], ATTEST_CERTIFICATE, &turin, "FMC");
    struct certificate_spec vlek = vek_spec(&machines[4]);
    vlek.leave_out = "5";
    assert_vek(&machines[4], ATTEST_CERTIFICATE, &vlek, "cloud");
}

static void a_hardware_id_may_be_wrapped(void **state)
{
    struct certificate_spec spec = vek_spec(milan);
    spec.is_hwid_wrapped = true;
    assert_vek(milan, ATTEST_VERIFIED, &spec, "wrapped");
    spec.hwid_bytes = 63;
    assert_vek(milan, ATTEST_CERTIFICATE, &spec, "63 bytes");
    spec.hwid_bytes = 8;
    assert_vek(milan, ATTEST_CERTIFICATE, &spec, "8 bytes");
    struct certificate_spec turin = vek_spec(&machines[3]);
    turin.is_hwid_wrapped = true;
    assert_vek(&machines[3], ATTEST_VERIFIED, &turin, "wrapped, Turin");
    turin.hwid_bytes = 64;
    assert_vek(&machines[3], ATTEST_CERTIFICATE, &turin, "64 bytes, Turin");
}

static void certificates_of_something_else_are_refused(void **state)
{
    static const uint8_t another[64] = {0x99};
    EVP_PKEY *p256 = EVP_EC_gen("P-256");
    struct certificate_spec spec = vek_spec(milan);
    spec.hwid = another;
    assert_vek(milan, ATTEST_CHIP, &spec, "another chip's");
    spec = vek_spec(milan);
    spec.key = p256;
    assert_vek(milan, ATTEST_CERTIFICATE, &spec, "P-256");
    spec.key = pki.root;
    assert_vek(milan, ATTEST_CERTIFICATE, &spec, "RSA");
    spec = vek_spec(milan);
    spec.name = "VCEK";
    assert_vek(milan, ATTEST_CERTIFICATE, &spec, "another name");
    spec = vek_spec(milan);
    spec.product = "Genoa";
    assert_vek(milan, ATTEST_CERTIFICATE, &spec, "another product");
    spec.product = "Milano";
    assert_vek(milan, ATTEST_CERTIFICATE, &spec, "nearly that product");
    spec = vek_spec(milan);
    spec.levels[3]++;
    assert_vek(milan, ATTEST_TCB, &spec, "another TCB");
    spec = vek_spec(milan);
    spec.name = "SEV-VLEK";
    assert_vek(milan, ATTEST_CHAIN, &spec, "a VLEK by who makes VCEKs");
    EVP_PKEY_free(p256);
}

/* ---- who signed it, and how ------------------------------------------------------------------ */

static void only_pss_with_sha384_is_accepted(void **state)
{
    static const enum pki_way ways[] = {PKI_PSS256, PKI_SALT_32, PKI_PKCS1, PKI_MGF1_SHA256};
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        struct certificate_spec spec = vek_spec(milan);
        spec.way = ways[i];
        assert_vek(milan, ATTEST_CHAIN, &spec, "way of signing");
    }
    EVP_PKEY *small = EVP_RSA_gen(2048);
    EVP_PKEY *curve = EVP_EC_gen("P-384");
    struct certificate_spec spec = vek_spec(milan);
    spec.issuer_key = small;
    assert_vek(milan, ATTEST_CHAIN, &spec, "another key");
    spec.issuer_key = curve;
    assert_vek(milan, ATTEST_CHAIN, &spec, "ECDSA");
    spec.issuer_key = pki.root;
    assert_vek(milan, ATTEST_CHAIN, &spec, "the root itself");
    EVP_PKEY_free(small);
    EVP_PKEY_free(curve);
}

/* The same VEK below other authorities. */
static void assert_above(enum attest_reason expected, const struct certificate_spec *intermediate,
                         const struct certificate_spec *root, const char *what)
{
    struct scene s;
    scene_make(&s, milan, 3);
    buffer_clear(&s.anchors);
    pki_anchors(intermediate, root, &s.anchors);
    scene_check(&s, milan);
    const char *got = reason_of(&s.check);
    if (strcmp(got, attest_reason_code(expected)) != 0)
        fail_msg("%s: %s instead of %s", what, got, attest_reason_code(expected));
    scene_clear(&s);
}

static void authorities_are_authorities(void **state)
{
    struct certificate_spec root = root_spec();
    struct certificate_spec middle = intermediate_spec("SEV-Milan");
    assert_above(ATTEST_VERIFIED, &middle, &root, "as they should be");
    middle.is_ca = false;
    assert_above(ATTEST_CHAIN, &middle, &root, "an intermediate that is no CA");
    middle = intermediate_spec("SEV-Milan");
    middle.without_cert_sign = true;
    middle.without_crl_sign = false;
    assert_above(ATTEST_CHAIN, &middle, &root, "one that signs no certificates");
    middle = intermediate_spec("SEV-Milan");
    middle.issuer_key = pki.intermediate;
    assert_above(ATTEST_CHAIN, &middle, &root, "one that the root has not signed");
    middle = intermediate_spec("SEV-Milan");
    middle.issuer = "ARK-Other";
    assert_above(ATTEST_CHAIN, &middle, &root, "one of another root's name");
    middle = intermediate_spec("SEV-Genoa");
    assert_above(ATTEST_CHAIN, &middle, &root, "another product's");
    middle = intermediate_spec("SEV-Milan");
    root.issuer_key = pki.intermediate;
    assert_above(ATTEST_CHAIN, &middle, &root, "a root that has not signed itself");
    root = root_spec();
    root.path_length = 0;
    assert_above(ATTEST_CHAIN, &middle, &root, "a root that may only sign leaves");
    root.path_length = 1;
    assert_above(ATTEST_VERIFIED, &middle, &root, "one that may sign an intermediate");
    root = root_spec();
    root.way = PKI_PSS256;
    assert_above(ATTEST_CHAIN, &middle, &root, "a root with SHA-256");
}

static void every_certificate_of_the_chain_is_in_time(void **state)
{
    for (unsigned i = 0; i < 6; i++) {
        struct certificate_spec specs[] = {vek_spec(milan), intermediate_spec("SEV-Milan"),
                                           root_spec()};
        if (i % 2 == 0)
            specs[i / 2].not_after_s = PKI_NOW_S - 1;
        else
            specs[i / 2].not_before_s = PKI_NOW_S + 1;
        struct scene s;
        scene_make(&s, milan, 3);
        buffer_clear(&s.anchors);
        pki_anchors(&specs[1], &specs[2], &s.anchors);
        scene_vek(&s, milan, &specs[0]);
        assert_reason(ATTEST_CHAIN_DATES, &s.check);
        s.check.now_s = i % 2 == 0 ? PKI_NOW_S - 1 : PKI_NOW_S + 1;
        assert_reason(ATTEST_VERIFIED, &s.check);
        scene_clear(&s);
    }
}

/* ---- taken back ------------------------------------------------------------------------------ */

static struct crl_spec crl_of(long serial)
{
    return (struct crl_spec){.issuer = "ARK-Test",
                             .issuer_key = pki.root,
                             .serial = serial,
                             .this_s = PKI_NOW_S - 100,
                             .next_s = PKI_NOW_S + 100};
}

static void assert_crls(enum attest_reason expected, const struct crl_spec *specs, size_t count,
                        const char *what)
{
    struct scene s;
    struct buffer crls = {0};
    scene_make(&s, milan, 3);
    for (size_t i = 0; i < count; i++)
        pki_crl(&specs[i], &crls);
    s.check.crls = crls.bytes;
    s.check.crls_bytes = crls.size_bytes;
    const char *got = reason_of(&s.check);
    if (strcmp(got, attest_reason_code(expected)) != 0)
        fail_msg("%s: %s instead of %s", what, got, attest_reason_code(expected));
    scene_clear(&s);
    buffer_clear(&crls);
}

static void whoever_is_in_a_crl_is_revoked(void **state)
{
    struct crl_spec crl = crl_of(-1);
    assert_crls(ATTEST_VERIFIED, &crl, 1, "nobody");
    crl = crl_of(77);
    assert_crls(ATTEST_VERIFIED, &crl, 1, "somebody else");
    crl = crl_of(2);
    assert_crls(ATTEST_CHAIN_REVOKED, &crl, 1, "the intermediate");
    crl = crl_of(1);
    assert_crls(ATTEST_CHAIN_REVOKED, &crl, 1, "the root, by itself");
    struct crl_spec old_and_new[] = {crl_of(2), crl_of(-1)};
    old_and_new[0].next_s = PKI_NOW_S - 50;
    assert_crls(ATTEST_CHAIN_REVOKED, old_and_new, 2, "the intermediate, in an old one");
    old_and_new[0].serial = -1;
    assert_crls(ATTEST_VERIFIED, old_and_new, 2, "an old one beside a new one");
    assert_crls(ATTEST_CRL, old_and_new, 1, "an old one alone");
}

static void crls_are_their_authoritys(void **state)
{
    struct crl_spec crl = crl_of(-1);
    crl.issuer_key = pki.intermediate;
    assert_crls(ATTEST_CRL, &crl, 1, "forged");
    crl = crl_of(-1);
    crl.way = PKI_PSS256;
    assert_crls(ATTEST_CRL, &crl, 1, "with SHA-256");
    crl = crl_of(-1);
    crl.this_s = PKI_NOW_S + 1;
    assert_crls(ATTEST_CRL, &crl, 1, "not yet in force");
    crl = crl_of(2);
    crl.issuer = "ARK-Other";
    assert_crls(ATTEST_VERIFIED, &crl, 1, "of an authority that is not ours");
    crl = crl_of(-1);
    crl.issuer = "SEV-Milan"; /* may not sign CRLs */
    crl.issuer_key = pki.intermediate;
    assert_crls(ATTEST_CRL, &crl, 1, "of an authority that may not");
}

static void crls_that_are_none_are_refused(void **state)
{
    static const char *const texts[] = {"x", "-----BEGIN X509 CRL-----\n",
                                        "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"};
    struct scene s;
    scene_make(&s, milan, 3);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        s.check.crls = texts[i];
        s.check.crls_bytes = strlen(texts[i]);
        assert_reason(ATTEST_CRL, &s.check);
    }
    scene_clear(&s);
}

/* ---- remembered ------------------------------------------------------------------------------ */

static void a_cache_does_not_outlive_what_it_knows(void **state)
{
    struct scene s;
    struct lethe_error err = {0};
    struct buffer crls = {0}, revoking = {0};
    struct crl_spec crl = crl_of(-1);
    scene_make(&s, milan, 3);
    assert_ok(sevsnp_cache_create(2, &s.check.cache, &err), &err);
    assert_reason(ATTEST_VERIFIED, &s.check);
    assert_reason(ATTEST_VERIFIED, &s.check);
    s.check.now_s = PKI_NOW_S + PKI_DAY_S + 1;
    assert_reason(ATTEST_CHAIN_DATES, &s.check);
    s.check.now_s = PKI_NOW_S;
    pki_crl(&crl, &crls);
    s.check.crls = crls.bytes;
    s.check.crls_bytes = crls.size_bytes;
    assert_reason(ATTEST_VERIFIED, &s.check);
    s.check.now_s = crl.next_s + 1;
    assert_reason(ATTEST_CRL, &s.check);
    s.check.now_s = PKI_NOW_S;
    crl.serial = 2;
    pki_crl(&crl, &revoking); /* another list: not forgotten, and yet not believed */
    s.check.crls = revoking.bytes;
    s.check.crls_bytes = revoking.size_bytes;
    assert_reason(ATTEST_CHAIN_REVOKED, &s.check);
    sevsnp_cache_free(s.check.cache);
    buffer_clear(&crls);
    buffer_clear(&revoking);
    scene_clear(&s);
}

static void what_was_found_under_other_roots_does_not_count(void **state)
{
    struct scene s;
    struct lethe_error err = {0};
    scene_make(&s, milan, 3);
    assert_ok(sevsnp_cache_create(2, &s.check.cache, &err), &err);
    assert_reason(ATTEST_VERIFIED, &s.check);
    const char *anchors = s.check.anchors;
    s.check.anchors = NULL;
    assert_reason(ATTEST_CHAIN, &s.check);
    s.check.anchors = anchors;
    s.check.anchors_product = "Genoa";
    assert_reason(ATTEST_CHAIN, &s.check);
    sevsnp_cache_free(s.check.cache);
    scene_clear(&s);
}

static void a_full_cache_goes_on(void **state)
{
    struct lethe_error err = {0};
    struct sevsnp_cache *cache = NULL;
    assert_result(LETHE_INVALID, sevsnp_cache_create(0, &cache, &err));
    assert_ok(sevsnp_cache_create(2, &cache, &err), &err);
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < MACHINES; i++) {
            struct scene s;
            scene_make(&s, &machines[i], 3);
            s.check.cache = cache;
            assert_reason(ATTEST_VERIFIED, &s.check);
            assert_reason(ATTEST_VERIFIED, &s.check);
            s.report[0x90] ^= 1;
            assert_reason(ATTEST_SIGNATURE, &s.check);
            scene_clear(&s);
        }
        sevsnp_cache_forget(cache);
    }
    sevsnp_cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(certificates_say_all_that_they_must_once),
        cmocka_unit_test(a_hardware_id_may_be_wrapped),
        cmocka_unit_test(certificates_of_something_else_are_refused),
        cmocka_unit_test(only_pss_with_sha384_is_accepted),
        cmocka_unit_test(authorities_are_authorities),
        cmocka_unit_test(every_certificate_of_the_chain_is_in_time),
        cmocka_unit_test(whoever_is_in_a_crl_is_revoked),
        cmocka_unit_test(crls_are_their_authoritys),
        cmocka_unit_test(crls_that_are_none_are_refused),
        cmocka_unit_test(a_cache_does_not_outlive_what_it_knows),
        cmocka_unit_test(what_was_found_under_other_roots_does_not_count),
        cmocka_unit_test(a_full_cache_goes_on),
    };
    return cmocka_run_group_tests(tests, pki_start, pki_stop);
}
