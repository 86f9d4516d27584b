/* pool/link_intake.h -- frames that come over a link, put together from bytes however they are cut.
 *
 * It says where the next bytes go (into a head, an index, or the pieces that somebody gave for a
 * frame's data), and checks every rule that a frame can break. It reads nothing itself: bytes come
 * from TLS, or from a test. Heads and short indexes come with what is behind them, as far as it is
 * there: small frames, of which there are many, are one read. Memory of its own it has only for a
 * long index and for many pieces, and none between frames; what was dealt with is wiped, as data
 * belong to a lease. Pure. Thread rule: none. */
#ifndef POOL_LINK_INTAKE_H
#define POOL_LINK_INTAKE_H

#include <sys/uio.h>

#include "pool/link.h"

#define INTAKE_AHEAD_BYTES 512u /* a head, most indexes, and a little of what is behind them */
#define INTAKE_FEW_PIECES 4u
#define LINK_LATER_MAX 256u /* requests that wait for an answer which may come later */

enum intake_part {
    INTAKE_HEAD,
    INTAKE_INDEX,
    INTAKE_PLACE, /* head and index are there, data will come: intake_place() is next */
    INTAKE_DATA,
    INTAKE_FRAME, /* whole: intake_next() is next */
};
struct link_intake {
    enum wire_role self, peer;
    enum intake_part part;
    uint8_t ahead[INTAKE_AHEAD_BYTES];
    size_t ahead_from, ahead_until; /* what of it is there and belongs to no part yet */
    struct wire_head head;
    const uint8_t *index; /* within `ahead`, or `long_index` */
    uint8_t *long_index;
    size_t done_bytes;    /* of a long index, or of the data */
    struct iovec *pieces; /* `few_pieces`, or memory of its own */
    struct iovec few_pieces[INTAKE_FEW_PIECES];
    size_t piece_count, piece; /* the first that is not full; it shrinks while it is filled */
    lethe_result refused;      /* what intake_place() was told */
    uint64_t last_request;     /* that came */
    uint64_t asked;            /* the last that went out: no reply has a greater number */
    uint32_t unanswered_later;
    bool has_frame; /* one came: HELLO can be the first only */
};
void intake_init(struct link_intake *intake, enum wire_role self, enum wire_role peer);
void intake_clear(struct link_intake *intake);

/* Where the next bytes go, for the parts HEAD, INDEX and DATA, and how many at most. Without a
 * base: they are to be thrown away. */
void intake_room(const struct link_intake *intake, struct iovec *room);
/* So many were put there. LETHE_MALFORMED says which rule the frame breaks; LETHE_NO_MEMORY. */
LETHE_MUST_CHECK lethe_result intake_took(struct link_intake *intake, size_t size_bytes,
                                          struct lethe_error *err);
/* In INTAKE_PLACE: where the data go, exactly as many bytes as they are. With a `refused` that is
 * not LETHE_OK they are thrown away. */
LETHE_MUST_CHECK lethe_result intake_place(struct link_intake *intake, lethe_result refused,
                                           const struct iovec *pieces, size_t count,
                                           struct lethe_error *err);
/* In INTAKE_PLACE and INTAKE_FRAME. */
struct link_frame intake_frame(const struct link_intake *intake);
/* The frame was dealt with; what was read ahead is taken for the next. Errors: as intake_took(). */
LETHE_MUST_CHECK lethe_result intake_next(struct link_intake *intake, struct lethe_error *err);

#endif
