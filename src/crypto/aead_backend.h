/* crypto/aead_backend.h -- what a back end of crypto/aead.h has to offer. */
#ifndef CRYPTO_AEAD_BACKEND_H
#define CRYPTO_AEAD_BACKEND_H

#include "crypto/aead.h"

struct aead_ops {
    const char *(*name)(void);
    bool (*available)(void);
    size_t state_bytes; /* guarded, 64-byte aligned, zeroed at first, wiped at the end */
    /* key_bytes is AEAD_KEY_BYTES or AEAD_KEY_128_BYTES. */
    void (*expand)(void *state, const void *key, size_t key_bytes);
    lethe_result (*seal)(const void *state, const struct aead_message *message, uint8_t *tag);
    /* Need not wipe `out` when it fails. */
    lethe_result (*open)(const void *state, const struct aead_message *message, const uint8_t *tag);
};

extern const struct aead_ops aead_ipsec;
extern const struct aead_ops aead_openssl;
extern const struct aead_ops aead_chacha20; /* of OpenSSL too; AEAD_KEY_BYTES only */

#endif
