/* Room for a page: free blocks, or, with a store, the block that was used so longest ago. */
#include <inttypes.h>
#include <sched.h>

#include "base/error.h"
#include "residency/kv_core.h"

/* A block that somebody uses while it is being spilled stays, and another one is tried. */
#define TRIES_MAX 1024u

/* Whether a block may go. */
enum readiness {
    READY_NOT,
    READY_SOON, /* its session is being written, which takes no time */
    READY_NOW,
};

static bool is_kept(const struct kv_claim *claim, const struct kv_block *block)
{
    return block->session == claim->session && block->page >= claim->keep_first &&
           block->page - claim->keep_first < claim->keep_count;
}

static enum readiness readiness_of(const struct kv_claim *claim, const struct kv_block *block)
{
    const struct lethe_kv *session = block->session;
    if (session == NULL || block->readers > 0 || kv_page(session, block->page)->is_busy ||
        is_kept(claim, block))
        return READY_NOT;
    if ((session == claim->session && claim->inside) || atomic_load(&session->gate) == 0)
        return READY_NOW;
    return session->is_asking || kv_has_ended(session) ? READY_NOT : READY_SOON;
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

/* What there is to choose from. */
struct choice {
    struct kv_block *best; /* or NULL */
    bool is_soon;          /* there will be one in a moment */
};

static void consider(const struct kv_claim *claim, struct kv_block *block, struct choice *choice)
{
    enum readiness readiness = readiness_of(claim, block);
    choice->is_soon |= readiness == READY_SOON;
    if (readiness == READY_NOW && (choice->best == NULL || is_before(block, choice->best)))
        choice->best = block;
}

/* Looks at every block: what follows, encrypting one and wiping it, takes longer. */
static struct choice least_recent(const struct kv_claim *claim)
{
    struct kv_arena *arena = &claim->session->cache->arena;
    struct choice choice = {NULL, false};
    for (uint32_t i = 0; i < arena->count; i++)
        consider(claim, &arena->blocks[i], &choice);
    return choice;
}

/* Of the session itself. */
static struct choice oldest_own(const struct kv_claim *claim)
{
    struct lethe_kv *session = claim->session;
    struct choice choice = {NULL, false};
    for (uint64_t i = session->first_page; i < kv_pages_end(session) && choice.best == NULL; i++) {
        uint32_t block = kv_block_of(kv_page(session, i));
        if (block != KV_NONE)
            consider(claim, &session->cache->arena.blocks[block], &choice);
    }
    return choice;
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
static struct choice choose(const struct kv_claim *claim, bool own_budget)
{
    if (!claim->session->cache->has_spill)
        return (struct choice){NULL, false};
    return own_budget ? oldest_own(claim) : least_recent(claim);
}

static void give_way(struct lethe_kv_cache *cache)
{
    pthread_mutex_unlock(&cache->lock);
    sched_yield();
    pthread_mutex_lock(&cache->lock);
}

static lethe_result make_room(const struct kv_claim *claim, uint32_t *block,
                              struct lethe_error *err)
{
    struct lethe_kv *session = claim->session;
    struct lethe_kv_cache *cache = session->cache;
    for (uint64_t tries = 0; !kv_has_ended(session);) {
        bool own_budget = session->resident >= session->budget_blocks;
        *block = own_budget ? KV_NONE : kv_arena_pop(&cache->arena);
        if (*block != KV_NONE)
            return LETHE_OK;
        struct choice choice = choose(claim, own_budget);
        if (choice.best != NULL && tries++ < TRIES_MAX)
            TRY(kv_spill_put(claim, choice.best->session, choice.best->page, err));
        else if (choice.best == NULL && is_worth_waiting(cache))
            pthread_cond_wait(&cache->changed, &cache->lock);
        else if (choice.is_soon && tries++ < TRIES_MAX)
            give_way(cache);
        else
            return no_room(claim, own_budget, err);
    }
    return kv_cancelled(session, err);
}

lethe_result kv_make_room(const struct kv_claim *claim, uint32_t *block, struct lethe_error *err)
{
    if (claim->inside)
        claim->session->is_asking = true;
    lethe_result result = make_room(claim, block, err);
    if (claim->inside)
        claim->session->is_asking = false;
    return result;
}
