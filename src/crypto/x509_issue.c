#include <string.h>

#include <openssl/err.h>

#include "crypto/hash.h"
#include "crypto/x509_openssl.h"

#define VERSION_3 2 /* as it is written */

DEFINE_CLEANUP(ASN1_INTEGER_free, ASN1_INTEGER *);
DEFINE_CLEANUP(AUTHORITY_KEYID_free, AUTHORITY_KEYID *);
DEFINE_CLEANUP(ASN1_OCTET_STRING_free, ASN1_OCTET_STRING *);
DEFINE_CLEANUP(BN_free, BIGNUM *);

EVP_MD_CTX *x509_signer(const struct sign_pair *pair)
{
    const struct sign_kind *kind = &sign_kinds[sign_public_kind(sign_pair_public(pair))];
    CLEANUP(EVP_PKEY_free) EVP_PKEY *pkey = sign_pair_pkey(pair);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (pkey != NULL && context != NULL &&
        EVP_DigestSignInit_ex(context, NULL, kind->digest, NULL, NULL, pkey, NULL) == 1)
        return context;
    EVP_MD_CTX_free(context);
    return NULL;
}

lethe_result x509_require_pair(const X509 *certificate, const struct sign_pair *pair,
                               struct lethe_error *err)
{
    openssl_begin();
    const EVP_PKEY *theirs = X509_get0_pubkey(certificate);
    if (theirs != NULL && EVP_PKEY_eq(theirs, sign_pair_public(pair)->pkey) == 1)
        return LETHE_OK;
    if (openssl_was_starved())
        return openssl_failed(err, LETHE_NO_MEMORY, "comparing keys");
    ERR_clear_error();
    return error_set(err, LETHE_INVALID, "the key does not belong to the issuer's certificate");
}

/* ---- identifiers of keys --------------------------------------------------------------------- */

lethe_result x509_key_id(const X509 *certificate, uint8_t out[X509_KEY_ID_BYTES])
{
    uint8_t digest[SHA256_BYTES];
    const ASN1_BIT_STRING *bits = X509_get0_pubkey_bitstr(certificate);
    if (bits == NULL)
        return LETHE_FAILED;
    sha256(ASN1_STRING_get0_data(bits), (size_t)ASN1_STRING_length(bits), digest);
    memcpy(out, digest, X509_KEY_ID_BYTES);
    return LETHE_OK;
}

AUTHORITY_KEYID *x509_authority_id(const X509 *issuer)
{
    const ASN1_OCTET_STRING *id = X509_get0_subject_key_id((X509 *)(uintptr_t)issuer);
    CLEANUP(AUTHORITY_KEYID_free) AUTHORITY_KEYID *authority = AUTHORITY_KEYID_new();
    if (id == NULL || authority == NULL)
        return NULL;
    authority->keyid = ASN1_OCTET_STRING_dup(id);
    return authority->keyid != NULL ? MOVE(authority) : NULL;
}

static lethe_result add_identifiers(X509 *certificate, const X509 *issuer, struct lethe_error *err)
{
    uint8_t id[X509_KEY_ID_BYTES];
    CLEANUP(ASN1_OCTET_STRING_free) ASN1_OCTET_STRING *text = ASN1_OCTET_STRING_new();
    if (x509_key_id(certificate, id) != LETHE_OK || text == NULL ||
        ASN1_OCTET_STRING_set(text, id, sizeof id) != 1 ||
        X509_add1_ext_i2d(certificate, NID_subject_key_identifier, text, 0, X509V3_ADD_DEFAULT) !=
            1)
        return openssl_failed(err, LETHE_NO_MEMORY, "adding a key's identifier");
    if (issuer == NULL || X509_get0_subject_key_id((X509 *)(uintptr_t)issuer) == NULL)
        return LETHE_OK;
    CLEANUP(AUTHORITY_KEYID_free) AUTHORITY_KEYID *authority = x509_authority_id(issuer);
    if (authority == NULL || X509_add1_ext_i2d(certificate, NID_authority_key_identifier, authority,
                                               0, X509V3_ADD_DEFAULT) != 1)
        return openssl_failed(err, LETHE_NO_MEMORY, "adding the issuer's identifier");
    return LETHE_OK;
}

/* ---- the rest -------------------------------------------------------------------------------- */

/* RFC 5280, 4.1.2.2: positive, and at most 20 bytes with the sign. */
static lethe_result set_serial(X509 *certificate, const uint8_t *serial, struct lethe_error *err)
{
    CLEANUP(BN_free) BIGNUM *number = BN_bin2bn(serial, X509_SERIAL_BYTES, NULL);
    if (number != NULL && (BN_is_zero(number) || BN_num_bits(number) >= 8 * (int)X509_SERIAL_BYTES))
        return error_set(err, LETHE_INVALID, "a serial number is positive and of at most 159 bits");
    CLEANUP(ASN1_INTEGER_free)
    ASN1_INTEGER *text = number != NULL ? BN_to_ASN1_INTEGER(number, NULL) : NULL;
    if (text == NULL || X509_set_serialNumber(certificate, text) != 1)
        return openssl_failed(err, LETHE_NO_MEMORY, "setting a serial number");
    return LETHE_OK;
}

static lethe_result set_validity(X509 *certificate, const struct x509_template *t,
                                 struct lethe_error *err)
{
    if (t->not_before_s > t->not_after_s || t->not_after_s > X509_TIME_MAX_S)
        return error_set(err, LETHE_INVALID,
                         "a certificate ends after it begins, and before the year 10000");
    if (ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)t->not_before_s) == NULL ||
        ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)t->not_after_s) == NULL)
        return openssl_failed(err, LETHE_NO_MEMORY, "setting a validity");
    return LETHE_OK;
}

/* `issuer` NULL: itself. */
static lethe_result set_names(X509 *certificate, const struct x509_template *t, const X509 *issuer,
                              struct lethe_error *err)
{
    CLEANUP(X509_NAME_free) X509_NAME *subject = NULL;
    TRY(x509_make_name(&t->subject, &subject, err));
    if (t->is_ca && X509_NAME_entry_count(subject) == 0)
        return error_set(err, LETHE_INVALID, "an authority needs a common name"); /* 4.1.2.6 */
    const X509_NAME *issuer_name = issuer != NULL ? X509_get_subject_name(issuer) : subject;
    if (X509_set_subject_name(certificate, subject) != 1 ||
        X509_set_issuer_name(certificate, issuer_name) != 1)
        return openssl_failed(err, LETHE_NO_MEMORY, "setting names");
    return LETHE_OK;
}

static lethe_result sign(X509 *certificate, const struct sign_pair *issuer, struct buffer *der,
                         struct lethe_error *err)
{
    {
        OPENSSL_SECRETS_IN_SCOPE();
        CLEANUP(EVP_MD_CTX_free) EVP_MD_CTX *context = x509_signer(issuer);
        if (context == NULL || X509_sign_ctx(certificate, context) <= 0)
            return openssl_failed(err, LETHE_FAILED, "signing a certificate");
    }
    int size_bytes = i2d_X509(certificate, NULL);
    if (size_bytes <= 0)
        return openssl_failed(err, LETHE_NO_MEMORY, "writing a certificate");
    if ((size_t)size_bytes > X509_DER_MAX)
        return error_set(err, LETHE_INVALID, "a certificate of %d bytes; at most %u", size_bytes,
                         X509_DER_MAX);
    uint8_t *at = (uint8_t *)buffer_extend(der, (size_t)size_bytes);
    if (at != NULL)
        (void)i2d_X509(certificate, &at);
    return buffer_result(der, err);
}

/* *out stays NULL for a self-signed one. */
static lethe_result read_issuer(const struct sign_pair *pair, const void *der, size_t size_bytes,
                                X509 **out, struct lethe_error *err)
{
    if (der == NULL)
        return LETHE_OK;
    TRY(error_context(err, x509_parse(der, size_bytes, out, err), "the issuer"));
    TRY(x509_require_pair(*out, pair, err));
    if (X509_check_ca(*out) != 1)
        return error_set(err, LETHE_INVALID, "the issuer's certificate is not an authority's");
    return LETHE_OK;
}

lethe_result x509_issue(const struct x509_template *template_, const struct sign_public *key,
                        const struct sign_pair *issuer, const void *issuer_der, size_t issuer_bytes,
                        struct buffer *der, struct lethe_error *err)
{
    CLEANUP(X509_free) X509 *above = NULL;
    TRY(read_issuer(issuer, issuer_der, issuer_bytes, &above, err));
    openssl_begin();
    CLEANUP(X509_free) X509 *certificate = X509_new();
    if (certificate == NULL || X509_set_version(certificate, VERSION_3) != 1 ||
        X509_set_pubkey(certificate, key->pkey) != 1)
        return openssl_failed(err, LETHE_NO_MEMORY, "making a certificate");
    if (issuer_der == NULL)
        TRY(x509_require_pair(certificate, issuer, err));
    TRY(set_serial(certificate, template_->serial, err));
    TRY(set_validity(certificate, template_, err));
    TRY(set_names(certificate, template_, above, err));
    TRY(x509_add_extensions(certificate, template_, err));
    TRY(add_identifiers(certificate, above, err));
    return sign(certificate, issuer, der, err);
}
