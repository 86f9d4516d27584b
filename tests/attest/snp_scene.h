/* tests/attest/snp_scene.h -- guests on chips of every product, and reports of theirs that the
 * tests' own AMD stands for. */
#ifndef TESTS_ATTEST_SNP_SCENE_H
#define TESTS_ATTEST_SNP_SCENE_H

#include "snp_pki.h"

/* ---- reports --------------------------------------------------------------------------------- */

struct machine { /* a guest on a chip; by default a good one */
    const char *product, *anchors_product;
    uint8_t family, model;
    bool is_vlek, is_turin;
    uint8_t levels[5];
    uint8_t chip[64];
};

__attribute__((unused)) static const struct machine machines[] = {
    {"Milan-B0", "Milan", 0x19, 0x01, false, false, {0, 3, 1, 8, 115}, {0x11, 0x22}},
    {"Genoa", "Genoa", 0x19, 0x11, false, false, {0, 7, 2, 14, 200}, {0x33, 0x44}},
    {"Genoa", "Genoa", 0x19, 0xa0, false, false, {0, 7, 2, 14, 200}, {0x35, 0x44}},
    {"Turin", "Turin", 0x1a, 0x11, false, true, {9, 8, 7, 6, 255}, {0x55, 0x66, 3, 4, 5, 6, 7, 8}},
    {"Milan", "Milan", 0x19, 0x01, true, false, {0, 3, 1, 8, 115}, {0}},
    {"Turin", "Turin", 0x1a, 0x02, true, true, {9, 8, 7, 6, 255}, {0}},
};
#define MACHINES ARRAY_LEN(machines)

__attribute__((unused)) static void put_tcb(const struct machine *m, uint8_t *at)
{
    static const uint8_t old[5] = {0xff, 0, 1, 6, 7}, turin[5] = {0, 1, 2, 3, 7};
    for (size_t i = 0; i < 5; i++)
        if ((m->is_turin ? turin : old)[i] != 0xff)
            at[(m->is_turin ? turin : old)[i]] = m->levels[i];
}

__attribute__((unused)) static void fill_report(const struct machine *m, uint8_t version,
                                                uint8_t report[SEVSNP_REPORT_BYTES])
{
    memset(report, 0, SEVSNP_REPORT_BYTES);
    report[0] = version;
    report[0x0a] = 0x03; /* SMT, and the bit that is one */
    report[0x34] = 1;
    report[0x48] = m->is_vlek ? 1 << 2 : 0;
    report[0x40] = 0x25;
    for (size_t i = 0; i < 64; i++)
        report[0x50 + i] = (uint8_t)(i + 1);
    memset(report + 0x90, 0xab, 48);
    put_tcb(m, report + 0x38);
    put_tcb(m, report + 0x180);
    put_tcb(m, report + 0x1e0);
    put_tcb(m, report + 0x1f0);
    if (version >= 3) {
        report[0x188] = m->family;
        report[0x189] = m->model;
        report[0x18a] = 1;
    }
    if (version >= 5)
        report[0x1f8] = report[0x200] = 3;
    memcpy(report + 0x1a0, m->chip, 64);
}

/* Little-endian, in 72 bytes. */
__attribute__((unused)) static void put_number(const BIGNUM *number, uint8_t *at)
{
    memset(at, 0, 72);
    assert_true(BN_bn2lebinpad(number, at, 48) == 48);
}

__attribute__((unused)) static void sign_report(EVP_PKEY *key, uint8_t report[SEVSNP_REPORT_BYTES])
{
    uint8_t der[256];
    size_t der_bytes = sizeof der;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(context, NULL, EVP_sha384(), NULL, key), 1);
    assert_int_equal(EVP_DigestSign(context, der, &der_bytes, report, 0x2a0), 1);
    EVP_MD_CTX_free(context);
    const uint8_t *at = der;
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &at, (long)der_bytes);
    put_number(ECDSA_SIG_get0_r(signature), report + 0x2a0);
    put_number(ECDSA_SIG_get0_s(signature), report + 0x2e8);
    ECDSA_SIG_free(signature);
}

__attribute__((unused)) static const char *intermediate_name(const struct machine *m)
{
    static char name[64];
    snprintf(name, sizeof name, m->is_vlek ? "SEV-VLEK-%s" : "SEV-%s", m->anchors_product);
    return name;
}

__attribute__((unused)) static struct certificate_spec vek_spec(const struct machine *m)
{
    struct certificate_spec spec = {.name = m->is_vlek ? "SEV-VLEK" : "SEV-VCEK",
                                    .issuer = intermediate_name(m),
                                    .key = pki.vek,
                                    .issuer_key = pki.intermediate,
                                    .product = m->product,
                                    .is_vlek = m->is_vlek,
                                    .has_fmc = m->is_turin,
                                    .hwid = m->chip,
                                    .hwid_bytes = m->is_turin ? 8 : 64};
    memcpy(spec.levels, m->levels, sizeof spec.levels);
    return spec;
}

/* A machine's report, certificate and anchors, and what checks them. */
struct scene {
    uint8_t report[SEVSNP_REPORT_BYTES];
    struct buffer vek, anchors;
    struct sevsnp_check check;
};

__attribute__((unused)) static void scene_check(struct scene *s, const struct machine *m)
{
    s->check = (struct sevsnp_check){.report = s->report,
                                     .report_bytes = sizeof s->report,
                                     .vek = s->vek.bytes,
                                     .vek_bytes = s->vek.size_bytes,
                                     .now_s = PKI_NOW_S,
                                     .anchors = s->anchors.bytes,
                                     .anchors_product = m->anchors_product};
}

/* Do not copy or move. */
__attribute__((unused)) static void scene_make(struct scene *s, const struct machine *m,
                                               uint8_t version)
{
    struct certificate_spec root = root_spec();
    struct certificate_spec intermediate = intermediate_spec(intermediate_name(m));
    struct certificate_spec vek = vek_spec(m);
    *s = (struct scene){0};
    fill_report(m, version, s->report);
    sign_report(pki.vek, s->report);
    pki_anchors(&intermediate, &root, &s->anchors);
    pki_make(&vek, &s->vek);
    scene_check(s, m);
}

/* The same with another certificate. */
__attribute__((unused)) static void scene_vek(struct scene *s, const struct machine *m,
                                              const struct certificate_spec *vek)
{
    buffer_clear(&s->vek);
    pki_make(vek, &s->vek);
    scene_check(s, m);
}

__attribute__((unused)) static void scene_clear(struct scene *s)
{
    buffer_clear(&s->vek);
    buffer_clear(&s->anchors);
}

#endif
