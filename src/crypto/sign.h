/* crypto/sign.h -- Ed25519 (RFC 8032), over libsodium, and ECDSA (FIPS 186-5), over OpenSSL;
 * nettle verifies P-384.
 *
 * We sign with Ed25519, and with P-256 (SHA-256) and P-384 (SHA-384) or over any digest; other
 * people's P-521 (SHA-512) signatures can be verified too. The private part of a pair lives in a
 * lethe_secret (the seed, or the scalar, big-endian); a pair keeps a copy of its own, for Ed25519
 * in guarded memory, for ECDSA in OpenSSL's secure heap (crypto_start), and wipes it when it is
 * freed.
 *
 * Ed25519 signatures are deterministic. They are checked strictly, without the cofactor: one whose
 * s is not below the group's order, whose R is of small order, or whose public key is of small
 * order or not written canonically fits nothing, although RFC 8032 leaves some of that open, and
 * OpenSSL takes the last three. Of P-384, a signature whose two products are the same point fits
 * nothing: only who has the private key can make one. So whatever fits here fits there.
 * Certificates and TLS are OpenSSL's to check. Thread rule: a pair may sign, and a public key
 * verify, on many threads at once, but for create and free. */
#ifndef CRYPTO_SIGN_H
#define CRYPTO_SIGN_H

#include "base/buffer.h"
#include "mem/slab.h"

enum signature_kind {
    SIGNATURE_ED25519,
    SIGNATURE_ECDSA_P256,
    SIGNATURE_ECDSA_P384,
    SIGNATURE_ECDSA_P521, /* verification only */
};
const char *signature_kind_name(enum signature_kind kind); /* "ecdsa-p256" */

#define SIGNATURE_PRIVATE_BYTES 32u /* but for P-384: */
#define SIGNATURE_PRIVATE_MAX_BYTES 48u
#define SIGNATURE_MAX_BYTES 139u /* a DER ECDSA-Sig-Value of P-521; P-256: 72, Ed25519: 64 */
#define SIGNATURE_PUBLIC_MAX_BYTES                                                                 \
    133u /* an uncompressed point of P-521; P-256: 65, Ed25519: 32                                 \
          */

struct signature {
    uint8_t bytes[SIGNATURE_MAX_BYTES];
    size_t size_bytes;
};
/* LETHE_INTEGRITY for a size that no signature has: none could fit. */
LETHE_MUST_CHECK lethe_result signature_from_bytes(const void *bytes, size_t size_bytes,
                                                   struct signature *out, struct lethe_error *err);

struct sign_pair;   /* private and public */
struct sign_public; /* public alone */

/* A fresh private key, in guarded memory. */
LETHE_MUST_CHECK lethe_result sign_generate(enum signature_kind kind, struct lethe_secret **out,
                                            struct lethe_error *err);
/* LETHE_MALFORMED when the bytes are no private key of the kind. */
LETHE_MUST_CHECK lethe_result sign_pair_create(enum signature_kind kind,
                                               const struct lethe_secret *private_key,
                                               struct sign_pair **out, struct lethe_error *err);
void sign_pair_free(struct sign_pair *pair);
DEFINE_CLEANUP(sign_pair_free, struct sign_pair *);
/* Borrowed: lives as long as the pair. */
const struct sign_public *sign_pair_public(const struct sign_pair *pair);

LETHE_MUST_CHECK lethe_result sign_message(const struct sign_pair *pair, const void *bytes,
                                           size_t size_bytes, struct signature *out,
                                           struct lethe_error *err);

/* LETHE_INTEGRITY when the signature does not fit. */
LETHE_MUST_CHECK lethe_result sign_verify(const struct sign_public *key, const void *bytes,
                                          size_t size_bytes, const struct signature *signature,
                                          struct lethe_error *err);

/* ECDSA over a digest, of any hash: what is longer than the curve's order is cut. LETHE_INVALID for
 * Ed25519, which hashes for itself. */
LETHE_MUST_CHECK lethe_result sign_digest(const struct sign_pair *pair, const void *digest,
                                          size_t digest_bytes, struct signature *out,
                                          struct lethe_error *err);
LETHE_MUST_CHECK lethe_result sign_verify_digest(const struct sign_public *key, const void *digest,
                                                 size_t digest_bytes,
                                                 const struct signature *signature,
                                                 struct lethe_error *err);

/* Other forms of an ECDSA signature: r and s, each as wide as the field, one behind the other, as
 * JWS has them (RFC 7518, 3.4); and back to DER. An Ed25519 signature has one form only, and stays.
 * LETHE_MALFORMED: it is none. */
LETHE_MUST_CHECK lethe_result signature_to_fixed(enum signature_kind kind,
                                                 const struct signature *der, struct signature *out,
                                                 struct lethe_error *err);
LETHE_MUST_CHECK lethe_result signature_from_fixed(enum signature_kind kind, const void *bytes,
                                                   size_t size_bytes, struct signature *out,
                                                   struct lethe_error *err);

enum signature_kind sign_public_kind(const struct sign_public *key);
/* The 32-byte key or the uncompressed point. */
void sign_public_raw(const struct sign_public *key, uint8_t out[SIGNATURE_PUBLIC_MAX_BYTES],
                     size_t *size_bytes);
/* LETHE_MALFORMED when the bytes are no public key of the kind. */
LETHE_MUST_CHECK lethe_result sign_public_from_raw(enum signature_kind kind, const void *bytes,
                                                   size_t size_bytes, struct sign_public **out,
                                                   struct lethe_error *err);
/* SubjectPublicKeyInfo as PEM, exactly as `openssl pkey -pubout` prints it. */
LETHE_MUST_CHECK lethe_result sign_public_pem(const struct sign_public *key, struct buffer *out,
                                              struct lethe_error *err);
/* One PEM block and nothing else but white space behind it. */
LETHE_MUST_CHECK lethe_result sign_public_from_pem(const char *pem, size_t size_bytes,
                                                   struct sign_public **out,
                                                   struct lethe_error *err);
void sign_public_free(struct sign_public *key);
DEFINE_CLEANUP(sign_public_free, struct sign_public *);

#endif
