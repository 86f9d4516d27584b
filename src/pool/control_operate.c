/* REVOKE, RESTORE, FORCE_STOP, DRAIN, QUOTA: what operators wish. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "pool/control_core.h"

/* ---- all of them ----------------------------------------------------------------------------- */

/* By type: what the policy is asked. */
static const char *action_of(uint8_t type)
{
    static const char *const actions[] = {[WIRE_REVOKE] = "revoke",
                                          [WIRE_FORCE_STOP] = "force_stop",
                                          [WIRE_DRAIN] = "drain",
                                          [WIRE_QUOTA] = "quota",
                                          [WIRE_RESTORE] = "restore"};
    return actions[type];
}

static lethe_result read_order(const struct control_peer *peer, const struct link_frame *frame,
                               struct wire_order *out, struct lethe_error *err)
{
    char lease[LEASE_ID_HEX_SIZE];
    TRY(wire_order_read((enum wire_type)frame->head.type, frame->index, out, err));
    if (out->has_lease)
        lease_id_hex(&out->lease, lease);
    return policy_allows_operator(peer->control, peer->id.text, action_of(frame->head.type),
                                  out->has_lease ? lease : out->name, err);
}

/* A job whose record says who wished it. */
static lethe_result wish_create(struct control_peer *peer, const struct link_frame *frame,
                                size_t changes, struct control_job **out, struct lethe_error *err)
{
    TRY(job_create(peer, &frame->head, changes, out, err));
    strcpy((*out)->actor, peer->id.text);
    return LETHE_OK;
}

static lethe_result find_provider(const struct control_peer *peer, const char *id,
                                  struct pool_provider **out, struct lethe_error *err)
{
    *out = registry_find_provider(peer->control->registry, id);
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

static void is_revoked(struct control *control, struct control_job *job, lethe_result result,
                       const struct lethe_error *why)
{
    struct lethe_error failed = {0};
    struct control_waiter *waiter = NULL;
    struct revoked_row *row = job->subject;
    if (result == LETHE_OK)
        result = registry_revoke(control->registry, row, &failed);
    else
        failed = *why;
    if (result == LETHE_OK)
        result = waiter_create(job->peer, &job->request, &waiter, &failed);
    if (result == LETHE_OK) {
        ban_everywhere(control, waiter, row->id, true);
        give_up_revoked(control, row->id);
        peers_drop(control, row->id, "the identity was revoked");
        waiter_step(waiter, LETHE_OK, NULL);
    } else {
        peer_refuse(job->peer, &job->request, &failed);
    }
    memory_free(row);
    job_free(job);
}

static struct revoked_row *make_row(const struct control *control, const struct wire_order *order)
{
    struct revoked_row *row = malloc(sizeof *row);
    if (row == NULL)
        return NULL;
    *row = (struct revoked_row){.revoked_ms = control_wall_ms(control)};
    snprintf(row->id, sizeof row->id, "%s", order->name);
    snprintf(row->reason, sizeof row->reason, "%s", order->reason);
    return row;
}

lethe_result control_revoke(struct control_peer *peer, const struct link_frame *frame,
                            struct lethe_error *err)
{
    struct wire_order order;
    CLEANUP(job_free) struct control_job *job = NULL;
    TRY(read_order(peer, frame, &order, err));
    bool again = registry_find_revoked(peer->control->registry, order.name) != NULL;
    TRY(wish_create(peer, frame, again ? 0 : 1, &job, err));
    struct revoked_row *row = make_row(peer->control, &order);
    if (row == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a revocation");
    if (!again)
        change_revoke(row, &job->changes[0]);
    job->subject = row;
    job->done = is_revoked;
    job_queue(peer->control, MOVE(job));
    return LETHE_OK;
}

static void is_restored(struct control *control, struct control_job *job, lethe_result result,
                        const struct lethe_error *why)
{
    struct lethe_error failed = *why;
    struct control_waiter *waiter = NULL;
    if (result == LETHE_OK)
        result = waiter_create(job->peer, &job->request, &waiter, &failed);
    if (result != LETHE_OK) {
        peer_refuse(job->peer, &job->request, &failed);
    } else {
        const char *id = job->changes[0].name;
        registry_restore(control->registry, id);
        ban_everywhere(control, waiter, id, false);
        waiter_step(waiter, LETHE_OK, NULL);
    }
    job_free(job);
}

lethe_result control_restore(struct control_peer *peer, const struct link_frame *frame,
                             struct lethe_error *err)
{
    struct wire_order order;
    CLEANUP(job_free) struct control_job *job = NULL;
    TRY(read_order(peer, frame, &order, err));
    if (registry_find_revoked(peer->control->registry, order.name) == NULL)
        return error_set(err, LETHE_NOT_FOUND, "%s is not revoked", order.name);
    TRY(wish_create(peer, frame, 1, &job, err));
    change_restore(order.name, &job->changes[0]);
    job->done = is_restored;
    job_queue(peer->control, MOVE(job));
    return LETHE_OK;
}

/* ---- DRAIN ----------------------------------------------------------------------------------- */

static void has_wish(struct control *control, struct control_job *job, lethe_result result,
                     const struct lethe_error *why)
{
    struct lethe_error failed = *why;
    struct control_waiter *waiter = NULL;
    struct pool_provider *provider = job->subject;
    if (result == LETHE_OK)
        result = waiter_create(job->peer, &job->request, &waiter, &failed);
    if (result == LETHE_OK) {
        provider->row.wish = (enum provider_wish)job->number;
        result = provider_maintain(control, provider, waiter, &failed);
        waiter_step(waiter, result, &failed);
    } else {
        peer_refuse(job->peer, &job->request, &failed);
    }
    job_free(job);
}

lethe_result control_drain(struct control_peer *peer, const struct link_frame *frame,
                           struct lethe_error *err)
{
    struct wire_order order;
    struct pool_provider *provider;
    CLEANUP(job_free) struct control_job *job = NULL;
    TRY(read_order(peer, frame, &order, err));
    TRY(find_provider(peer, order.name, &provider, err));
    TRY(wish_create(peer, frame, 1, &job, err));
    struct provider_row row = provider->row;
    row.wish = order.on ? PROVIDER_DRAINING : PROVIDER_OPEN;
    change_wish(&row, order.on ? "draining" : "open", &job->changes[0]);
    job->subject = provider;
    job->number = row.wish;
    job->done = has_wish;
    job_queue(peer->control, MOVE(job));
    return LETHE_OK;
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
    for (struct pool_lease *lease = provider->first; lease != NULL; lease = next) {
        next = lease->next;
        if (lease->durable && lease->state != LEASE_LOST)
            TRY(stop_lease(control, lease, waiter, err));
    }
    return provider_maintain(control, provider, waiter, err);
}

/* Of one lease the id is looked up again: it may have ended by itself. */
static lethe_result stop_one(struct control *control, const struct control_job *job,
                             struct control_waiter *waiter, struct lethe_error *err)
{
    struct lease_id id;
    TRY(lease_id_from_hex(job->changes[0].lease, &id, err));
    struct pool_lease *lease = registry_find_lease(control->registry, &id);
    if (lease == NULL)
        return LETHE_OK;
    if (lease->cause == LEASE_CAUSE_NONE)
        lease->cause = LEASE_CAUSE_FORCE_STOPPED;
    return stop_lease(control, lease, waiter, err);
}

static void is_ordered(struct control *control, struct control_job *job, lethe_result result,
                       const struct lethe_error *why)
{
    struct lethe_error failed = *why;
    struct control_waiter *waiter = NULL;
    struct pool_provider *provider = job->subject;
    if (result == LETHE_OK)
        result = waiter_create(job->peer, &job->request, &waiter, &failed);
    if (result != LETHE_OK) {
        peer_refuse(job->peer, &job->request, &failed);
    } else if (provider != NULL) {
        provider->row.wish = PROVIDER_STOPPED;
        waiter_step(waiter, stop_all(control, provider, waiter, &failed), &failed);
    } else {
        waiter_step(waiter, stop_one(control, job, waiter, &failed), &failed);
    }
    job_free(job);
}

static lethe_result order_provider(const struct control_peer *peer, const struct wire_order *order,
                                   struct control_job *job, struct lethe_error *err)
{
    struct pool_provider *provider;
    TRY(find_provider(peer, order->name, &provider, err));
    struct provider_row row = provider->row;
    row.wish = PROVIDER_STOPPED;
    change_stop_provider(&row, order->reason, &job->changes[0]);
    job->subject = provider;
    return LETHE_OK;
}

static lethe_result order_lease(const struct control_peer *peer, const struct wire_order *order,
                                struct control_job *job, struct lethe_error *err)
{
    struct pool_lease *lease = registry_find_lease(peer->control->registry, &order->lease);
    if (lease == NULL || !lease->durable || lease->ending)
        return error_set(err, LETHE_NOT_FOUND, "there is no such lease");
    if (lease->state == LEASE_LOST)
        return error_set(err, LETHE_LOST, "the lease's provider is gone");
    strcpy(job->tenant, lease->consumer->tenant->name);
    change_stop(lease, order->reason, &job->changes[0]);
    return LETHE_OK;
}

lethe_result control_force_stop(struct control_peer *peer, const struct link_frame *frame,
                                struct lethe_error *err)
{
    struct wire_order order;
    CLEANUP(job_free) struct control_job *job = NULL;
    TRY(read_order(peer, frame, &order, err));
    TRY(wish_create(peer, frame, 1, &job, err));
    if (order.has_lease)
        TRY(order_lease(peer, &order, job, err));
    else
        TRY(order_provider(peer, &order, job, err));
    job->done = is_ordered;
    job_queue(peer->control, MOVE(job));
    return LETHE_OK;
}

/* ---- QUOTA (P-15) ---------------------------------------------------------------------------- */

static void has_quota(struct control *control, struct control_job *job, lethe_result result,
                      const struct lethe_error *why)
{
    struct lethe_error failed = *why;
    if (result == LETHE_OK)
        result = registry_set_quota(control->registry, job->tenant, job->number, &failed);
    job_answer(control, job, result, &failed);
}

lethe_result control_quota(struct control_peer *peer, const struct link_frame *frame,
                           struct lethe_error *err)
{
    struct wire_order order;
    CLEANUP(job_free) struct control_job *job = NULL;
    TRY(read_order(peer, frame, &order, err));
    TRY(wish_create(peer, frame, 1, &job, err));
    if (strlen(order.name) >= sizeof job->tenant)
        return error_set(err, LETHE_INVALID, "a tenant's name has at most 64 characters");
    strcpy(job->tenant, order.name);
    change_quota(order.name, order.bytes, &job->changes[0]);
    job->number = order.bytes;
    job->done = has_quota;
    job_queue(peer->control, MOVE(job));
    return LETHE_OK;
}
