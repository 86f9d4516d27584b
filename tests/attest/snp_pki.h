/* tests/attest/snp_pki.h -- plays AMD: a root, an intermediate, and keys of chips, with the forms
 * that the real ones have. Two keys are in the vectors: making
 * ones of 4,096 bits takes seconds. */
#ifndef TESTS_ATTEST_SNP_PKI_H
#define TESTS_ATTEST_SNP_PKI_H

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "snp_samples.h"

#define PKI_NOW_S UINT64_C(1790000000)
#define PKI_DAY_S UINT64_C(86400)

struct pki_key {
    EVP_PKEY *root, *intermediate, *vek;
};
static struct pki_key pki;

__attribute__((unused)) static EVP_PKEY *pki_load(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, TEST_VECTORS "/sevsnp/%s", name);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    fclose(file);
    assert_non_null(key);
    return key;
}

/* For cmocka_run_group_tests. */
__attribute__((unused)) static int pki_start(void **state)
{
    if (start_crypto(state) != 0)
        return -1;
    pki.root = pki_load("test-root.key");
    pki.intermediate = pki_load("test-intermediate.key");
    pki.vek = EVP_EC_gen("P-384");
    return pki.vek != NULL ? 0 : -1;
}

__attribute__((unused)) static int pki_stop(void **state)
{
    EVP_PKEY_free(pki.root);
    EVP_PKEY_free(pki.intermediate);
    EVP_PKEY_free(pki.vek);
    return 0;
}

/* ---- certificates ---------------------------------------------------------------------------- */

enum pki_way { PKI_PSS384, PKI_PSS256, PKI_SALT_32, PKI_PKCS1, PKI_MGF1_SHA256 };

struct certificate_spec { /* zero is what AMD would do */
    const char *name, *issuer;
    EVP_PKEY *key, *issuer_key;
    long serial;
    uint64_t not_before_s, not_after_s; /* 0: around PKI_NOW_S */
    bool is_ca;
    bool without_cert_sign, without_crl_sign;
    int path_length; /* -1: none */
    enum pki_way way;
    /* of a VEK */
    const char *product; /* NULL: no extensions */
    bool is_vlek;
    uint8_t levels[5]; /* fmc, bootloader, tee, snp, microcode */
    bool has_fmc;
    const uint8_t *hwid;
    size_t hwid_bytes;
    bool is_hwid_wrapped;
    const char *leave_out; /* an extension of these */
    const char *twice;
};

__attribute__((unused)) static void pki_name(X509_NAME *name, const char *common_name)
{
    assert_int_equal(
        X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const uint8_t *)"Tests", -1, -1, 0),
        1);
    assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                                (const uint8_t *)common_name, -1, -1, 0),
                     1);
}

/* A digest context that signs as wanted. */
__attribute__((unused)) static EVP_MD_CTX *pki_signer(EVP_PKEY *key, enum pki_way way)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *parameters;
    const EVP_MD *digest = way == PKI_PSS256 ? EVP_sha256() : EVP_sha384();
    assert_int_equal(EVP_DigestSignInit(context, &parameters, digest, NULL, key), 1);
    if (way == PKI_PKCS1 || !EVP_PKEY_is_a(key, "RSA"))
        return context;
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, way == PKI_SALT_32 ? 32 : 48), 1);
    if (way == PKI_MGF1_SHA256)
        assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md(parameters, EVP_sha256()), 1);
    return context;
}

__attribute__((unused)) static void pki_extend(X509 *x509, const char *oid, const uint8_t *bytes,
                                               size_t size_bytes)
{
    ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    assert_int_equal(ASN1_OCTET_STRING_set(value, bytes, (int)size_bytes), 1);
    X509_EXTENSION *extension = X509_EXTENSION_create_by_OBJ(NULL, object, 0, value);
    assert_int_equal(X509_add_ext(x509, extension, -1), 1);
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(value);
    ASN1_OBJECT_free(object);
}

__attribute__((unused)) static void pki_add(X509 *x509, const struct certificate_spec *spec,
                                            const char *leaf, const uint8_t *bytes,
                                            size_t size_bytes)
{
    char oid[64];
    snprintf(oid, sizeof oid, "1.3.6.1.4.1.3704.1.%s", leaf);
    if (spec->leave_out != NULL && strcmp(spec->leave_out, leaf) == 0)
        return;
    pki_extend(x509, oid, bytes, size_bytes);
    if (spec->twice != NULL && strcmp(spec->twice, leaf) == 0)
        pki_extend(x509, oid, bytes, size_bytes);
}

__attribute__((unused)) static void pki_add_text(X509 *x509, const struct certificate_spec *spec,
                                                 const char *leaf, const char *text)
{
    uint8_t der[128] = {0x16, (uint8_t)strlen(text)};
    memcpy(der + 2, text, strlen(text));
    pki_add(x509, spec, leaf, der, 2 + strlen(text));
}

__attribute__((unused)) static void pki_add_level(X509 *x509, const struct certificate_spec *spec,
                                                  const char *leaf, uint8_t level)
{
    const uint8_t small[] = {2, 1, level};
    const uint8_t large[] = {2, 2, 0, level};
    pki_add(x509, spec, leaf, level < 128 ? small : large, level < 128 ? 3 : 4);
}

__attribute__((unused)) static void pki_add_vek(X509 *x509, const struct certificate_spec *spec)
{
    static const char *const leaves[] = {"3.9", "3.1", "3.2", "3.3", "3.8"};
    pki_add_level(x509, spec, "1", 1);
    pki_add_text(x509, spec, "2", spec->product);
    for (size_t i = spec->has_fmc ? 0 : 1; i < ARRAY_LEN(leaves); i++)
        pki_add_level(x509, spec, leaves[i], spec->levels[i]);
    if (spec->is_vlek) {
        pki_add_text(x509, spec, "5", "CN=cloud.example");
        return;
    }
    uint8_t wrapped[2 + 64] = {0x04, (uint8_t)spec->hwid_bytes};
    memcpy(wrapped + 2, spec->hwid, spec->hwid_bytes);
    size_t skip = spec->is_hwid_wrapped ? 0 : 2;
    pki_add(x509, spec, "4", wrapped + skip, spec->hwid_bytes + 2 - skip);
}

__attribute__((unused)) static void pki_add_ca(X509 *x509, const struct certificate_spec *spec)
{
    BASIC_CONSTRAINTS *constraints = BASIC_CONSTRAINTS_new();
    constraints->ca = 1;
    if (spec->path_length >= 0) {
        constraints->pathlen = ASN1_INTEGER_new();
        ASN1_INTEGER_set(constraints->pathlen, spec->path_length);
    }
    assert_int_equal(X509_add1_ext_i2d(x509, NID_basic_constraints, constraints, 1, 0), 1);
    BASIC_CONSTRAINTS_free(constraints);
    ASN1_BIT_STRING *usage = ASN1_BIT_STRING_new();
    ASN1_BIT_STRING_set_bit(usage, 5, !spec->without_cert_sign);
    ASN1_BIT_STRING_set_bit(usage, 6, !spec->without_crl_sign);
    assert_int_equal(X509_add1_ext_i2d(x509, NID_key_usage, usage, 1, 0), 1);
    ASN1_BIT_STRING_free(usage);
}

/* Appends the DER. */
__attribute__((unused)) static void pki_make(const struct certificate_spec *spec,
                                             struct buffer *der)
{
    X509 *x509 = X509_new();
    X509_set_version(x509, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), spec->serial);
    pki_name(X509_get_subject_name(x509), spec->name);
    pki_name(X509_get_issuer_name(x509), spec->issuer);
    uint64_t from_s = spec->not_before_s != 0 ? spec->not_before_s : PKI_NOW_S - PKI_DAY_S;
    uint64_t until_s = spec->not_after_s != 0 ? spec->not_after_s : PKI_NOW_S + PKI_DAY_S;
    ASN1_TIME_set(X509_getm_notBefore(x509), (time_t)from_s);
    ASN1_TIME_set(X509_getm_notAfter(x509), (time_t)until_s);
    X509_set_pubkey(x509, spec->key);
    if (spec->is_ca)
        pki_add_ca(x509, spec);
    if (spec->product != NULL)
        pki_add_vek(x509, spec);
    EVP_MD_CTX *signer = pki_signer(spec->issuer_key, spec->way);
    assert_true(X509_sign_ctx(x509, signer) > 0);
    EVP_MD_CTX_free(signer);
    int size_bytes = i2d_X509(x509, NULL);
    assert_true(size_bytes > 0);
    uint8_t *at = (uint8_t *)buffer_extend(der, (size_t)size_bytes);
    i2d_X509(x509, &at);
    X509_free(x509);
}

__attribute__((unused)) static struct certificate_spec root_spec(void)
{
    return (struct certificate_spec){.name = "ARK-Test",
                                     .issuer = "ARK-Test",
                                     .key = pki.root,
                                     .issuer_key = pki.root,
                                     .serial = 1,
                                     .is_ca = true,
                                     .path_length = -1};
}

__attribute__((unused)) static struct certificate_spec intermediate_spec(const char *name)
{
    return (struct certificate_spec){.name = name,
                                     .issuer = "ARK-Test",
                                     .key = pki.intermediate,
                                     .issuer_key = pki.root,
                                     .serial = 2,
                                     .is_ca = true,
                                     .without_crl_sign = true};
}

/* Appends PEM of both. */
__attribute__((unused)) static void pki_anchors(const struct certificate_spec *intermediate,
                                                const struct certificate_spec *root,
                                                struct buffer *pem)
{
    const struct certificate_spec *const both[] = {intermediate, root};
    for (size_t i = 0; i < ARRAY_LEN(both); i++) {
        struct buffer der = {0};
        pki_make(both[i], &der);
        x509_pem_append(X509_PEM_CERTIFICATE, der.bytes, der.size_bytes, pem);
        buffer_clear(&der);
    }
}

/* ---- CRLs ------------------------------------------------------------------------------------ */

struct crl_spec {
    const char *issuer;
    EVP_PKEY *issuer_key;
    long serial; /* revoked; -1: none */
    uint64_t this_s, next_s;
    enum pki_way way;
};

__attribute__((unused)) static void pki_crl(const struct crl_spec *spec, struct buffer *pem)
{
    X509_CRL *crl = X509_CRL_new();
    X509_NAME *name = X509_NAME_new();
    ASN1_TIME *this_update = ASN1_TIME_set(NULL, (time_t)spec->this_s);
    ASN1_TIME *next_update = ASN1_TIME_set(NULL, (time_t)spec->next_s);
    X509_CRL_set_version(crl, X509_CRL_VERSION_2);
    pki_name(name, spec->issuer);
    X509_CRL_set_issuer_name(crl, name);
    X509_CRL_set1_lastUpdate(crl, this_update);
    X509_CRL_set1_nextUpdate(crl, next_update);
    if (spec->serial >= 0) {
        X509_REVOKED *entry = X509_REVOKED_new();
        ASN1_INTEGER *serial = ASN1_INTEGER_new();
        ASN1_INTEGER_set(serial, spec->serial);
        X509_REVOKED_set_serialNumber(entry, serial);
        X509_REVOKED_set_revocationDate(entry, this_update);
        X509_CRL_add0_revoked(crl, entry);
        ASN1_INTEGER_free(serial);
    }
    EVP_MD_CTX *signer = pki_signer(spec->issuer_key, spec->way);
    assert_true(X509_CRL_sign_ctx(crl, signer) > 0);
    EVP_MD_CTX_free(signer);
    uint8_t *der = NULL;
    int size_bytes = i2d_X509_CRL(crl, &der);
    x509_pem_append(X509_PEM_CRL, der, (size_t)size_bytes, pem);
    OPENSSL_free(der);
    ASN1_TIME_free(this_update);
    ASN1_TIME_free(next_update);
    X509_NAME_free(name);
    X509_CRL_free(crl);
}

#endif
