/* The blocks of a cache: who has none has zeros. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "residency/kv_core.h"
#include "residency/worker_core.h"

static void push(struct kv_arena *arena, uint32_t block)
{
    arena->blocks[block].next = arena->free;
    arena->free = block;
    arena->free_count++;
}

static lethe_result list_blocks(struct kv_arena *arena, struct lethe_error *err)
{
    arena->blocks = calloc(arena->count, sizeof *arena->blocks);
    if (arena->blocks == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a list of %" PRIu32 " blocks",
                         arena->count);
    for (uint32_t i = arena->count; i > 0; i--)
        push(arena, i - 1);
    return LETHE_OK;
}

lethe_result kv_arena_create(struct lethe_kv_cache *cache, size_t device, uint64_t budget_bytes,
                             struct lethe_error *err)
{
    struct kv_arena *arena = &cache->arena;
    uint64_t count = budget_bytes / cache->shape.block_bytes;
    const struct worker_request request = {.device = device,
                                           .id = cache->name,
                                           .tenant = "",
                                           .class_ = LETHE_CLASS_CONTENT,
                                           .size_bytes = count * cache->shape.block_bytes};
    if (count >= KV_NONE)
        return error_set(err, LETHE_INVALID, "budget_bytes: %" PRIu64 " blocks are too many",
                         count);
    TRY(worker_alloc(cache->worker, &request, &arena->memory, err));
    arena->count = (uint32_t)count;
    arena->free = KV_NONE;
    arena->address = device_memory_address(arena->memory);
    arena->is_host = device_memory_is_host(arena->memory);
    lethe_result result = list_blocks(arena, err);
    if (result != LETHE_OK)
        (void)!kv_arena_clear(cache, NULL);
    return result;
}

lethe_result kv_arena_clear(struct lethe_kv_cache *cache, struct lethe_error *err)
{
    free(cache->arena.blocks);
    return worker_release(cache->worker, cache->name, "", MOVE(cache->arena.memory), err);
}

uint32_t kv_arena_pop(struct kv_arena *arena)
{
    uint32_t block = arena->free;
    if (block == KV_NONE)
        return KV_NONE;
    arena->free = arena->blocks[block].next;
    arena->free_count--;
    return block;
}

void kv_attach(struct lethe_kv *session, uint64_t page, uint32_t block)
{
    struct kv_block *at = &session->cache->arena.blocks[block];
    REQUIRE(at->session == NULL && at->readers == 0);
    at->session = session;
    at->page = page;
    atomic_store_explicit(&at->stamp, atomic_load(&session->cache->calls), memory_order_relaxed);
    atomic_store_explicit(&kv_page(session, page)->block, block, memory_order_release);
    session->resident++;
}

void kv_arena_discard(struct kv_arena *arena, uint32_t block, struct kv_chain *chain)
{
    arena->blocks[block].session = NULL;
    arena->blocks[block].next = chain->first;
    chain->first = block;
    chain->count++;
    arena->wiping++;
}

void kv_detach(struct lethe_kv *session, uint64_t page, struct kv_chain *chain)
{
    struct kv_page *at = kv_page(session, page);
    uint32_t block = kv_block_of(at);
    REQUIRE(block != KV_NONE && session->cache->arena.blocks[block].readers == 0);
    atomic_store_explicit(&at->block, KV_NONE, memory_order_release);
    session->resident--;
    kv_arena_discard(&session->cache->arena, block, chain);
}

/* ---- wiped, and given back ------------------------------------------------------------------- */

/* Nobody else knows these blocks: they are wiped without the lock. Gives those that are not zero a
 * place in a chain of their own. */
static void wipe_all(struct lethe_kv_cache *cache, const struct kv_chain *chain,
                     struct kv_chain *good, struct kv_chain *bad)
{
    struct kv_block *blocks = cache->arena.blocks;
    for (uint32_t block = chain->first, next; block != KV_NONE; block = next) {
        next = blocks[block].next;
        bool is_zero = device_wipe(cache->arena.memory, kv_block_offset(cache, block),
                                   cache->shape.block_bytes, NULL) == LETHE_OK;
        struct kv_chain *to = is_zero ? good : bad;
        blocks[block].next = to->first;
        to->first = block;
        to->count++;
    }
}

static void give_back(struct lethe_kv *session, const struct kv_chain *good,
                      const struct kv_chain *bad)
{
    struct lethe_kv_cache *cache = session->cache;
    struct kv_arena *arena = &cache->arena;
    pthread_mutex_lock(&cache->lock);
    for (uint32_t block = good->first, next; block != KV_NONE; block = next) {
        next = arena->blocks[block].next;
        push(arena, block);
    }
    arena->wiping -= good->count + bad->count;
    arena->lost += bad->count;
    session->wiped.failed |= bad->count > 0;
    cache->counters.wiped_bytes += good->count * cache->shape.block_bytes;
    pthread_cond_broadcast(&cache->changed);
    pthread_mutex_unlock(&cache->lock);
}

struct kv_wiped kv_wipe(struct lethe_kv *session, const struct kv_chain *chain)
{
    if (chain->count == 0)
        return (struct kv_wiped){0};
    struct kv_chain good = KV_CHAIN_NONE, bad = KV_CHAIN_NONE;
    uint64_t started_ns = clock_monotonic_ns(&clock_system);
    wipe_all(session->cache, chain, &good, &bad);
    give_back(session, &good, &bad);
    return (struct kv_wiped){.blocks = chain->count,
                             .bytes = chain->count * session->cache->shape.block_bytes,
                             .duration_ns = clock_monotonic_ns(&clock_system) - started_ns,
                             .failed = bad.count > 0};
}

/* ---- on record ------------------------------------------------------------------------------- */

void kv_record_wipe(const struct lethe_kv *session, const struct kv_wiped *wiped)
{
    if (wiped->blocks == 0)
        return;
    const struct audit_event event =
        audit_region_wiped(lethe_class_name(LETHE_CLASS_CONTENT), session->cache->name,
                           wiped->bytes, wiped->duration_ns, !wiped->failed);
    worker_emit(session->cache->worker, session->tenant, session->name, &event);
}

void kv_record_eviction(const struct lethe_kv *session, uint64_t page, const char *cause,
                        const struct kv_wiped *wiped)
{
    char entry[24];
    snprintf(entry, sizeof entry, "%" PRIu64, page);
    const struct audit_event event =
        audit_cache_evicted(session->cache->name, entry, wiped->bytes, cause, !wiped->failed);
    worker_emit(session->cache->worker, session->tenant, session->name, &event);
}
