/* crypto/block_seal.h -- blocks that leave for memory that is not ours: ciphertext, and a tag.
 *
 * AES-256-GCM under a key of one owner's own (a session, a lease). Nonce: le32 block, le64 version.
 * Associated data, all little-endian: label, space (16), block (8), version (8), size (8). So a
 * block opens in no other place, for no other owner or use, at no other version and at no other
 * size: whoever keeps it gains nothing by changing it, swapping it or giving back an older one.
 *
 * The owner sees to it that a version is never sealed twice under one key, failed attempts
 * included, and keeps the versions where nobody else can write.
 *
 * Thread rule: one key may be used by many threads at once, but for create and free. */
#ifndef CRYPTO_BLOCK_SEAL_H
#define CRYPTO_BLOCK_SEAL_H

#include "crypto/aead.h"

#define BLOCK_LABEL_MAX 24u
#define BLOCK_SPACE_BYTES 16u
#define BLOCK_COUNT_MAX UINT32_MAX /* under one key: the nonce has 32 bits for them */

struct block_key;

/* Random key and space. `label` names the use, in at most BLOCK_LABEL_MAX bytes. LETHE_NO_MEMORY,
 * LETHE_UNPROTECTED, LETHE_FAILED: no randomness. */
LETHE_MUST_CHECK lethe_result block_key_create(const char *label, struct block_key **out,
                                               struct lethe_error *err);
/* From a key (AEAD_KEY_BYTES) and a space that exist already; both are only read. */
LETHE_MUST_CHECK lethe_result block_key_restore(const char *label, const struct lethe_secret *key,
                                                const uint8_t space[BLOCK_SPACE_BYTES],
                                                struct block_key **out, struct lethe_error *err);
void block_key_free(struct block_key *key); /* wipes; NULL is fine */
DEFINE_CLEANUP(block_key_free, struct block_key *);
const uint8_t *block_key_space(const struct block_key *key);

/* One state of one block. */
struct block_place {
    uint64_t block; /* less than BLOCK_COUNT_MAX */
    uint64_t version;
    size_t size_bytes;
};

/* `in` and `out` are size_bytes each; they may be the same, or must not overlap. */
LETHE_MUST_CHECK lethe_result block_seal(const struct block_key *key,
                                         const struct block_place *place, const void *in,
                                         uint8_t *out, uint8_t tag[AEAD_TAG_BYTES]);
/* LETHE_INTEGRITY: not what was sealed at that place; `out` has been wiped. */
LETHE_MUST_CHECK lethe_result block_open(const struct block_key *key,
                                         const struct block_place *place, const uint8_t *in,
                                         const uint8_t tag[AEAD_TAG_BYTES], void *out);

#endif
