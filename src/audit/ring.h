/* audit/ring.h -- emitted records on their way to the log: a bounded ring of bytes, made once.
 *
 * A record is packed by whoever emits it, without a lock, and then copied in whole or not at all.
 * One reader at a time takes records out without copying them: their texts stay in the ring until
 * ring_release(). Not locked: pushing and releasing are guarded by the log's mutex, and reading up
 * to what was there under the mutex needs none, because what is in the ring does not change. */
#ifndef AUDIT_RING_H
#define AUDIT_RING_H

#include "audit/queue.h"

/* The largest record: three texts and twelve, each at its longest, with its length and a NUL. */
#define PACKED_BYTES_MAX (16 + (AUDIT_FIELDS_MAX + 3) * (2 + AUDIT_TEXT_MAX + 1) + 8)

struct packed {
    size_t size_bytes; /* a multiple of 8 */
    _Alignas(8) char bytes[PACKED_BYTES_MAX];
};
/* Texts as the log will hold them, or short enough to become that when they are written. */
void packed_make(struct packed *out, const struct audit_who *who, const struct audit_event *event,
                 uint64_t time_ns);

/* A record as it was packed: an entry whose event and texts lie where the bytes do. */
struct emitted {
    struct entry entry;
    struct audit_event event;
};
/* Reads what packed_make() has written, but for the event's own `epoch`. */
void packed_read(const char *bytes, struct emitted *out);

struct ring {
    char *bytes;
    size_t capacity_bytes; /* a multiple of 8 */
    uint64_t head;         /* bytes ever put in, gaps included */
    uint64_t tail;         /* bytes ever taken out             */
    uint64_t pushed;       /* records ever put in              */
    uint64_t released;     /* records ever taken out           */
};
/* At least room for two records of the largest kind, whatever is asked for. */
LETHE_MUST_CHECK lethe_result ring_create(struct ring *ring, uint64_t capacity_bytes,
                                          struct lethe_error *err);
void ring_clear(struct ring *ring);

static inline uint64_t ring_count(const struct ring *ring)
{
    return ring->pushed - ring->released;
}

/* False when there is no room. */
bool ring_push(struct ring *ring, const struct packed *record);

/* Where a reader is; begins at {ring->tail}. */
struct ring_place {
    uint64_t at;
};
/* The record at `place`, which must be there, valid until it is released; moves on to the next. */
void ring_read(const struct ring *ring, struct ring_place *place, struct emitted *out);
/* Gives up the first `count` records, which end at `place`. */
void ring_release(struct ring *ring, const struct ring_place *place, uint64_t count);

#endif
