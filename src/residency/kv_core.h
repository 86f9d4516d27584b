/* residency/kv_core.h -- the inside of KV caches: what its files share. Contracts: lethe/kv.h.
 *
 * A cache is an arena of equal blocks in one memory of a device. A session has pages, each for
 * block_tokens tokens of all layers; a page is in a block of the arena, or in the spill store, or
 * both are being seen to by somebody.
 *
 * Who may do what. The cache's lock guards all that is not said otherwise. One thread at a time is
 * *in* a session (its gate is KV_APPENDING) and writes its rows: it takes no lock as long as the
 * pages that it needs are in blocks. So:
 *   - a page gets a block under the lock;
 *   - a page loses its block under the lock, by whoever is in the session, or has taken its gate
 *     (KV_TAKEN, never for longer than the lock is held), or finds that nobody is in an ended one;
 *   - the array of pages changes under the lock, by whoever is in the session;
 *   - a block that is read (readers > 0) stays where it is.
 * An ended session (KV_ENDED) is wiped by whoever ended it; what is being written, read or moved
 * then, by whoever does that, as the last thing he does there (kv_settle).
 *
 * No lock is held while a store works or blocks are wiped; the rows that truncation cuts are wiped
 * under the cache's. A session is not freed while it has refs.
 *
 * Lock order: the cache's lock, then plain_lock; own_lock of a session alone. */
#ifndef RESIDENCY_KV_CORE_H
#define RESIDENCY_KV_CORE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include <lethe/kv.h>

#include "crypto/block_seal.h"
#include "device/device.h"

#define KV_SPILL_LABEL "lethe-kv-spill/1" /* what its blocks are sealed as */
#define KV_NONE UINT32_MAX                /* no block */

struct kv_shape {
    uint32_t layers;
    uint32_t row_bytes;
    uint32_t block_tokens;
    uint64_t block_bytes;
};
/* LETHE_INVALID names the option. */
LETHE_MUST_CHECK lethe_result kv_shape_of(const struct lethe_kv_options *options,
                                          struct kv_shape *out, struct lethe_error *err);

enum kv_part { KV_KEYS, KV_VALUES };
/* Where a row is within its block. */
static inline uint64_t kv_row(const struct kv_shape *shape, uint32_t layer, enum kv_part part,
                              uint64_t token)
{
    return (((uint64_t)layer * 2 + part) * shape->block_tokens + token % shape->block_tokens) *
           shape->row_bytes;
}

/* ---- arena ----------------------------------------------------------------------------------- */

struct kv_block {
    struct lethe_kv *session; /* NULL: nobody's */
    uint64_t page;
    _Atomic uint64_t stamp; /* number of the call that last used it */
    uint32_t readers;
    uint32_t next; /* in the list of free ones, or of those being wiped */
};

struct kv_arena {
    struct device_memory *memory;
    uint8_t *address; /* host: bytes; CUDA: what a kernel takes */
    bool is_host;
    struct kv_block *blocks;
    uint32_t count;
    uint32_t free; /* the first of them */
    uint32_t free_count;
    uint32_t wiping; /* on their way there */
    uint32_t lost;   /* not shown to be zero: nobody has them again */
};

/* ---- cache and session ----------------------------------------------------------------------- */

TAILQ_HEAD(kv_list, lethe_kv);

struct lethe_kv_cache {
    struct lethe_worker *worker;
    char name[65];
    struct kv_shape shape;
    bool has_spill;
    struct lethe_spill spill;
    struct lethe_region *plain; /* with a store: one block, zero but while somebody is at it */
    pthread_mutex_t plain_lock;

    _Atomic uint64_t calls;
    _Atomic uint64_t appended_tokens;

    pthread_mutex_t lock;
    pthread_cond_t
        changed; /* a block became free, a page is no longer busy, a session lost a ref */
    struct kv_arena arena;
    uint8_t *staging;        /* one spare buffer for a spilled block */
    uint32_t moving;         /* pages that are with the store just now */
    struct kv_list sessions; /* in the order of their opening */
    void *names;             /* tsearch(3): those that have not ended */
    uint64_t sequence;
    struct lethe_kv_counters counters;
};

struct kv_page {
    _Atomic uint32_t block; /* KV_NONE: not on the device */
    bool is_busy;           /* somebody who does not hold the lock is moving it */
    bool is_stored;
    uint64_t version; /* of what is stored */
};

enum kv_gate { KV_APPENDING = 1u, KV_TAKEN = 2u, KV_ENDED = 4u };

/* What was wiped. */
struct kv_wiped {
    uint64_t blocks;
    uint64_t bytes;
    uint64_t duration_ns;
    bool failed;
};

struct lethe_kv {
    struct lethe_kv_cache *cache;
    char tenant[64];
    char name[64];
    uint64_t sequence;
    TAILQ_ENTRY(lethe_kv) link;
    struct lethe_kv *next_overdue;
    uint64_t heartbeat_timeout_ms;
    _Atomic uint64_t last_heartbeat_ms;
    uint64_t window_tokens;
    uint32_t budget_blocks; /* KV_NONE: no budget of its own */

    atomic_uint gate;
    _Atomic uint64_t *ends; /* by layer: tokens below are there */

    struct kv_page *pages;
    uint64_t first_page;
    uint64_t page_count;
    uint64_t page_capacity;
    uint64_t cuts;     /* how often tokens were taken back */
    uint32_t resident; /* pages in blocks */
    uint32_t reads;    /* views and gathers under way */
    uint32_t moving;   /* pages under way to or from the store */
    uint32_t fetching; /* of them, on their way back for readers */
    uint32_t refs;     /* of threads that use it without its owner's knowledge */
    uint32_t settling;
    bool is_asking;               /* whoever is in waits for room himself */
    enum lethe_session_end cause; /* once ended */
    bool is_recorded;
    struct kv_wiped wiped; /* since it ended; `failed`: ever */

    struct block_key *key; /* from the first spill on */
    uint64_t version;      /* the last that was sealed */

    pthread_mutex_t own_lock;
    struct lethe_session *own; /* buffers and seeds, from the first on */
    struct lethe_session_report own_wiped;
    bool own_is_over;
};

static inline bool kv_has_ended(const struct lethe_kv *session)
{
    return (atomic_load(&session->gate) & KV_ENDED) != 0;
}
/* LETHE_CANCELLED, with its text. */
LETHE_MUST_CHECK lethe_result kv_cancelled(const struct lethe_kv *session, struct lethe_error *err);

/* To write: LETHE_CANCELLED. Every success is followed by a kv_leave, which settles an ended one
 * and gives false for it. */
LETHE_MUST_CHECK lethe_result kv_enter(struct lethe_kv *session, struct lethe_error *err);
bool kv_leave(struct lethe_kv *session);
/* Under the lock: keeps others out, if nobody is in, or only the caller himself (`inside`). */
bool kv_take(struct lethe_kv *session, bool inside);
void kv_give(struct lethe_kv *session, bool inside);

/* Under the lock. */
static inline uint64_t kv_pages_end(const struct lethe_kv *session)
{
    return session->first_page + session->page_count;
}
static inline struct kv_page *kv_page(const struct lethe_kv *session, uint64_t number)
{
    REQUIRE(number >= session->first_page && number < kv_pages_end(session));
    return &session->pages[number - session->first_page];
}
static inline uint32_t kv_block_of(const struct kv_page *page)
{
    return atomic_load_explicit(&page->block, memory_order_acquire);
}

/* Under the lock: marks as ended and takes the name away; false when it had ended before. */
bool kv_begin_end(struct lethe_kv *session, enum lethe_session_end cause);
/* Without the lock: wipes what nobody uses of an ended session, and records it once that is all. */
void kv_settle(struct lethe_kv *session);
/* The same for the last time: its buffers and seeds are freed, too. */
void kv_settle_for_good(struct lethe_kv *session);
/* Under the lock, which is released meanwhile when the session has ended. */
void kv_unref(struct lethe_kv *session);
/* Gives back every session that has ended and whose owner is gone: at the end of a cache. */
LETHE_MUST_CHECK lethe_result kv_free(struct lethe_kv *session, enum lethe_session_end cause,
                                      struct lethe_error *err);

/* ---- blocks (kv_arena.c) --------------------------------------------------------------------- */

/* As many blocks as `budget_bytes` holds, of the worker's device. Results as worker_alloc. */
LETHE_MUST_CHECK lethe_result kv_arena_create(struct lethe_kv_cache *cache, size_t device,
                                              uint64_t budget_bytes, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result kv_arena_clear(struct lethe_kv_cache *cache, struct lethe_error *err);
static inline uint64_t kv_block_offset(const struct lethe_kv_cache *cache, uint32_t block)
{
    return (uint64_t)block * cache->shape.block_bytes;
}
/* Under the lock: a zeroed block, or KV_NONE. */
uint32_t kv_arena_pop(struct kv_arena *arena);

/* Under the lock: gives a page a block, which is nobody's. */
void kv_attach(struct lethe_kv *session, uint64_t page, uint32_t block);

/* Blocks on their way back. */
struct kv_chain {
    uint32_t first;
    uint32_t count;
};
#define KV_CHAIN_NONE ((struct kv_chain){KV_NONE, 0})
/* Under the lock: the page, which has a block, loses it. */
void kv_detach(struct lethe_kv *session, uint64_t page, struct kv_chain *chain);
/* Under the lock: a block that is nobody's. */
void kv_arena_discard(struct kv_arena *arena, uint32_t block, struct kv_chain *chain);
/* Without the lock: wipes what was the session's, proves it, and only then gives it to whoever
 * wants a block. */
struct kv_wiped kv_wipe(struct lethe_kv *session, const struct kv_chain *chain);
/* region_wiped, if there was anything; and cache_evicted, of one page. */
void kv_record_wipe(const struct lethe_kv *session, const struct kv_wiped *wiped);
void kv_record_eviction(const struct lethe_kv *session, uint64_t page, const char *cause,
                        const struct kv_wiped *wiped);

/* ---- room (kv_evict.c), and ways out and back (kv_spill.c) ----------------------------------- */

/* For whoever only looks at a page and can do without its block. */
struct kv_peek {
    /* Without the lock: the page, as long as this takes. */
    void (*look)(void *context, const uint8_t *plain);
    void *context;
    bool is_done; /* it was called: there was no room for a block */
};

/* For whom, while room is made: `inside` when the caller is in the session; of its own pages
 * keep_count from keep_first on are not evicted. */
struct kv_claim {
    struct lethe_kv *session;
    bool inside;
    uint64_t keep_first;
    uint64_t keep_count;
    struct kv_peek *peek; /* or NULL */
};
/* Under the lock, which is released meanwhile: a zeroed block that is nobody's. LETHE_NO_MEMORY
 * says needed and available; LETHE_CANCELLED; what the store gave. */
LETHE_MUST_CHECK lethe_result kv_make_room(const struct kv_claim *claim, uint32_t *block,
                                           struct lethe_error *err);
/* Under the lock, which is released meanwhile: the page is in a block, or was peeked at, or this
 * fails.
 * LETHE_CANCELLED, LETHE_NOT_FOUND (the session no longer has it), LETHE_INTEGRITY (the session has
 * been cancelled, on record), LETHE_LOST, and as kv_make_room. */
LETHE_MUST_CHECK lethe_result kv_ensure(const struct kv_claim *claim, uint64_t page,
                                        struct lethe_error *err);
/* Under the lock, which is released meanwhile: moves a page that nobody reads from its block to
 * the store, unless somebody uses it meanwhile, which is no failure. */
LETHE_MUST_CHECK lethe_result kv_spill_put(const struct kv_claim *claim, struct lethe_kv *session,
                                           uint64_t page, struct lethe_error *err);
/* Under the lock, which is released meanwhile: a page that is stored and not busy. */
LETHE_MUST_CHECK lethe_result kv_spill_get(const struct kv_claim *claim, uint64_t page,
                                           struct lethe_error *err);

/* ---- encrypted, and at the store (kv_store.c) ------------------------------------------------ */

static inline size_t kv_sealed_bytes(const struct lethe_kv_cache *cache)
{
    return (size_t)(cache->shape.block_bytes + AEAD_TAG_BYTES);
}
/* A block of the arena to `out`, kv_sealed_bytes. */
LETHE_MUST_CHECK lethe_result kv_seal(struct lethe_kv *session, const struct block_place *place,
                                      uint32_t block, uint8_t *out, struct lethe_error *err);
/* And back; or to memory of the host. LETHE_INTEGRITY: not what was sealed at that place. */
LETHE_MUST_CHECK lethe_result kv_unseal(struct lethe_kv *session, const struct block_place *place,
                                        const uint8_t *sealed, uint32_t block,
                                        struct lethe_error *err);
LETHE_MUST_CHECK lethe_result kv_open_sealed(struct lethe_kv *session,
                                             const struct block_place *place, const uint8_t *sealed,
                                             void *plain, struct lethe_error *err);
/* Without the lock. What the store gives, LETHE_LOST and LETHE_INTEGRITY among it; the last one
 * forgets what it has of the page. */
LETHE_MUST_CHECK lethe_result kv_store_put(const struct lethe_kv *session, uint64_t page,
                                           const uint8_t *sealed, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result kv_store_get(const struct lethe_kv *session, uint64_t page,
                                           uint8_t *sealed, struct lethe_error *err);
void kv_store_drop(const struct lethe_kv *session, uint64_t page);

#endif
