#include <stdlib.h>
#include <string.h>

#include "attest/sevsnp_vek.h"
#include "crypto/hash.h"

#define CAPACITY_MAX 65536u /* all are looked through for each report */

struct cached {
    uint8_t key[SEVSNP_CACHE_KEY_BYTES];
    struct sevsnp_vek vek;
    uint64_t used; /* 0: an empty place */
};

struct sevsnp_cache {
    size_t capacity;
    uint64_t uses;
    struct cached places[];
};

lethe_result sevsnp_cache_create(size_t capacity, struct sevsnp_cache **out,
                                 struct lethe_error *err)
{
    *out = NULL;
    if (capacity == 0 || capacity > CAPACITY_MAX)
        return error_set(err, LETHE_INVALID, "a cache of %zu certificates; 1 to %u", capacity,
                         CAPACITY_MAX);
    struct sevsnp_cache *cache = calloc(1, sizeof *cache + capacity * sizeof cache->places[0]);
    if (cache == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory to cache certificates");
    cache->capacity = capacity;
    *out = cache;
    return LETHE_OK;
}

static void empty(struct cached *place)
{
    sevsnp_vek_clear(&place->vek);
    *place = (struct cached){0};
}

void sevsnp_cache_forget(struct sevsnp_cache *cache)
{
    for (size_t i = 0; i < cache->capacity; i++)
        empty(&cache->places[i]);
}

void sevsnp_cache_free(struct sevsnp_cache *cache)
{
    if (cache == NULL)
        return;
    sevsnp_cache_forget(cache);
    free(cache);
}

lethe_result sevsnp_cache_key(const struct sevsnp_check *check, uint8_t out[SEVSNP_CACHE_KEY_BYTES],
                              struct lethe_error *err)
{
    const char *anchors = check->anchors != NULL ? check->anchors : "";
    const char *product = check->anchors_product != NULL ? check->anchors_product : "";
    const struct attest_part parts[] = {
        {check->vek, check->vek_bytes},
        {anchors, strlen(anchors)},
        {product, strlen(product)},
        {check->crls, check->crls_bytes},
    };
    _Static_assert(SEVSNP_CACHE_KEY_BYTES == ATTEST_BINDING_BYTES, "both are SHA-256");
    return attest_binding(parts, ARRAY_LEN(parts), out, err);
}

const struct sevsnp_vek *sevsnp_cache_find(struct sevsnp_cache *cache,
                                           const uint8_t key[SEVSNP_CACHE_KEY_BYTES],
                                           uint64_t now_s)
{
    for (size_t i = 0; i < cache->capacity; i++) {
        struct cached *place = &cache->places[i];
        if (place->used == 0 || memcmp(place->key, key, sizeof place->key) != 0)
            continue;
        if (now_s < place->vek.good_from_s || now_s > place->vek.good_until_s)
            return NULL;
        place->used = ++cache->uses;
        return &place->vek;
    }
    return NULL;
}

/* The place of this key; or else an empty one, or the one that was not used for longest. */
static struct cached *place_for(struct sevsnp_cache *cache, const uint8_t *key)
{
    struct cached *oldest = &cache->places[0];
    for (size_t i = 0; i < cache->capacity; i++) {
        struct cached *place = &cache->places[i];
        if (place->used != 0 && memcmp(place->key, key, sizeof place->key) == 0)
            return place;
        if (place->used < oldest->used)
            oldest = place;
    }
    return oldest;
}

const struct sevsnp_vek *sevsnp_cache_put(struct sevsnp_cache *cache,
                                          const uint8_t key[SEVSNP_CACHE_KEY_BYTES],
                                          struct sevsnp_vek *vek)
{
    struct cached *place = place_for(cache, key);
    empty(place);
    memcpy(place->key, key, sizeof place->key);
    place->vek = *vek;
    *vek = (struct sevsnp_vek){0}; /* moved */
    place->used = ++cache->uses;
    return &place->vek;
}
