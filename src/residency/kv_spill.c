/* Pages on their way to a store and back, or looked at where they are. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "residency/kv_core.h"
#include "residency/worker_core.h"

/* ---- buffers of ciphertext ------------------------------------------------------------------- */

/* Both under the lock. */
static uint8_t *staging_take(struct lethe_kv_cache *cache, struct lethe_error *err)
{
    uint8_t *staging = MOVE(cache->staging);
    if (staging == NULL)
        staging = malloc(kv_sealed_bytes(cache));
    if (staging == NULL)
        error_set(err, LETHE_NO_MEMORY, "no memory for a spilled block of %zu bytes",
                  kv_sealed_bytes(cache));
    return staging;
}

static void staging_give(struct lethe_kv_cache *cache, uint8_t *staging)
{
    if (cache->staging == NULL)
        cache->staging = staging;
    else
        free(staging);
}

/* ---- on the way ------------------------------------------------------------------------------ */

/* Both under the lock. Meanwhile the session stays, and with it the key. */
static void begin_move(struct lethe_kv *session, uint64_t page)
{
    kv_page(session, page)->is_busy = true;
    session->moving++;
    session->refs++;
}

static void end_move(struct lethe_kv *session, uint64_t page)
{
    kv_page(session, page)->is_busy = false;
    session->moving--;
    kv_unref(session);
}

/* Around the time without the lock in which others may wait for a block. */
static void leave_lock(struct lethe_kv_cache *cache)
{
    cache->moving++;
    pthread_mutex_unlock(&cache->lock);
}

static void take_lock(struct lethe_kv_cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    cache->moving--;
}

/* ---- out ------------------------------------------------------------------------------------- */

/* A page at the moment when it was encrypted. */
struct outgoing {
    struct lethe_kv *session;
    uint64_t page;
    bool inside; /* the caller is the one who writes it */
    uint32_t block;
    uint64_t stamp;
    struct block_place place;
    uint8_t *sealed;
};

static struct block_place place_of(const struct lethe_kv *session, uint64_t page, uint64_t version)
{
    return (struct block_place){
        .block = page, .version = version, .size_bytes = (size_t)session->cache->shape.block_bytes};
}

static uint64_t stamp_of(const struct outgoing *out)
{
    return atomic_load(&out->session->cache->arena.blocks[out->block].stamp);
}

/* Under the lock, and with the session taken, so that nobody writes the block meanwhile. */
static lethe_result encrypt(struct outgoing *out, struct lethe_error *err)
{
    struct lethe_kv *session = out->session;
    if (session->key == NULL)
        TRY(block_key_create(KV_SPILL_LABEL, &session->key, err));
    out->place = place_of(session, out->page, ++session->version);
    out->stamp = stamp_of(out);
    return kv_seal(session, &out->place, out->block, out->sealed, err);
}

/* Under the lock: whether the store now has what the block has, and nobody needs it here. */
static bool is_untouched(struct outgoing *out)
{
    struct lethe_kv *session = out->session;
    if (kv_has_ended(session) || session->cache->arena.blocks[out->block].readers > 0 ||
        !kv_take(session, out->inside))
        return false;
    bool untouched = stamp_of(out) == out->stamp;
    if (!untouched)
        kv_give(session, out->inside);
    return untouched;
}

static void hand_over(struct outgoing *out, struct kv_chain *chain)
{
    struct lethe_kv *session = out->session;
    struct kv_page *page = kv_page(session, out->page);
    kv_detach(session, out->page, chain);
    page->is_stored = true;
    page->version = out->place.version;
    session->cache->counters.spilled_blocks++;
    session->cache->counters.spills++;
    session->cache->counters.evicted_blocks++;
    kv_give(session, out->inside);
}

/* Without the lock. */
static lethe_result move_out(struct outgoing *out, struct lethe_error *err)
{
    struct lethe_kv_cache *cache = out->session->cache;
    struct kv_chain chain = KV_CHAIN_NONE;
    lethe_result result = kv_store_put(out->session, out->page, out->sealed, err);
    pthread_mutex_lock(&cache->lock);
    bool moved = result == LETHE_OK && is_untouched(out);
    if (moved)
        hand_over(out, &chain);
    pthread_mutex_unlock(&cache->lock);
    if (!moved)
        kv_store_drop(out->session, out->page);
    const struct kv_wiped wiped = kv_wipe(out->session, &chain);
    if (moved)
        kv_record_eviction(out->session, out->page, "spilled", &wiped);
    return error_context(err, result, "spilling a block of cache %s", cache->name);
}

lethe_result kv_spill_put(const struct kv_claim *claim, struct lethe_kv *session, uint64_t page,
                          struct lethe_error *err)
{
    struct lethe_kv_cache *cache = session->cache;
    struct outgoing out = {.session = session,
                           .page = page,
                           .inside = claim->inside && session == claim->session,
                           .block = kv_block_of(kv_page(session, page))};
    out.sealed = staging_take(cache, err);
    if (out.sealed == NULL)
        return LETHE_NO_MEMORY;
    lethe_result result = LETHE_OK;
    if (kv_take(session, out.inside)) {
        result = encrypt(&out, err);
        kv_give(session, out.inside);
        if (result == LETHE_OK) {
            begin_move(session, page);
            leave_lock(cache);
            result = move_out(&out, err);
            take_lock(cache);
            end_move(session, page);
        }
    }
    staging_give(cache, out.sealed);
    return result;
}

/* ---- back ------------------------------------------------------------------------------------ */

/* The record is durable before anyone is told. */
static void condemn(struct lethe_kv *session, uint64_t page, struct lethe_error *err)
{
    char what[160];
    snprintf(what, sizeof what, "block %" PRIu64 " of session %s in cache %s", page, session->name,
             session->cache->name);
    const struct audit_event event = audit_integrity_violation(
        what, "a spilled block came back changed, swapped, or old; the session is cancelled");
    struct lethe_error of_log = {0};
    lethe_kv_cancel(session);
    if (worker_commit(session->cache->worker, session->tenant, &event, &of_log) != LETHE_OK)
        error_hint(err, "nor could that be recorded: %s", of_log.text);
}

/* Under the lock: true when the page has the block. */
static bool settle_in(struct lethe_kv *session, uint64_t page, uint32_t block, lethe_result result)
{
    if (result != LETHE_OK || kv_has_ended(session))
        return false;
    kv_page(session, page)->is_stored = false;
    session->cache->counters.spilled_blocks--;
    session->cache->counters.fetches++;
    kv_attach(session, page, block);
    return true;
}

static lethe_result fetch(struct lethe_kv *session, const struct block_place *place,
                          uint8_t *sealed, uint32_t block, struct lethe_error *err)
{
    TRY(kv_store_get(session, place->block, sealed, err));
    return kv_unseal(session, place, sealed, block, err);
}

static lethe_result about_block(const struct lethe_kv *session, uint64_t page, lethe_result result,
                                struct lethe_error *err)
{
    return error_context(err, result, "block %" PRIu64 " of session %s in cache %s", page,
                         session->name, session->cache->name);
}

/* Without the lock. */
static lethe_result move_in(struct lethe_kv *session, const struct block_place *place,
                            uint8_t *sealed, uint32_t block, struct lethe_error *err)
{
    struct lethe_kv_cache *cache = session->cache;
    struct kv_chain chain = KV_CHAIN_NONE;
    lethe_result result =
        about_block(session, place->block, fetch(session, place, sealed, block, err), err);
    pthread_mutex_lock(&cache->lock);
    bool moved = settle_in(session, place->block, block, result);
    if (!moved)
        kv_arena_discard(&cache->arena, block, &chain);
    pthread_mutex_unlock(&cache->lock);
    (void)kv_wipe(session, &chain);
    if (moved)
        kv_store_drop(session, place->block);
    if (result == LETHE_INTEGRITY)
        condemn(session, place->block, err);
    return result == LETHE_OK && !moved ? kv_cancelled(session, err) : result;
}

/* Without the lock: the page stays with the store. */
static lethe_result peek_at(struct lethe_kv *session, const struct block_place *place,
                            uint8_t *sealed, struct kv_peek *peek, struct lethe_error *err)
{
    struct lethe_kv_cache *cache = session->cache;
    lethe_result result = kv_store_get(session, place->block, sealed, err);
    if (result == LETHE_OK) {
        pthread_mutex_lock(&cache->plain_lock);
        void *plain = lethe_region_bytes(cache->plain);
        result = kv_open_sealed(session, place, sealed, plain, err);
        if (result == LETHE_OK)
            peek->look(peek->context, plain);
        lethe_wipe(plain, (size_t)cache->shape.block_bytes);
        pthread_mutex_unlock(&cache->plain_lock);
    }
    peek->is_done = result == LETHE_OK;
    (void)about_block(session, place->block, result, err);
    if (result == LETHE_INTEGRITY)
        condemn(session, place->block, err);
    return result;
}

/* Under the lock, which is released meanwhile, all of these. */
static lethe_result bring_in(const struct kv_claim *claim, const struct block_place *place,
                             uint8_t *sealed, struct lethe_error *err)
{
    struct lethe_kv_cache *cache = claim->session->cache;
    uint32_t block;
    TRY(kv_make_room(claim, &block, err));
    leave_lock(cache);
    lethe_result result = move_in(claim->session, place, sealed, block, err);
    take_lock(cache);
    return result;
}

/* What is in blocks may be held, and the store full: who only looks needs neither. */
static lethe_result bring_in_or_peek(const struct kv_claim *claim, const struct block_place *place,
                                     uint8_t *sealed, struct lethe_error *err)
{
    struct lethe_kv_cache *cache = claim->session->cache;
    struct lethe_error why = {0};
    lethe_result result = bring_in(claim, place, sealed, &why);
    if (result == LETHE_NO_SPACE || result == LETHE_NO_MEMORY) {
        pthread_mutex_unlock(&cache->lock);
        result = peek_at(claim->session, place, sealed, claim->peek, err);
        pthread_mutex_lock(&cache->lock);
    } else if (result != LETHE_OK && err != NULL) {
        *err = why;
    }
    return result;
}

lethe_result kv_spill_get(const struct kv_claim *claim, uint64_t page, struct lethe_error *err)
{
    struct lethe_kv *session = claim->session;
    struct lethe_kv_cache *cache = session->cache;
    const struct block_place place = place_of(session, page, kv_page(session, page)->version);
    uint8_t *sealed = staging_take(cache, err);
    if (sealed == NULL)
        return LETHE_NO_MEMORY;
    begin_move(session, page);
    session->fetching += !claim->inside;
    lethe_result result = claim->peek == NULL ? bring_in(claim, &place, sealed, err)
                                              : bring_in_or_peek(claim, &place, sealed, err);
    session->fetching -= !claim->inside;
    end_move(session, page);
    staging_give(cache, sealed);
    return result;
}

lethe_result kv_ensure(const struct kv_claim *claim, uint64_t page, struct lethe_error *err)
{
    struct lethe_kv *session = claim->session;
    for (;;) {
        if (kv_has_ended(session))
            return kv_cancelled(session, err);
        if (page < session->first_page || page >= kv_pages_end(session))
            return error_set(err, LETHE_NOT_FOUND, "session %s: the tokens are no longer there",
                             session->name);
        const struct kv_page *at = kv_page(session, page);
        if (kv_block_of(at) != KV_NONE)
            return LETHE_OK;
        if (at->is_busy)
            pthread_cond_wait(&session->cache->changed, &session->cache->lock);
        else
            TRY(kv_spill_get(claim, page, err));
        if (claim->peek != NULL && claim->peek->is_done)
            return LETHE_OK;
    }
}
