/* Frames: parts that are sent together, to one copy or to all. */
#include <string.h>

#include "base/error.h"
#include "pool/client_calls.h"

bool client_is_attached(const struct client_copy *copy)
{
    return copy->state == COPY_ATTACHED && copy->remote->is_open;
}

bool client_frame_is_full(const struct client_frame *frame)
{
    size_t block_bytes = frame->lease->block_bytes;
    return frame->count == WIRE_BLOCKS_MAX ||
           (frame->count + 1) * block_bytes > MAX(CLIENT_FRAME_BYTES, block_bytes);
}

struct client_frame *client_frame_begin(struct lethe_pool_lease *lease, bool is_write)
{
    struct client_frame *frame = client_frame_take(lease->worker);
    if (frame == NULL)
        return NULL;
    frame->lease = lease;
    frame->is_write = is_write;
    frame->holders = 1; /* who makes it */
    lease->in_flight++;
    return frame;
}

static const struct buffer *index_of(const struct client_frame *frame)
{
    struct buffer *index = &frame->worker->index;
    buffer_truncate(index, 0);
    for (unsigned i = 0; i < frame->count; i++) {
        buffer_le64(index, frame->parts[i]->block);
        if (frame->is_write)
            buffer_append(index, frame->tags[i], AEAD_TAG_BYTES);
    }
    return index;
}

bool client_frame_send(struct client_frame *frame, struct client_copy *copy)
{
    const struct iovec data = {
        .iov_base = frame->is_write ? frame->data->bytes : NULL,
        .iov_len = (size_t)frame->count * frame->lease->block_bytes,
    };
    const struct client_request request = {
        .type = frame->is_write ? WIRE_WRITE : WIRE_READ,
        .copy = copy,
        .frame = frame,
        .blocks = (uint16_t)frame->count,
        .data = frame->is_write ? &data : NULL,
    };
    return client_send(copy->remote, &request, index_of(frame));
}

uint8_t *client_plain(const struct client_part *part)
{
    return part->scratch != NULL ? part->scratch->bytes : part->user;
}

void client_flush(struct lethe_pool_lease *lease)
{
    if (lease->is_closing)
        return;
    do { /* what was read may now be written, and what ended lets others begin */
        lease->wants_flush = false;
        client_reads_flush(lease);
        client_writes_flush(lease);
    } while (lease->wants_flush);
}
