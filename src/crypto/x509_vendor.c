#include "crypto/x509_vendor.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/rsa.h>

#include "crypto/x509_vendor_openssl.h"

#define RSA_BITS 4096
#define SALT_BYTES 48
#define PSS_TRAILER 1 /* RFC 8017, A.2.3: the only one there is */

DEFINE_CLEANUP(RSA_PSS_PARAMS_free, RSA_PSS_PARAMS *);
DEFINE_CLEANUP(ASN1_OBJECT_free, ASN1_OBJECT *);

/* ---- reading --------------------------------------------------------------------------------- */

static lethe_result malformed(struct lethe_error *err, const char *what)
{
    if (openssl_was_starved())
        return openssl_failed(err, LETHE_NO_MEMORY, what);
    ERR_clear_error();
    return error_set(err, LETHE_MALFORMED, "a certificate with %s", what);
}

bool x509_vendor_time(const ASN1_TIME *time, uint64_t *seconds)
{
    struct tm parts = {0};
    if (time == NULL || ASN1_TIME_to_tm(time, &parts) != 1)
        return false;
    time_t unix_s = timegm(&parts);
    *seconds = unix_s < 0 ? 0 : (uint64_t)unix_s;
    return true;
}

/* Exactly one, of printable ASCII. */
static bool read_common_name(const X509_NAME *name, char out[X509_VENDOR_NAME_SIZE])
{
    int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    if (at < 0 || X509_NAME_get_index_by_NID(name, NID_commonName, at) >= 0)
        return false;
    const ASN1_STRING *text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
    const uint8_t *bytes = ASN1_STRING_get0_data(text);
    int length = ASN1_STRING_length(text);
    if (length <= 0 || length >= (int)X509_VENDOR_NAME_SIZE)
        return false;
    for (int i = 0; i < length; i++)
        if (bytes[i] < ' ' || bytes[i] > '~')
            return false;
    memcpy(out, bytes, (size_t)length);
    out[length] = '\0';
    return true;
}

static bool has_extension_twice(const X509 *x509)
{
    for (int i = 0; i < X509_get_ext_count(x509); i++) {
        const ASN1_OBJECT *one = X509_EXTENSION_get_object(X509_get_ext(x509, i));
        if (X509_get_ext_by_OBJ(x509, one, i) >= 0)
            return true;
    }
    return false;
}

static lethe_result read_facts(struct x509_vendor *certificate, struct lethe_error *err)
{
    X509 *x509 = certificate->x509;
    struct x509_vendor_facts *facts = &certificate->facts;
    if ((X509_get_extension_flags(x509) & (EXFLAG_INVALID | EXFLAG_CRITICAL)) != 0)
        return malformed(err, "an extension that is not understood");
    if (has_extension_twice(x509))
        return malformed(err, "an extension that is there twice");
    if (!read_common_name(X509_get_subject_name(x509), facts->common_name) ||
        !read_common_name(X509_get_issuer_name(x509), facts->issuer_common_name))
        return malformed(err, "not one common name each for subject and issuer");
    if (!x509_vendor_time(X509_get0_notBefore(x509), &facts->not_before_s) ||
        !x509_vendor_time(X509_get0_notAfter(x509), &facts->not_after_s))
        return malformed(err, "no validity");
    return LETHE_OK;
}

lethe_result x509_vendor_read(const void *der, size_t size_bytes, struct x509_vendor **out,
                              struct lethe_error *err)
{
    *out = NULL;
    CLEANUP(x509_vendor_free) struct x509_vendor *certificate = calloc(1, sizeof *certificate);
    if (certificate == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a certificate");
    TRY(x509_parse(der, size_bytes, &certificate->x509, err));
    openssl_begin();
    TRY(read_facts(certificate, err));
    *out = MOVE(certificate);
    return LETHE_OK;
}

void x509_vendor_free(struct x509_vendor *certificate)
{
    if (certificate == NULL)
        return;
    X509_free(certificate->x509);
    free(certificate);
}

const struct x509_vendor_facts *x509_vendor_facts(const struct x509_vendor *certificate)
{
    return &certificate->facts;
}

lethe_result x509_vendor_extension(const struct x509_vendor *certificate, const char *oid,
                                   const uint8_t **bytes, size_t *size_bytes)
{
    CLEANUP(ASN1_OBJECT_free) ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
    if (object == NULL) {
        ERR_clear_error();
        return LETHE_NO_MEMORY;
    }
    int at = X509_get_ext_by_OBJ(certificate->x509, object, -1);
    if (at < 0)
        return LETHE_NOT_FOUND;
    const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(X509_get_ext(certificate->x509, at));
    *bytes = ASN1_STRING_get0_data(value);
    *size_bytes = (size_t)ASN1_STRING_length(value);
    return LETHE_OK;
}

lethe_result x509_vendor_key(const struct x509_vendor *certificate, struct sign_public **out,
                             struct lethe_error *err)
{
    *out = NULL;
    openssl_begin();
    EVP_PKEY *key = X509_get0_pubkey(certificate->x509);
    if (key == NULL)
        return malformed(err, "a public key that cannot be read");
    return sign_public_from_pkey(key, out, err);
}

/* ---- the chain ------------------------------------------------------------------------------- */

static bool is_digest(const X509_ALGOR *algorithm, int nid)
{
    const ASN1_OBJECT *object;
    X509_ALGOR_get0(&object, NULL, NULL, algorithm);
    return OBJ_obj2nid(object) == nid;
}

static bool is_pss_with_sha384(const X509_ALGOR *algorithm)
{
    const ASN1_OBJECT *object;
    int type;
    const void *value;
    X509_ALGOR_get0(&object, &type, &value, algorithm);
    if (OBJ_obj2nid(object) != NID_rsassaPss || type != V_ASN1_SEQUENCE)
        return false;
    CLEANUP(RSA_PSS_PARAMS_free)
    RSA_PSS_PARAMS *pss = ASN1_item_unpack(value, ASN1_ITEM_rptr(RSA_PSS_PARAMS));
    if (pss == NULL || pss->hashAlgorithm == NULL || pss->maskGenAlgorithm == NULL ||
        pss->saltLength == NULL || !is_digest(pss->hashAlgorithm, NID_sha384))
        return false;
    X509_ALGOR_get0(&object, &type, &value, pss->maskGenAlgorithm);
    if (OBJ_obj2nid(object) != NID_mgf1 || type != V_ASN1_SEQUENCE)
        return false;
    X509_ALGOR *mask = ASN1_item_unpack(value, ASN1_ITEM_rptr(X509_ALGOR));
    bool fits = mask != NULL && is_digest(mask, NID_sha384) &&
                ASN1_INTEGER_get(pss->saltLength) == SALT_BYTES &&
                (pss->trailerField == NULL || ASN1_INTEGER_get(pss->trailerField) == PSS_TRAILER);
    X509_ALGOR_free(mask);
    return fits;
}

bool x509_vendor_signs_so(const X509_ALGOR *algorithm, EVP_PKEY *issuer_key)
{
    return issuer_key != NULL && EVP_PKEY_is_a(issuer_key, "RSA") &&
           EVP_PKEY_get_bits(issuer_key) == RSA_BITS && is_pss_with_sha384(algorithm);
}

/* RFC 5280, 6.1.4 (k, m, n): an authority, for certificates, with so many others below it. */
static bool may_issue(const struct x509_vendor *issuer, size_t authorities_between)
{
    long depth = X509_get_pathlen(issuer->x509); /* -1: no limit */
    return X509_check_ca(issuer->x509) == 1 &&
           (X509_get_extension_flags(issuer->x509) & EXFLAG_KUSAGE) != 0 &&
           (X509_get_key_usage(issuer->x509) & KU_KEY_CERT_SIGN) != 0 &&
           (depth < 0 || (size_t)depth >= authorities_between);
}

static enum x509_vendor_fault check_link(const struct x509_vendor *certificate,
                                         const struct x509_vendor *issuer,
                                         size_t authorities_between)
{
    const X509_ALGOR *algorithm;
    if (X509_NAME_cmp(X509_get_issuer_name(certificate->x509),
                      X509_get_subject_name(issuer->x509)) != 0 ||
        !may_issue(issuer, authorities_between))
        return X509_VENDOR_ISSUER;
    X509_get0_signature(NULL, &algorithm, certificate->x509);
    EVP_PKEY *key = X509_get0_pubkey(issuer->x509);
    if (!x509_vendor_signs_so(algorithm, key))
        return X509_VENDOR_ALGORITHM;
    return X509_verify(certificate->x509, key) == 1 ? X509_VENDOR_NO_FAULT : X509_VENDOR_SIGNATURE;
}

static const char *const faults[] = {
    [X509_VENDOR_NO_FAULT] = "none",
    [X509_VENDOR_ISSUER] = "it was not issued by the authority above it",
    [X509_VENDOR_ALGORITHM] = "it is not signed with RSASSA-PSS, SHA-384 and a key of 4096 bits",
    [X509_VENDOR_SIGNATURE] = "its signature is not of the authority above it",
    [X509_VENDOR_DATES] = "it has expired, or is not valid yet",
    [X509_VENDOR_REVOKED] = "it was revoked",
    [X509_VENDOR_CRL] = "the CRL of its issuer is malformed, forged, or not in force",
};

static lethe_result deny(enum x509_vendor_fault fault, const struct x509_vendor *certificate,
                         struct x509_vendor_verdict *out, struct lethe_error *err)
{
    if (openssl_was_starved())
        return openssl_failed(err, LETHE_NO_MEMORY, "checking a certificate");
    ERR_clear_error();
    out->fault = fault;
    return error_set(err, LETHE_DENIED, "certificate of %s: %s", certificate->facts.common_name,
                     faults[fault]);
}

static lethe_result check_one(const struct x509_vendor_check *check, size_t index,
                              struct x509_vendor_verdict *out, struct lethe_error *err)
{
    const struct x509_vendor *certificate = check->chain[index];
    const struct x509_vendor *issuer = check->chain[MIN(index + 1, check->count - 1)];
    const struct x509_vendor_facts *facts = &certificate->facts;
    openssl_begin();
    size_t between = MIN(index, check->count >= 2 ? check->count - 2 : 0); /* the root is one */
    enum x509_vendor_fault fault = check_link(certificate, issuer, between);
    if (fault != X509_VENDOR_NO_FAULT)
        return deny(fault, certificate, out, err);
    if (check->now_s < facts->not_before_s || check->now_s > facts->not_after_s)
        return deny(X509_VENDOR_DATES, certificate, out, err);
    out->good_from_s = MAX(out->good_from_s, facts->not_before_s);
    out->good_until_s = MIN(out->good_until_s, facts->not_after_s);
    lethe_result result = x509_vendor_check_crls(check, certificate, issuer, out, err);
    return result != LETHE_DENIED ? result : deny(out->fault, certificate, out, err);
}

lethe_result x509_vendor_check_chain(const struct x509_vendor_check *check,
                                     struct x509_vendor_verdict *out, struct lethe_error *err)
{
    REQUIRE(check->count > 0);
    *out = (struct x509_vendor_verdict){.good_until_s = UINT64_MAX};
    for (size_t i = check->count; i-- > 0;) /* from the root down: nobody is believed before */
        TRY(check_one(check, i, out, err));
    return LETHE_OK;
}
