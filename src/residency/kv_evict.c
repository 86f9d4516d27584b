/* Room for a page: free blocks, or, with a store, the block that was used so longest ago. */
#include <inttypes.h>

#include "base/error.h"
#include "residency/kv_core.h"

/* A block that somebody uses while it is being spilled stays, and another one is tried. */
#define TRIES_MAX 64u

static bool is_evictable(const struct kv_claim *claim, const struct kv_block *block)
{
    const struct lethe_kv *session = block->session;
    if (session == NULL || block->readers > 0 || kv_page(session, block->page)->is_busy)
        return false;
    if (session == claim->session)
        return (block->page < claim->keep_first ||
                block->page - claim->keep_first >= claim->keep_count) &&
               (claim->inside || atomic_load(&session->gate) == 0);
    return atomic_load(&session->gate) == 0; /* nobody is in */
}

static bool is_before(const struct kv_block *a, const struct kv_block *b)
{
    uint64_t stamp_a = atomic_load_explicit(&a->stamp, memory_order_relaxed);
    uint64_t stamp_b = atomic_load_explicit(&b->stamp, memory_order_relaxed);
    if (stamp_a != stamp_b)
        return stamp_a < stamp_b;
    if (a->session != b->session)
        return a->session->sequence < b->session->sequence;
    return a->page < b->page;
}

/* Looks at every block: what follows, encrypting one and wiping it, takes longer. */
static struct kv_block *least_recent(const struct kv_claim *claim)
{
    struct kv_arena *arena = &claim->session->cache->arena;
    struct kv_block *best = NULL;
    for (uint32_t i = 0; i < arena->count; i++) {
        struct kv_block *block = &arena->blocks[i];
        if (is_evictable(claim, block) && (best == NULL || is_before(block, best)))
            best = block;
    }
    return best;
}

/* Of the session itself. */
static struct kv_block *oldest_own(const struct kv_claim *claim)
{
    struct lethe_kv *session = claim->session;
    for (uint64_t i = session->first_page; i < kv_pages_end(session); i++) {
        uint32_t block = kv_block_of(kv_page(session, i));
        if (block != KV_NONE && is_evictable(claim, &session->cache->arena.blocks[block]))
            return &session->cache->arena.blocks[block];
    }
    return NULL;
}

static lethe_result no_room(const struct kv_claim *claim, bool own_budget, struct lethe_error *err)
{
    const struct lethe_kv *session = claim->session;
    const struct lethe_kv_cache *cache = session->cache;
    uint64_t limit = (own_budget ? session->budget_blocks : cache->arena.count);
    error_set(err, LETHE_NO_MEMORY,
              "cache %s: %" PRIu64 " bytes are needed, 0 of %s %" PRIu64 " are available",
              cache->name, cache->shape.block_bytes, own_budget ? "the session's" : "the cache's",
              limit * cache->shape.block_bytes);
    error_hint(err, cache->has_spill ? "all other blocks are in use now: try again later"
                                     : "end a session, or give the cache a spill store");
    return LETHE_NO_MEMORY;
}

/* Others are about to give blocks back. */
static bool is_worth_waiting(const struct lethe_kv_cache *cache)
{
    return cache->arena.wiping > 0 || cache->moving > 0;
}

/* With a store: which block is to go. */
static struct kv_block *choose(const struct kv_claim *claim, bool own_budget)
{
    if (!claim->session->cache->has_spill)
        return NULL;
    return own_budget ? oldest_own(claim) : least_recent(claim);
}

lethe_result kv_make_room(const struct kv_claim *claim, uint32_t *block, struct lethe_error *err)
{
    struct lethe_kv *session = claim->session;
    struct lethe_kv_cache *cache = session->cache;
    for (uint64_t tries = 0; !kv_has_ended(session);) {
        bool own_budget = session->resident >= session->budget_blocks;
        *block = own_budget ? KV_NONE : arena_pop(&cache->arena);
        if (*block != KV_NONE)
            return LETHE_OK;
        struct kv_block *victim = choose(claim, own_budget);
        if (victim != NULL && tries++ < TRIES_MAX)
            TRY(kv_spill_put(claim, victim->session, victim->page, err));
        else if (victim == NULL && is_worth_waiting(cache))
            pthread_cond_wait(&cache->changed, &cache->lock);
        else
            return no_room(claim, own_budget, err);
    }
    return kv_cancelled(session, err);
}
