/* What authorities have taken back. An old list beside a new one does no harm: one of them must be
 * in force, and whoever is in any of them is revoked. */
#include <openssl/err.h>

#include "crypto/x509_vendor_openssl.h"

struct asking {
    const struct x509_vendor *certificate;
    const struct x509_vendor *issuer;
    uint64_t now_s;
    size_t count; /* the issuer's */
    bool is_one_in_force;
    uint64_t from_s, until_s; /* of the one that is in force longest */
};

static lethe_result deny(enum x509_vendor_fault fault, struct x509_vendor_verdict *out)
{
    out->fault = fault;
    return LETHE_DENIED;
}

/* RFC 5280, 6.3.3 (f, g). */
static bool is_of_issuer(X509_CRL *crl, const struct x509_vendor *issuer)
{
    const X509_ALGOR *algorithm;
    EVP_PKEY *key = X509_get0_pubkey(issuer->x509);
    X509_CRL_get0_signature(crl, NULL, &algorithm);
    return (X509_get_key_usage(issuer->x509) & KU_CRL_SIGN) != 0 &&
           x509_vendor_signs_so(algorithm, key) && X509_CRL_verify(crl, key) == 1;
}

static bool note_dates(const X509_CRL *crl, struct asking *asking)
{
    uint64_t this_s, next_s;
    if (!x509_vendor_time(X509_CRL_get0_lastUpdate(crl), &this_s) ||
        !x509_vendor_time(X509_CRL_get0_nextUpdate(crl), &next_s))
        return false;
    if (asking->now_s < this_s || asking->now_s > next_s || next_s <= asking->until_s)
        return true;
    asking->is_one_in_force = true;
    asking->from_s = this_s;
    asking->until_s = next_s;
    return true;
}

static lethe_result ask_one(X509_CRL *crl, struct asking *asking, struct x509_vendor_verdict *out)
{
    const X509_NAME *name = X509_get_subject_name(asking->issuer->x509);
    X509_REVOKED *entry = NULL;
    if (X509_NAME_cmp(X509_CRL_get_issuer(crl), name) != 0)
        return LETHE_OK;
    asking->count++;
    if (!is_of_issuer(crl, asking->issuer) || !note_dates(crl, asking))
        return deny(X509_VENDOR_CRL, out);
    if (X509_CRL_get0_by_cert(crl, &entry, asking->certificate->x509) != 0)
        return deny(X509_VENDOR_REVOKED, out);
    return LETHE_OK;
}

static lethe_result ask_next(struct cursor *list, struct asking *asking,
                             struct x509_vendor_verdict *out, struct lethe_error *err)
{
    uint32_t length;
    const uint8_t *der;
    CLEANUP(X509_CRL_free) X509_CRL *crl = NULL;
    if (cursor_le32(list, &length) != LETHE_OK || cursor_bytes(list, length, &der) != LETHE_OK)
        return deny(X509_VENDOR_CRL, out);
    lethe_result result = x509_parse_crl(der, length, &crl, err);
    if (result != LETHE_OK)
        return result == LETHE_NO_MEMORY ? result : deny(X509_VENDOR_CRL, out);
    openssl_begin();
    return ask_one(crl, asking, out);
}

lethe_result x509_vendor_check_crls(const struct x509_vendor_check *check,
                                    const struct x509_vendor *certificate,
                                    const struct x509_vendor *issuer,
                                    struct x509_vendor_verdict *out, struct lethe_error *err)
{
    struct asking asking = {.certificate = certificate, .issuer = issuer, .now_s = check->now_s};
    if (check->crls_bytes == 0)
        return LETHE_OK;
    struct cursor list = cursor_over(check->crls, check->crls_bytes);
    while (cursor_left(&list) > 0)
        TRY(ask_next(&list, &asking, out, err));
    if (asking.count == 0)
        return LETHE_OK;
    if (!asking.is_one_in_force)
        return deny(X509_VENDOR_CRL, out);
    out->good_from_s = MAX(out->good_from_s, asking.from_s);
    out->good_until_s = MIN(out->good_until_s, asking.until_s);
    return LETHE_OK;
}
