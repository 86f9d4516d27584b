#include "residency/seal_tags.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "crypto/aead.h"

/* Up to 256 MiB of weights the tags fit a slab's object; beyond, a region of class `key`, which is
 * closed unless somebody checks. */
struct seal_tags {
    struct device_key *key;
    uint8_t *bytes;
    void *object; /* one of the two */
    struct lethe_region *region;
};

void seal_tags_free(struct seal_tags *tags)
{
    if (tags == NULL)
        return;
    device_key_free(tags->key);
    slab_free(tags->object);
    lethe_region_free(tags->region);
    free(tags);
}

static void open_bytes(struct seal_tags *tags)
{
    if (tags->region != NULL)
        lethe_region_open(tags->region);
}

static void close_bytes(struct seal_tags *tags)
{
    if (tags->region != NULL)
        lethe_region_close(tags->region);
}

static lethe_result make_room(struct seal_tags *tags, uint64_t size_bytes, struct lethe_error *err)
{
    uint64_t tag_bytes = device_chunk_count(size_bytes) * DEVICE_TAG_BYTES;
    if (tag_bytes <= LETHE_SECRET_MAX_BYTES) {
        TRY(slab_alloc((size_t)tag_bytes, &tags->object, err));
        tags->bytes = tags->object;
        return LETHE_OK;
    }
    const struct lethe_region_options options = {.class_ = LETHE_CLASS_KEY,
                                                 .label = {.id = "seal tags"}};
    TRY(lethe_region_create((size_t)tag_bytes, &options, &tags->region, err));
    tags->bytes = lethe_region_bytes(tags->region);
    return LETHE_OK;
}

static lethe_result draw_key(struct device *device, struct device_key **out,
                             struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *key = NULL;
    TRY(lethe_secret_create(AEAD_KEY_BYTES, &key, err));
    if (random_fill(&random_system, lethe_secret_bytes(key), AEAD_KEY_BYTES) != LETHE_OK)
        return error_set(err, LETHE_FAILED, "the system gives no randomness");
    return device_key_create(device, key, out, err);
}

lethe_result seal_tags_create(const struct device_memory *memory, unsigned threads,
                              struct seal_tags **out, struct lethe_error *err)
{
    *out = NULL;
    CLEANUP(seal_tags_free) struct seal_tags *tags = calloc(1, sizeof *tags);
    if (tags == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for the tags of a seal");
    TRY(make_room(tags, device_memory_size(memory), err));
    TRY(draw_key(device_of(memory), &tags->key, err));
    open_bytes(tags);
    lethe_result result = device_tags(memory, tags->key, threads, tags->bytes, err);
    close_bytes(tags);
    if (result == LETHE_OK)
        *out = MOVE(tags);
    return result;
}

lethe_result seal_tags_check(struct seal_tags *tags, const struct device_memory *memory,
                             unsigned threads, struct lethe_error *err)
{
    open_bytes(tags);
    lethe_result result = device_check_tags(memory, tags->key, threads, tags->bytes, err);
    close_bytes(tags);
    return result;
}
