/* pool/versions.h -- the version of every block of a lease: what tells the newest from an older one
 * (P-12), and the only thing that does.
 *
 * Eight bytes a block in guarded memory (class content: locked, undumpable, wiped, fork-blind).
 * Version 0 is "never written". A version goes up before each seal, also when the same write is
 * sent again, and never comes back: under one key it is a nonce. A block whose newest version may
 * not have arrived anywhere is marked as pending until a write of it is known to be done.
 *
 * The AES blocks that were encrypted under the key are counted here, too: at VERSIONS_AES_MAX
 * nothing more is sealed. (256 TiB: the bound of GCM's integrity is about 2^-41 then.)
 *
 * Thread rule: one thread at a time. */
#ifndef POOL_VERSIONS_H
#define POOL_VERSIONS_H

#include "base/base.h"
#include "mem/slab.h"

#define VERSIONS_AES_MAX ((uint64_t)1 << 44)

struct versions;

/* All 0. LETHE_UNPROTECTED, LETHE_NO_MEMORY, LETHE_LIMIT: as lethe_region_create(). */
LETHE_MUST_CHECK lethe_result versions_create(uint64_t blocks, uint32_t block_bytes,
                                              struct versions **out, struct lethe_error *err);
/* Of a lease that is read only: every block below `written` is at version 1, the others at 0. */
LETHE_MUST_CHECK lethe_result versions_create_written(uint64_t blocks, uint32_t block_bytes,
                                                      uint64_t written, struct versions **out,
                                                      struct lethe_error *err);
void versions_free(struct versions *versions); /* wipes; NULL is fine */
DEFINE_CLEANUP(versions_free, struct versions *);

uint64_t versions_of(const struct versions *versions, uint64_t block);
/* The version to seal the block's next state with; it is pending. LETHE_LIMIT: the key has sealed
 * all that one key may. */
LETHE_MUST_CHECK lethe_result versions_next(struct versions *versions, uint64_t block,
                                            uint64_t *out, struct lethe_error *err);
/* Whether the newest version may be nowhere. */
bool versions_is_pending(const struct versions *versions, uint64_t block);
/* The newest version is known to have arrived. */
void versions_settle(struct versions *versions, uint64_t block);
/* Whether each block is at version 0 or 1 and none is pending; *written: one past the last that
 * is at 1. False also when one before it is at 0. */
bool versions_are_first(const struct versions *versions, uint64_t *written);

/* For tests of the limit. */
void versions_count_aes(struct versions *versions, uint64_t aes_blocks);

#endif
