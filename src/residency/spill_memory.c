/* A spill store in this process's memory: ciphertext only, so it needs no protection. */
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "residency/spill_index.h"

struct lethe_spill_memory {
    uint64_t budget_bytes;
    pthread_mutex_t lock; /* what is below */
    uint64_t used_bytes;
    void *map;
};

lethe_result lethe_spill_memory_create(uint64_t budget_bytes, struct lethe_spill_memory **out,
                                       struct lethe_error *err)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a spill store");
    (*out)->budget_bytes = budget_bytes != 0 ? budget_bytes : UINT64_MAX;
    pthread_mutex_init(&(*out)->lock, NULL);
    return LETHE_OK;
}

/* All of these under the lock. */

static void forget(struct lethe_spill_memory *memory, struct spill_entry *entry)
{
    if (entry == NULL)
        return;
    memory->used_bytes -= entry->size_bytes;
    free(entry->bytes);
    spill_index_remove(&memory->map, entry);
}

static lethe_result no_memory(size_t size_bytes, struct lethe_error *err)
{
    return error_set(err, LETHE_NO_MEMORY, "no memory for a spilled block of %zu bytes",
                     size_bytes);
}

static lethe_result keep(struct lethe_spill_memory *memory, const struct lethe_spill_id *id,
                         const void *bytes, size_t size_bytes, struct lethe_error *err)
{
    bool is_new;
    forget(memory, spill_index_find(&memory->map, id));
    if (size_bytes > memory->budget_bytes - memory->used_bytes)
        return error_set(
            err, LETHE_NO_SPACE,
            "spill store: %zu bytes are needed, %" PRIu64 " of %" PRIu64 " are available",
            size_bytes, memory->budget_bytes - memory->used_bytes, memory->budget_bytes);
    CLEANUP(memory_free) uint8_t *copy = malloc(size_bytes);
    if (copy == NULL)
        return no_memory(size_bytes, err);
    struct spill_entry *entry = spill_index_add(&memory->map, id, &is_new);
    if (entry == NULL)
        return no_memory(size_bytes, err);
    memcpy(copy, bytes, size_bytes);
    entry->bytes = MOVE(copy);
    entry->size_bytes = size_bytes;
    memory->used_bytes += size_bytes;
    return LETHE_OK;
}

static lethe_result give(const struct spill_entry *entry, void *out, size_t size_bytes,
                         struct lethe_error *err)
{
    if (entry == NULL || entry->size_bytes != size_bytes)
        return error_set(err, LETHE_NOT_FOUND, "spill store: there is no such block");
    memcpy(out, entry->bytes, size_bytes);
    return LETHE_OK;
}

/* ---- the table ------------------------------------------------------------------------------- */

static lethe_result put(void *context, const struct lethe_spill_id *id, const void *bytes,
                        size_t size_bytes, struct lethe_error *err)
{
    struct lethe_spill_memory *memory = context;
    pthread_mutex_lock(&memory->lock);
    lethe_result result = keep(memory, id, bytes, size_bytes, err);
    pthread_mutex_unlock(&memory->lock);
    return result;
}

static lethe_result get(void *context, const struct lethe_spill_id *id, void *out,
                        size_t size_bytes, struct lethe_error *err)
{
    struct lethe_spill_memory *memory = context;
    pthread_mutex_lock(&memory->lock);
    lethe_result result = give(spill_index_find(&memory->map, id), out, size_bytes, err);
    pthread_mutex_unlock(&memory->lock);
    return result;
}

static void drop(void *context, const struct lethe_spill_id *id)
{
    struct lethe_spill_memory *memory = context;
    pthread_mutex_lock(&memory->lock);
    forget(memory, spill_index_find(&memory->map, id));
    pthread_mutex_unlock(&memory->lock);
}

struct lethe_spill lethe_spill_memory_table(struct lethe_spill_memory *memory)
{
    return (struct lethe_spill){.put = put, .get = get, .drop = drop, .context = memory};
}

void lethe_spill_memory_free(struct lethe_spill_memory *memory)
{
    if (memory == NULL)
        return;
    for (struct spill_entry *entry; (entry = spill_index_any(&memory->map)) != NULL;)
        forget(memory, entry);
    pthread_mutex_destroy(&memory->lock);
    free(memory);
}
