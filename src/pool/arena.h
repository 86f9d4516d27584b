/* pool/arena.h -- the memory that a provider lends: pages that are granted wiped, or not at all.
 *
 * One region of guarded memory (locked, undumpable, fork-blind), cut into pages. An extent set is
 * what one lease has: runs of pages, data first (in whole blocks, so that no block is split), then
 * the tags, 16 bytes a block. Pages go round: free, taken, given back dirty, wiped and read back by
 * the arena's own thread (which runs when nothing else wants the CPU), free. Pages that are not
 * zero when they are read back are never free again.
 *
 * A page is free only when it was shown to be zero: that is the one place that "never granted
 * before it is wiped" hangs on, and arena_take() checks it again for what it gives out when it was
 * told to be suspicious.
 *
 * Thread rule: any thread; one lock. `wiped` is called on the wiping thread, without the lock. */
#ifndef POOL_ARENA_H
#define POOL_ARENA_H

#include "base/base.h"

#define ARENA_PAGE_BYTES 4096u
#define ARENA_EXTENTS_MAX 32u

struct arena;
struct arena_extent {
    uint32_t first_page;
    uint32_t pages;
};
struct arena_extents {
    struct arena_extent runs[ARENA_EXTENTS_MAX];
    uint8_t count;
    uint32_t block_bytes;
    uint64_t blocks;
    /* Where tags begin: run, and page in it. The rest is the arena's. */
    uint8_t tag_run;
};

struct arena_options {
    uint64_t size_bytes;
    bool suspicious; /* what is taken is read once more */
    /* Pages of `extents` were wiped (verified) or would not be zero. */
    void (*wiped)(void *context, void *cookie, bool verified);
    void *context;
};
/* Locks and writes all of it before it returns: what is lent is there. LETHE_UNPROTECTED: it cannot
 * be locked; the hint has the remedy. LETHE_NO_MEMORY. */
LETHE_MUST_CHECK lethe_result arena_create(const struct arena_options *options, struct arena **out,
                                           struct lethe_error *err);
/* Wipes and verifies all of it. Nothing is taken any more by anybody who would use it. NULL is
 * fine. */
void arena_free(struct arena *arena);
DEFINE_CLEANUP(arena_free, struct arena *);

/* Pages for `blocks` blocks and their tags; all zero. LETHE_NO_SPACE: not enough is free, or it
 * lies in too many pieces. */
LETHE_MUST_CHECK lethe_result arena_take(struct arena *arena, uint64_t blocks, uint32_t block_bytes,
                                         struct arena_extents *out, struct lethe_error *err);
/* Nobody uses them any more: they will be wiped, then `wiped(cookie)`. */
void arena_give_back(struct arena *arena, const struct arena_extents *extents, void *cookie);

/* Inside what was taken; `block` is below blocks. Constant time but for the number of runs. */
uint8_t *arena_block(struct arena *arena, const struct arena_extents *extents, uint64_t block);
uint8_t *arena_tag(struct arena *arena, const struct arena_extents *extents, uint64_t block);

struct arena_counters {
    uint64_t size_bytes, free_bytes, used_bytes, wiping_bytes, unwiped_bytes;
    uint64_t wiped_bytes_total, wipe_ns_total;
};
void arena_counters(struct arena *arena, struct arena_counters *out);

#endif
