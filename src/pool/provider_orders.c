/* What the control plane wants: GRANT, STOP, BAN, MAINTAIN. */
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "pool/provider_core.h"

static lethe_result grant(struct provider *provider, const struct link_frame *frame,
                          uint64_t *value, struct lethe_error *why)
{
    struct lease_terms terms;
    struct cursor cursor = frame->index;
    struct pool_arena_counters now;
    TRY(lease_terms_read(&cursor, &terms, why));
    if (cursor_left(&cursor) != 0)
        return error_set(why, LETHE_MALFORMED, "something is behind the terms of a lease");
    if (provider->is_unprotected || provider->is_stopping)
        return error_set(why, LETHE_UNAVAILABLE,
                         provider->is_stopping ? "the provider is being stopped"
                                               : "swap has come into use on the provider");
    TRY(tenancy_grant(provider->tenancy, &terms, provider_now_ms(provider), why));
    provider_tick(provider);
    tenancy_counters(provider->tenancy, &now);
    *value = now.free_bytes;
    return LETHE_OK;
}

static lethe_result stop(struct provider *provider, const struct link_frame *frame, uint64_t *value,
                         struct lethe_error *why)
{
    struct wire_stop order;
    TRY(wire_stop_read(frame->index, &order, why));
    if (order.cause == LEASE_CAUSE_NONE)
        return error_set(why, LETHE_MALFORMED, "a lease is stopped without a cause");
    *value = tenancy_stop(provider->tenancy, &order.lease, order.cause, provider_now_ms(provider));
    return LETHE_OK;
}

static lethe_result maintain(struct provider *provider, const struct link_frame *frame,
                             uint64_t *value, struct lethe_error *why)
{
    uint8_t draining;
    TRY(wire_byte_read(frame->index, 1, &draining, why));
    tenancy_drain(provider->tenancy, draining != 0);
    return LETHE_OK;
}

static lethe_result answer(struct provider *provider, const struct wire_head *request,
                           lethe_result result, uint64_t value, const struct lethe_error *why,
                           struct lethe_error *err)
{
    struct link *link = provider->control.link;
    return result == LETHE_OK ? link_reply(link, request, value, NULL, err)
                              : link_refuse(link, request, why, err);
}

/* ---- BAN ---------------------------------------------------------------------------------------
 *
 * On every worker's loop: connections are ended, and behind that, once they have ended, the first
 * loop is told. The reply follows when the last was; until then the link is paused. A ban that a
 * later link asks for meanwhile waits; where several links came meanwhile, only the last one's is
 * answered, and whatever is begun ends the connections of all who are banned by then. */

static void begin_ban(struct provider *provider, const struct ban *ban)
{
    struct control_link *control = &provider->control;
    control->ban = *ban;
    control->bans_left = provider->worker_count;
    for (unsigned i = 0; i < provider->worker_count; i++)
        loop_post(provider->workers[i].loop, &provider->workers[i].ban);
}

/* By name too: where the table of the banned is full, the ban fails, and this much is done. */
static bool is_to_end(struct provider *provider, const struct consumer *consumer)
{
    const char *who = consumer->link == NULL ? "" : link_peer(consumer->link)->text;
    return who[0] != '\0' && (strcmp(who, provider->control.ban.order.name) == 0 ||
                              tenancy_is_banned(provider->tenancy, who));
}

/* Behind what the tenancy has posted, so that each channel is told what ended it. */
void worker_ban(void *context)
{
    struct worker *worker = context;
    struct consumer *consumer;
    TAILQ_FOREACH(consumer, &worker->consumers, entry)
    {
        if (is_to_end(worker->provider, consumer))
            link_end(consumer->link, LETHE_REVOKED, "the identity is revoked");
    }
    loop_post(worker->loop, &worker->ban_over);
}

/* Behind the last calls of those links. */
void worker_ban_over(void *context)
{
    struct worker *worker = context;
    loop_post(provider_loop(worker->provider), &worker->ban_told);
}

void worker_ban_told(void *context)
{
    struct provider *provider = ((struct worker *)context)->provider;
    struct control_link *control = &provider->control;
    struct lethe_error ignored;
    if (--control->bans_left > 0)
        return;
    if (control->link != NULL && control->ban.dialled == control->dialled) {
        (void)!answer(provider, &control->ban.request, control->ban.why.code, 0, &control->ban.why,
                      &ignored);
        link_pause(control->link, false);
    }
    if (control->has_next_ban)
        begin_ban(provider, &control->next_ban);
    control->has_next_ban = false;
}

static lethe_result on_ban(struct provider *provider, const struct link_frame *frame,
                           struct lethe_error *err)
{
    struct control_link *control = &provider->control;
    struct ban ban = {.request = frame->head, .dialled = control->dialled};
    lethe_result read = wire_order_read(WIRE_BAN, frame->index, &ban.order, &ban.why);
    if (read == LETHE_MALFORMED)
        return error_set(err, read, "%s", ban.why.text);
    if (read == LETHE_OK)
        (void)!tenancy_ban(provider->tenancy, ban.order.name, ban.order.on,
                           provider_now_ms(provider), &ban.why);
    if (!ban.order.on || read != LETHE_OK)
        return answer(provider, &frame->head, ban.why.code, 0, &ban.why, err);
    link_pause(control->link, true);
    if (control->bans_left == 0) {
        begin_ban(provider, &ban);
    } else {
        control->next_ban = ban;
        control->has_next_ban = true;
    }
    return LETHE_OK;
}

/* ---- by type --------------------------------------------------------------------------------- */

lethe_result provider_order(struct provider *provider, const struct link_frame *frame,
                            struct lethe_error *err)
{
    static const struct {
        enum wire_type type;
        lethe_result (*carry_out)(struct provider *provider, const struct link_frame *frame,
                                  uint64_t *value, struct lethe_error *why);
    } orders[] = {{WIRE_GRANT, grant}, {WIRE_STOP, stop}, {WIRE_MAINTAIN, maintain}};
    struct lethe_error why = {0};
    uint64_t value = 0;
    if (provider->control.stage < CONTROL_LISTS)
        return error_set(err, LETHE_MALFORMED, "an order before JOIN was answered");
    if (frame->head.type == WIRE_BAN)
        return on_ban(provider, frame, err);
    for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
        if (orders[i].type != frame->head.type)
            continue;
        lethe_result result = orders[i].carry_out(provider, frame, &value, &why);
        if (result == LETHE_MALFORMED)
            return error_set(err, result, "%s", why.text);
        return answer(provider, &frame->head, result, value, &why, err);
    }
    return error_set(err, LETHE_MALFORMED, "an order that there is not");
}
