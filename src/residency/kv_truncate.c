/* Forgetting a part, or all, of a session that goes on. */
#include <inttypes.h>

#include "base/error.h"
#include "residency/kv_core.h"

#include "mem/session.h"

/* All of it under the lock, by whoever is in the session. */

static bool is_read(const struct lethe_kv *session, uint64_t page)
{
    uint32_t block = kv_block_of(kv_page(session, page));
    return block != KV_NONE && session->cache->arena.blocks[block].readers > 0;
}

static lethe_result busy(const struct lethe_kv *session, struct lethe_error *err)
{
    return error_set(err, LETHE_BUSY, "session %s of %s is being read", session->name,
                     session->tenant);
}

static lethe_result check_unread(const struct lethe_kv *session, uint64_t first_page,
                                 struct lethe_error *err)
{
    for (uint64_t page = first_page; page < kv_pages_end(session); page++)
        if (is_read(session, page))
            return busy(session, err);
    return LETHE_OK;
}

/* Pages on their way out are waited for. Readers who fetch may themselves wait for the caller, who
 * is in: LETHE_BUSY. */
static lethe_result wait_for_moves(struct lethe_kv *session, struct lethe_error *err)
{
    while (session->moving > 0) {
        if (session->fetching > 0)
            return busy(session, err);
        pthread_cond_wait(&session->cache->changed, &session->cache->lock);
    }
    return LETHE_OK;
}

static void lower_ends(struct lethe_kv *session, uint64_t tokens)
{
    session->cuts++;
    for (uint32_t i = 0; i < session->cache->shape.layers; i++)
        if (atomic_load(&session->ends[i]) > tokens)
            atomic_store(&session->ends[i], tokens);
}

/* The pages from first_page on; those that are stored are dropped by the caller, who gets their
 * number: they are the last of the array, which does not shrink. */
static uint64_t take_pages(struct lethe_kv *session, uint64_t first_page, struct kv_chain *chain)
{
    uint64_t count = 0;
    for (uint64_t page = first_page; page < kv_pages_end(session); page++, count++) {
        if (kv_block_of(kv_page(session, page)) != KV_NONE)
            kv_detach(session, page, chain);
        else
            session->cache->counters.spilled_blocks--;
    }
    session->page_count -= count;
    return count;
}

/* Without the lock: what lies behind the array's end is only the caller's, who is in. */
static void drop_taken(struct lethe_kv *session, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        if (session->pages[session->page_count + i].is_stored)
            kv_store_drop(session, kv_pages_end(session) + i);
}

/* ---- truncate -------------------------------------------------------------------------------- */

/* Rows of one page, from `token` on. */
static lethe_result wipe_rows(struct lethe_kv *session, uint64_t token, struct lethe_error *err)
{
    struct lethe_kv_cache *cache = session->cache;
    const struct kv_shape *shape = &cache->shape;
    uint32_t block = kv_block_of(kv_page(session, token / shape->block_tokens));
    uint64_t rows = shape->block_tokens - token % shape->block_tokens;
    for (uint32_t i = 0; i < shape->layers * 2; i++) {
        uint64_t at = kv_block_offset(cache, block) + kv_row(shape, i / 2, i % 2, token);
        TRY(device_wipe(cache->arena.memory, at, rows * shape->row_bytes, err));
    }
    cache->counters.wiped_bytes += rows * shape->row_bytes * shape->layers * 2;
    return LETHE_OK;
}

/* Of a page of which only the beginning stays, the rest must be here to be wiped. */
static lethe_result fetch_cut(struct lethe_kv *session, uint64_t tokens, struct lethe_error *err)
{
    uint64_t page = tokens / session->cache->shape.block_tokens;
    const struct kv_claim claim = {.session = session, .inside = true};
    if (tokens % session->cache->shape.block_tokens == 0 || page >= kv_pages_end(session))
        return LETHE_OK;
    return kv_ensure(&claim, page, err);
}

static lethe_result cut(struct lethe_kv *session, uint64_t tokens, struct kv_chain *chain,
                        uint64_t *taken, struct lethe_error *err)
{
    uint64_t block_tokens = session->cache->shape.block_tokens;
    uint64_t begin = session->first_page * block_tokens;
    bool is_cut = tokens % block_tokens != 0;
    if (tokens != 0 && tokens < begin)
        return error_set(err, LETHE_NOT_FOUND,
                         "session %s: the tokens before %" PRIu64 " are no longer there",
                         session->name, begin);
    TRY(wait_for_moves(session, err));
    TRY(fetch_cut(session, tokens, err));
    TRY(wait_for_moves(session, err));
    uint64_t page = MAX(tokens / block_tokens, session->first_page);
    TRY(check_unread(session, page, err));
    lower_ends(session, tokens);
    if (is_cut && page < kv_pages_end(session)) {
        lethe_result result = wipe_rows(session, tokens, err);
        session->wiped.failed |= result == LETHE_UNWIPED;
        TRY(result);
        page++;
    }
    *taken = take_pages(session, page, chain);
    return LETHE_OK;
}

/* Wipes and drops what was taken, on record. An empty session begins again at token 0. */
static lethe_result finish(struct lethe_kv *session, const struct kv_chain *chain, uint64_t taken,
                           struct lethe_error *err)
{
    const struct kv_wiped wiped = kv_wipe(session, chain);
    drop_taken(session, taken);
    kv_record_wipe(session, &wiped);
    pthread_mutex_lock(&session->cache->lock);
    if (session->page_count == 0 && atomic_load(&session->ends[0]) == 0)
        session->first_page = 0;
    pthread_mutex_unlock(&session->cache->lock);
    return wiped.failed
               ? error_set(err, LETHE_UNWIPED, "session %s: blocks are not zero", session->name)
               : LETHE_OK;
}

static lethe_result truncate(struct lethe_kv *session, uint64_t tokens, struct lethe_error *err)
{
    struct kv_chain chain = KV_CHAIN_NONE;
    uint64_t taken = 0;
    pthread_mutex_lock(&session->cache->lock);
    lethe_result result = cut(session, tokens, &chain, &taken, err);
    pthread_mutex_unlock(&session->cache->lock);
    TRY(result);
    return finish(session, &chain, taken, err);
}

static lethe_result leave(struct lethe_kv *session, lethe_result result, struct lethe_error *err)
{
    if (kv_leave(session) || result != LETHE_OK)
        return result;
    return kv_cancelled(session, err);
}

lethe_result lethe_kv_truncate(struct lethe_kv *session, uint64_t tokens, struct lethe_error *err)
{
    TRY(kv_enter(session, err));
    return leave(session, truncate(session, tokens, err), err);
}

/* ---- reset ----------------------------------------------------------------------------------- */

static lethe_result wipe_own(struct lethe_kv *session, struct lethe_error *err)
{
    struct lethe_session_report report = {.verified = true};
    pthread_mutex_lock(&session->own_lock);
    if (session->own != NULL && !session->own_is_over)
        session_wipe(session->own, &report);
    pthread_mutex_unlock(&session->own_lock);
    return report.verified
               ? LETHE_OK
               : error_set(err, LETHE_UNWIPED, "session %s: a buffer is not zero", session->name);
}

/* Under the lock. */
static lethe_result take_all(struct lethe_kv *session, struct kv_chain *chain, uint64_t *taken,
                             struct lethe_error *err)
{
    if (session->reads > 0)
        return busy(session, err);
    TRY(wait_for_moves(session, err));
    lower_ends(session, 0);
    *taken = take_pages(session, session->first_page, chain);
    return LETHE_OK;
}

static lethe_result reset(struct lethe_kv *session, struct lethe_error *err)
{
    struct kv_chain chain = KV_CHAIN_NONE;
    uint64_t taken = 0;
    pthread_mutex_lock(&session->cache->lock);
    lethe_result result = take_all(session, &chain, &taken, err);
    pthread_mutex_unlock(&session->cache->lock);
    TRY(result);
    result = finish(session, &chain, taken, err);
    block_key_free(MOVE(session->key)); /* what a store kept of it opens no more */
    lethe_result own = wipe_own(session, result == LETHE_OK ? err : NULL);
    return result != LETHE_OK ? result : own;
}

lethe_result lethe_kv_reset(struct lethe_kv *session, struct lethe_error *err)
{
    TRY(kv_enter(session, err));
    return leave(session, reset(session, err), err);
}
