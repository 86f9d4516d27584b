/* crypto/hpke.h -- HPKE (RFC 9180), mode base, one message: DHKEM(X25519, HKDF-SHA256),
 * HKDF-SHA256, AES-256-GCM; over OpenSSL.
 *
 * For released keys: plaintexts come and go in guarded memory; private keys live in a lethe_secret.
 * Thread rule: pure functions. */
#ifndef CRYPTO_HPKE_H
#define CRYPTO_HPKE_H

#include "base/buffer.h"
#include "mem/guarded.h"

#define HPKE_PUBLIC_BYTES 32u
#define HPKE_ENCAPSULATED_BYTES 32u
#define HPKE_TAG_BYTES 16u
#define HPKE_INFO_MAX 256u /* LETHE_INVALID beyond it; ours are bindings */

/* A fresh pair. */
LETHE_MUST_CHECK lethe_result hpke_generate(struct lethe_secret **private_key,
                                            uint8_t public_key[HPKE_PUBLIC_BYTES],
                                            struct lethe_error *err);

struct hpke_context { /* borrowed */
    const void *info;
    size_t info_bytes;
    const void *aad;
    size_t aad_bytes;
};
/* Appends ciphertext and tag. LETHE_INVALID: no public key for which X25519 gives a shared secret
 * (a point of small order). */
LETHE_MUST_CHECK lethe_result hpke_seal(const uint8_t public_key[HPKE_PUBLIC_BYTES],
                                        const struct hpke_context *context,
                                        const struct guarded *plain,
                                        uint8_t encapsulated[HPKE_ENCAPSULATED_BYTES],
                                        struct buffer *cipher, struct lethe_error *err);
/* Appends the plaintext. LETHE_INTEGRITY: another key, info or aad, or it was changed. */
LETHE_MUST_CHECK lethe_result hpke_open(const struct lethe_secret *private_key,
                                        const struct hpke_context *context,
                                        const uint8_t encapsulated[HPKE_ENCAPSULATED_BYTES],
                                        const void *cipher, size_t cipher_bytes,
                                        struct guarded *plain, struct lethe_error *err);

#endif
