/* crypto/aead.h -- AES-GCM and GMAC behind one small table of back ends.
 *
 * A key object holds what was expanded from the key in the guarded slab; the caller's key bytes are
 * only read. The back end is chosen once per process: intel-ipsec-mb where the CPU has what it
 * needs, OpenSSL otherwise; LETHE_AEAD=openssl or =ipsec in the environment forces one, for tests
 * and comparisons. With OpenSSL the expanded schedule is in OpenSSL's secure heap, and only during
 * a call.
 * Thread rule: one key object may be used by many threads at once, but for create and free. */
#ifndef CRYPTO_AEAD_H
#define CRYPTO_AEAD_H

#include "mem/slab.h"

#define AEAD_KEY_BYTES 32u     /* AES-256: everything that Lethe makes             */
#define AEAD_KEY_128_BYTES 16u /* AES-128: reading other people's Tink streams only */
#define AEAD_NONCE_BYTES 12u
#define AEAD_TAG_BYTES 16u
#define AEAD_TEXT_MAX (((uint64_t)1 << 36) - 32) /* SP 800-38D 5.2.1.1 */

enum aead_backend { AEAD_BACKEND_BEST, AEAD_BACKEND_IPSEC, AEAD_BACKEND_OPENSSL };

struct aead_key;

/* key_bytes is 32 or 16 (LETHE_INVALID otherwise). LETHE_UNAVAILABLE when the back end was named,
 * here or in LETHE_AEAD, and this CPU cannot run it. */
LETHE_MUST_CHECK lethe_result aead_key_create(const void *key, size_t key_bytes,
                                              enum aead_backend backend, struct aead_key **out,
                                              struct lethe_error *err);
/* ChaCha20-Poly1305 (RFC 8439) under a key of AEAD_KEY_BYTES, used in the same way; OpenSSL's. */
LETHE_MUST_CHECK lethe_result aead_chacha20_create(const void *key, struct aead_key **out,
                                                   struct lethe_error *err);
/* Wipes; NULL is fine. */
void aead_key_free(struct aead_key *key);
DEFINE_CLEANUP(aead_key_free, struct aead_key *);
/* "intel-ipsec-mb 1.3.0 (AVX512, VAES)" or "OpenSSL 3.0.17 1 Jul 2025": for doctor and benchmarks.
 */
const char *aead_backend_name(enum aead_backend backend);
bool aead_backend_available(enum aead_backend backend);

/* One message. `in` and `out` are size_bytes each; they may be the same, or must not overlap. */
struct aead_message {
    const uint8_t *nonce; /* AEAD_NONCE_BYTES, never twice under one key */
    const void *aad;      /* authenticated beside the text */
    size_t aad_bytes;
    const void *in;
    void *out;
    size_t size_bytes;
};

/* NIST SP 800-38D. LETHE_LIMIT: longer than AEAD_TEXT_MAX. LETHE_NO_MEMORY (OpenSSL only). */
LETHE_MUST_CHECK lethe_result aead_seal(const struct aead_key *key,
                                        const struct aead_message *message,
                                        uint8_t tag[AEAD_TAG_BYTES]);
/* LETHE_INTEGRITY when the tag does not fit. On any failure `out` has been wiped. The tag is
 * compared in constant time. */
LETHE_MUST_CHECK lethe_result aead_open(const struct aead_key *key,
                                        const struct aead_message *message,
                                        const uint8_t tag[AEAD_TAG_BYTES]);
/* The tag over `size_bytes` bytes that stay in plain. */
LETHE_MUST_CHECK lethe_result aead_gmac(const struct aead_key *key,
                                        const uint8_t nonce[AEAD_NONCE_BYTES], const void *in,
                                        size_t size_bytes, uint8_t tag[AEAD_TAG_BYTES]);

#endif
