/* crypto/x509_openssl.h -- what the files about certificates share. Not for other rooms. */
#ifndef CRYPTO_X509_OPENSSL_H
#define CRYPTO_X509_OPENSSL_H

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/cursor.h"
#include "crypto/sign_kind.h"
#include "crypto/x509.h"

DEFINE_CLEANUP(X509_free, X509 *);
DEFINE_CLEANUP(X509_REQ_free, X509_REQ *);
DEFINE_CLEANUP(X509_CRL_free, X509_CRL *);
DEFINE_CLEANUP(X509_NAME_free, X509_NAME *);
DEFINE_CLEANUP(GENERAL_NAMES_free, GENERAL_NAMES *);

/* ---- reading --------------------------------------------------------------------------------- */

/* DER and nothing behind it, in the one encoding that DER allows. LETHE_MALFORMED. */
LETHE_MUST_CHECK lethe_result x509_parse(const void *der, size_t size_bytes, X509 **out,
                                         struct lethe_error *err);
LETHE_MUST_CHECK lethe_result x509_parse_crl(const void *der, size_t size_bytes, X509_CRL **out,
                                             struct lethe_error *err);
/* Texts of the subject and the alternative names (NULL: none), into storage that is large enough
 * for what `der_bytes` bytes can say. */
LETHE_MUST_CHECK lethe_result x509_read_names(const X509_NAME *subject, const GENERAL_NAMES *names,
                                              size_t der_bytes, struct x509_summary *out,
                                              struct lethe_error *err);
LETHE_MUST_CHECK lethe_result x509_summarise(const X509 *certificate, const void *der,
                                             size_t size_bytes, struct x509_summary *out,
                                             struct lethe_error *err);

/* ---- making ---------------------------------------------------------------------------------- */

/* LETHE_INVALID names the text that no certificate can have. */
LETHE_MUST_CHECK lethe_result x509_make_name(const struct x509_subject *subject, X509_NAME **out,
                                             struct lethe_error *err);
/* *out is NULL where there are none. */
LETHE_MUST_CHECK lethe_result x509_make_alternatives(const struct x509_subject *subject,
                                                     GENERAL_NAMES **out, struct lethe_error *err);
/* Everything but the keys' identifiers. */
LETHE_MUST_CHECK lethe_result x509_add_extensions(X509 *certificate,
                                                  const struct x509_template *template_,
                                                  struct lethe_error *err);
/* RFC 7093, 2: the first 20 bytes of the SHA-256 of the public key's bits. */
#define X509_KEY_ID_BYTES 20u
LETHE_MUST_CHECK lethe_result x509_key_id(const X509 *certificate, uint8_t out[X509_KEY_ID_BYTES]);
/* A digest context that is ready to sign with the pair; NULL on failure. Within
 * OPENSSL_SECRETS_IN_SCOPE. */
EVP_MD_CTX *x509_signer(const struct sign_pair *pair);
/* What a CRL and a certificate say of their issuer's key; NULL: no memory, or the issuer has none.
 */
AUTHORITY_KEYID *x509_authority_id(const X509 *issuer);
/* LETHE_INVALID: the pair is not the certificate's. */
LETHE_MUST_CHECK lethe_result x509_require_pair(const X509 *certificate,
                                                const struct sign_pair *pair,
                                                struct lethe_error *err);
#define X509_TIME_MAX_S UINT64_C(253402300799) /* 9999-12-31T23:59:59Z (RFC 5280, 4.1.2.5) */

#endif
