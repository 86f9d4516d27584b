/* crypto/x509_vendor.h -- certificates of makers of processors, which keep to RFC 5280 only so far.
 *
 * AMD's have the serial number 0, no key identifiers and extensions of their own; so x509.h refuses
 * them, as it should. Here the chain is known beforehand: its issuers are pinned, each has an RSA
 * key of 4,096 bits and signs with RSASSA-PSS (RFC 8017; SHA-384, MGF1 with SHA-384, salt 48), and
 * nothing else is accepted. Thread rule: a certificate may be read by many threads at once. */
#ifndef CRYPTO_X509_VENDOR_H
#define CRYPTO_X509_VENDOR_H

#include "crypto/x509.h"

struct x509_vendor;
/* LETHE_MALFORMED: no certificate in DER, an extension that is critical and unknown or there twice,
 * not one common name for subject and issuer each. */
LETHE_MUST_CHECK lethe_result x509_vendor_read(const void *der, size_t size_bytes,
                                               struct x509_vendor **out, struct lethe_error *err);
void x509_vendor_free(struct x509_vendor *certificate); /* NULL is fine */
DEFINE_CLEANUP(x509_vendor_free, struct x509_vendor *);

#define X509_VENDOR_NAME_SIZE 65u /* RFC 5280, A.1: ub-common-name is 64 */
struct x509_vendor_facts {
    char common_name[X509_VENDOR_NAME_SIZE];
    char issuer_common_name[X509_VENDOR_NAME_SIZE];
    uint64_t not_before_s;
    uint64_t not_after_s;
};
/* Lives as long as the certificate. */
const struct x509_vendor_facts *x509_vendor_facts(const struct x509_vendor *certificate);
/* The value of an extension ("1.3.6.1..."), borrowed; LETHE_NOT_FOUND. */
LETHE_MUST_CHECK lethe_result x509_vendor_extension(const struct x509_vendor *certificate,
                                                    const char *oid, const uint8_t **bytes,
                                                    size_t *size_bytes);
/* LETHE_MALFORMED: of a kind that crypto/sign.h has not. */
LETHE_MUST_CHECK lethe_result x509_vendor_key(const struct x509_vendor *certificate,
                                              struct sign_public **out, struct lethe_error *err);

struct x509_vendor_check {
    const struct x509_vendor *const *chain; /* leaf first, the root last; pinned but for the leaf */
    size_t count;
    const void *crls; /* as x509_pem_read() gives them */
    size_t crls_bytes;
    uint64_t now_s;
};
enum x509_vendor_fault {
    X509_VENDOR_NO_FAULT,
    X509_VENDOR_ISSUER,    /* another name, or no authority */
    X509_VENDOR_ALGORITHM, /* another key or signature than said above */
    X509_VENDOR_SIGNATURE,
    X509_VENDOR_DATES,
    X509_VENDOR_REVOKED,
    X509_VENDOR_CRL, /* malformed, forged, or none of an authority's is in force */
};
struct x509_vendor_verdict {
    enum x509_vendor_fault fault;
    uint64_t good_from_s, good_until_s; /* when the answer is the same, CRLs included */
};
/* Of authorities without a CRL nothing is revoked; whoever is in any CRL of its issuer is.
 * LETHE_DENIED with the fault; LETHE_NO_MEMORY says nothing about the chain. */
LETHE_MUST_CHECK lethe_result x509_vendor_check_chain(const struct x509_vendor_check *check,
                                                      struct x509_vendor_verdict *out,
                                                      struct lethe_error *err);

#endif
