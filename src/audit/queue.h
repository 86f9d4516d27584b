/* audit/queue.h -- records on their way to the log, in the order in which they were reported.
 *
 * A committed entry lives on its caller's stack, who waits for it; an emitted one owns a copy of
 * all that it says. Not locked: the log's mutex guards it. */
#ifndef AUDIT_QUEUE_H
#define AUDIT_QUEUE_H

#include "audit/event.h"
#include "audit/log.h"

struct entry {
    struct entry *next;
    struct audit_who who;
    const struct audit_event *event;
    uint64_t time_ns;
    bool is_copy; /* emitted */
    /* What became of it, for the one who waits. */
    bool done;
    lethe_result result;
    struct lethe_error *err;
};

/* A copy of an event, texts as the log will hold them; NULL when memory is out. */
struct entry *entry_copy(const struct audit_who *who, const struct audit_event *event,
                         uint64_t time_ns);
void entry_free(struct entry *entry); /* of a copy */

/* First in, first out. {0} is empty. */
struct queue {
    struct entry *first;
    struct entry *last;
    size_t count;
    size_t copies; /* how many of them were emitted */
};
void queue_push(struct queue *queue, struct entry *entry);
/* Takes the first entries, at most `count`, as a list; NULL when there are none. */
struct entry *queue_take(struct queue *queue, size_t count);
/* Moves all of `front` to the front of `queue`. */
void queue_put_in_front(struct queue *queue, struct queue *front);

#endif
