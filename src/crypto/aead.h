/* crypto/aead.h -- AES-256-GCM and GMAC behind one small table of back ends.
 *
 * A key object holds the expanded key schedule in the guarded slab; the caller's key bytes are only
 * read. The back end is chosen once per process: intel-ipsec-mb where the CPU has what it needs,
 * OpenSSL otherwise; LETHE_AEAD=openssl or =ipsec in the environment of a test forces one.
 * Thread rule: one key object may be used by many threads at once, but for create and free. */
#ifndef CRYPTO_AEAD_H
#define CRYPTO_AEAD_H

#include "mem/slab.h"

#define AEAD_KEY_BYTES 32u
#define AEAD_NONCE_BYTES 12u
#define AEAD_TAG_BYTES 16u

enum aead_backend { AEAD_BACKEND_BEST, AEAD_BACKEND_IPSEC, AEAD_BACKEND_OPENSSL };

struct aead_key;

/* LETHE_UNAVAILABLE when `backend` was named and this CPU cannot run it. */
LETHE_MUST_CHECK lethe_result aead_key_create(const uint8_t key[AEAD_KEY_BYTES],
                                              enum aead_backend backend, struct aead_key **out,
                                              struct lethe_error *err);
void aead_key_free(struct aead_key *key);
DEFINE_CLEANUP(aead_key_free, struct aead_key *);
/* "intel-ipsec-mb (AVX512-VAES)" or "OpenSSL": for doctor and benchmarks. */
const char *aead_backend_name(enum aead_backend backend);
bool aead_backend_available(enum aead_backend backend);

/* What is authenticated beside the text. */
struct aead_context {
    const uint8_t *nonce; /* AEAD_NONCE_BYTES, never twice under one key */
    const void *aad;
    size_t aad_bytes;
};

/* NIST SP 800-38D. `in` and `out` may be the same, or must not overlap; size_bytes < 2^36 - 32. */
LETHE_MUST_CHECK lethe_result aead_seal(const struct aead_key *key,
                                        const struct aead_context *context, const void *in,
                                        size_t size_bytes, void *out, uint8_t tag[AEAD_TAG_BYTES]);
/* LETHE_INTEGRITY when the tag does not fit; `out` has then been wiped. The tag is compared in
 * constant time. */
LETHE_MUST_CHECK lethe_result aead_open(const struct aead_key *key,
                                        const struct aead_context *context, const void *in,
                                        size_t size_bytes, void *out,
                                        const uint8_t tag[AEAD_TAG_BYTES]);
/* The tag over `size_bytes` bytes that stay in plain. */
LETHE_MUST_CHECK lethe_result aead_gmac(const struct aead_key *key,
                                        const uint8_t nonce[AEAD_NONCE_BYTES], const void *in,
                                        size_t size_bytes, uint8_t tag[AEAD_TAG_BYTES]);

#endif
