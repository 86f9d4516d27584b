/* audit/queue.h -- records on their way to the log, and those of them that somebody waits for.
 *
 * A committed entry lives on its caller's stack, a pushed one in its batch (batch.h); emitted ones
 * come from the ring (ring.h). Not
 * locked: the log's mutex guards it. */
#ifndef AUDIT_QUEUE_H
#define AUDIT_QUEUE_H

#include <stdatomic.h>

#include "audit/event.h"
#include "audit/log.h"

/* What the one who waits for an entry is to do. Only who sleeps is woken: of a group with one
 * owner, one entry costs a system call, not each. */
enum entry_turn { ENTRY_WAITS, ENTRY_SLEEPS, ENTRY_LEADS, ENTRY_DONE };

struct entry {
    struct entry *next;
    struct audit_who who;
    const struct audit_event *event;
    uint64_t time_ns;
    struct audit_batch *batch; /* of a pushed one: it waits for it */
    bool follows;              /* its caller waits for one before it, too */
    /* Of a committed one: the emitted records that go before it, counted from the first ever. */
    uint64_t behind;
    struct entry *next_told; /* of those who wait for the same group */
    /* What became of it, for the one who waits: true once the turn is ENTRY_DONE. */
    atomic_uint turn;
    lethe_result result;
    struct lethe_error *err;
};

/* First in, first out. {0} is empty. */
struct queue {
    struct entry *first;
    struct entry *last;
    size_t count; /* of those who wait: entries that follow another one's are not counted */
};
void queue_push(struct queue *queue, struct entry *entry);
struct entry *queue_pop(struct queue *queue); /* NULL when there is none */

#endif
