/* REPORT: what a provider has is compared with what it should have. */
#include <string.h>

#include "base/error.h"
#include "pool/control_core.h"

/* ---- one lease ------------------------------------------------------------------------------- */

/* It was granted to this provider, in this boot, by this grant. */
static bool is_of(const struct pool_lease *lease, const struct pool_provider *provider,
                  const struct wire_change *change)
{
    return lease != NULL && lease->provider == provider &&
           lease->generation == change->generation &&
           memcmp(lease->boot_id, provider->row.boot_id, sizeof lease->boot_id) == 0;
}

static bool is_running(enum lease_state state)
{
    return !lease_is_final(state) && state != LEASE_WIPING;
}

/* A grant that nobody has: this process died before it was durable, or what was asked for failed.
 * Or it is somebody else's, which changes nothing for that one. */
static void refuse_unknown(struct control *control, struct pool_provider *provider,
                           const struct wire_change *change)
{
    if (is_running(change->state))
        provider_stop_lease(control, provider, &change->lease, LEASE_CAUSE_FORCE_STOPPED);
}

static void take_final(struct control *control, struct pool_lease *lease,
                       const struct wire_change *change)
{
    if (lease->durable) {
        lease_end(control, lease, change->state, change->cause);
        return;
    }
    /* It ends when it has become durable, or is undone. */
    registry_set_state(control->registry, lease, change->state);
    lease->cause = change->cause;
}

static void take_change(struct control *control, struct pool_provider *provider,
                        const struct wire_change *change)
{
    struct pool_lease *lease = registry_find_lease(control->registry, &change->lease);
    if (!is_of(lease, provider, change)) {
        refuse_unknown(control, provider, change);
        return;
    }
    lease->seen = true;
    lease->expires_ms = loop_now_ms(control->loop) + MIN(change->left_ms, POOL_TTL_MAX_MS);
    if (lease->ending)
        return;
    if (lease_is_final(change->state))
        take_final(control, lease, change);
    else if (lease->state == LEASE_LOST)
        lease_return(control, lease, change->state);
    else
        registry_set_state(control->registry, lease, change->state);
    if (change->state == LEASE_WIPING && lease->cause == LEASE_CAUSE_NONE)
        lease->cause = change->cause;
}

/* ---- when all is listed ---------------------------------------------------------------------- */

/* It was told, or will be for good, that this lease ends. */
static enum lease_cause must_end(const struct pool_lease *lease)
{
    if (lease->state == LEASE_WIPING || lease_is_final(lease->state))
        return LEASE_CAUSE_NONE;
    return lease->provider->row.wish == PROVIDER_STOPPED ? LEASE_CAUSE_FORCE_STOPPED : lease->cause;
}

static void compare(struct control *control, struct pool_lease *lease)
{
    if (!lease->durable || lease->ending)
        return;
    if (!lease->seen && lease->state == LEASE_LOST)
        lease_forget(control, lease);
    else if (!lease->seen)
        lease_lose(control, lease, false); /* it is there, and has no such lease */
    else if (must_end(lease) != LEASE_CAUSE_NONE)
        provider_stop_lease(control, lease->provider, &lease->id, must_end(lease));
}

struct banning {
    struct control *control;
    struct pool_provider *provider;
    lethe_result result;
};

static bool ban(void *context, const struct revoked_row *row)
{
    struct banning *banning = context;
    banning->result = provider_ban(banning->control, banning->provider, row->id, true, NULL, NULL);
    return banning->result == LETHE_OK;
}

/* All of this is in front of the answer of the report, behind which it serves consumers. */
static lethe_result instruct(struct control *control, struct pool_provider *provider,
                             struct lethe_error *err)
{
    struct pool_lease *next;
    struct banning banning = {control, provider, LETHE_OK};
    for (struct pool_lease *lease = provider->first; lease != NULL; lease = next) {
        next = lease->next;
        compare(control, lease);
    }
    registry_each_revoked(control->registry, ban, &banning);
    if (banning.result != LETHE_OK)
        return error_set(err, banning.result, "the provider could not be told who is revoked");
    return provider_maintain(control, provider, NULL, err);
}

/* ---- the request ----------------------------------------------------------------------------- */

static void take_counts(struct pool_provider *provider, const struct wire_report *report)
{
    provider->free_bytes = report->free_bytes;
    provider->used_bytes = report->used_bytes;
    provider->wiping_bytes = report->wiping_bytes;
    provider->unwiped_bytes = report->unwiped_bytes;
}

lethe_result control_report(struct control_peer *peer, const struct link_frame *frame,
                            struct lethe_error *err)
{
    struct control *control = peer->control;
    struct wire_report *report = &control->report;
    struct pool_provider *provider = peer->provider;
    CLEANUP(job_free) struct control_job *job = NULL;
    if (provider == NULL)
        return error_set(err, LETHE_MALFORMED, "a REPORT of a provider that has not joined");
    TRY(wire_report_read(frame->index, report, err));
    TRY(job_create(peer, &frame->head, 0, &job, err));
    provider->heard_ms = loop_now_ms(control->loop);
    take_counts(provider, report);
    for (size_t i = 0; i < report->count; i++)
        take_change(control, provider, &report->changes[i]);
    if (report->last && !provider->listed) {
        provider->listed = true;
        TRY(instruct(control, provider, err));
    }
    job->done = job_answer;
    job_queue(control, MOVE(job));
    return LETHE_OK;
}
