/* crypto/digest.h -- the other hashes, for what clients of the key service ask for: SHA-2 and SHA-3
 * of every size, and HMAC with them (FIPS 180-4, FIPS 202, RFC 2104). Our own formats use
 * crypto/hash.h. Thread rule: pure functions. */
#ifndef CRYPTO_DIGEST_H
#define CRYPTO_DIGEST_H

#include "base/base.h"

/* X(name, text, bytes) */
#define DIGEST_KINDS(X)                                                                            \
    X(SHA2_224, "sha2-224", 28)                                                                    \
    X(SHA2_256, "sha2-256", 32)                                                                    \
    X(SHA2_384, "sha2-384", 48)                                                                    \
    X(SHA2_512, "sha2-512", 64)                                                                    \
    X(SHA3_224, "sha3-224", 28)                                                                    \
    X(SHA3_256, "sha3-256", 32)                                                                    \
    X(SHA3_384, "sha3-384", 48)                                                                    \
    X(SHA3_512, "sha3-512", 64)
enum digest_kind {
#define DIGEST_KIND_ENUM(name, text, bytes) DIGEST_##name,
    DIGEST_KINDS(DIGEST_KIND_ENUM)
#undef DIGEST_KIND_ENUM
        DIGEST_KIND_COUNT
};
#define DIGEST_MAX_BYTES 64u

/* False for a name that is none of them. */
bool digest_kind_parse(const char *text, size_t length, enum digest_kind *out);
const char *digest_kind_name(enum digest_kind kind);
size_t digest_bytes(enum digest_kind kind);

/* LETHE_NO_MEMORY. */
LETHE_MUST_CHECK lethe_result digest_compute(enum digest_kind kind, const void *bytes,
                                             size_t size_bytes, uint8_t out[DIGEST_MAX_BYTES]);
LETHE_MUST_CHECK lethe_result digest_hmac(enum digest_kind kind, const void *key, size_t key_bytes,
                                          const void *bytes, size_t size_bytes,
                                          uint8_t out[DIGEST_MAX_BYTES]);

#endif
