/* Pages to a store and back. What a store gives is believed only if it is what was put there last.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "residency/kv_core.h"
#include "residency/worker_core.h"

/* ---- buffers of ciphertext ------------------------------------------------------------------- */

static size_t sealed_bytes(const struct lethe_kv_cache *cache)
{
    return (size_t)(cache->shape.block_bytes + AEAD_TAG_BYTES);
}

/* Both under the lock. */
static uint8_t *staging_take(struct lethe_kv_cache *cache, struct lethe_error *err)
{
    uint8_t *staging = MOVE(cache->staging);
    if (staging == NULL)
        staging = malloc(sealed_bytes(cache));
    if (staging == NULL)
        error_set(err, LETHE_NO_MEMORY, "no memory for a spilled block of %zu bytes",
                  sealed_bytes(cache));
    return staging;
}

static void staging_give(struct lethe_kv_cache *cache, uint8_t *staging)
{
    if (cache->staging == NULL)
        cache->staging = staging;
    else
        free(staging);
}

/* ---- encrypted on the host ------------------------------------------------------------------- */

static lethe_result host_seal(struct lethe_kv *session, const struct spill_place *place,
                              const void *plain, uint8_t *out, struct lethe_error *err)
{
    lethe_result result = spill_block_seal(session->key, place, plain,
                                           (size_t)session->cache->shape.block_bytes, out);
    return result == LETHE_OK ? result : error_set(err, result, "encrypting a block failed");
}

static lethe_result host_open(struct lethe_kv *session, const struct spill_place *place,
                              const uint8_t *sealed, void *plain, struct lethe_error *err)
{
    lethe_result result = spill_block_open(session->key, place, sealed,
                                           (size_t)session->cache->shape.block_bytes, plain);
    return result == LETHE_OK
               ? result
               : error_set(err, result, "the store gave what was not put there last");
}

static lethe_result seal(struct lethe_kv *session, const struct spill_place *place, uint32_t block,
                         uint8_t *out, struct lethe_error *err)
{
    struct lethe_kv_cache *cache = session->cache;
    uint64_t size_bytes = cache->shape.block_bytes, offset = kv_block_offset(cache, block);
    if (cache->arena.is_host)
        return host_seal(session, place, cache->arena.address + offset, out, err);
    pthread_mutex_lock(&cache->plain_lock);
    void *plain = lethe_region_bytes(cache->plain);
    lethe_result result = device_read(cache->arena.memory, offset, plain, size_bytes, err);
    if (result == LETHE_OK)
        result = host_seal(session, place, plain, out, err);
    lethe_wipe(plain, (size_t)size_bytes);
    pthread_mutex_unlock(&cache->plain_lock);
    return result;
}

static lethe_result unseal(struct lethe_kv *session, const struct spill_place *place,
                           const uint8_t *sealed, uint32_t block, struct lethe_error *err)
{
    struct lethe_kv_cache *cache = session->cache;
    uint64_t size_bytes = cache->shape.block_bytes, offset = kv_block_offset(cache, block);
    if (cache->arena.is_host)
        return host_open(session, place, sealed, cache->arena.address + offset, err);
    pthread_mutex_lock(&cache->plain_lock);
    void *plain = lethe_region_bytes(cache->plain);
    lethe_result result = host_open(session, place, sealed, plain, err);
    if (result == LETHE_OK)
        result = device_write(cache->arena.memory, offset, plain, size_bytes, err);
    lethe_wipe(plain, (size_t)size_bytes);
    pthread_mutex_unlock(&cache->plain_lock);
    return result;
}

/* ---- the store ------------------------------------------------------------------------------- */

/* What a store may say of itself; any other failure is one of reading or writing. */
static const lethe_result of_stores[] = {LETHE_OK, LETHE_NO_SPACE, LETHE_NO_MEMORY,
                                         LETHE_UNAVAILABLE, LETHE_BUSY};

static lethe_result of_store(lethe_result result, struct lethe_error *err)
{
    for (size_t i = 0; i < ARRAY_LEN(of_stores); i++)
        if (result == of_stores[i])
            return result;
    return error_set(err, LETHE_IO, "the store failed: %s", lethe_result_sentence(result));
}

static lethe_result store_put(const struct lethe_kv *session, uint64_t page, const uint8_t *sealed,
                              struct lethe_error *err)
{
    const struct lethe_spill *spill = &session->cache->spill;
    const struct lethe_spill_id id = spill_id(session->key, page);
    return of_store(spill->put(spill->context, &id, sealed, sealed_bytes(session->cache), err),
                    err);
}

static lethe_result store_get(const struct lethe_kv *session, uint64_t page, uint8_t *sealed,
                              struct lethe_error *err)
{
    const struct lethe_spill *spill = &session->cache->spill;
    const struct lethe_spill_id id = spill_id(session->key, page);
    lethe_result result =
        spill->get(spill->context, &id, sealed, sealed_bytes(session->cache), err);
    if (result == LETHE_NOT_FOUND || result == LETHE_LOST)
        return error_set(err, LETHE_LOST, "the store has lost it");
    return result == LETHE_INTEGRITY ? result : of_store(result, err);
}

void kv_spill_drop(const struct lethe_kv *session, uint64_t page)
{
    const struct lethe_spill *spill = &session->cache->spill;
    const struct lethe_spill_id id = spill_id(session->key, page);
    spill->drop(spill->context, &id);
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
    struct spill_place place;
    uint8_t *sealed;
};

static uint64_t stamp_of(const struct outgoing *out)
{
    return atomic_load(&out->session->cache->arena.blocks[out->block].stamp);
}

/* Under the lock, and with the session taken, so that nobody writes the block meanwhile. */
static lethe_result encrypt(struct outgoing *out, struct lethe_error *err)
{
    struct lethe_kv *session = out->session;
    if (session->key == NULL)
        TRY(spill_key_create(&session->key, err));
    out->place = (struct spill_place){.block = out->page, .version = ++session->version};
    out->stamp = stamp_of(out);
    return seal(session, &out->place, out->block, out->sealed, err);
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
    lethe_result result = store_put(out->session, out->page, out->sealed, err);
    pthread_mutex_lock(&cache->lock);
    bool moved = result == LETHE_OK && is_untouched(out);
    if (moved)
        hand_over(out, &chain);
    pthread_mutex_unlock(&cache->lock);
    if (!moved)
        kv_spill_drop(out->session, out->page);
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

static lethe_result fetch(struct lethe_kv *session, const struct spill_place *place,
                          uint8_t *sealed, uint32_t block, struct lethe_error *err)
{
    TRY(store_get(session, place->block, sealed, err));
    return unseal(session, place, sealed, block, err);
}

/* Without the lock. */
static lethe_result move_in(struct lethe_kv *session, const struct spill_place *place,
                            uint8_t *sealed, uint32_t block, struct lethe_error *err)
{
    struct lethe_kv_cache *cache = session->cache;
    struct kv_chain chain = KV_CHAIN_NONE;
    lethe_result result = error_context(err, fetch(session, place, sealed, block, err),
                                        "block %" PRIu64 " of session %s in cache %s", place->block,
                                        session->name, cache->name);
    pthread_mutex_lock(&cache->lock);
    bool moved = settle_in(session, place->block, block, result);
    if (!moved)
        arena_discard(&cache->arena, block, &chain);
    pthread_mutex_unlock(&cache->lock);
    (void)kv_wipe(session, &chain);
    if (moved)
        kv_spill_drop(session, place->block);
    if (result == LETHE_INTEGRITY)
        condemn(session, place->block, err);
    return result == LETHE_OK && !moved ? kv_cancelled(session, err) : result;
}

lethe_result kv_spill_get(const struct kv_claim *claim, uint64_t page, struct lethe_error *err)
{
    struct lethe_kv *session = claim->session;
    struct lethe_kv_cache *cache = session->cache;
    uint32_t block;
    const struct spill_place place = {.block = page, .version = kv_page(session, page)->version};
    uint8_t *sealed = staging_take(cache, err);
    if (sealed == NULL)
        return LETHE_NO_MEMORY;
    begin_move(session, page);
    session->fetching += !claim->inside;
    lethe_result result = kv_make_room(claim, &block, err);
    if (result == LETHE_OK) {
        leave_lock(cache);
        result = move_in(session, &place, sealed, block, err);
        take_lock(cache);
    }
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
    }
}
