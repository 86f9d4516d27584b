/* tests/net/certificates.h -- an authority for a test, and who it vouches for, made at run time. */
#ifndef TESTS_NET_CERTIFICATES_H
#define TESTS_NET_CERTIFICATES_H

#include <string.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "mem/slab.h"

struct identity_files { /* of one side */
    char certificate_pem[4096];
    struct lethe_secret *key_pem;
    EVP_PKEY *key;
    X509 *certificate;
};

static inline void certificate_extend(X509 *certificate, X509 *issuer, int kind, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
    REQUIRE(extension != NULL && X509_add_ext(certificate, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static inline void certificate_write(struct identity_files *out)
{
    const char *bytes;
    BIO *text = BIO_new(BIO_s_mem());
    REQUIRE(PEM_write_bio_X509(text, out->certificate) == 1);
    long size = BIO_get_mem_data(text, &bytes);
    REQUIRE(size > 0 && (size_t)size < sizeof out->certificate_pem);
    memcpy(out->certificate_pem, bytes, (size_t)size);
    out->certificate_pem[size] = '\0';
    BIO_free(text);
    text = BIO_new(BIO_s_mem());
    REQUIRE(PEM_write_bio_PrivateKey(text, out->key, NULL, NULL, 0, NULL, NULL) == 1);
    size = BIO_get_mem_data(text, &bytes);
    REQUIRE(lethe_secret_create((size_t)size, &out->key_pem, NULL) == LETHE_OK);
    memcpy(lethe_secret_bytes(out->key_pem), bytes, (size_t)size);
    BIO_free(text);
}

/* `issuer` NULL: an authority of its own. `names` as in openssl.cnf's subjectAltName. */
static inline void certificate_make(const struct identity_files *issuer, const char *common_name,
                                    const char *names, long days, struct identity_files *out)
{
    static long serial = 1000;
    memset(out, 0, sizeof *out);
    out->key = EVP_EC_gen("P-256");
    out->certificate = X509_new();
    X509 *made = out->certificate;
    X509 *signer = issuer != NULL ? issuer->certificate : made;
    REQUIRE(out->key != NULL && made != NULL && X509_set_version(made, 2) == 1);
    ASN1_INTEGER_set(X509_get_serialNumber(made), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(made), -172800);
    X509_gmtime_adj(X509_getm_notAfter(made), 86400 * days);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_ASC,
                               (const unsigned char *)common_name, -1, -1, 0);
    X509_set_issuer_name(made, X509_get_subject_name(signer));
    X509_set_pubkey(made, out->key);
    certificate_extend(made, signer, NID_basic_constraints,
                       issuer != NULL ? "critical,CA:FALSE" : "critical,CA:TRUE");
    certificate_extend(made, signer, NID_subject_key_identifier, "hash");
    if (names != NULL)
        certificate_extend(made, signer, NID_subject_alt_name, names);
    REQUIRE(X509_sign(made, issuer != NULL ? issuer->key : out->key, EVP_sha256()) > 0);
    certificate_write(out);
}

static inline void certificate_free(struct identity_files *identity)
{
    EVP_PKEY_free(identity->key);
    X509_free(identity->certificate);
    lethe_secret_free(identity->key_pem);
    memset(identity, 0, sizeof *identity);
}

#endif
