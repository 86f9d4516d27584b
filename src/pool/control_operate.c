/* REVOKE, RESTORE, FORCE_STOP, DRAIN, QUOTA: what operators wish. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "pool/control_core.h"

static lethe_result find_provider(const struct control *control, const char *id,
                                  struct pool_provider **out, struct lethe_error *err)
{
    *out = registry_find_provider(control->registry, id);
    if (*out == NULL)
        return error_set(err, LETHE_NOT_FOUND, "no provider %s has joined", id);
    return LETHE_OK;
}

/* ---- REVOKE, RESTORE (P-10) ------------------------------------------------------------------ */

/* Providers are told, and the operator when those that are there have done it. */
static void ban_everywhere(struct control *control, struct control_waiter *waiter, const char *id,
                           bool on)
{
    for (size_t i = 0; i < registry_provider_count(control->registry); i++) {
        struct lethe_error why = {0};
        struct pool_provider *provider = registry_provider(control->registry, i);
        if (strcmp(provider->row.id, id) == 0) /* it is cut off itself */
            continue;
        if (provider_ban(control, provider, id, on, waiter, &why) == LETHE_OK)
            continue;
        /* It learns of it when it joins again. */
        if (provider_is_here(provider))
            link_end(((struct control_peer *)provider->link)->link, why.code, why.text);
    }
}

static void give_up_revoked(struct control *control, const char *id)
{
    struct pool_provider *provider = registry_find_provider(control->registry, id);
    if (provider != NULL && !provider->row.lost)
        provider_lose(control, provider, "its identity was revoked");
}

static struct revoked_row row_of(const struct control_job *job)
{
    struct revoked_row row = {.revoked_ms = job->number};
    snprintf(row.id, sizeof row.id, "%s", job->order->name);
    snprintf(row.reason, sizeof row.reason, "%s", job->order->reason);
    return row;
}

static lethe_result prepare_revoke(struct control *control, struct control_job *job,
                                   struct lethe_error *err)
{
    job->number = control_wall_ms(control);
    const struct revoked_row row = row_of(job);
    if (registry_find_revoked(control->registry, row.id) != NULL)
        job->change_count = 0;
    else
        change_revoke(&row, &job->changes[0]);
    return LETHE_OK;
}

static lethe_result revoke(struct control *control, struct control_job *job,
                           struct control_waiter *waiter, struct lethe_error *err)
{
    const struct revoked_row row = row_of(job);
    TRY(registry_revoke(control->registry, &row, err));
    ban_everywhere(control, waiter, row.id, true);
    give_up_revoked(control, row.id);
    peers_drop(control, row.id, "the identity was revoked");
    return LETHE_OK;
}

static lethe_result prepare_restore(struct control *control, struct control_job *job,
                                    struct lethe_error *err)
{
    const char *id = job->order->name;
    if (registry_find_revoked(control->registry, id) == NULL)
        return error_set(err, LETHE_NOT_FOUND, "%s is not revoked", id);
    change_restore(id, &job->changes[0]);
    return LETHE_OK;
}

static lethe_result restore(struct control *control, struct control_job *job,
                            struct control_waiter *waiter, struct lethe_error *err)
{
    registry_restore(control->registry, job->order->name);
    ban_everywhere(control, waiter, job->order->name, false);
    return LETHE_OK;
}

/* ---- DRAIN ----------------------------------------------------------------------------------- */

static lethe_result prepare_drain(struct control *control, struct control_job *job,
                                  struct lethe_error *err)
{
    struct pool_provider *provider;
    TRY(find_provider(control, job->order->name, &provider, err));
    struct provider_row row = provider->row;
    row.wish = job->order->on ? PROVIDER_DRAINING : PROVIDER_OPEN;
    change_wish(&row, job->order->on ? "draining" : "open", &job->changes[0]);
    return LETHE_OK;
}

static lethe_result drain(struct control *control, struct control_job *job,
                          struct control_waiter *waiter, struct lethe_error *err)
{
    struct pool_provider *provider;
    TRY(find_provider(control, job->order->name, &provider, err));
    provider->row.wish = job->order->on ? PROVIDER_DRAINING : PROVIDER_OPEN;
    return provider_maintain(control, provider, waiter, err);
}

/* ---- FORCE_STOP (P-10) ----------------------------------------------------------------------- */

static lethe_result stop_lease(struct control *control, struct pool_lease *lease,
                               struct control_waiter *waiter, struct lethe_error *err)
{
    const struct pool_provider *provider = lease->provider;
    if (!provider_is_here(provider))
        return error_set(err, LETHE_UNAVAILABLE,
                         "provider %s is out of reach: it is told when it is back",
                         provider->row.id);
    TRY(lease_await(lease, waiter, err));
    if (lease->state != LEASE_WIPING && !lease_is_final(lease->state))
        provider_stop_lease(control, lease->provider, &lease->id, LEASE_CAUSE_FORCE_STOPPED);
    return LETHE_OK;
}

static lethe_result stop_all(struct control *control, struct pool_provider *provider,
                             struct control_waiter *waiter, struct lethe_error *err)
{
    struct pool_lease *next;
    provider->row.wish = PROVIDER_STOPPED;
    for (struct pool_lease *lease = provider->first; lease != NULL; lease = next) {
        next = lease->next;
        if (lease->durable && lease->state != LEASE_LOST)
            TRY(stop_lease(control, lease, waiter, err));
    }
    return provider_maintain(control, provider, waiter, err);
}

static lethe_result prepare_stop_of_one(struct control *control, struct control_job *job,
                                        struct lethe_error *err)
{
    struct pool_lease *lease = registry_find_lease(control->registry, &job->order->lease);
    if (lease == NULL || !lease->durable || lease->ending)
        return error_set(err, LETHE_NOT_FOUND, "there is no such lease");
    if (lease->state == LEASE_LOST)
        return error_set(err, LETHE_LOST, "the lease's provider is gone");
    strcpy(job->tenant, lease->consumer->tenant->name);
    change_stop(lease, job->order->reason, &job->changes[0]);
    return LETHE_OK;
}

static lethe_result prepare_stop(struct control *control, struct control_job *job,
                                 struct lethe_error *err)
{
    struct pool_provider *provider;
    if (job->order->has_lease)
        return prepare_stop_of_one(control, job, err);
    TRY(find_provider(control, job->order->name, &provider, err));
    struct provider_row row = provider->row;
    row.wish = PROVIDER_STOPPED;
    change_stop_provider(&row, job->order->reason, &job->changes[0]);
    return LETHE_OK;
}

/* Of one lease the id is looked up again: it may have ended by itself. */
static lethe_result stop(struct control *control, struct control_job *job,
                         struct control_waiter *waiter, struct lethe_error *err)
{
    struct pool_provider *provider;
    if (!job->order->has_lease) {
        TRY(find_provider(control, job->order->name, &provider, err));
        return stop_all(control, provider, waiter, err);
    }
    struct pool_lease *lease = registry_find_lease(control->registry, &job->order->lease);
    if (lease == NULL)
        return LETHE_OK;
    if (lease->cause == LEASE_CAUSE_NONE)
        lease->cause = LEASE_CAUSE_FORCE_STOPPED;
    return stop_lease(control, lease, waiter, err);
}

/* ---- QUOTA (P-15) ---------------------------------------------------------------------------- */

static lethe_result prepare_quota(struct control *control, struct control_job *job,
                                  struct lethe_error *err)
{
    const struct wire_order *order = job->order;
    if (strlen(order->name) >= sizeof job->tenant)
        return error_set(err, LETHE_INVALID, "a tenant's name has at most 64 characters");
    strcpy(job->tenant, order->name);
    change_quota(order->name, order->bytes, &job->changes[0]);
    return LETHE_OK;
}

static lethe_result set_quota(struct control *control, struct control_job *job,
                              struct control_waiter *waiter, struct lethe_error *err)
{
    return registry_set_quota(control->registry, job->order->name, job->order->bytes, err);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static const struct operation {
    enum wire_type type;
    const char *action; /* what the policy is asked */
    /* What is to become durable, into job->changes[0]. */
    lethe_result (*prepare)(struct control *control, struct control_job *job,
                            struct lethe_error *err);
    /* When it is: what is waited for before the operator is answered goes to the waiter. */
    lethe_result (*carry_out)(struct control *control, struct control_job *job,
                              struct control_waiter *waiter, struct lethe_error *err);
} operations[] = {
    {WIRE_REVOKE, "revoke", prepare_revoke, revoke},
    {WIRE_RESTORE, "restore", prepare_restore, restore},
    {WIRE_FORCE_STOP, "force_stop", prepare_stop, stop},
    {WIRE_DRAIN, "drain", prepare_drain, drain},
    {WIRE_QUOTA, "quota", prepare_quota, set_quota},
};

static const struct operation *operation_of(uint8_t type)
{
    size_t i = 0;
    while (i < ARRAY_LEN(operations) && operations[i].type != (enum wire_type)type)
        i++;
    REQUIRE(i < ARRAY_LEN(operations));
    return &operations[i];
}

static lethe_result read_order(const struct control_peer *peer, const struct link_frame *frame,
                               struct wire_order *out, struct lethe_error *err)
{
    char lease[LEASE_ID_HEX_SIZE];
    TRY(wire_order_read((enum wire_type)frame->head.type, frame->index, out, err));
    if (out->has_lease)
        lease_id_hex(&out->lease, lease);
    return policy_allows_operator(peer->control, peer->id.text,
                                  operation_of(frame->head.type)->action,
                                  out->has_lease ? lease : out->name, err);
}

static void is_durable(struct control *control, struct control_job *job, lethe_result result,
                       const struct lethe_error *why)
{
    struct lethe_error failed = *why;
    struct control_waiter *waiter = NULL;
    if (result == LETHE_OK)
        result = waiter_create(job->peer, &job->request, &waiter, &failed);
    if (result == LETHE_OK) {
        result = operation_of(job->request.type)->carry_out(control, job, waiter, &failed);
        waiter_step(waiter, result, &failed);
    } else {
        peer_refuse(job->peer, &job->request, &failed);
    }
    job_free(job);
}

lethe_result control_operate(struct control_peer *peer, const struct link_frame *frame,
                             struct lethe_error *err)
{
    CLEANUP(job_free) struct control_job *job = NULL;
    TRY(job_create(peer, &frame->head, 1, &job, err));
    strcpy(job->actor, peer->id.text); /* on record */
    job->order = calloc(1, sizeof *job->order);
    if (job->order == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a request");
    TRY(read_order(peer, frame, job->order, err));
    TRY(operation_of(frame->head.type)->prepare(peer->control, job, err));
    job->done = is_durable;
    job_queue(peer->control, MOVE(job));
    return LETHE_OK;
}
