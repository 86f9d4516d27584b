#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "residency/inside.h"

#define EXECUTION_ALIVE 0xe8ec07e5u

struct lethe_execution {
    struct lethe_worker *worker;
    enum lethe_verify_mode mode;
    _Atomic uint64_t again; /* verifications since the first */
    unsigned alive;         /* EXECUTION_ALIVE until its end */
    size_t count;
    struct lethe_shard *shards[]; /* all of them held */
};

/* ---- begin ----------------------------------------------------------------------------------- */

/* CI-007: `signature` says nothing about the weights, so nothing is executed on it. */
static lethe_result check_mode(enum lethe_verify_mode mode, struct lethe_error *err)
{
    TRY(verify_mode_check(mode, err));
    if (mode != LETHE_VERIFY_SIGNATURE)
        return LETHE_OK;
    return error_set(err, LETHE_INVALID,
                     "an execution on a signature alone: fast or full verification is needed");
}

static lethe_result check_shards(const struct lethe_worker *worker,
                                 struct lethe_shard *const *shards, size_t count,
                                 struct lethe_error *err)
{
    if (shards == NULL || count == 0)
        return error_set(err, LETHE_INVALID, "an execution without shards");
    for (size_t i = 0; i < count; i++) {
        if (shards[i] == NULL)
            return error_set(err, LETHE_INVALID, "shard %zu of an execution: there is none", i);
        REQUIRE(shards[i]->alive == SHARD_ALIVE);
        if (shards[i]->worker != worker)
            return error_set(err, LETHE_INVALID, "shard '%s' is not one of worker %s",
                             shards[i]->id, worker->name);
    }
    return LETHE_OK;
}

static lethe_result check_ready(const struct lethe_worker *worker, struct lethe_error *err)
{
    TRY(worker_check(worker, err));
    if (lethe_worker_state(worker) != LETHE_WORKER_STARTING)
        return LETHE_OK;
    return error_set(err, LETHE_BUSY, "worker %s is not ready yet", worker->name);
}

static void release_all(struct lethe_execution *execution)
{
    for (size_t i = 0; i < execution->count; i++)
        shard_release(execution->shards[i]);
    execution->count = 0;
}

static lethe_result hold_all(struct lethe_execution *execution, struct lethe_shard *const *shards,
                             size_t count, struct lethe_error *err)
{
    for (size_t i = 0; i < count; i++) {
        TRY(shard_hold(shards[i], err));
        execution->shards[execution->count++] = shards[i];
    }
    return LETHE_OK;
}

static lethe_result verify_all(const struct lethe_execution *execution, struct lethe_error *err)
{
    for (size_t i = 0; i < execution->count; i++)
        TRY(shard_verify(execution->shards[i], execution->mode, err));
    return worker_check(execution->worker, err); /* may have been stopped since the first */
}

static void record_all(const struct lethe_execution *execution, uint64_t count)
{
    for (size_t i = 0; i < execution->count; i++)
        shard_record_verified(execution->shards[i], execution->mode, count);
}

static void execution_discard(struct lethe_execution *execution)
{
    if (execution == NULL)
        return;
    release_all(execution);
    mark_freed(&execution->alive);
    free(execution);
}
DEFINE_CLEANUP(execution_discard, struct lethe_execution *);

static struct lethe_execution *execution_new(struct lethe_worker *worker, size_t count,
                                             enum lethe_verify_mode mode)
{
    size_t size_bytes;
    if (__builtin_mul_overflow(count, sizeof(struct lethe_shard *), &size_bytes) ||
        __builtin_add_overflow(size_bytes, sizeof(struct lethe_execution), &size_bytes))
        return NULL;
    struct lethe_execution *execution = calloc(1, size_bytes);
    if (execution == NULL)
        return NULL;
    execution->worker = worker;
    execution->mode = mode;
    execution->alive = EXECUTION_ALIVE;
    return execution;
}

lethe_result lethe_execution_begin(struct lethe_worker *worker, struct lethe_shard *const *shards,
                                   size_t count, enum lethe_verify_mode mode,
                                   struct lethe_execution **out, struct lethe_error *err)
{
    *out = NULL;
    TRY(check_mode(mode, err));
    TRY(check_shards(worker, shards, count, err));
    TRY(check_ready(worker, err));
    CLEANUP(execution_discard)
    struct lethe_execution *execution = execution_new(worker, count, mode);
    if (execution == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for an execution");
    TRY(hold_all(execution, shards, count, err));
    TRY(verify_all(execution, err));
    record_all(execution, 1);
    count_one(&worker->counters.executions);
    *out = MOVE(execution);
    return LETHE_OK;
}

/* ---- go on, and end -------------------------------------------------------------------------- */

lethe_result lethe_execution_verify(struct lethe_execution *execution, struct lethe_error *err)
{
    REQUIRE(execution->alive == EXECUTION_ALIVE);
    TRY(verify_all(execution, err));
    count_one(&execution->again);
    return LETHE_OK;
}

const void *lethe_execution_address(const struct lethe_execution *execution,
                                    const struct lethe_shard *shard)
{
    REQUIRE(execution->alive == EXECUTION_ALIVE);
    if (worker_check(execution->worker, NULL) != LETHE_OK)
        return NULL;
    for (size_t i = 0; i < execution->count; i++) {
        if (execution->shards[i] == shard)
            return device_memory_address(shard->memory);
    }
    return NULL;
}

void lethe_execution_end(struct lethe_execution *execution)
{
    if (execution == NULL)
        return;
    REQUIRE(execution->alive == EXECUTION_ALIVE);
    uint64_t again = atomic_load(&execution->again);
    if (again > 0)
        record_all(execution, again);
    execution_discard(execution);
}
