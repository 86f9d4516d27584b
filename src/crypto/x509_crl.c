#include <openssl/err.h>

#include "crypto/x509_openssl.h"

DEFINE_CLEANUP(ASN1_TIME_free, ASN1_TIME *);
DEFINE_CLEANUP(ASN1_INTEGER_free, ASN1_INTEGER *);
DEFINE_CLEANUP(AUTHORITY_KEYID_free, AUTHORITY_KEYID *);
DEFINE_CLEANUP(X509_REVOKED_free, X509_REVOKED *);
DEFINE_CLEANUP(BN_free, BIGNUM *);

static lethe_result no_memory(struct lethe_error *err)
{
    return openssl_failed(err, LETHE_NO_MEMORY, "making a CRL");
}

static lethe_result set_times(X509_CRL *crl, uint64_t this_s, uint64_t next_s,
                              struct lethe_error *err)
{
    if (this_s > next_s || next_s > X509_TIME_MAX_S)
        return error_set(err, LETHE_INVALID, "a CRL ends after it begins, before the year 10000");
    CLEANUP(ASN1_TIME_free) ASN1_TIME *now = ASN1_TIME_set(NULL, (time_t)this_s);
    CLEANUP(ASN1_TIME_free) ASN1_TIME *next = ASN1_TIME_set(NULL, (time_t)next_s);
    if (now == NULL || next == NULL || X509_CRL_set1_lastUpdate(crl, now) != 1 ||
        X509_CRL_set1_nextUpdate(crl, next) != 1)
        return no_memory(err);
    return LETHE_OK;
}

static lethe_result add_revoked(X509_CRL *crl, const struct x509_revoked *revoked,
                                struct lethe_error *err)
{
    if (revoked->serial_bytes == 0 || revoked->serial_bytes > X509_SERIAL_BYTES)
        return error_set(err, LETHE_INVALID, "a serial number of %zu bytes", revoked->serial_bytes);
    CLEANUP(BN_free) BIGNUM *number = BN_bin2bn(revoked->serial, (int)revoked->serial_bytes, NULL);
    CLEANUP(ASN1_INTEGER_free)
    ASN1_INTEGER *serial = number != NULL ? BN_to_ASN1_INTEGER(number, NULL) : NULL;
    CLEANUP(ASN1_TIME_free) ASN1_TIME *when = ASN1_TIME_set(NULL, (time_t)revoked->revoked_s);
    CLEANUP(X509_REVOKED_free) X509_REVOKED *entry = X509_REVOKED_new();
    if (serial == NULL || when == NULL || entry == NULL ||
        X509_REVOKED_set_serialNumber(entry, serial) != 1 ||
        X509_REVOKED_set_revocationDate(entry, when) != 1 || X509_CRL_add0_revoked(crl, entry) != 1)
        return no_memory(err);
    entry = NULL; /* moved */
    return LETHE_OK;
}

/* RFC 5280, 5.2.1 and 5.2.3. */
static lethe_result add_extensions(X509_CRL *crl, const X509 *issuer, uint64_t number,
                                   struct lethe_error *err)
{
    CLEANUP(AUTHORITY_KEYID_free) AUTHORITY_KEYID *authority = x509_authority_id(issuer);
    CLEANUP(ASN1_INTEGER_free) ASN1_INTEGER *count = ASN1_INTEGER_new();
    if (authority == NULL || count == NULL || ASN1_INTEGER_set_uint64(count, number) != 1 ||
        X509_CRL_add1_ext_i2d(crl, NID_authority_key_identifier, authority, 0,
                              X509V3_ADD_DEFAULT) != 1 ||
        X509_CRL_add1_ext_i2d(crl, NID_crl_number, count, 0, X509V3_ADD_DEFAULT) != 1)
        return no_memory(err);
    return LETHE_OK;
}

static lethe_result sign_crl(X509_CRL *crl, const struct sign_pair *issuer, struct lethe_error *err)
{
    OPENSSL_SECRETS_IN_SCOPE();
    CLEANUP(EVP_MD_CTX_free) EVP_MD_CTX *context = x509_signer(issuer);
    if (context == NULL || X509_CRL_sign_ctx(crl, context) <= 0)
        return openssl_failed(err, LETHE_FAILED, "signing a CRL");
    return LETHE_OK;
}

static lethe_result write_crl(const X509_CRL *crl, struct buffer *der, struct lethe_error *err)
{
    int size_bytes = i2d_X509_CRL(crl, NULL);
    if (size_bytes <= 0)
        return no_memory(err);
    if ((size_t)size_bytes > X509_CRL_DER_MAX)
        return error_set(err, LETHE_LIMIT, "a CRL of %d bytes; at most %u", size_bytes,
                         X509_CRL_DER_MAX);
    uint8_t *at = (uint8_t *)buffer_extend(der, (size_t)size_bytes);
    if (at != NULL)
        (void)i2d_X509_CRL(crl, &at);
    return buffer_result(der, err);
}

lethe_result x509_make_crl(const struct x509_crl_template *t, const struct sign_pair *issuer,
                           const void *issuer_der, size_t issuer_bytes, struct buffer *der,
                           struct lethe_error *err)
{
    CLEANUP(X509_free) X509 *above = NULL;
    TRY(x509_parse(issuer_der, issuer_bytes, &above, err));
    TRY(x509_require_pair(above, issuer, err));
    openssl_begin();
    CLEANUP(X509_CRL_free) X509_CRL *crl = X509_CRL_new();
    if (crl == NULL || X509_CRL_set_version(crl, X509_CRL_VERSION_2) != 1 ||
        X509_CRL_set_issuer_name(crl, X509_get_subject_name(above)) != 1)
        return no_memory(err);
    TRY(set_times(crl, t->this_s, t->next_s, err));
    for (size_t i = 0; i < t->count; i++)
        TRY(add_revoked(crl, &t->revoked[i], err));
    TRY(add_extensions(crl, above, t->number, err));
    TRY(sign_crl(crl, issuer, err));
    return write_crl(crl, der, err);
}
