#include "pool/pending.h"

#include <inttypes.h>

#include "base/error.h"

void pending_init(struct pending *pending)
{
    TAILQ_INIT(&pending->in_order);
    TAILQ_INIT(&pending->later);
    pending->count = 0;
}

static struct pending_list *list_of(struct pending *pending, uint8_t type)
{
    return wire_answered_later(type) ? &pending->later : &pending->in_order;
}

void pending_add(struct pending *pending, struct pending_request *request)
{
    TAILQ_INSERT_TAIL(list_of(pending, (uint8_t)request->type), request, entry);
    pending->count++;
}

static void take(struct pending *pending, struct pending_request *request)
{
    TAILQ_REMOVE(list_of(pending, (uint8_t)request->type), request, entry);
    pending->count--;
}

lethe_result pending_take(struct pending *pending, const struct wire_head *reply,
                          struct pending_request **out, struct lethe_error *err)
{
    struct pending_request *request = TAILQ_FIRST(list_of(pending, reply->type));
    while (wire_answered_later(reply->type) && request != NULL && request->number != reply->request)
        request = TAILQ_NEXT(request, entry);
    if (request == NULL || request->number != reply->request ||
        (request->type | WIRE_REPLY) != reply->type)
        return error_set(err, LETHE_MALFORMED,
                         "the peer answers %s %" PRIu64 ", whose turn it is not",
                         wire_type_name(reply->type), reply->request);
    take(pending, request);
    *out = request;
    return LETHE_OK;
}

static struct pending_request *oldest(const struct pending *pending)
{
    struct pending_request *first = TAILQ_FIRST(&pending->in_order);
    struct pending_request *later = TAILQ_FIRST(&pending->later);
    return first == NULL || (later != NULL && later->number < first->number) ? later : first;
}

const struct pending_request *pending_oldest(const struct pending *pending)
{
    return oldest(pending);
}

struct pending_request *pending_pop(struct pending *pending)
{
    struct pending_request *first = oldest(pending);
    if (first != NULL)
        take(pending, first);
    return first;
}
