/* A spill store of KV caches (lethe/kv.h) in one lease: slots of whole blocks.
 *
 * What it is given is ciphertext already, and is sealed once more on its way: so the store knows by
 * itself what was changed. Whole blocks go out of, and come into, the caller's memory; only the
 * last, which a slot need not fill, goes through a buffer. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "pool/client_calls.h"
#include "residency/spill_index.h"

#define NO_SLOT UINT64_MAX

struct lethe_pool_spill {
    struct lethe_pool_lease *lease;
    size_t slot_bytes;   /* asked for */
    size_t stride_bytes; /* whole blocks */
    uint32_t block_bytes;
    pthread_mutex_t lock;
    void *map;
    uint64_t *free; /* slots that were used and are not */
    uint64_t free_count, used, slots;
};

/* ---- slots ----------------------------------------------------------------------------------- */

/* The largest blocks, up to the default, that waste at most an eighth. */
static uint32_t choose_block(size_t slot_bytes)
{
    uint32_t block_bytes = POOL_BLOCK_DEFAULT;
    while (block_bytes > POOL_BLOCK_MIN &&
           (block_bytes - slot_bytes % block_bytes) % block_bytes > slot_bytes / 8)
        block_bytes /= 2;
    return block_bytes;
}

static lethe_result slot_of(struct lethe_pool_spill *spill, const struct lethe_spill_id *id,
                            uint64_t *out, struct lethe_error *err)
{
    bool is_new;
    struct spill_entry *entry = spill_index_add(&spill->map, id, &is_new);
    if (entry == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a spilled block");
    if (is_new && spill->free_count > 0) {
        entry->slot = spill->free[--spill->free_count];
    } else if (is_new && spill->used < spill->slots) {
        entry->slot = spill->used++;
    } else if (is_new) {
        spill_index_remove(&spill->map, entry);
        return error_set(err, LETHE_NO_SPACE,
                         "pool spill: %zu bytes are needed, 0 of %" PRIu64 " are available",
                         spill->slot_bytes, spill->slots * spill->slot_bytes);
    }
    *out = entry->slot;
    return LETHE_OK;
}

static void drop(void *context, const struct lethe_spill_id *id)
{
    struct lethe_pool_spill *spill = context;
    pthread_mutex_lock(&spill->lock);
    struct spill_entry *entry = spill_index_find(&spill->map, id);
    if (entry != NULL) {
        spill->free[spill->free_count++] = entry->slot;
        spill_index_remove(&spill->map, entry);
    }
    pthread_mutex_unlock(&spill->lock);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

/* A slot's whole blocks, and the buffer for its last. */
struct pieces {
    struct lethe_pool_piece at[2];
    size_t count;
    size_t whole_bytes, rest_bytes;
};

static struct pieces pieces_of(const struct lethe_pool_spill *spill, uint64_t slot, void *bytes,
                               size_t size_bytes, void *last)
{
    struct pieces pieces = {.rest_bytes = size_bytes % spill->block_bytes};
    uint64_t offset = slot * spill->stride_bytes;
    pieces.whole_bytes = size_bytes - pieces.rest_bytes;
    pieces.at[pieces.count++] = (struct lethe_pool_piece){offset, bytes, pieces.whole_bytes};
    if (pieces.rest_bytes > 0)
        pieces.at[pieces.count++] =
            (struct lethe_pool_piece){offset + pieces.whole_bytes, last, spill->block_bytes};
    return pieces;
}

static lethe_result check_size(const struct lethe_pool_spill *spill, size_t size_bytes,
                               struct lethe_error *err)
{
    return size_bytes <= spill->slot_bytes
               ? LETHE_OK
               : error_set(err, LETHE_INVALID, "pool spill: %zu bytes for a slot of %zu",
                           size_bytes, spill->slot_bytes);
}

static lethe_result put(void *context, const struct lethe_spill_id *id, const void *bytes,
                        size_t size_bytes, struct lethe_error *err)
{
    struct lethe_pool_spill *spill = context;
    uint64_t slot = NO_SLOT;
    TRY(check_size(spill, size_bytes, err));
    CLEANUP(memory_free) uint8_t *last = calloc(1, spill->block_bytes);
    if (last == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a spilled block");
    pthread_mutex_lock(&spill->lock);
    lethe_result result = slot_of(spill, id, &slot, err);
    pthread_mutex_unlock(&spill->lock);
    TRY(result);
    const struct pieces pieces = pieces_of(spill, slot, (void *)(uintptr_t)bytes, size_bytes, last);
    memcpy(last, (const uint8_t *)bytes + pieces.whole_bytes, pieces.rest_bytes);
    result = lethe_pool_write_pieces(spill->lease, pieces.at, pieces.count, err);
    if (result != LETHE_OK)
        drop(spill, id); /* half of it is no block */
    return result;
}

static lethe_result get(void *context, const struct lethe_spill_id *id, void *out,
                        size_t size_bytes, struct lethe_error *err)
{
    struct lethe_pool_spill *spill = context;
    TRY(check_size(spill, size_bytes, err));
    CLEANUP(memory_free) uint8_t *last = malloc(spill->block_bytes);
    if (last == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a spilled block");
    pthread_mutex_lock(&spill->lock);
    const struct spill_entry *entry = spill_index_find(&spill->map, id);
    uint64_t slot = entry != NULL ? entry->slot : NO_SLOT;
    pthread_mutex_unlock(&spill->lock);
    if (slot == NO_SLOT)
        return error_set(err, LETHE_NOT_FOUND, "pool spill: there is no such block");
    const struct pieces pieces = pieces_of(spill, slot, out, size_bytes, last);
    TRY(lethe_pool_read_pieces(spill->lease, pieces.at, pieces.count, err));
    memcpy((uint8_t *)out + pieces.whole_bytes, last, pieces.rest_bytes);
    return LETHE_OK;
}

/* ---- life ------------------------------------------------------------------------------------ */

static lethe_result fill(struct lethe_pool_spill *spill, struct lethe_pool *pool,
                         const struct lethe_pool_spill_options *options, struct lethe_error *err)
{
    uint64_t bytes;
    if (__builtin_mul_overflow(spill->slots, spill->stride_bytes, &bytes))
        return error_set(err, LETHE_INVALID, "a spill store of %" PRIu64 " bytes",
                         options->budget_bytes);
    const struct lethe_pool_lease_options lease = {.bytes = bytes,
                                                   .block_bytes = spill->block_bytes,
                                                   .ttl_ms = options->ttl_ms,
                                                   .copies = options->copies};
    spill->free = calloc((size_t)spill->slots, sizeof *spill->free);
    if (spill->free == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a spill store");
    return lethe_pool_allocate(pool, &lease, &spill->lease, err);
}

lethe_result lethe_pool_spill_create(struct lethe_pool *pool,
                                     const struct lethe_pool_spill_options *options,
                                     struct lethe_pool_spill **out, struct lethe_error *err)
{
    *out = NULL;
    if (options->slot_bytes == 0 || options->slot_bytes > UINT32_MAX ||
        options->budget_bytes < options->slot_bytes)
        return error_set(err, LETHE_INVALID, "a spill store of %" PRIu64 " bytes for slots of %zu",
                         options->budget_bytes, options->slot_bytes);
    struct lethe_pool_spill *spill = calloc(1, sizeof *spill);
    if (spill == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a spill store");
    pthread_mutex_init(&spill->lock, NULL);
    spill->slot_bytes = options->slot_bytes;
    spill->block_bytes = choose_block(options->slot_bytes);
    spill->stride_bytes =
        (options->slot_bytes + spill->block_bytes - 1) / spill->block_bytes * spill->block_bytes;
    spill->slots = options->budget_bytes / options->slot_bytes;
    lethe_result result = fill(spill, pool, options, err);
    if (result != LETHE_OK)
        (void)!lethe_pool_spill_free(spill, NULL);
    else
        *out = spill;
    return result;
}

struct lethe_spill lethe_pool_spill_table(struct lethe_pool_spill *spill)
{
    return (struct lethe_spill){.put = put, .get = get, .drop = drop, .context = spill};
}

lethe_result lethe_pool_spill_free(struct lethe_pool_spill *spill, struct lethe_error *err)
{
    if (spill == NULL)
        return LETHE_OK;
    lethe_result result = lethe_pool_release(spill->lease, err);
    for (struct spill_entry *entry; (entry = spill_index_any(&spill->map)) != NULL;)
        spill_index_remove(&spill->map, entry);
    pthread_mutex_destroy(&spill->lock);
    free(spill->free);
    free(spill);
    return result;
}
