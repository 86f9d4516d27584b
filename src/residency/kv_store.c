/* A page encrypted and decrypted, and given to a store and got back. What a store gives is believed
 * only if it is what was put there last. */
#include <string.h>

#include "base/error.h"
#include "residency/kv_core.h"

/* ---- encrypted on the host ------------------------------------------------------------------- */

static lethe_result host_seal(struct lethe_kv *session, const struct block_place *place,
                              const void *plain, uint8_t *out, struct lethe_error *err)
{
    lethe_result result = block_seal(session->key, place, plain, out, out + place->size_bytes);
    return result == LETHE_OK ? result : error_set(err, result, "encrypting a block failed");
}

lethe_result kv_open_sealed(struct lethe_kv *session, const struct block_place *place,
                            const uint8_t *sealed, void *plain, struct lethe_error *err)
{
    lethe_result result =
        block_open(session->key, place, sealed, sealed + place->size_bytes, plain);
    return result == LETHE_OK
               ? result
               : error_set(err, result, "the store gave what was not put there last");
}

lethe_result kv_seal(struct lethe_kv *session, const struct block_place *place, uint32_t block,
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

lethe_result kv_unseal(struct lethe_kv *session, const struct block_place *place,
                       const uint8_t *sealed, uint32_t block, struct lethe_error *err)
{
    struct lethe_kv_cache *cache = session->cache;
    uint64_t size_bytes = cache->shape.block_bytes, offset = kv_block_offset(cache, block);
    if (cache->arena.is_host)
        return kv_open_sealed(session, place, sealed, cache->arena.address + offset, err);
    pthread_mutex_lock(&cache->plain_lock);
    void *plain = lethe_region_bytes(cache->plain);
    lethe_result result = kv_open_sealed(session, place, sealed, plain, err);
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

static struct lethe_spill_id spill_id(const struct block_key *key, uint64_t page)
{
    struct lethe_spill_id id = {.block = page};
    memcpy(id.space, block_key_space(key), sizeof id.space);
    return id;
}

lethe_result kv_store_put(const struct lethe_kv *session, uint64_t page, const uint8_t *sealed,
                          struct lethe_error *err)
{
    const struct lethe_spill *spill = &session->cache->spill;
    const struct lethe_spill_id id = spill_id(session->key, page);
    return of_store(spill->put(spill->context, &id, sealed, kv_sealed_bytes(session->cache), err),
                    err);
}

lethe_result kv_store_get(const struct lethe_kv *session, uint64_t page, uint8_t *sealed,
                          struct lethe_error *err)
{
    const struct lethe_spill *spill = &session->cache->spill;
    const struct lethe_spill_id id = spill_id(session->key, page);
    lethe_result result =
        spill->get(spill->context, &id, sealed, kv_sealed_bytes(session->cache), err);
    if (result == LETHE_NOT_FOUND || result == LETHE_LOST)
        return error_set(err, LETHE_LOST, "the store has lost it");
    return result == LETHE_INTEGRITY ? result : of_store(result, err);
}

void kv_store_drop(const struct lethe_kv *session, uint64_t page)
{
    const struct lethe_spill *spill = &session->cache->spill;
    const struct lethe_spill_id id = spill_id(session->key, page);
    spill->drop(spill->context, &id);
}
