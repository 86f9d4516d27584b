/* Connections: who they are, and which function a frame goes to. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "net/source_limits.h"
#include "pool/control_core.h"

#define IDLE_MS (15u * 60 * 1000) /* of who asks now and then; providers report all the time */

/* ---- their life ------------------------------------------------------------------------------ */

void peer_hold(struct control_peer *peer)
{
    peer->holders++;
}

void peer_let_go(struct control_peer *peer)
{
    if (peer == NULL || --peer->holders > 0)
        return;
    free(peer);
}

static void list_add(struct control_peer *peer)
{
    struct control *control = peer->control;
    peer->next = control->peers;
    if (peer->next != NULL)
        peer->next->previous = peer;
    control->peers = peer;
    control->peer_count++;
}

static void list_remove(struct control_peer *peer)
{
    struct control *control = peer->control;
    struct control_peer **from = peer->previous != NULL ? &peer->previous->next : &control->peers;
    *from = peer->next;
    if (peer->next != NULL)
        peer->next->previous = peer->previous;
    control->peer_count--;
}

/* Of the link, whose `why` may be: jobs may still hold the rest. */
static void leave(struct control_peer *peer, const struct lethe_error *why)
{
    struct link *link = MOVE(peer->link);
    peer_forget_asks(peer, why);
    provider_gone(peer->control, peer);
    if (peer->source != NULL)
        limits_leave(peer->control->sources, MOVE(peer->source));
    if (peer->is_counted)
        places_leave(peer->control->places, peer->id.text);
    list_remove(peer);
    peer_let_go(peer);
    link_free(link);
}

void peers_close(struct control *control)
{
    struct lethe_error why = {0};
    error_set(&why, LETHE_UNAVAILABLE, "the control plane ends");
    while (control->peers != NULL)
        leave(control->peers, &why);
}

void peers_drop(struct control *control, const char *id, const char *why)
{
    struct control_peer *next;
    for (struct control_peer *peer = control->peers; peer != NULL; peer = next) {
        next = peer->next;
        if (peer->link != NULL && strcmp(peer->id.text, id) == 0)
            link_end(peer->link, LETHE_REVOKED, why);
    }
}

/* ---- answers --------------------------------------------------------------------------------- */

/* What cannot be sent has ended the link already. */
void peer_answer(struct control_peer *peer, const struct peer_reply *reply)
{
    if (peer == NULL || peer->link == NULL)
        return;
    lethe_result ignored = link_reply(peer->link, reply->request, reply->value, reply->index, NULL);
    (void)ignored;
}

void peer_refuse(struct control_peer *peer, const struct wire_head *request,
                 const struct lethe_error *why)
{
    if (peer == NULL || peer->link == NULL)
        return;
    lethe_result ignored = link_refuse(peer->link, request, why, NULL);
    (void)ignored;
}

/* ---- what comes ------------------------------------------------------------------------------ */

static lethe_result opened(void *context, struct link *link, const struct spiffe_id *id,
                           struct lethe_error *err)
{
    struct control_peer *peer = context;
    peer->id = *id;
    return LETHE_OK;
}

static control_request *const requests[] = {
    [WIRE_ALLOCATE] = control_allocate, [WIRE_TOKEN] = control_token,
    [WIRE_DROP] = control_drop,         [WIRE_STATUS] = control_status,
    [WIRE_REVOKE] = control_operate,    [WIRE_FORCE_STOP] = control_operate,
    [WIRE_DRAIN] = control_operate,     [WIRE_QUOTA] = control_operate,
    [WIRE_RESTORE] = control_operate,   [WIRE_JOIN] = control_join,
    [WIRE_REPORT] = control_report,
};

/* What the wire's table lets this role send, and this end does not take. */
static control_request *request_of(uint8_t type)
{
    return type < ARRAY_LEN(requests) ? requests[type] : NULL;
}

static lethe_result take_request(struct control_peer *peer, const struct link_frame *frame,
                                 struct lethe_error *err)
{
    struct lethe_error why = {0};
    control_request *request = request_of(frame->head.type);
    if (request == NULL || frame->head.request == 0)
        return error_set(err, LETHE_MALFORMED, "%s is nothing to ask a control plane",
                         wire_type_name(frame->head.type));
    lethe_result result = request(peer, frame, &why);
    if (result == LETHE_MALFORMED) {
        if (err != NULL)
            *err = why;
        return result;
    }
    return result == LETHE_OK ? result : job_queue_refusal(peer, &frame->head, &why, err);
}

/* Whoever is revoked hears that, whatever they ask, and nothing else. */
static lethe_result send_away(struct control_peer *peer, const struct wire_head *request)
{
    struct lethe_error why = {0};
    error_set(&why, LETHE_REVOKED, "the identity %s is revoked", peer->id.text);
    if (request->request != 0 && !wire_is_reply(request))
        peer_refuse(peer, request, &why);
    link_end(peer->link, LETHE_REVOKED, why.text);
    return LETHE_OK;
}

/* Only who is known is counted, and only with an answer to HELLO can it be told. */
static lethe_result greet(struct control_peer *peer, const struct link_frame *hello,
                          struct lethe_error *err)
{
    struct lethe_error why = {0};
    if (!peer->is_counted && places_enter(peer->control->places, peer->id.text, &why) != LETHE_OK) {
        peer_refuse(peer, &hello->head, &why);
        link_end(peer->link, why.code, why.text);
        return LETHE_OK;
    }
    peer->is_counted = true;
    return link_welcome(peer->link, hello, WIRE_BY_CONSUMER | WIRE_BY_PROVIDER | WIRE_BY_OPERATOR,
                        NULL, err);
}

static lethe_result take_frame(void *context, struct link *link, const struct link_frame *frame,
                               lethe_result refused, struct lethe_error *err)
{
    struct control_peer *peer = context;
    if (refused != LETHE_OK)
        return error_set(err, LETHE_MALFORMED, "a frame with data, which nobody sends here");
    if (registry_find_revoked(peer->control->registry, peer->id.text) != NULL)
        return send_away(peer, &frame->head);
    if (peer->provider != NULL)
        peer->provider->heard_ms = loop_now_ms(peer->control->loop);
    if (frame->head.type == WIRE_HELLO)
        return greet(peer, frame, err);
    return wire_is_reply(&frame->head) ? peer_take_reply(peer, frame, err)
                                       : take_request(peer, frame, err);
}

static void ended(void *context, struct link *link, const struct lethe_error *why)
{
    leave(context, why);
}

/* ---- coming ---------------------------------------------------------------------------------- */

lethe_result peer_accept(struct control *control, int fd, struct limits_source *source,
                         struct lethe_error *err)
{
    struct control_peer *peer = calloc(1, sizeof *peer);
    if (peer == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for another connection");
    *peer = (struct control_peer){.control = control, .holders = 1};
    pending_init(&peer->asks);
    const struct link_options options = {
        .loop = control->loop,
        .tls = control->tls,
        .self = WIRE_CONTROL,
        .idle_ms = IDLE_MS,
        .events = {.opened = opened, .frame = take_frame, .ended = ended, .context = peer}};
    lethe_result result = link_accept(&options, fd, &peer->link, err);
    if (result != LETHE_OK) {
        free(peer);
        return result;
    }
    peer->source = source;
    list_add(peer);
    control->counters.accepted++;
    return LETHE_OK;
}
