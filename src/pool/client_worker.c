/* Workers: a thread with a loop each. */
#include <stdlib.h>

#include "base/error.h"
#include "base/thread.h"
#include "pool/client_calls.h"

/* ---- blocking calls -------------------------------------------------------------------------- */

static void wait_for(atomic_uint *done)
{
    while (atomic_load_explicit(done, memory_order_acquire) == 0)
        word_wait(done, 0);
}

void client_call_run(struct client_call *call, struct lethe_pool_lease *lease,
                     void (*run)(void *call))
{
    call->lease = lease;
    call->task = (struct loop_task){.work = run, .context = call};
    client_post(lease->worker, &call->task);
    wait_for(&call->done);
}

void client_call_fail(struct client_call *call, const struct lethe_error *why)
{
    if (call->error.code == LETHE_OK)
        call->error = *why;
}

void client_call_answered(struct client_call *call)
{
    REQUIRE(call->left > 0);
    if (--call->left > 0)
        return;
    if (call->lease != NULL && call->lease->ending == call)
        client_lease_forget(call->lease); /* who waits frees it */
    atomic_uint *done = &call->done;      /* the call is gone once it is set */
    atomic_store_explicit(done, 1, memory_order_release);
    word_wake(done);
}

/* ---- the clock ------------------------------------------------------------------------------- */

static void ticked(void *context)
{
    struct client_worker *worker = context;
    struct client_remote *remote, *next_remote;
    struct lethe_pool_lease *lease, *next;
    loop_timer_set(worker->tick, CLIENT_TICK_MS); /* sooner, where something asks for it below */
    for (lease = LIST_FIRST(&worker->leases); lease != NULL; lease = next) {
        next = LIST_NEXT(lease, next);
        client_lease_tick(lease);
    }
    for (remote = LIST_FIRST(&worker->remotes); remote != NULL; remote = next_remote) {
        next_remote = LIST_NEXT(remote, next);
        client_remote_tick(remote);
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

static void *work(void *context)
{
    struct client_worker *worker = context;
    struct lethe_error err = {0};
    REQUIRE(loop_run(worker->loop, &err) == LETHE_OK);
    return NULL;
}

static lethe_result start(struct client_worker *worker, struct lethe_error *err)
{
    TRY(loop_create(&worker->loop, err));
    TRY(loop_timer_create(worker->loop, ticked, worker, &worker->tick, err));
    loop_timer_set(worker->tick, CLIENT_TICK_MS);
    TRY(thread_start(&worker->thread, work, worker, err));
    worker->is_started = true;
    return LETHE_OK;
}

lethe_result client_worker_create(struct lethe_pool *pool, unsigned number,
                                  struct client_worker **out, struct lethe_error *err)
{
    *out = NULL;
    struct client_worker *worker = calloc(1, sizeof *worker);
    if (worker == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a pool's thread");
    worker->pool = pool;
    worker->number = number;
    LIST_INIT(&worker->remotes);
    LIST_INIT(&worker->leases);
    STAILQ_INIT(&worker->free_parts);
    lethe_result result = start(worker, err);
    if (result != LETHE_OK)
        client_worker_free(worker);
    else
        *out = worker;
    return result;
}

static void answer_call(void *call)
{
    client_call_answered(call);
}

/* What was posted before has run when this returns. */
static void finish_tasks(struct client_worker *worker)
{
    struct client_call call = {.left = 1, .task = {.work = answer_call, .context = &call}};
    client_post(worker, &call.task);
    wait_for(&call.done);
}

void client_worker_free(struct client_worker *worker)
{
    if (worker == NULL)
        return;
    if (worker->is_started) {
        finish_tasks(worker);
        loop_stop(worker->loop);
        pthread_join(worker->thread, NULL);
    }
    REQUIRE(LIST_EMPTY(&worker->leases));
    struct client_remote *remote;
    while ((remote = LIST_FIRST(&worker->remotes)) != NULL) {
        LIST_REMOVE(remote, next);
        client_remote_free(remote);
    }
    loop_timer_free(worker->tick);
    loop_free(worker->loop);
    client_memory_clear(worker);
    buffer_clear(&worker->index);
    free(worker);
}
