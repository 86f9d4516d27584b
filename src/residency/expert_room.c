/* Experts that come and go within a budget: who goes, and who comes in. */
#include <inttypes.h>

#include "base/error.h"
#include "residency/expert_core.h"
#include "residency/shard_core.h"

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
    const struct shard *entry = &expert_manifest(cache->model)->shards[expert->use.index];
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
    worker_emit(cache->worker, expert_manifest(cache->model)->tenant, "", &event);
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

/* The device may have less than the budget says: then others go, too. */
lethe_result expert_bring_in(struct lethe_expert_cache *cache, struct expert *expert,
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

/* ---- the end --------------------------------------------------------------------------------- */

lethe_result expert_evict_all(struct lethe_expert_cache *cache, struct lethe_error *err)
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
