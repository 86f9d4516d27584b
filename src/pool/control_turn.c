/* Jobs: what becomes durable together, and then is answered. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "pool/control_core.h"

/* ---- their life ------------------------------------------------------------------------------ */

lethe_result job_create(struct control_peer *peer, const struct wire_head *request,
                        size_t change_count, struct control_job **out, struct lethe_error *err)
{
    REQUIRE(change_count <= JOB_CHANGES_MAX);
    CLEANUP(job_free) struct control_job *job = calloc(1, sizeof *job);
    if (job == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a request");
    if (change_count > 0)
        job->changes = calloc(change_count, sizeof *job->changes);
    if (change_count > 0 && job->changes == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a request");
    job->change_count = change_count;
    if (peer != NULL) {
        peer_hold(peer);
        job->peer = peer;
    }
    if (request != NULL)
        job->request = *request;
    *out = MOVE(job);
    return LETHE_OK;
}

void job_free(struct control_job *job)
{
    if (job == NULL)
        return;
    for (size_t i = 0; job->changes != NULL && i < job->change_count; i++)
        change_clear(&job->changes[i]);
    free(job->changes);
    free(job->order);
    buffer_clear(&job->index);
    peer_let_go(job->peer);
    free(job);
}

void job_queue(struct control *control, struct control_job *job)
{
    if (control->last_job == NULL)
        control->first_job = job;
    else
        control->last_job->next = job;
    control->last_job = job;
    loop_timer_set(control->turn, 0);
}

/* ---- answers --------------------------------------------------------------------------------- */

void job_answer(struct control *control, struct control_job *job, lethe_result result,
                const struct lethe_error *why)
{
    const struct peer_reply reply = {.request = &job->request};
    if (result == LETHE_OK)
        peer_answer(job->peer, &reply);
    else
        peer_refuse(job->peer, &job->request, why);
    job_free(job);
}

static void refuse(struct control *control, struct control_job *job, lethe_result result,
                   const struct lethe_error *why)
{
    peer_refuse(job->peer, &job->request, &job->why);
    job_free(job);
}

lethe_result job_queue_refusal(struct control_peer *peer, const struct wire_head *request,
                               const struct lethe_error *why, struct lethe_error *err)
{
    struct control_job *job;
    TRY(job_create(peer, request, 0, &job, err));
    job->why = *why;
    job->done = refuse;
    peer->control->counters.refused++;
    job_queue(peer->control, job);
    return LETHE_OK;
}

/* ---- one transaction ------------------------------------------------------------------------- */

#define BATCH_CHANGES_MAX (1 + KEEPER_OTHERS_MAX)

/* Jobs of one tenant and actor, whose records can stand in one transaction. */
struct batch {
    struct control_job *jobs[BATCH_CHANGES_MAX];
    size_t job_count;
    struct audit_event events[BATCH_CHANGES_MAX];
    size_t event_count;
};

static bool goes_with(const struct control_job *job, const struct control_job *first)
{
    return strcmp(job->tenant, first->tenant) == 0;
}

static void add(struct batch *batch, struct control_job *job)
{
    batch->jobs[batch->job_count++] = job;
    for (size_t i = 0; i < job->change_count; i++)
        batch->events[batch->event_count++] = job->changes[i].event;
}

/* Jobs of different tenants are about different rows, so that one may pass the other. What somebody
 * else's wish is about may be anything: nothing passes that. */
static void collect(struct control_job *first, struct batch *out)
{
    out->job_count = out->event_count = 0;
    for (struct control_job *job = first; job != NULL; job = job->next) {
        if (strcmp(job->actor, first->actor) != 0)
            return;
        if (job->is_durable || job->change_count == 0 || !goes_with(job, first))
            continue;
        if (out->event_count + job->change_count > BATCH_CHANGES_MAX)
            return;
        add(out, job);
    }
}

static lethe_result write_rows(struct store *store, void *context, uint64_t epoch,
                               struct audit_event *event, struct lethe_error *err)
{
    const struct batch *batch = context;
    for (size_t i = 0; i < batch->job_count; i++) {
        const struct control_job *job = batch->jobs[i];
        for (size_t j = 0; j < job->change_count; j++)
            TRY(change_write(store, &job->changes[j], err));
    }
    *event = batch->events[0];
    return LETHE_OK;
}

static lethe_result commit(struct control *control, struct batch *batch, struct lethe_error *err)
{
    struct keeper *keeper = control->options.keeper;
    const struct control_job *first = batch->jobs[0];
    const struct keeper_rows_change rows = {.change = write_rows,
                                            .context = batch,
                                            .others = batch->events + 1,
                                            .other_count = batch->event_count - 1};
    keeper_act_for(keeper, first->actor[0] == '\0' ? NULL : first->actor);
    lethe_result result = keeper_change_many(keeper, first->tenant, &rows, err);
    keeper_act_for(keeper, NULL);
    return result;
}

/* A store or a log that is not as it was left ends the control plane: whoever starts it anew has
 * them compared. */
static void note_failure(struct control *control, const struct lethe_error *why)
{
    control->counters.transactions_failed++;
    if (!keeper_is_damaged(control->options.keeper) || control->failure != LETHE_OK)
        return;
    control->failure = why->code;
    control->why = *why;
    loop_stop(control->loop);
}

static void commit_batch(struct control *control, struct batch *batch)
{
    struct lethe_error why = {0};
    lethe_result result = commit(control, batch, &why);
    if (result == LETHE_OK) {
        control->counters.transactions++;
        control->counters.records += batch->event_count;
    } else {
        note_failure(control, &why);
    }
    for (size_t i = 0; i < batch->job_count; i++) {
        batch->jobs[i]->is_durable = true; /* or has failed: it is not tried again */
        batch->jobs[i]->result = result;
        if (result != LETHE_OK)
            batch->jobs[i]->why = why;
    }
}

/* ---- the turn -------------------------------------------------------------------------------- */

static void make_durable(struct control *control, struct control_job *jobs)
{
    static struct batch batch; /* large; there is one thread */
    for (struct control_job *job = jobs; job != NULL; job = job->next) {
        if (job->is_durable || job->change_count == 0)
            continue;
        collect(job, &batch);
        commit_batch(control, &batch);
    }
}

/* What the functions queue is of the next turn. */
void control_turn_finish(struct control *control)
{
    struct control_job *jobs = MOVE(control->first_job);
    control->last_job = NULL;
    if (jobs == NULL)
        return;
    control->counters.turns++;
    make_durable(control, jobs);
    while (jobs != NULL) {
        struct control_job *job = jobs;
        jobs = job->next;
        job->next = NULL;
        job->done(control, job, job->result, &job->why);
    }
}

/* ---- answers that wait for several things ---------------------------------------------------- */

lethe_result waiter_create(struct control_peer *peer, const struct wire_head *request,
                           struct control_waiter **out, struct lethe_error *err)
{
    struct control_waiter *waiter = calloc(1, sizeof *waiter);
    if (waiter == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a request");
    peer_hold(peer);
    waiter->peer = peer;
    waiter->request = *request;
    waiter->outstanding = 1; /* its maker's: nothing is answered before all was asked */
    *out = waiter;
    return LETHE_OK;
}

void waiter_step(struct control_waiter *waiter, lethe_result result, const struct lethe_error *why)
{
    const struct peer_reply reply = {.request = &waiter->request};
    if (result != LETHE_OK && waiter->result == LETHE_OK) {
        waiter->result = result;
        waiter->why = *why;
    }
    REQUIRE(waiter->outstanding > 0);
    if (--waiter->outstanding > 0)
        return;
    if (waiter->result == LETHE_OK)
        peer_answer(waiter->peer, &reply);
    else
        peer_refuse(waiter->peer, &waiter->request, &waiter->why);
    peer_let_go(waiter->peer);
    free(waiter);
}

/* Those who wait for one lease. */
struct awaited {
    struct control_waiter *waiter;
    struct awaited *next;
};

lethe_result lease_await(struct pool_lease *lease, struct control_waiter *waiter,
                         struct lethe_error *err)
{
    struct awaited *awaited = malloc(sizeof *awaited);
    if (awaited == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a request");
    *awaited = (struct awaited){waiter, lease->waiting};
    lease->waiting = awaited;
    waiter->outstanding++;
    return LETHE_OK;
}

void lease_tell_waiting(struct pool_lease *lease, lethe_result result,
                        const struct lethe_error *why)
{
    struct awaited *awaited = MOVE(lease->waiting);
    while (awaited != NULL) {
        struct awaited *next = awaited->next;
        waiter_step(awaited->waiter, result, why);
        free(awaited);
        awaited = next;
    }
}
