/* A cache as a whole: its options, its counters, its end. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/validate.h"
#include "residency/kv_core.h"
#include "residency/worker_core.h"

#define LAYERS_MAX 4096u
#define ROW_BYTES_MAX (1u << 20)
#define BLOCK_TOKENS_MAX 4096u
#define BLOCK_TOKENS_DEFAULT 16u

static lethe_result check_range(const char *option, uint64_t value, uint64_t max,
                                struct lethe_error *err)
{
    if (value >= 1 && value <= max)
        return LETHE_OK;
    return error_set(err, LETHE_INVALID, "%s: %" PRIu64 " is not 1 to %" PRIu64, option, value,
                     max);
}

/* The product is below 2^46, so nothing wraps. */
lethe_result kv_shape_of(const struct lethe_kv_options *options, struct kv_shape *out,
                         struct lethe_error *err)
{
    uint32_t block_tokens =
        options->block_tokens != 0 ? options->block_tokens : BLOCK_TOKENS_DEFAULT;
    TRY(check_range("layers", options->layers, LAYERS_MAX, err));
    TRY(check_range("row_bytes", options->row_bytes, ROW_BYTES_MAX, err));
    TRY(check_range("block_tokens", block_tokens, BLOCK_TOKENS_MAX, err));
    *out = (struct kv_shape){.layers = options->layers,
                             .row_bytes = options->row_bytes,
                             .block_tokens = block_tokens,
                             .block_bytes =
                                 (uint64_t)options->layers * 2 * block_tokens * options->row_bytes};
    if (options->spill != NULL && out->block_bytes > AEAD_TEXT_MAX)
        return error_set(err, LETHE_INVALID,
                         "a block of %" PRIu64 " bytes is too large to be spilled: at most %" PRIu64
                         "; make block_tokens smaller",
                         out->block_bytes, AEAD_TEXT_MAX);
    return LETHE_OK;
}

size_t lethe_kv_spill_bytes(const struct lethe_kv_options *options)
{
    struct kv_shape shape;
    return kv_shape_of(options, &shape, NULL) == LETHE_OK
               ? (size_t)(shape.block_bytes + AEAD_TAG_BYTES)
               : 0;
}

/* ---- create ---------------------------------------------------------------------------------- */

static lethe_result check_options(const struct lethe_kv_options *options, struct kv_shape *shape,
                                  struct lethe_error *err)
{
    TRY(validate_identifier("name", options->name, 64, err));
    TRY(kv_shape_of(options, shape, err));
    if (options->budget_bytes < shape->block_bytes)
        return error_set(err, LETHE_INVALID,
                         "budget_bytes: one block is %" PRIu64 " bytes, and the budget %" PRIu64,
                         shape->block_bytes, options->budget_bytes);
    return LETHE_OK;
}

/* What goes to a store is encrypted on the host: blocks of other devices pass through here. So does
 * what is read while no block is to be had: by then it would be too late to ask for memory. */
static lethe_result create_plain(struct lethe_kv_cache *cache, struct lethe_error *err)
{
    if (!cache->has_spill)
        return LETHE_OK;
    struct lethe_region_options options = {.class_ = LETHE_CLASS_CONTENT,
                                           .optional = worker_optional(cache->worker)};
    snprintf(options.label.id, sizeof options.label.id, "%.63s", cache->name);
    return lethe_region_create((size_t)cache->shape.block_bytes, &options, &cache->plain, err);
}

lethe_result lethe_kv_cache_create(struct lethe_worker *worker,
                                   const struct lethe_kv_options *options,
                                   struct lethe_kv_cache **out, struct lethe_error *err)
{
    *out = NULL;
    struct kv_shape shape;
    TRY(check_options(options, &shape, err));
    TRY(worker_check(worker, err));
    CLEANUP(memory_free) struct lethe_kv_cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a cache");
    cache->worker = worker;
    cache->shape = shape;
    snprintf(cache->name, sizeof cache->name, "%s", options->name);
    cache->has_spill = options->spill != NULL;
    if (cache->has_spill)
        cache->spill = *options->spill;
    TRY(error_context(err, kv_arena_create(cache, options->device, options->budget_bytes, err),
                      "cache %s", cache->name));
    lethe_result result = create_plain(cache, err);
    if (result != LETHE_OK) {
        (void)!kv_arena_clear(cache, NULL);
        return error_context(err, result, "cache %s", cache->name);
    }
    TAILQ_INIT(&cache->sessions);
    pthread_mutex_init(&cache->lock, NULL);
    pthread_mutex_init(&cache->plain_lock, NULL);
    pthread_cond_init(&cache->changed, NULL);
    worker_hold(worker);
    *out = MOVE(cache);
    return LETHE_OK;
}

/* ---- end ------------------------------------------------------------------------------------- */

static lethe_result end_all(struct lethe_kv_cache *cache, struct lethe_error *err)
{
    lethe_result first = LETHE_OK;
    for (struct lethe_kv *session; (session = TAILQ_FIRST(&cache->sessions)) != NULL;) {
        lethe_result result = kv_free(session, LETHE_SESSION_ENDED, first == LETHE_OK ? err : NULL);
        first = first == LETHE_OK ? result : first;
    }
    return first;
}

lethe_result lethe_kv_cache_free(struct lethe_kv_cache *cache, struct lethe_error *err)
{
    if (cache == NULL)
        return LETHE_OK;
    lethe_result ended = end_all(cache, err);
    lethe_result freed = kv_arena_clear(cache, ended == LETHE_OK ? err : NULL);
    lethe_region_free(cache->plain);
    worker_unhold(cache->worker);
    free(cache->staging);
    pthread_cond_destroy(&cache->changed);
    pthread_mutex_destroy(&cache->plain_lock);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
    return ended != LETHE_OK ? ended : freed;
}

void lethe_kv_cache_counters(struct lethe_kv_cache *cache, struct lethe_kv_counters *out)
{
    pthread_mutex_lock(&cache->lock);
    *out = cache->counters;
    out->blocks = cache->arena.count;
    out->used_blocks = cache->arena.count - cache->arena.free_count;
    pthread_mutex_unlock(&cache->lock);
    out->appended_tokens = atomic_load(&cache->appended_tokens);
}
