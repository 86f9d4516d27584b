/* crypto/sign.h -- Ed25519 (RFC 8032) and ECDSA P-256 with SHA-256 (FIPS 186-5), over OpenSSL.
 *
 * The private part of a pair lives in a lethe_secret (32 bytes: the seed, or the scalar); OpenSSL's
 * working copy lives in its secure heap and is freed with the pair. Thread rule: a pair may sign on
 * many threads at once. */
#ifndef CRYPTO_SIGN_H
#define CRYPTO_SIGN_H

#include "base/buffer.h"
#include "mem/slab.h"

enum signature_kind { SIGNATURE_ED25519, SIGNATURE_ECDSA_P256 };
#define SIGNATURE_PRIVATE_BYTES 32u
#define SIGNATURE_MAX_BYTES 72u        /* a DER ECDSA-Sig-Value of P-256; Ed25519 is always 64 */
#define SIGNATURE_PUBLIC_MAX_BYTES 65u /* uncompressed point; Ed25519 is 32 */

struct signature {
    uint8_t bytes[SIGNATURE_MAX_BYTES];
    size_t size_bytes;
};

struct sign_pair;   /* private and public */
struct sign_public; /* public alone */

/* A fresh private key, 32 bytes of guarded memory. */
LETHE_MUST_CHECK lethe_result sign_generate(enum signature_kind kind, struct lethe_secret **out,
                                            struct lethe_error *err);
/* LETHE_MALFORMED when the bytes are no private key of the kind. */
LETHE_MUST_CHECK lethe_result sign_pair_create(enum signature_kind kind,
                                               const struct lethe_secret *private_key,
                                               struct sign_pair **out, struct lethe_error *err);
void sign_pair_free(struct sign_pair *pair);
DEFINE_CLEANUP(sign_pair_free, struct sign_pair *);
const struct sign_public *sign_pair_public(const struct sign_pair *pair);

LETHE_MUST_CHECK lethe_result sign_message(const struct sign_pair *pair, const void *bytes,
                                           size_t size_bytes, struct signature *out,
                                           struct lethe_error *err);

/* LETHE_INTEGRITY when the signature does not fit. */
LETHE_MUST_CHECK lethe_result sign_verify(const struct sign_public *key, const void *bytes,
                                          size_t size_bytes, const void *signature,
                                          size_t signature_bytes, struct lethe_error *err);

enum signature_kind sign_public_kind(const struct sign_public *key);
/* The 32-byte key or the 65-byte uncompressed point. */
void sign_public_raw(const struct sign_public *key, uint8_t out[SIGNATURE_PUBLIC_MAX_BYTES],
                     size_t *size_bytes);
LETHE_MUST_CHECK lethe_result sign_public_from_raw(enum signature_kind kind, const void *bytes,
                                                   size_t size_bytes, struct sign_public **out,
                                                   struct lethe_error *err);
/* SubjectPublicKeyInfo as PEM, exactly as `openssl pkey -pubout` prints it. From PEM also P-384 and
 * P-521 keys are taken, for verifying other people's bundles (then with SHA-384 and SHA-512). */
LETHE_MUST_CHECK lethe_result sign_public_pem(const struct sign_public *key, struct buffer *out,
                                              struct lethe_error *err);
LETHE_MUST_CHECK lethe_result sign_public_from_pem(const char *pem, size_t size_bytes,
                                                   struct sign_public **out,
                                                   struct lethe_error *err);
void sign_public_free(struct sign_public *key);
DEFINE_CLEANUP(sign_public_free, struct sign_public *);

#endif
