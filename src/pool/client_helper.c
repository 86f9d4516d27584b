/* Questions to the control plane, which block: on the thread that asks, or on one beside. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/thread.h"
#include "pool/client_calls.h"

lethe_result client_ask_control(struct lethe_pool *pool, enum wire_type type,
                                const struct buffer *index, struct buffer *answer,
                                struct lethe_error *err)
{
    struct caller_reply reply;
    pthread_mutex_lock(&pool->control_lock);
    lethe_result result = caller_ask(pool->caller, type, index, &reply, err);
    if (result == LETHE_OK) {
        buffer_append(answer, reply.index.at, cursor_left(&reply.index));
        result = buffer_result(answer, err);
    }
    pthread_mutex_unlock(&pool->control_lock);
    return result;
}

static lethe_result drop(struct lethe_pool *pool, const struct lease_id *id)
{
    CLEANUP(buffer_clear) struct buffer index = {0};
    CLEANUP(buffer_clear) struct buffer answer = {0};
    wire_lease_write(id, &index);
    TRY(buffer_result(&index, NULL));
    return client_ask_control(pool, WIRE_DROP, &index, &answer, NULL);
}

/* What was granted and cannot be used is given back. A control plane that says nothing is waited
 * for once. */
void client_drop(struct lethe_pool *pool, const struct wire_allocated *placed)
{
    lethe_result result = LETHE_OK;
    for (size_t i = 0; i < placed->count && result != LETHE_UNAVAILABLE; i++)
        result = drop(pool, &placed->copies[i].lease);
}

lethe_result client_drop_wiped(struct lethe_pool *pool, const struct lease_id *id,
                               struct lethe_error *err)
{
    pthread_mutex_lock(&pool->control_lock);
    lethe_result result = caller_drop(pool->caller, id, err);
    pthread_mutex_unlock(&pool->control_lock);
    return result;
}

static void ask_for(struct lethe_pool *pool, struct client_job *job)
{
    CLEANUP(buffer_clear) struct buffer index = {0};
    CLEANUP(buffer_clear) struct buffer answer = {0};
    wire_lease_write(&job->id, &index);
    lethe_result result = buffer_result(&index, &job->error);
    if (result == LETHE_OK)
        result = client_ask_control(pool, job->type, &index, &answer, &job->error);
    if (result != LETHE_OK || job->type != WIRE_TOKEN)
        return;
    struct lease_terms terms;
    if (token_peek(answer.bytes, answer.size_bytes, &terms, &job->error) != LETHE_OK)
        return;
    if (memcmp(&terms.lease, &job->id, sizeof job->id) != 0) {
        error_set(&job->error, LETHE_MALFORMED, "the control plane gave another lease's token");
        return;
    }
    memcpy(job->token, answer.bytes, answer.size_bytes);
    job->token_bytes = answer.size_bytes;
}

/* ---- back on the worker ---------------------------------------------------------------------- */

static void job_done(void *context)
{
    struct client_job *job = context;
    struct client_call *call = job->call;
    if (job->type == WIRE_TOKEN && job->copy != NULL)
        client_copy_token(job->copy, job);
    /* What there is no more is released. */
    if (call != NULL && job->error.code != LETHE_OK && job->error.code != LETHE_NOT_FOUND) {
        struct lethe_error why = {0};
        error_set(&why, job->error.code == LETHE_UNWIPED ? LETHE_UNWIPED : LETHE_UNAVAILABLE,
                  "a copy could not be shown to be wiped: %.300s", job->error.text);
        client_call_fail(call, &why);
    }
    free(job);
    if (call != NULL)
        client_call_answered(call);
}

/* ---- the thread ------------------------------------------------------------------------------ */

static struct client_job *next_job(struct lethe_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    while (STAILQ_EMPTY(&pool->jobs) && !pool->helper_stops)
        pthread_cond_wait(&pool->helper_wake, &pool->lock);
    struct client_job *job = STAILQ_FIRST(&pool->jobs);
    if (job != NULL)
        STAILQ_REMOVE_HEAD(&pool->jobs, next);
    pthread_mutex_unlock(&pool->lock);
    return job;
}

static uint64_t clock_ms(void)
{
    return clock_monotonic_ns(&clock_system) / 1000000;
}

/* When a question was last not answered, and why: all that waited behind it are told the same,
 * instead of each waiting as long. */
struct silence {
    uint64_t until_ms;
    struct lethe_error why;
};

static void ask_or_tell(struct lethe_pool *pool, struct client_job *job, struct silence *silence)
{
    if (pool->helper_stops && job->type == WIRE_TOKEN) {
        error_set(&job->error, LETHE_CANCELLED, "the pool is closed");
    } else if (job->since_ms < silence->until_ms) {
        job->error = silence->why;
    } else {
        ask_for(pool, job);
        if (job->error.code == LETHE_UNAVAILABLE)
            *silence = (struct silence){clock_ms(), job->error};
    }
}

static void *help(void *context)
{
    struct lethe_pool *pool = context;
    struct silence silence = {0};
    struct client_job *job;
    while ((job = next_job(pool)) != NULL) {
        ask_or_tell(pool, job, &silence);
        job->task = (struct loop_task){.work = job_done, .context = job};
        client_post(job->worker, &job->task);
    }
    return NULL;
}

lethe_result client_helper_start(struct lethe_pool *pool, struct lethe_error *err)
{
    TRY(thread_start(&pool->helper, help, pool, err));
    pool->has_helper = true;
    return LETHE_OK;
}

void client_helper_stop(struct lethe_pool *pool)
{
    if (!pool->has_helper)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->helper_stops = true;
    pthread_cond_signal(&pool->helper_wake);
    pthread_mutex_unlock(&pool->lock);
    pthread_join(pool->helper, NULL);
}

static void fail_call(struct client_call *call)
{
    struct lethe_error why = {0};
    error_set(&why, LETHE_NO_MEMORY, "no memory to ask the control plane");
    client_call_fail(call, &why);
    client_call_answered(call);
}

void client_job_start(struct client_copy *copy, enum wire_type type, struct client_call *call)
{
    struct lethe_pool *pool = copy->lease->pool;
    struct client_job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        if (call != NULL)
            fail_call(call);
        return; /* who wants a token asks again at the next tick */
    }
    job->type = type;
    job->worker = copy->lease->worker;
    job->call = call;
    job->id = copy->id;
    job->since_ms = clock_ms();
    if (type == WIRE_TOKEN) {
        job->copy = copy;
        copy->job = job;
    }
    pthread_mutex_lock(&pool->lock);
    STAILQ_INSERT_TAIL(&pool->jobs, job, next);
    pthread_cond_signal(&pool->helper_wake);
    pthread_mutex_unlock(&pool->lock);
}
