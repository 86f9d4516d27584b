/* TOKEN, DROP; leases end. */
#include <string.h>

#include "base/error.h"
#include "pool/control_core.h"

/* ---- requests -------------------------------------------------------------------------------- */

/* Somebody else's, and one that there is not, are answered alike. */
static lethe_result find_own(const struct control_peer *peer, const struct link_frame *frame,
                             struct pool_lease **out, struct lethe_error *err)
{
    struct lease_id id;
    TRY(wire_lease_read(frame->index, &id, err));
    struct pool_lease *lease = registry_find_lease(peer->control->registry, &id);
    if (lease == NULL || !lease->durable || strcmp(lease->consumer->id, peer->id.text) != 0)
        return error_set(err, LETHE_NOT_FOUND, "there is no such lease");
    *out = lease;
    return LETHE_OK;
}

/* A policy that says no by now says it here too. */
static lethe_result check_token(const struct control_peer *peer, const struct pool_lease *lease,
                                struct lethe_error *err)
{
    const struct pool_provider *provider = lease->provider;
    if (lease->state == LEASE_LOST)
        return error_set(err, LETHE_LOST, "the lease's provider is gone");
    if (lease->ending || lease->state == LEASE_WIPING || lease->cause != LEASE_CAUSE_NONE)
        return error_set(err, error_not_ok(lease_cause_result(lease->cause)),
                         "the lease has ended: %s", lease_cause_word(lease->cause));
    if (provider->row.wish != PROVIDER_OPEN)
        return error_set(err, LETHE_UNAVAILABLE, "provider %s is draining", provider->row.id);
    const struct policy_lease question = {.provider = provider->row.id,
                                          .lent_bytes = provider->lent_bytes - lease->bytes,
                                          .consumer = lease->consumer->id,
                                          .tenant = lease->consumer->tenant->name,
                                          .held_bytes = lease->consumer->held_bytes - lease->bytes,
                                          .bytes = lease->bytes};
    return policy_allows_lease(peer->control, &question, err);
}

static void give_token(struct control *control, struct control_job *job, lethe_result result,
                       const struct lethe_error *why)
{
    const struct peer_reply reply = {.request = &job->request, .index = &job->index};
    peer_answer(job->peer, &reply);
    job_free(job);
}

lethe_result control_token(struct control_peer *peer, const struct link_frame *frame,
                           struct lethe_error *err)
{
    struct pool_lease *lease;
    CLEANUP(job_free) struct control_job *job = NULL;
    TRY(find_own(peer, frame, &lease, err));
    TRY(check_token(peer, lease, err));
    TRY(job_create(peer, &frame->head, 0, &job, err));
    TRY(lease_sign(peer->control, lease, &job->index, err));
    job->done = give_token;
    job_queue(peer->control, MOVE(job));
    return LETHE_OK;
}

lethe_result control_drop(struct control_peer *peer, const struct link_frame *frame,
                          struct lethe_error *err)
{
    struct pool_lease *lease;
    struct control_waiter *waiter;
    TRY(find_own(peer, frame, &lease, err));
    if (lease->state == LEASE_LOST || !provider_is_here(lease->provider))
        return error_set(err, LETHE_UNAVAILABLE,
                         "provider %s is out of reach: the lease runs out there",
                         lease->provider->row.id);
    TRY(waiter_create(peer, &frame->head, &waiter, err));
    lethe_result result = lease_await(lease, waiter, err);
    if (result == LETHE_OK)
        provider_stop_lease(peer->control, lease->provider, &lease->id, LEASE_CAUSE_RELEASED);
    waiter_step(waiter, result, err);
    return LETHE_OK;
}

/* ---- ends ------------------------------------------------------------------------------------ */

void lease_remove(struct control *control, struct pool_lease *lease)
{
    struct lethe_error gone = {0};
    if (lease->waiting != NULL) {
        error_set(&gone, LETHE_NOT_FOUND, "there is no such lease any more");
        lease_tell_waiting(lease, LETHE_NOT_FOUND, &gone);
    }
    registry_remove_lease(control->registry, lease);
}

/* What could not be made durable is reported, or found, again. */
static void tell_ended(struct pool_lease *lease, enum lease_state state)
{
    struct lethe_error why = {0};
    if (state == LEASE_RECLAIMED) {
        lease_tell_waiting(lease, LETHE_OK, NULL);
    } else if (state == LEASE_UNWIPED) {
        error_set(&why, LETHE_UNWIPED, "provider %s could not show that the memory is wiped",
                  lease->provider->row.id);
        lease_tell_waiting(lease, LETHE_UNWIPED, &why);
    } else {
        error_set(&why, LETHE_LOST, "provider %s has the lease no more", lease->provider->row.id);
        lease_tell_waiting(lease, LETHE_LOST, &why);
    }
}

static void retry_with(struct control *control, struct pool_lease *lease, const char *what)
{
    struct control_peer *peer = lease->provider->link;
    lease->ending = false;
    if (peer != NULL && peer->link != NULL)
        link_end(peer->link, LETHE_UNAVAILABLE, what);
}

static void has_ended(struct control *control, struct control_job *job, lethe_result result,
                      const struct lethe_error *why)
{
    struct pool_lease *lease = job->subject;
    enum lease_state state = (enum lease_state)job->number;
    job_free(job);
    if (result != LETHE_OK) {
        retry_with(control, lease, "the end of a lease could not be made durable");
        return;
    }
    control->counters.leases_ended++;
    control->counters.leases_lost += state == LEASE_LOST ? 1 : 0;
    tell_ended(lease, state);
    lease_remove(control, lease);
}

/* A job about one lease. Without memory for it the provider is to come back and report again. */
static struct control_job *job_about(struct control *control, struct pool_lease *lease,
                                     job_done *done)
{
    struct control_job *job;
    if (job_create(NULL, NULL, 1, &job, NULL) != LETHE_OK) {
        retry_with(control, lease, "no memory for the end of a lease");
        return NULL;
    }
    strcpy(job->tenant, lease->consumer->tenant->name);
    job->subject = lease;
    job->done = done;
    lease->ending = true;
    return job;
}

void lease_end(struct control *control, struct pool_lease *lease, enum lease_state state,
               enum lease_cause cause)
{
    if (lease->ending)
        return;
    struct control_job *job = job_about(control, lease, has_ended);
    if (job == NULL)
        return;
    change_end(lease, state, cause, &job->changes[0]);
    job->number = state;
    job_queue(control, job);
}

/* ---- lost, and found ------------------------------------------------------------------------- */

static void is_lost(struct control *control, struct control_job *job, lethe_result result,
                    const struct lethe_error *why)
{
    struct pool_lease *lease = job->subject;
    job_free(job);
    lease->ending = false;
    if (result != LETHE_OK)
        return; /* the sweep finds it again */
    control->counters.leases_lost++;
    lease->lost_ms = loop_now_ms(control->loop);
    registry_set_state(control->registry, lease, LEASE_LOST);
    tell_ended(lease, LEASE_LOST);
}

void lease_lose(struct control *control, struct pool_lease *lease, bool row_stays)
{
    if (!row_stays) {
        lease_end(control, lease, LEASE_LOST, LEASE_CAUSE_PROVIDER_LOST);
        return;
    }
    if (lease->ending)
        return;
    struct control_job *job = job_about(control, lease, is_lost);
    if (job == NULL)
        return;
    change_lose(lease, &job->changes[0]);
    job_queue(control, job);
}

static void is_back(struct control *control, struct control_job *job, lethe_result result,
                    const struct lethe_error *why)
{
    struct pool_lease *lease = job->subject;
    enum lease_state state = (enum lease_state)job->number;
    job_free(job);
    lease->ending = false;
    if (result == LETHE_OK)
        registry_set_state(control->registry, lease, state);
    else
        retry_with(control, lease, "the return of a lease could not be made durable");
}

void lease_return(struct control *control, struct pool_lease *lease, enum lease_state state)
{
    if (lease->ending)
        return;
    struct control_job *job = job_about(control, lease, is_back);
    if (job == NULL)
        return;
    change_return(lease, state, &job->changes[0]);
    job->number = state;
    job_queue(control, job);
}

static void is_forgotten(struct control *control, struct control_job *job, lethe_result result,
                         const struct lethe_error *why)
{
    struct pool_lease *lease = job->subject;
    job_free(job);
    lease->ending = false;
    if (result == LETHE_OK)
        lease_remove(control, lease);
}

void lease_forget(struct control *control, struct pool_lease *lease)
{
    if (lease->ending)
        return;
    struct control_job *job = job_about(control, lease, is_forgotten);
    if (job == NULL)
        return;
    change_forget(lease, &job->changes[0]);
    job_queue(control, job);
}
