#include "pool/link_outbox.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

struct outbox_frame {
    TAILQ_ENTRY(outbox_frame) entry;
    bool is_reply;
    void (*released)(void *context);
    void *context;
    size_t count, part; /* parts, and the first that is not written */
    struct iovec parts[];
    /* behind them: head and index, which the first part names */
};

void outbox_init(struct link_outbox *outbox)
{
    *outbox = (struct link_outbox){0};
    TAILQ_INIT(&outbox->frames);
}

/* ---- adding ----------------------------------------------------------------------------------
 */

static struct outbox_frame *frame_create(const struct wire_head *head, const struct buffer *index,
                                         const struct link_data *data)
{
    size_t pieces = data != NULL ? data->count : 0;
    size_t front_bytes = WIRE_HEAD_BYTES + head->index_bytes;
    size_t parts_bytes = (1 + pieces) * sizeof(struct iovec);
    struct outbox_frame *frame = malloc(sizeof *frame + parts_bytes + front_bytes);
    if (frame == NULL)
        return NULL;
    uint8_t *front = (uint8_t *)frame + sizeof *frame + parts_bytes;
    *frame = (struct outbox_frame){.is_reply = wire_is_reply(head), .count = 1 + pieces};
    frame->parts[0] = (struct iovec){front, front_bytes};
    wire_head_write(head, front);
    if (head->index_bytes > 0)
        memcpy(front + WIRE_HEAD_BYTES, index->bytes, head->index_bytes);
    if (pieces > 0) {
        memcpy(&frame->parts[1], data->pieces, pieces * sizeof(struct iovec));
        frame->released = data->released;
        frame->context = data->context;
    }
    return frame;
}

static size_t sum(const struct link_data *data)
{
    size_t total = 0;
    for (size_t i = 0; data != NULL && i < data->count; i++)
        total += data->pieces[i].iov_len;
    return total;
}

lethe_result outbox_add(struct link_outbox *outbox, const struct wire_head *head,
                        const struct buffer *index, const struct link_data *data,
                        struct lethe_error *err)
{
    struct wire_head whole = *head;
    size_t index_bytes = index != NULL ? index->size_bytes : 0, data_bytes = sum(data);
    REQUIRE(index_bytes <= WIRE_INDEX_MAX && data_bytes <= WIRE_JSON_MAX);
    REQUIRE(data == NULL || data->count <= LINK_PIECES_MAX);
    if (index != NULL)
        TRY(buffer_result(index, err));
    whole.index_bytes = (uint32_t)index_bytes;
    whole.data_bytes = (uint32_t)data_bytes;
    struct outbox_frame *frame = frame_create(&whole, index, data);
    if (frame == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a frame");
    size_t total = WIRE_HEAD_BYTES + index_bytes + data_bytes;
    TAILQ_INSERT_TAIL(&outbox->frames, frame, entry);
    outbox->queued_bytes += total;
    outbox->reply_bytes += frame->is_reply ? total : 0;
    outbox->naming_frames += frame->count > 1;
    return LETHE_OK;
}

/* ---- writing ---------------------------------------------------------------------------------
 */

static void account(struct link_outbox *outbox, const struct outbox_frame *frame, size_t size_bytes)
{
    outbox->queued_bytes -= size_bytes;
    outbox->reply_bytes -= frame->is_reply ? size_bytes : 0;
}

/* Off the list first: whoever is told may add frames. */
static void let_go(struct link_outbox *outbox, struct outbox_frame *frame)
{
    TAILQ_REMOVE(&outbox->frames, frame, entry);
    outbox->naming_frames -= frame->count > 1;
    if (frame->released != NULL)
        frame->released(frame->context);
    free(frame);
}

void outbox_clear(struct link_outbox *outbox)
{
    for (struct outbox_frame *frame; (frame = TAILQ_FIRST(&outbox->frames)) != NULL;) {
        for (; frame->part < frame->count; frame->part++)
            account(outbox, frame, frame->parts[frame->part].iov_len);
        let_go(outbox, frame);
    }
}

size_t outbox_parts(const struct link_outbox *outbox, struct iovec *out, size_t max)
{
    size_t count = 0;
    const struct outbox_frame *frame;
    TAILQ_FOREACH(frame, &outbox->frames, entry)
    {
        for (size_t i = frame->part; i < frame->count; i++) {
            if (count == max)
                return count;
            out[count++] = frame->parts[i];
        }
    }
    return count;
}

static void advance(struct link_outbox *outbox, struct outbox_frame *frame, size_t *left_bytes)
{
    while (frame->part < frame->count) {
        struct iovec *part = &frame->parts[frame->part];
        size_t taken = MIN(*left_bytes, part->iov_len);
        part->iov_base = (uint8_t *)part->iov_base + taken;
        part->iov_len -= taken;
        *left_bytes -= taken;
        account(outbox, frame, taken);
        if (part->iov_len > 0)
            return;
        frame->part++;
    }
}

void outbox_wrote(struct link_outbox *outbox, size_t size_bytes)
{
    for (struct outbox_frame *frame; (frame = TAILQ_FIRST(&outbox->frames)) != NULL;) {
        advance(outbox, frame, &size_bytes);
        if (frame->part < frame->count)
            break;
        let_go(outbox, frame);
    }
    REQUIRE(size_bytes == 0);
}
