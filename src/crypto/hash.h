/* crypto/hash.h -- SHA-256, HMAC, HKDF, scrypt, and comparison in constant time. */
#ifndef CRYPTO_HASH_H
#define CRYPTO_HASH_H

#include "mem/slab.h"

#define SHA256_BYTES 32u

/* FIPS 180-4. Allocates nothing. */
void sha256(const void *bytes, size_t size_bytes, uint8_t out[SHA256_BYTES]);

/* As if zeros followed, up to padded_bytes. */
void sha256_padded(const void *bytes, size_t size_bytes, size_t padded_bytes,
                   uint8_t out[SHA256_BYTES]);

struct sha256_stream; /* for public data that comes in pieces */
LETHE_MUST_CHECK lethe_result sha256_create(struct sha256_stream **out, struct lethe_error *err);
void sha256_update(struct sha256_stream *stream, const void *bytes, size_t size_bytes);
/* Gives the digest of all that was added and starts anew. */
void sha256_finish(struct sha256_stream *stream, uint8_t out[SHA256_BYTES]);
void sha256_free(struct sha256_stream *stream);
DEFINE_CLEANUP(sha256_free, struct sha256_stream *);

/* RFC 2104 with SHA-256. */
LETHE_MUST_CHECK lethe_result hmac_sha256(const void *key, size_t key_bytes, const void *bytes,
                                          size_t size_bytes, uint8_t out[SHA256_BYTES]);

enum hkdf_hash { HKDF_SHA256, HKDF_SHA512, HKDF_SHA1 /* Tink's official vectors only */ };
struct hkdf_input {
    enum hkdf_hash hash;
    const void *key;
    size_t key_bytes;
    const void *salt;
    size_t salt_bytes;
    const void *info;
    size_t info_bytes;
};
/* RFC 5869, extract and expand. `out` is guarded memory of the caller. */
LETHE_MUST_CHECK lethe_result hkdf(const struct hkdf_input *input, uint8_t *out, size_t out_bytes,
                                   struct lethe_error *err);

/* RFC 7914. Takes 128 * r * 2^log2_n bytes of memory, which are wiped, but not locked. */
#define SCRYPT_LOG2_N_MAX 24u
#define SCRYPT_R_MAX 64u
#define SCRYPT_P_MAX 64u
#define SCRYPT_MEMORY_MAX ((uint64_t)4 << 30)
struct scrypt_input {
    const struct lethe_secret *passphrase;
    const void *salt;
    size_t salt_bytes;
    unsigned log2_n; /* each 1 to its MAX */
    unsigned r;
    unsigned p;
};
/* Fills `out`. LETHE_INVALID for a cost beyond these limits, LETHE_NO_MEMORY. */
LETHE_MUST_CHECK lethe_result scrypt(const struct scrypt_input *input, struct lethe_secret *out,
                                     struct lethe_error *err);

/* Constant time in the content. */
bool bytes_equal(const void *a, const void *b, size_t size_bytes);

#endif
