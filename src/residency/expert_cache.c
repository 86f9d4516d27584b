/* What a cache of experts is asked: to hold, pin and count. Contract: lethe/residency.h. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/validate.h"
#include "residency/expert_core.h"

/* ---- create ---------------------------------------------------------------------------------- */

static lethe_result check_options(struct lethe_worker *worker,
                                  const struct lethe_expert_cache_options *options,
                                  struct lethe_error *err)
{
    struct device *device;
    if (options->name == NULL)
        return error_set(err, LETHE_INVALID, "an expert cache without a name");
    TRY(validate_identifier("the expert cache's name", options->name, NAME_PART_MAX, err));
    if (options->budget_bytes == 0)
        return error_set(err, LETHE_INVALID, "expert cache %s: a budget of no bytes",
                         options->name);
    return worker_device(worker, options->device, &device, err);
}

lethe_result lethe_expert_cache_create(struct lethe_worker *worker, struct lethe_model *model,
                                       const struct lethe_expert_cache_options *options,
                                       struct lethe_expert_cache **out, struct lethe_error *err)
{
    *out = NULL;
    TRY(worker_check(worker, err));
    TRY(check_options(worker, options, err));
    if (model == NULL)
        return error_set(err, LETHE_INVALID, "expert cache %s: there is no model", options->name);
    const struct manifest *manifest = expert_manifest(model);
    struct lethe_expert_cache *cache =
        calloc(1, sizeof *cache + manifest->count * sizeof cache->experts[0]);
    if (cache == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for an expert cache");
    cache->worker = worker;
    cache->model = model;
    cache->device = options->device;
    cache->budget_bytes = options->budget_bytes;
    snprintf(cache->name, sizeof cache->name, "%s", options->name);
    pthread_mutex_init(&cache->changing, NULL);
    pthread_mutex_init(&cache->lock, NULL);
    cache->count = manifest->count;
    for (size_t i = 0; i < cache->count; i++) {
        cache->experts[i].size_bytes = manifest->shards[i].size;
        cache->experts[i].use =
            (struct expert_use){.index = i, .tie = expert_tie(options->seed, i)};
    }
    worker_hold(worker);
    *out = cache;
    return LETHE_OK;
}

static lethe_result check_index(const struct lethe_expert_cache *cache, size_t shard_index,
                                struct lethe_error *err)
{
    if (shard_index < cache->count)
        return LETHE_OK;
    return error_set(err, LETHE_INVALID, "expert cache %s: the model has no shard %zu, but %zu",
                     cache->name, shard_index, cache->count);
}

/* ---- acquire and release --------------------------------------------------------------------- */

/* Counts the access; true when the expert is there, and now held. */
static bool access_resident(struct lethe_expert_cache *cache, struct expert *expert)
{
    pthread_mutex_lock(&cache->lock);
    bool is_there = expert->shard != NULL;
    cache->counters.accesses++;
    expert->use.accesses++;
    expert->use.last_access = cache->counters.accesses;
    expert->holds += is_there;
    *(is_there ? &cache->counters.hits : &cache->counters.misses) += 1;
    pthread_mutex_unlock(&cache->lock);
    return is_there;
}

static bool hold_resident(struct lethe_expert_cache *cache, struct expert *expert)
{
    pthread_mutex_lock(&cache->lock);
    bool is_there = expert->shard != NULL;
    expert->holds += is_there;
    pthread_mutex_unlock(&cache->lock);
    return is_there;
}

/* Another thread may have brought it in while this one waited. */
static lethe_result bring_in_and_hold(struct lethe_expert_cache *cache, struct expert *expert,
                                      struct lethe_error *err)
{
    pthread_mutex_lock(&cache->changing);
    lethe_result result = LETHE_OK;
    if (!hold_resident(cache, expert)) {
        result = expert_bring_in(cache, expert, NULL, err);
        if (result == LETHE_OK)
            (void)hold_resident(cache, expert);
    }
    pthread_mutex_unlock(&cache->changing);
    return result;
}

lethe_result lethe_expert_acquire(struct lethe_expert_cache *cache, size_t shard_index,
                                  struct lethe_shard **out, struct lethe_error *err)
{
    *out = NULL;
    TRY(check_index(cache, shard_index, err));
    struct expert *expert = &cache->experts[shard_index];
    if (expert->size_bytes > cache->budget_bytes)
        return error_set(err, LETHE_LIMIT,
                         "expert cache %s: shard %zu has %" PRIu64
                         " bytes, more than the whole budget of %" PRIu64,
                         cache->name, shard_index, expert->size_bytes, cache->budget_bytes);
    if (!access_resident(cache, expert))
        TRY(bring_in_and_hold(cache, expert, err));
    *out = expert->shard; /* nobody takes it out while it is held */
    return LETHE_OK;
}

void lethe_expert_release(struct lethe_expert_cache *cache, size_t shard_index)
{
    REQUIRE(shard_index < cache->count);
    pthread_mutex_lock(&cache->lock);
    REQUIRE(cache->experts[shard_index].holds > 0);
    cache->experts[shard_index].holds--;
    pthread_mutex_unlock(&cache->lock);
}

/* ---- pin and prefetch ------------------------------------------------------------------------ */

static lethe_result not_resident(const struct lethe_expert_cache *cache, size_t shard_index,
                                 struct lethe_error *err)
{
    return error_set(err, LETHE_NOT_FOUND, "expert cache %s: shard %zu is not resident",
                     cache->name, shard_index);
}

lethe_result lethe_expert_pin(struct lethe_expert_cache *cache, size_t shard_index,
                              struct lethe_error *err)
{
    TRY(check_index(cache, shard_index, err));
    pthread_mutex_lock(&cache->lock);
    struct expert *expert = &cache->experts[shard_index];
    bool is_there = expert->shard != NULL;
    expert->pins += is_there;
    pthread_mutex_unlock(&cache->lock);
    return is_there ? LETHE_OK : not_resident(cache, shard_index, err);
}

lethe_result lethe_expert_unpin(struct lethe_expert_cache *cache, size_t shard_index,
                                struct lethe_error *err)
{
    TRY(check_index(cache, shard_index, err));
    pthread_mutex_lock(&cache->lock);
    struct expert *expert = &cache->experts[shard_index];
    bool is_pinned = expert->pins > 0; /* and therefore resident */
    expert->pins -= is_pinned;
    pthread_mutex_unlock(&cache->lock);
    if (is_pinned)
        return LETHE_OK;
    return error_set(err, LETHE_NOT_FOUND, "expert cache %s: shard %zu is not pinned", cache->name,
                     shard_index);
}

/* That there is no room is an answer, and no failure. */
lethe_result lethe_expert_prefetch(struct lethe_expert_cache *cache, size_t shard_index,
                                   bool *resident, struct lethe_error *err)
{
    bool nobody_asked;
    resident = resident != NULL ? resident : &nobody_asked;
    *resident = false;
    TRY(check_index(cache, shard_index, err));
    struct expert *expert = &cache->experts[shard_index];
    if (expert->size_bytes > cache->budget_bytes)
        return LETHE_OK;

    pthread_mutex_lock(&cache->changing);
    bool was_there = expert->shard != NULL;
    lethe_result result = was_there ? LETHE_OK : expert_bring_in(cache, expert, expert, err);
    pthread_mutex_lock(&cache->lock);
    cache->counters.prefetches += !was_there && result == LETHE_OK;
    *resident = result == LETHE_OK;
    pthread_mutex_unlock(&cache->lock);
    pthread_mutex_unlock(&cache->changing);
    return result == LETHE_NO_MEMORY ? LETHE_OK : result;
}

void lethe_expert_cache_counters(struct lethe_expert_cache *cache,
                                 struct lethe_expert_cache_counters *out)
{
    pthread_mutex_lock(&cache->lock);
    *out = cache->counters;
    pthread_mutex_unlock(&cache->lock);
}

/* ---- free ------------------------------------------------------------------------------------ */

static bool is_held(struct lethe_expert_cache *cache)
{
    uint64_t holds = 0;
    pthread_mutex_lock(&cache->lock);
    for (size_t i = 0; i < cache->count; i++)
        holds += cache->experts[i].holds;
    pthread_mutex_unlock(&cache->lock);
    return holds > 0;
}

lethe_result lethe_expert_cache_free(struct lethe_expert_cache *cache, struct lethe_error *err)
{
    if (cache == NULL)
        return LETHE_OK;
    if (is_held(cache))
        return error_set(err, LETHE_BUSY, "expert cache %s: an expert is in use", cache->name);
    lethe_result result = expert_evict_all(cache, err);
    if (result == LETHE_BUSY)
        return result;
    worker_unhold(cache->worker);
    pthread_mutex_destroy(&cache->changing);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
    return result;
}
