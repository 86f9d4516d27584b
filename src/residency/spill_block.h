/* residency/spill_block.h -- a block of a KV cache as a spill store has it: ciphertext and a tag.
 *
 * AES-256-GCM under a key of one session's own. Nonce: le32 block, le64 version. Associated data,
 * all little-endian: "lethe-kv-spill/1", space (16), block (8), version (8), size (8). So a block
 * opens in no other place, in no other session, at no other version and at no other size.
 *
 * Thread rule: one key may be used by many threads at once, but for create and free. */
#ifndef RESIDENCY_SPILL_BLOCK_H
#define RESIDENCY_SPILL_BLOCK_H

#include <lethe/kv.h>

#include "crypto/aead.h"

#define SPILL_BLOCKS_MAX UINT32_MAX /* of a session: the nonce has 32 bits for them */

struct spill_key;

/* Random key and space. LETHE_NO_MEMORY, LETHE_UNPROTECTED, LETHE_FAILED: no randomness. */
LETHE_MUST_CHECK lethe_result spill_key_create(struct spill_key **out, struct lethe_error *err);
void spill_key_free(struct spill_key *key); /* wipes; NULL is fine */
DEFINE_CLEANUP(spill_key_free, struct spill_key *);

/* One state of one block: a version is never sealed twice under one key. */
struct spill_place {
    uint64_t block; /* less than SPILL_BLOCKS_MAX */
    uint64_t version;
};
struct lethe_spill_id spill_id(const struct spill_key *key, uint64_t block);

/* `out` holds size_bytes + AEAD_TAG_BYTES. */
LETHE_MUST_CHECK lethe_result spill_block_seal(const struct spill_key *key,
                                               const struct spill_place *place, const void *bytes,
                                               size_t size_bytes, uint8_t *out);
/* LETHE_INTEGRITY: not what was sealed at that place; `out` (size_bytes) has been wiped. */
LETHE_MUST_CHECK lethe_result spill_block_open(const struct spill_key *key,
                                               const struct spill_place *place,
                                               const uint8_t *sealed, size_t size_bytes, void *out);

#endif
