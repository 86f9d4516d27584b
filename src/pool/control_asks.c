/* What providers are asked and have not answered yet. */
#include <stdlib.h>

#include "base/error.h"
#include "pool/control_core.h"

struct ask {
    struct pending_request pending; /* first */
    uint64_t since_ms;
    ask_answered *answered; /* NULL: nobody waits for it */
    void *context;
};
_Static_assert(offsetof(struct ask, pending) == 0, "one is the other");

bool provider_is_here(const struct pool_provider *provider)
{
    const struct control_peer *peer = provider->link;
    return peer != NULL && peer->link != NULL;
}

static lethe_result send_ask(struct control_peer *peer, struct ask *ask, const struct buffer *index,
                             struct lethe_error *err)
{
    ask->pending.number = link_next_request(peer->link);
    const struct wire_head head = {.type = (uint8_t)ask->pending.type,
                                   .request = ask->pending.number};
    TRY(buffer_result(index, err));
    return link_send(peer->link, &head, index, NULL, err);
}

lethe_result provider_ask(struct control *control, struct pool_provider *provider,
                          const struct ask_question *question, struct lethe_error *err)
{
    struct control_peer *peer = provider->link;
    if (!provider_is_here(provider))
        return error_set(err, LETHE_UNAVAILABLE, "provider %s is out of reach", provider->row.id);
    CLEANUP(memory_free) struct ask *ask = malloc(sizeof *ask);
    if (ask == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a question");
    *ask = (struct ask){.pending.type = question->type,
                        .since_ms = loop_now_ms(control->loop),
                        .answered = question->answered,
                        .context = question->context};
    TRY(send_ask(peer, ask, question->index, err));
    pending_add(&peer->asks, &ask->pending);
    ask = NULL; /* moved */
    return LETHE_OK;
}

void provider_stop_lease(struct control *control, struct pool_provider *provider,
                         const struct lease_id *lease, enum lease_cause cause)
{
    struct wire_stop stop = {.lease = *lease, .cause = cause};
    CLEANUP(buffer_clear) struct buffer index = {0};
    wire_stop_write(&stop, &index);
    const struct ask_question question = {.type = WIRE_STOP, .index = &index};
    if (provider_ask(control, provider, &question, NULL) == LETHE_OK)
        return;
    /* Either it is gone, and learns it when it comes back; or this end is short of memory, and then
     * it is to come back. */
    if (provider_is_here(provider))
        link_end(((struct control_peer *)provider->link)->link, LETHE_NO_MEMORY,
                 "no memory to tell the provider to stop a lease");
}

static void answer(struct control_peer *peer, struct ask *ask, lethe_result result, uint64_t value,
                   const struct lethe_error *why)
{
    if (ask->answered != NULL)
        ask->answered(peer->control, ask->context, result, value, why);
    free(ask);
}

bool peer_owes_since(const struct control_peer *peer, uint64_t *since_ms)
{
    const struct ask *oldest = (const struct ask *)pending_oldest(&peer->asks);
    if (oldest != NULL)
        *since_ms = oldest->since_ms;
    return oldest != NULL;
}

lethe_result peer_take_reply(struct control_peer *peer, const struct link_frame *frame,
                             struct lethe_error *err)
{
    struct lethe_error why = {0};
    struct pending_request *request;
    TRY(pending_take(&peer->asks, &frame->head, &request, err));
    lethe_result result = wire_refusal_read(&frame->head, frame->index, &why);
    answer(peer, (struct ask *)request, result, frame->head.value, &why);
    if (result == LETHE_OK && cursor_left(&frame->index) > 0)
        return error_set(err, LETHE_MALFORMED, "a reply with an index where there is none");
    return LETHE_OK;
}

void peer_forget_asks(struct control_peer *peer, const struct lethe_error *why)
{
    struct lethe_error gone = {0};
    error_set(&gone, LETHE_UNAVAILABLE, "the provider is gone: %.400s", why->text);
    for (struct pending_request *request; (request = pending_pop(&peer->asks)) != NULL;)
        answer(peer, (struct ask *)request, LETHE_UNAVAILABLE, 0, &gone);
}
