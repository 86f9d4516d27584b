/* pool/pending.h -- what was asked over a link and is not answered yet.
 *
 * A request is the owner's, and stays in place until it was taken. Replies come in the order of the
 * requests, but for those of types that may be answered later; anything else is a broken rule.
 * Pure. Thread rule: none. */
#ifndef POOL_PENDING_H
#define POOL_PENDING_H

#include <sys/queue.h>

#include "pool/wire.h"

struct pending_request {
    TAILQ_ENTRY(pending_request) entry; /* the table's */
    uint64_t number;                    /* link_next_request() */
    enum wire_type type;
};
TAILQ_HEAD(pending_list, pending_request);
struct pending {
    struct pending_list in_order, later;
    size_t count;
};
void pending_init(struct pending *pending);
void pending_add(struct pending *pending, struct pending_request *request);
/* The request that this is the reply to; it is not in the table any more. LETHE_MALFORMED: there is
 * none, or it is not its turn, for `frame` to return. */
LETHE_MUST_CHECK lethe_result pending_take(struct pending *pending, const struct wire_head *reply,
                                           struct pending_request **out, struct lethe_error *err);
const struct pending_request *pending_oldest(const struct pending *pending); /* NULL: none */
/* Takes out the oldest, whatever it is: for a link that ended. NULL: none is left. */
struct pending_request *pending_pop(struct pending *pending);

#endif
