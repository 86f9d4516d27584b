/* kms/transit.h -- wrapped data keys in Vault's transit format: "vault:v<N>:" and base64 of nonce
 * (12), ciphertext and tag (16), AES-256-GCM with associated data. Pure functions. */
#ifndef KMS_TRANSIT_H
#define KMS_TRANSIT_H

#include "base/buffer.h"
#include "base/clock.h"
#include "crypto/aead.h"

/* `plain` may be 1 to 64 bytes: a data key. */
struct transit_binding {
    const struct lethe_secret *key; /* 32 bytes, of version `version` */
    uint64_t version;
    const void *aad;
    size_t aad_bytes;
};
LETHE_MUST_CHECK lethe_result transit_wrap(const struct transit_binding *binding,
                                           const struct random_source *random,
                                           const struct lethe_secret *plain, struct buffer *out,
                                           struct lethe_error *err);
/* The version that a text names. LETHE_MALFORMED. */
LETHE_MUST_CHECK lethe_result transit_version(const char *text, uint64_t *version,
                                              struct lethe_error *err);
/* LETHE_INTEGRITY. */
LETHE_MUST_CHECK lethe_result transit_unwrap(const struct transit_binding *binding,
                                             const char *text, struct lethe_secret **out,
                                             struct lethe_error *err);

#endif
