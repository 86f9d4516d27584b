/* crypto/hpke_core.h -- HPKE's steps one by one, over the AEADs for which RFC 9180 has vectors. Not
 * for other rooms: they use crypto/hpke.h, which has one suite. */
#ifndef CRYPTO_HPKE_CORE_H
#define CRYPTO_HPKE_CORE_H

#include "crypto/aead.h"
#include "crypto/hpke.h"

#define HPKE_SECRET_BYTES 32u /* Nsecret, Nh, Nsk */
#define HPKE_KEY_MAX_BYTES 32u

/* RFC 9180, 7.3 */
enum hpke_aead { HPKE_AES_128_GCM = 1, HPKE_AES_256_GCM = 2, HPKE_CHACHA20_POLY1305 = 3 };

struct hpke_schedule { /* in guarded memory */
    uint8_t key[HPKE_KEY_MAX_BYTES];
    uint8_t nonce[AEAD_NONCE_BYTES]; /* of the first message, and there is no other */
};

/* 4.1, Encap() with this ephemeral key, and Decap(). `shared` is HPKE_SECRET_BYTES of guarded
 * memory. LETHE_INVALID: X25519 gives no shared secret. */
LETHE_MUST_CHECK lethe_result hpke_encapsulate(const struct lethe_secret *ephemeral,
                                               const uint8_t public_key[HPKE_PUBLIC_BYTES],
                                               uint8_t encapsulated[HPKE_ENCAPSULATED_BYTES],
                                               uint8_t *shared, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result hpke_decapsulate(const struct lethe_secret *private_key,
                                               const uint8_t encapsulated[HPKE_ENCAPSULATED_BYTES],
                                               uint8_t *shared, struct lethe_error *err);
/* 5.1, mode base. */
LETHE_MUST_CHECK lethe_result hpke_key_schedule(enum hpke_aead aead, const uint8_t *shared,
                                                const struct hpke_context *context,
                                                struct hpke_schedule *out, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result hpke_aead_key(enum hpke_aead aead,
                                            const struct hpke_schedule *schedule,
                                            struct aead_key **out, struct lethe_error *err);
/* The public half: X25519 with the base point (RFC 7748, 6.1). */
LETHE_MUST_CHECK lethe_result hpke_public_of(const struct lethe_secret *private_key,
                                             uint8_t public_key[HPKE_PUBLIC_BYTES],
                                             struct lethe_error *err);

#endif
