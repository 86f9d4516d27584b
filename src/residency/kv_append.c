/* New rows. As long as their page is in a block: one look, two copies, one store. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "residency/kv_core.h"
#include "residency/kv_rows.h"

struct rows {
    uint32_t layer;
    const uint8_t *keys;
    const uint8_t *values;
    uint64_t first; /* token */
    uint64_t tokens;
};

/* ---- pages ----------------------------------------------------------------------------------- */

/* By whoever is in the session, without the lock. */
static uint32_t block_at(const struct lethe_kv *session, uint64_t page)
{
    uint64_t index = page - session->first_page;
    return index < session->page_count ? kv_block_of(&session->pages[index]) : KV_NONE;
}

static bool are_in_blocks(const struct lethe_kv *session, uint64_t first, uint64_t last)
{
    for (uint64_t page = first; page <= last; page++)
        if (block_at(session, page) == KV_NONE)
            return false;
    return true;
}

/* Under the lock. */
static lethe_result grow(struct lethe_kv *session, struct lethe_error *err)
{
    if (session->page_count < session->page_capacity)
        return LETHE_OK;
    uint64_t capacity = session->page_capacity == 0 ? 8 : session->page_capacity * 2;
    struct kv_page *pages = reallocarray(session->pages, (size_t)capacity, sizeof *session->pages);
    if (pages == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a session's list of blocks");
    session->pages = pages;
    session->page_capacity = capacity;
    return LETHE_OK;
}

static lethe_result add_page(const struct kv_claim *claim, struct lethe_error *err)
{
    struct lethe_kv *session = claim->session;
    uint32_t block;
    TRY(grow(session, err));
    TRY(kv_make_room(claim, &block, err));
    struct kv_page *page = &session->pages[session->page_count++];
    *page = (struct kv_page){.is_busy = false};
    atomic_init(&page->block, KV_NONE);
    kv_attach(session, kv_pages_end(session) - 1, block);
    return LETHE_OK;
}

/* ---- window ---------------------------------------------------------------------------------- */

static uint64_t least_end(const struct lethe_kv *session)
{
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < session->cache->shape.layers; i++)
        least = MIN(least, atomic_load_explicit(&session->ends[i], memory_order_relaxed));
    return least;
}

static bool is_outside(const struct lethe_kv *session, uint64_t least)
{
    uint64_t tokens = (session->first_page + 1) * session->cache->shape.block_tokens;
    return session->window_tokens != 0 && session->page_count > 0 && tokens <= least &&
           least - tokens >= session->window_tokens;
}

/* Under the lock: the first page, if nobody uses it, is no longer the session's. */
static bool take_first(struct lethe_kv *session, struct kv_page *out, struct kv_chain *chain)
{
    struct kv_page *first = &session->pages[0];
    uint32_t block = kv_block_of(first);
    if (first->is_busy || (block != KV_NONE && session->cache->arena.blocks[block].readers > 0))
        return false;
    *out = *first;
    if (block != KV_NONE)
        kv_detach(session, session->first_page, chain);
    else
        session->cache->counters.spilled_blocks--;
    session->cache->counters.evicted_blocks++;
    session->first_page++;
    session->page_count--;
    memmove(first, first + 1, (size_t)session->page_count * sizeof *first);
    return true;
}

/* Under the lock, which is released meanwhile: what has fallen out of the window goes. */
static void move_window(struct lethe_kv *session)
{
    struct lethe_kv_cache *cache = session->cache;
    uint64_t least = least_end(session);
    struct kv_page page;
    for (struct kv_chain chain = KV_CHAIN_NONE;
         is_outside(session, least) && take_first(session, &page, &chain); chain = KV_CHAIN_NONE) {
        uint64_t number = session->first_page - 1;
        pthread_mutex_unlock(&cache->lock);
        const struct kv_wiped wiped = kv_wipe(session, &chain);
        if (page.is_stored)
            kv_store_drop(session, number);
        kv_record_eviction(session, number, "window", &wiped);
        pthread_mutex_lock(&cache->lock);
    }
}

/* ---- room for rows --------------------------------------------------------------------------- */

/* Under the lock: pages that were only just added go again. */
static void shrink(struct lethe_kv *session, uint64_t pages_end, struct kv_chain *chain)
{
    while (kv_pages_end(session) > pages_end) {
        kv_detach(session, kv_pages_end(session) - 1, chain);
        session->page_count--;
    }
}

/* All of [first, last] are in blocks, or nothing has changed. */
static lethe_result prepare(struct lethe_kv *session, uint64_t first, uint64_t last,
                            struct lethe_error *err)
{
    struct lethe_kv_cache *cache = session->cache;
    const struct kv_claim claim = {
        .session = session, .inside = true, .keep_first = first, .keep_count = last - first + 1};
    struct kv_chain chain = KV_CHAIN_NONE;
    lethe_result result = LETHE_OK;
    pthread_mutex_lock(&cache->lock);
    uint64_t pages_end = kv_pages_end(session);
    if (last >= pages_end)
        move_window(session);
    for (uint64_t page = first; result == LETHE_OK && page <= last; page++)
        result =
            page < kv_pages_end(session) ? kv_ensure(&claim, page, err) : add_page(&claim, err);
    if (result != LETHE_OK)
        shrink(session, pages_end, &chain);
    pthread_mutex_unlock(&cache->lock);
    (void)kv_wipe(session, &chain);
    return result;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static lethe_result write(struct kv_arena *arena, uint64_t offset, const uint8_t *rows,
                          uint64_t size_bytes, struct lethe_error *err)
{
    if (!arena->is_host)
        return device_write(arena->memory, offset, rows, size_bytes, err);
    kv_rows_copy(arena->address + offset, rows, (size_t)size_bytes);
    return LETHE_OK;
}

/* Those of one page: `done` rows were written before. */
static lethe_result write_page(struct lethe_kv *session, const struct rows *rows, uint64_t done,
                               uint64_t count, struct lethe_error *err)
{
    struct lethe_kv_cache *cache = session->cache;
    const struct kv_shape *shape = &cache->shape;
    uint64_t token = rows->first + done;
    uint32_t block = block_at(session, token / shape->block_tokens);
    uint64_t at = kv_block_offset(cache, block), skip = done * shape->row_bytes;
    uint64_t size_bytes = count * shape->row_bytes;
    TRY(write(&cache->arena, at + kv_row(shape, rows->layer, KV_KEYS, token), rows->keys + skip,
              size_bytes, err));
    TRY(write(&cache->arena, at + kv_row(shape, rows->layer, KV_VALUES, token), rows->values + skip,
              size_bytes, err));
    atomic_store_explicit(&cache->arena.blocks[block].stamp,
                          atomic_load_explicit(&cache->calls, memory_order_relaxed),
                          memory_order_relaxed);
    return LETHE_OK;
}

static lethe_result append(struct lethe_kv *session, struct rows *rows, struct lethe_error *err)
{
    struct lethe_kv_cache *cache = session->cache;
    uint64_t block_tokens = cache->shape.block_tokens;
    rows->first = atomic_load_explicit(&session->ends[rows->layer], memory_order_relaxed);
    if (rows->tokens > (uint64_t)BLOCK_COUNT_MAX * block_tokens - rows->first)
        return error_set(err, LETHE_LIMIT, "session %s: %" PRIu64 " tokens more are too many",
                         session->name, rows->tokens);
    uint64_t first = rows->first / block_tokens;
    uint64_t last = (rows->first + rows->tokens - 1) / block_tokens;
    if (!are_in_blocks(session, first, last))
        TRY(prepare(session, first, last, err));
    atomic_fetch_add_explicit(&cache->calls, 1, memory_order_relaxed);
    for (uint64_t done = 0, count; done < rows->tokens; done += count) {
        count = MIN(rows->tokens - done, block_tokens - (rows->first + done) % block_tokens);
        TRY(write_page(session, rows, done, count, err));
    }
    atomic_store_explicit(&session->ends[rows->layer], rows->first + rows->tokens,
                          memory_order_release);
    if (rows->layer == 0)
        atomic_fetch_add_explicit(&cache->appended_tokens, rows->tokens, memory_order_relaxed);
    return LETHE_OK;
}

lethe_result lethe_kv_append(struct lethe_kv *session, uint32_t layer, const void *keys,
                             const void *values, uint64_t tokens, struct lethe_error *err)
{
    struct rows rows = {.layer = layer, .keys = keys, .values = values, .tokens = tokens};
    if (layer >= session->cache->shape.layers)
        return error_set(err, LETHE_INVALID,
                         "layer %" PRIu32 ": this cache has %" PRIu32 ", from 0", layer,
                         session->cache->shape.layers);
    TRY(kv_enter(session, err));
    lethe_result result = tokens > 0 ? append(session, &rows, err) : LETHE_OK;
    if (kv_leave(session) || result != LETHE_OK)
        return result;
    return kv_cancelled(session, err);
}
