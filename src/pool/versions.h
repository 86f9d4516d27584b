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
/* What goes with a key when it is handed over: every block below `written` is at version 1, those
 * in the list aside, and all others at 0. */
struct version_entry {
    uint64_t block;
    uint64_t version;
};
struct version_list {
    uint64_t written;
    const struct version_entry *entries; /* in the order of their blocks */
    size_t count;
};
/* Writes the list's entries to `room`. LETHE_CONFLICT: there are more than `capacity`, or a write
 * was not finished. */
LETHE_MUST_CHECK lethe_result versions_list(const struct versions *versions,
                                            struct version_entry *room, size_t capacity,
                                            struct version_list *out, struct lethe_error *err);
/* Of a new table; the list's blocks are inside. */
void versions_restore(struct versions *versions, const struct version_list *list);

/* For tests of the limit. */
void versions_count_aes(struct versions *versions, uint64_t aes_blocks);

#endif
