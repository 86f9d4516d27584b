/* pool/link_outbox.h -- frames that wait to be sent over a link.
 *
 * A frame is its head and index, which are copied, and pieces of memory that stay where they are
 * until the frame was handed over whole. Pure: who writes takes parts and says how many bytes went.
 * Thread rule: none. */
#ifndef POOL_LINK_OUTBOX_H
#define POOL_LINK_OUTBOX_H

#include <sys/queue.h>
#include <sys/uio.h>

#include "pool/link.h"

struct outbox_frame;
struct link_outbox {
    TAILQ_HEAD(outbox_frames, outbox_frame) frames;
    size_t queued_bytes;  /* that are to be written still */
    size_t reply_bytes;   /* ... of replies: they are what the peer caused */
    size_t naming_frames; /* frames that name pieces of memory */
};
void outbox_init(struct link_outbox *outbox);
void outbox_clear(struct link_outbox *outbox); /* releases what every frame names */

/* The head's sizes are set from index and data, which may be NULL. LETHE_NO_MEMORY: nothing was
 * added, and nothing will be released. */
LETHE_MUST_CHECK lethe_result outbox_add(struct link_outbox *outbox, const struct wire_head *head,
                                         const struct buffer *index, const struct link_data *data,
                                         struct lethe_error *err);
/* What is to be written next; 0 when nothing is. */
size_t outbox_parts(const struct link_outbox *outbox, struct iovec *out, size_t max);
/* So many bytes of it were written. Frames that are complete are released here. */
void outbox_wrote(struct link_outbox *outbox, size_t size_bytes);

#endif
