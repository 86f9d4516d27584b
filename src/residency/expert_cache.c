/* Experts that come and go within a budget. Contract: lethe/residency.h. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/validate.h"
#include "model/handle.h"
#include "residency/expert_score.h"
#include "residency/shard_core.h"

struct expert {
    struct expert_use use;
    uint64_t size_bytes;
    struct lethe_shard *shard; /* NULL: not resident */
    uint64_t holds;
    uint64_t pins;
};

/* Lock order: `changing`, then `lock`. Who changes what is resident holds `changing` for all of it,
 * decrypting included, so that experts which are there already are acquired and released meanwhile;
 * all fields are read and written under `lock`, but for an expert's shard, which also he may look
 * at who holds `changing` or the expert: nobody changes it then. */
struct lethe_expert_cache {
    struct lethe_worker *worker;
    struct lethe_model *model;
    char name[NAME_PART_MAX + 1];
    size_t device;
    uint64_t budget_bytes;
    pthread_mutex_t changing;
    pthread_mutex_t lock;
    struct lethe_expert_cache_counters counters;
    size_t count;
    struct expert experts[];
};

static const struct manifest *manifest_of(const struct lethe_model *model)
{
    return model_manifest(model->model);
}

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
    const struct manifest *manifest = manifest_of(model);
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

/* ---- evict ----------------------------------------------------------------------------------- */

/* Under lock. Whether its room may be taken: by anyone, or (below not NULL) for the sake of one who
 * must score higher. */
static bool may_go(const struct lethe_expert_cache *cache, const struct expert *expert,
                   const struct expert *below)
{
    if (expert->shard == NULL || expert->holds > 0 || expert->pins > 0)
        return false;
    return below == NULL ||
           expert_scores_below(&expert->use, &below->use, cache->counters.accesses);
}

/* Under lock. NULL: nobody may go. */
static struct expert *first_to_go(struct lethe_expert_cache *cache, const struct expert *below)
{
    struct expert *found = NULL;
    uint64_t now = cache->counters.accesses;
    for (size_t i = 0; i < cache->count; i++) {
        struct expert *expert = &cache->experts[i];
        if (may_go(cache, expert, below) &&
            (found == NULL || expert_goes_before(&expert->use, &found->use, now)))
            found = expert;
    }
    return found;
}

/* Under lock: in sight, and in the counts. */
static void put_in(struct lethe_expert_cache *cache, struct expert *expert,
                   struct lethe_shard *shard)
{
    expert->shard = shard;
    cache->counters.resident++;
    cache->counters.resident_bytes += expert->size_bytes;
}

/* Under lock: out of sight, and out of the counts. */
static struct lethe_shard *take_out(struct lethe_expert_cache *cache, struct expert *expert)
{
    cache->counters.resident--;
    cache->counters.resident_bytes -= expert->size_bytes;
    return MOVE(expert->shard);
}

/* Under changing. LETHE_BUSY: an execution has it still, and it is put in again. Memory that could
 * not be wiped stays with the device, and the failure is the caller's to hear of. */
static lethe_result evict(struct lethe_expert_cache *cache, struct expert *expert,
                          struct lethe_shard *shard, const char *cause, struct lethe_error *err)
{
    const struct shard *entry = &manifest_of(cache->model)->shards[expert->use.index];
    lethe_result result;
    lethe_result left = shards_evict(&shard, 1, 1, &result, err); /* the cache's own hold */
    if (left != LETHE_OK) {
        pthread_mutex_lock(&cache->lock);
        put_in(cache, expert, shard);
        pthread_mutex_unlock(&cache->lock);
        return left;
    }
    const struct audit_event event =
        audit_cache_evicted(cache->name, entry->id, expert->size_bytes, cause, result == LETHE_OK);
    worker_emit(cache->worker, manifest_of(cache->model)->tenant, "", &event);
    pthread_mutex_lock(&cache->lock);
    cache->counters.evictions++;
    cache->counters.evicted_bytes += expert->size_bytes;
    pthread_mutex_unlock(&cache->lock);
    return result;
}

/* Under changing. LETHE_NO_MEMORY: nobody whose room may be taken is left. */
static lethe_result evict_one(struct lethe_expert_cache *cache, const struct expert *below,
                              struct lethe_error *err)
{
    pthread_mutex_lock(&cache->lock);
    struct expert *expert = first_to_go(cache, below);
    struct lethe_shard *shard = expert != NULL ? take_out(cache, expert) : NULL;
    pthread_mutex_unlock(&cache->lock);
    if (shard == NULL)
        return error_set(err, LETHE_NO_MEMORY, "expert cache %s: nothing there may go",
                         cache->name);
    return evict(cache, expert, shard, "budget", err);
}

/* ---- bring in -------------------------------------------------------------------------------- */

/* Under lock. */
static bool has_room(const struct lethe_expert_cache *cache, const struct expert *expert)
{
    return expert->size_bytes <= cache->budget_bytes - cache->counters.resident_bytes;
}

/* Under lock. Whether there is room once all who may go are gone: otherwise nobody goes in vain. */
static lethe_result check_room(const struct lethe_expert_cache *cache, const struct expert *expert,
                               const struct expert *below, struct lethe_error *err)
{
    uint64_t staying_bytes = 0;
    for (size_t i = 0; i < cache->count; i++)
        if (cache->experts[i].shard != NULL && !may_go(cache, &cache->experts[i], below))
            staying_bytes += cache->experts[i].size_bytes;
    uint64_t available_bytes = cache->budget_bytes - staying_bytes;
    if (expert->size_bytes <= available_bytes)
        return LETHE_OK;
    return error_set(err, LETHE_NO_MEMORY,
                     "expert cache %s: %" PRIu64 " bytes are needed, %" PRIu64 " of %" PRIu64
                     " are available: the rest is in use",
                     cache->name, expert->size_bytes, available_bytes, cache->budget_bytes);
}

/* Under changing. */
static lethe_result make_room(struct lethe_expert_cache *cache, const struct expert *expert,
                              const struct expert *below, struct lethe_error *err)
{
    pthread_mutex_lock(&cache->lock);
    lethe_result result = check_room(cache, expert, below, err);
    bool fits = has_room(cache, expert);
    pthread_mutex_unlock(&cache->lock);
    while (result == LETHE_OK && !fits) {
        result = evict_one(cache, below, err);
        pthread_mutex_lock(&cache->lock);
        fits = has_room(cache, expert);
        pthread_mutex_unlock(&cache->lock);
    }
    return result;
}

static lethe_result seal(struct lethe_expert_cache *cache, const struct expert *expert,
                         struct lethe_shard **out, struct lethe_error *err)
{
    const struct lethe_placement placement = {.device = cache->device};
    return lethe_shard_seal_model(cache->worker, cache->model, expert->use.index, &placement, out,
                                  err);
}

/* Under changing. The device may have less than the budget says: then others go, too. */
static lethe_result bring_in(struct lethe_expert_cache *cache, struct expert *expert,
                             const struct expert *below, struct lethe_error *err)
{
    struct lethe_shard *shard;
    TRY(make_room(cache, expert, below, err));
    for (;;) {
        lethe_result result = seal(cache, expert, &shard, err);
        if (result == LETHE_OK)
            break;
        if (result != LETHE_NO_MEMORY || evict_one(cache, below, NULL) != LETHE_OK)
            return result;
    }
    REQUIRE(shard_hold(shard, NULL) == LETHE_OK); /* nobody else knows it yet */
    pthread_mutex_lock(&cache->lock);
    put_in(cache, expert, shard);
    pthread_mutex_unlock(&cache->lock);
    return LETHE_OK;
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
        result = bring_in(cache, expert, NULL, err);
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
    lethe_result result = was_there ? LETHE_OK : bring_in(cache, expert, expert, err);
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

static lethe_result evict_all(struct lethe_expert_cache *cache, struct lethe_error *err)
{
    lethe_result first = LETHE_OK;
    for (size_t i = 0; i < cache->count; i++) {
        if (cache->experts[i].shard == NULL)
            continue;
        struct lethe_shard *shard = take_out(cache, &cache->experts[i]);
        lethe_result result =
            evict(cache, &cache->experts[i], shard, "closed", first == LETHE_OK ? err : NULL);
        if (result == LETHE_BUSY)
            return result;
        first = first == LETHE_OK ? result : first;
    }
    return first;
}

lethe_result lethe_expert_cache_free(struct lethe_expert_cache *cache, struct lethe_error *err)
{
    if (cache == NULL)
        return LETHE_OK;
    if (is_held(cache))
        return error_set(err, LETHE_BUSY, "expert cache %s: an expert is in use", cache->name);
    lethe_result result = evict_all(cache, err);
    if (result == LETHE_BUSY)
        return result;
    worker_unhold(cache->worker);
    pthread_mutex_destroy(&cache->changing);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
    return result;
}
