#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "residency/shard_core.h"

/* ---- who uses it ----------------------------------------------------------------------------- */

static lethe_result busy(const struct lethe_shard *shard, const char *why, struct lethe_error *err)
{
    return error_set(err, LETHE_BUSY, "shard '%s' %s", shard->id, why);
}

lethe_result shard_read_begin(struct lethe_shard *shard, struct lethe_error *err)
{
    REQUIRE(shard->alive == SHARD_ALIVE);
    pthread_mutex_lock(&shard->worker->lock);
    bool is_sealed = shard->phase == SHARD_SEALED;
    shard->readers += is_sealed;
    pthread_mutex_unlock(&shard->worker->lock);
    return is_sealed ? LETHE_OK : busy(shard, "is being evicted or replaced", err);
}

void shard_read_end(struct lethe_shard *shard)
{
    pthread_mutex_lock(&shard->worker->lock);
    REQUIRE(shard->readers > 0);
    if (--shard->readers == 0)
        pthread_cond_broadcast(&shard->worker->idle);
    pthread_mutex_unlock(&shard->worker->lock);
}

lethe_result shard_hold(struct lethe_shard *shard, struct lethe_error *err)
{
    REQUIRE(shard->alive == SHARD_ALIVE);
    pthread_mutex_lock(&shard->worker->lock);
    bool is_sealed = shard->phase == SHARD_SEALED;
    shard->holds += is_sealed;
    pthread_mutex_unlock(&shard->worker->lock);
    return is_sealed ? LETHE_OK : busy(shard, "is being evicted or replaced", err);
}

void shard_release(struct lethe_shard *shard)
{
    REQUIRE(shard->alive == SHARD_ALIVE);
    pthread_mutex_lock(&shard->worker->lock);
    REQUIRE(shard->holds > 0);
    shard->holds--;
    pthread_mutex_unlock(&shard->worker->lock);
}

/* Under worker->lock. */
static const struct lethe_shard *first_held(struct lethe_shard *const *shards, size_t count,
                                            unsigned own_holds)
{
    for (size_t i = 0; i < count; i++) {
        REQUIRE(shards[i]->phase == SHARD_SEALED); /* or two evict it at once */
        if (shards[i]->holds > own_holds)
            return shards[i];
    }
    return NULL;
}

/* Under worker->lock: from here on nobody begins to use them; who verifies them is waited for. */
static void leave(struct lethe_shard *const *shards, size_t count)
{
    for (size_t i = 0; i < count; i++)
        shards[i]->phase = SHARD_LEAVING;
    for (size_t i = 0; i < count; i++) {
        while (shards[i]->readers > 0)
            pthread_cond_wait(&shards[i]->worker->idle, &shards[i]->worker->lock);
    }
}

lethe_result shards_leave(struct lethe_shard *const *shards, size_t count, unsigned own_holds,
                          struct lethe_error *err)
{
    struct lethe_worker *worker = shards[0]->worker;
    pthread_mutex_lock(&worker->lock);
    const struct lethe_shard *held = first_held(shards, count, own_holds);
    if (held == NULL)
        leave(shards, count);
    pthread_mutex_unlock(&worker->lock);
    return held == NULL ? LETHE_OK : busy(held, "is held by an execution, a group or a cache", err);
}

/* ---- the worker's list ----------------------------------------------------------------------- */

static bool has_id(const struct lethe_worker *worker, const char *id)
{
    const struct lethe_shard *shard;
    TAILQ_FOREACH(shard, &worker->shards, link)
    {
        if (strcmp(shard->id, id) == 0)
            return true;
    }
    return false;
}

static lethe_result list_add(struct lethe_shard *shard, struct lethe_error *err)
{
    struct lethe_worker *worker = shard->worker;
    pthread_mutex_lock(&worker->lock);
    bool is_new = !has_id(worker, shard->id);
    if (is_new)
        TAILQ_INSERT_TAIL(&worker->shards, shard, link);
    pthread_mutex_unlock(&worker->lock);
    if (is_new)
        return LETHE_OK;
    return error_set(err, LETHE_EXISTS, "worker %s has a shard '%s' already", worker->name,
                     shard->id);
}

static void list_remove(struct lethe_shard *shard)
{
    pthread_mutex_lock(&shard->worker->lock);
    TAILQ_REMOVE(&shard->worker->shards, shard, link);
    pthread_mutex_unlock(&shard->worker->lock);
}

/* ---- make and drop --------------------------------------------------------------------------- */

lethe_result shard_create(struct lethe_worker *worker, const struct lethe_placement *placement,
                          struct lethe_shard **out, struct lethe_error *err)
{
    CLEANUP(memory_free) struct lethe_shard *shard = calloc(1, sizeof *shard);
    if (shard == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a shard");
    shard->alive = SHARD_ALIVE;
    shard->worker = worker;
    shard->device_index = placement->device;
    shard->class_ = placement->class_ == LETHE_CLASS_KEY ? LETHE_CLASS_WEIGHTS : placement->class_;
    strncat(shard->id, placement->id, sizeof shard->id - 1);
    if (placement->tenant != NULL)
        strncat(shard->tenant, placement->tenant, sizeof shard->tenant - 1);
    TRY(list_add(shard, err));
    *out = MOVE(shard);
    return LETHE_OK;
}

lethe_result shard_empty(struct lethe_shard *shard, struct lethe_error *err)
{
    seal_tags_free(MOVE(shard->tags));
    return worker_release(shard->worker, shard->id, shard->tenant, MOVE(shard->memory), err);
}

lethe_result shard_drop(struct lethe_shard *shard, struct lethe_error *err)
{
    lethe_result result = shard_empty(shard, err);
    list_remove(shard);
    mark_freed(&shard->alive);
    free(shard);
    return result;
}

/* ---- evict ----------------------------------------------------------------------------------- */

void shard_count_evicted(struct lethe_worker *worker, lethe_result result)
{
    count_one(&worker->counters.evicted);
    if (result != LETHE_OK)
        count_one(&worker->counters.evict_failures);
}

lethe_result shards_evict(struct lethe_shard *const *shards, size_t count, unsigned own_holds,
                          lethe_result *wiped, struct lethe_error *err)
{
    struct lethe_worker *worker = shards[0]->worker;
    *wiped = LETHE_OK;
    TRY(shards_leave(shards, count, own_holds, err));
    for (size_t i = 0; i < count; i++) {
        lethe_result result = shard_drop(shards[i], *wiped == LETHE_OK ? err : NULL);
        shard_count_evicted(worker, result);
        if (*wiped == LETHE_OK)
            *wiped = result;
    }
    return LETHE_OK;
}

lethe_result lethe_shard_evict(struct lethe_shard *shard, struct lethe_error *err)
{
    if (shard == NULL)
        return LETHE_OK;
    REQUIRE(shard->alive == SHARD_ALIVE);
    lethe_result wiped;
    TRY(shards_evict(&shard, 1, 0, &wiped, err));
    return wiped;
}

/* ---- what it says ---------------------------------------------------------------------------- */

/* Under the lock, as another thread may be replacing it. */
void lethe_shard_get_seal(const struct lethe_shard *shard, struct lethe_seal *out)
{
    REQUIRE(shard->alive == SHARD_ALIVE);
    pthread_mutex_lock(&shard->worker->lock);
    *out = shard->seal;
    pthread_mutex_unlock(&shard->worker->lock);
}

uint64_t lethe_shard_size(const struct lethe_shard *shard)
{
    REQUIRE(shard->alive == SHARD_ALIVE);
    pthread_mutex_lock(&shard->worker->lock);
    uint64_t size_bytes = shard->size_bytes;
    pthread_mutex_unlock(&shard->worker->lock);
    return size_bytes;
}

/* Stays the same. */
const char *lethe_shard_id(const struct lethe_shard *shard)
{
    REQUIRE(shard->alive == SHARD_ALIVE);
    return shard->id;
}
