/* pool/arena.h -- the memory that a provider lends: pages that are granted wiped, or not at all.
 *
 * One region of guarded memory (locked, undumpable, fork-blind), cut into pages. An extent set is
 * what one lease has: runs of pages, data first (in whole blocks, so that no block is split), then
 * the tags, 16 bytes a block. Pages go round: free, taken, given back dirty, wiped and read back by
 * the arena's own thread (which steps back for everybody else), free. When a byte of an extent set
 * is not zero after that, none of its pages is ever free again: whoever wrote there may write to
 * the others too.
 *
 * A page is free only when it was shown to be zero: that is the one place that "never granted
 * before it is wiped" hangs on, and pool_arena_take() checks it again for what it gives out when it
 * was told to be suspicious.
 *
 * Thread rule: any thread; one lock. `wiped` is called on the wiping thread, without the lock. */
#ifndef POOL_ARENA_H
#define POOL_ARENA_H

#include "base/base.h"

#define ARENA_PAGE_BYTES 4096u
#define ARENA_TAG_BYTES 16u
#define ARENA_EXTENTS_MAX 32u

struct pool_arena;
struct arena_extent {
    uint32_t first_page;
    uint32_t pages;
};
/* Given back, it stays where it is until `wiped`: giving back needs no memory, and cannot fail. */
struct arena_extents {
    struct arena_extent runs[ARENA_EXTENTS_MAX];
    uint8_t count;
    uint8_t tag_run; /* data before it, tags from there on */
    uint32_t block_bytes;
    uint64_t blocks;
    /* The arena's, while it is being wiped. */
    struct arena_extents *next;
    void *cookie;
};

struct pool_arena_options {
    uint64_t size_bytes; /* a multiple of ARENA_PAGE_BYTES */
    bool suspicious;     /* what is taken is read once more */
    /* Pages of an extent set were wiped (verified) or would not be zero. May be NULL. */
    void (*wiped)(void *context, void *cookie, bool verified);
    void *context;
    void (*wipe)(void *memory, size_t size_bytes); /* NULL: lethe_wipe(); tests have their own */
};
/* Locks and writes all of it before it returns: what is lent is there. LETHE_UNPROTECTED: it cannot
 * be locked; the hint has the remedy. LETHE_NO_MEMORY, LETHE_INVALID, LETHE_UNAVAILABLE: no thread.
 */
LETHE_MUST_CHECK lethe_result pool_arena_create(const struct pool_arena_options *options,
                                                struct pool_arena **out, struct lethe_error *err);
/* Wipes and verifies all of it, what was given back first. Nobody has anything of it any more. NULL
 * is fine. */
void pool_arena_free(struct pool_arena *arena);
DEFINE_CLEANUP(pool_arena_free, struct pool_arena *);

/* Pages for `blocks` blocks and their tags; all zero. LETHE_NO_SPACE: not enough is free, or it
 * lies in too many pieces. LETHE_INVALID: no power of two from 4 KiB to 1 MiB, or no block. */
LETHE_MUST_CHECK lethe_result pool_arena_take(struct pool_arena *arena, uint64_t blocks,
                                              uint32_t block_bytes, struct arena_extents *out,
                                              struct lethe_error *err);
/* Nobody uses them any more: they will be wiped, then `wiped(cookie)`. */
void pool_arena_give_back(struct pool_arena *arena, struct arena_extents *extents, void *cookie);

/* Inside what was taken; `block` is below blocks. Constant time but for the number of runs. */
uint8_t *pool_arena_block(struct pool_arena *arena, const struct arena_extents *extents,
                          uint64_t block);
uint8_t *pool_arena_tag(struct pool_arena *arena, const struct arena_extents *extents,
                        uint64_t block);

/* Each page is free, used, being wiped, or unwiped. */
struct pool_arena_counters {
    uint64_t size_bytes, free_bytes, used_bytes, wiping_bytes, unwiped_bytes;
    uint64_t wiped_bytes_total, wipe_ns_total;
};
void pool_arena_counters(struct pool_arena *arena, struct pool_arena_counters *out);

/* What so many blocks take: data, and tags in whole pages. UINT64_MAX where it is beyond all. */
uint64_t pool_arena_bytes_for(uint64_t blocks, uint32_t block_bytes);

#endif
