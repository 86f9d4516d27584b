/* The link to the control plane: dialled, and dialled again; joins, and reports.
 *
 *     AWAY -> GREETS (HELLO) -> JOINS (JOIN) -> LISTS (REPORT of all, until the last) -> JOINED
 *
 * One request waits for its reply at a time. Whatever ends the link, the provider goes on with what
 * it has, and comes again: soon at first, then ever later. Only before it has joined for the first
 * time is being refused the end of it: then somebody waits at a terminal. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/error.h"
#include "pool/link_core.h"
#include "pool/provider_core.h"

#define BACKOFF_FIRST_MS 100u
#define BACKOFF_MAX_MS 10000u
#define REPORT_MAX_MS 10000u /* however seldom the control plane wants one */
#define REPORT_APART_MS 10u  /* changes that come together are told together */
#define IDLE_MS 40000u

/* ---- where it is ----------------------------------------------------------------------------- */

/* Names are looked up once, before the process is confined; each address is tried in turn. */
static void keep_address(struct control_link *control, const struct addrinfo *address)
{
    char host[INET6_ADDRSTRLEN], port[8];
    if (control->address_count == CONTROL_ADDRESSES_MAX ||
        getnameinfo(address->ai_addr, address->ai_addrlen, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return;
    snprintf(control->addresses[control->address_count++], WIRE_ADDRESS_MAX + 1,
             address->ai_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

static lethe_result look_up(struct control_link *control, const char *text, struct lethe_error *err)
{
    struct addrinfo *all;
    TRY(error_context(err, link_look_up(text, &all, err), "%s", text));
    for (const struct addrinfo *address = all; address != NULL; address = address->ai_next)
        keep_address(control, address);
    freeaddrinfo(all);
    return control->address_count > 0 ? LETHE_OK
                                      : error_set(err, LETHE_UNAVAILABLE, "%s: no address", text);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static lethe_result ask(struct provider *provider, enum wire_type type, const struct buffer *index,
                        struct lethe_error *err)
{
    struct control_link *control = &provider->control;
    const struct wire_head head = {.type = (uint8_t)type,
                                   .request = link_next_request(control->link)};
    control->asked = head.request;
    return link_send(control->link, &head, index, NULL, err);
}

static lethe_result join(struct provider *provider, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer index = {0};
    struct wire_join join = {.capacity_bytes = provider->options.memory_bytes,
                             .leases = tenancy_leases(provider->tenancy)};
    memcpy(join.boot_id, provider->boot_id, sizeof join.boot_id);
    strcpy(join.address, provider->announce);
    wire_join_write(&join, &index);
    TRY(buffer_result(&index, err));
    provider->control.stage = CONTROL_JOINS;
    return ask(provider, WIRE_JOIN, &index, err);
}

static lethe_result report(struct provider *provider, bool all, struct lethe_error *err)
{
    struct control_link *control = &provider->control;
    CLEANUP(buffer_clear) struct buffer index = {0};
    tenancy_report(provider->tenancy, all, provider_now_ms(provider), &control->sent);
    wire_report_write(&control->sent, &index);
    TRY(buffer_result(&index, err));
    control->reported_ms = loop_now_ms(provider_loop(provider));
    return ask(provider, WIRE_REPORT, &index, err);
}

/* ---- replies --------------------------------------------------------------------------------- */

static lethe_result joined(struct provider *provider, const struct link_frame *frame,
                           struct lethe_error *err)
{
    struct control_link *control = &provider->control;
    struct wire_joined joined;
    struct audit_key key;
    TRY(wire_joined_read(frame->index, &joined, err));
    TRY(audit_key_parse(joined.token_key, strlen(joined.token_key), &key, err));
    tenancy_trust(provider->tenancy, &key);
    control->report_ms = MIN(joined.report_ms, REPORT_MAX_MS);
    control->stage = CONTROL_LISTS;
    return report(provider, true, err);
}

static lethe_result reported(struct provider *provider, struct lethe_error *err)
{
    struct control_link *control = &provider->control;
    tenancy_reported(provider->tenancy, &control->sent);
    if (!control->sent.last)
        return report(provider, false, err);
    control->stage = CONTROL_JOINED;
    control->backoff_ms = BACKOFF_FIRST_MS;
    loop_timer_set(control->report, control->is_behind ? REPORT_APART_MS : control->report_ms);
    control->is_behind = false;
    if (control->is_away && provider->is_serving && provider->options.away != NULL)
        provider->options.away(provider->options.context, NULL);
    control->is_away = false;
    provider_serve(provider);
    provider_stop_if_done(provider);
    return LETHE_OK;
}

static lethe_result take_reply(struct provider *provider, const struct link_frame *frame,
                               struct lethe_error *err)
{
    static const enum wire_type expected[] = {[CONTROL_GREETS] = WIRE_HELLO,
                                              [CONTROL_JOINS] = WIRE_JOIN,
                                              [CONTROL_LISTS] = WIRE_REPORT,
                                              [CONTROL_JOINED] = WIRE_REPORT};
    struct control_link *control = &provider->control;
    if (frame->head.request != control->asked || control->asked == 0 ||
        (frame->head.type & ~WIRE_REPLY) != expected[control->stage])
        return error_set(err, LETHE_MALFORMED, "a reply that nobody waits for");
    control->asked = 0;
    TRY(wire_refusal_read(&frame->head, frame->index, err));
    switch (control->stage) {
    case CONTROL_GREETS:
        return join(provider, err);
    case CONTROL_JOINS:
        return joined(provider, frame, err);
    default:
        return reported(provider, err);
    }
}

static lethe_result control_frame(void *context, struct link *link, const struct link_frame *frame,
                                  lethe_result refused, struct lethe_error *err)
{
    struct provider *provider = context;
    return (frame->head.type & WIRE_REPLY) != 0 ? take_reply(provider, frame, err)
                                                : provider_order(provider, frame, err);
}

/* ---- reporting ------------------------------------------------------------------------------- */

static void report_now(void *context)
{
    struct provider *provider = context;
    struct lethe_error err;
    if (provider->control.stage != CONTROL_JOINED || provider->control.asked != 0)
        return;
    if (report(provider, false, &err) != LETHE_OK)
        link_end(provider->control.link, err.code, err.text);
}

void provider_report(struct provider *provider)
{
    uint64_t since_ms = loop_now_ms(provider_loop(provider)) - provider->control.reported_ms;
    if (provider->control.stage != CONTROL_JOINED)
        return;
    provider->control.is_behind = provider->control.asked != 0;
    if (since_ms >= REPORT_APART_MS)
        report_now(provider);
    else
        loop_timer_set(provider->control.report, REPORT_APART_MS);
}

/* ---- the link -------------------------------------------------------------------------------- */

static lethe_result control_opened(void *context, struct link *link, const struct spiffe_id *peer,
                                   struct lethe_error *err)
{
    struct control_link *control = &((struct provider *)context)->control;
    control->link = link;
    TRY(link_hello(link, err));
    control->stage = CONTROL_GREETS;
    control->asked = 1;
    return LETHE_OK;
}

/* What trying again does not change. */
static bool is_final(lethe_result result)
{
    return result == LETHE_DENIED || result == LETHE_REVOKED || result == LETHE_INVALID ||
           result == LETHE_MALFORMED;
}

static void went_away(struct provider *provider, const struct lethe_error *why)
{
    struct control_link *control = &provider->control;
    control->stage = CONTROL_AWAY;
    control->asked = 0;
    loop_timer_clear(control->report);
    if (!provider->is_serving && is_final(why->code)) {
        struct lethe_error err = *why;
        provider_fail(
            provider,
            error_context(&err, err.code, "control plane %s", provider->options.control_id), &err);
        return;
    }
    if (!control->is_away && !provider->is_stopping && provider->options.away != NULL)
        provider->options.away(provider->options.context, why);
    control->is_away = true;
    control->address = (control->address + 1) % control->address_count;
    loop_timer_set(control->redial, control->backoff_ms);
    control->backoff_ms = MIN(control->backoff_ms * 2, (uint64_t)BACKOFF_MAX_MS);
    provider_stop_if_done(provider);
}

static void control_ended(void *context, struct link *link, const struct lethe_error *why)
{
    struct provider *provider = context;
    provider->control.link = NULL;
    went_away(provider, why);
    link_free(link); /* with `why` */
}

void provider_control_dial(void *context)
{
    struct provider *provider = context;
    struct control_link *control = &provider->control;
    struct tls_context *tls = provider_context(provider, false);
    struct lethe_error err = {0};
    control->dialled++;
    const struct link_options options = {
        .loop = provider_loop(provider),
        .tls = tls,
        .self = WIRE_PROVIDER,
        .peer = WIRE_CONTROL,
        .idle_ms = IDLE_MS,
        .events = {control_opened, NULL, control_frame, control_ended, provider}};
    lethe_result result = link_dial(&options, control->addresses[control->address],
                                    provider->options.control_id, &control->link, &err);
    tls_context_free(tls);
    if (result != LETHE_OK)
        went_away(provider, &err);
}

lethe_result provider_control_start(struct provider *provider, struct lethe_error *err)
{
    struct control_link *control = &provider->control;
    control->backoff_ms = BACKOFF_FIRST_MS;
    TRY(look_up(control, provider->options.control_address, err));
    TRY(loop_timer_create(provider_loop(provider), provider_control_dial, provider,
                          &control->redial, err));
    return loop_timer_create(provider_loop(provider), report_now, provider, &control->report, err);
}

void provider_control_stop(struct provider *provider)
{
    link_free(MOVE(provider->control.link));
    loop_timer_free(MOVE(provider->control.redial));
    loop_timer_free(MOVE(provider->control.report));
}
