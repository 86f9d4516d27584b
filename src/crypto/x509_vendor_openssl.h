/* crypto/x509_vendor_openssl.h -- what the files about makers' certificates share. Not for other
 * rooms. */
#ifndef CRYPTO_X509_VENDOR_OPENSSL_H
#define CRYPTO_X509_VENDOR_OPENSSL_H

#include "crypto/x509_openssl.h"
#include "crypto/x509_vendor.h"

struct x509_vendor {
    X509 *x509;
    struct x509_vendor_facts facts;
};

/* Before 1970 is 0. False: no time. */
bool x509_vendor_time(const ASN1_TIME *time, uint64_t *seconds);
/* Whether it is the one way of signing that a maker may use. */
bool x509_vendor_signs_so(const X509_ALGOR *algorithm, EVP_PKEY *issuer_key);
/* One authority's CRLs about one certificate: narrows *out, or sets its fault. */
LETHE_MUST_CHECK lethe_result x509_vendor_check_crls(const struct x509_vendor_check *check,
                                                     const struct x509_vendor *certificate,
                                                     const struct x509_vendor *issuer,
                                                     struct x509_vendor_verdict *out,
                                                     struct lethe_error *err);

#endif
