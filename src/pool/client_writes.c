/* Writes: sealed into frames, sent to every copy, and done when those have it that are there. */
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "pool/client_calls.h"

/* ---- writing --------------------------------------------------------------------------------- */

static lethe_result seal_part(struct client_frame *frame, struct client_part *part,
                              struct lethe_error *err)
{
    struct lethe_pool_lease *lease = frame->lease;
    uint8_t *out = frame->data->bytes + (size_t)frame->count * lease->block_bytes;
    uint8_t *tag = frame->tags[frame->count];
    if (part->kind == PART_REPAIR) {
        memcpy(out, part->sealed->bytes, lease->block_bytes);
        memcpy(tag, part->tag, AEAD_TAG_BYTES);
        return LETHE_OK;
    }
    struct block_place place = {.block = part->block, .size_bytes = lease->block_bytes};
    TRY(versions_next(lease->versions, part->block, &place.version, err));
    if (block_seal(lease->key, &place, client_plain(part), out, tag) != LETHE_OK)
        return error_set(err, LETHE_FAILED, "block %" PRIu64 " could not be sealed", part->block);
    return LETHE_OK;
}

static void add_write(struct client_frame *frame, struct client_part *part)
{
    struct lethe_error why = {0};
    if (seal_part(frame, part, &why) != LETHE_OK)
        client_part_end(part, &why);
    else
        frame->parts[frame->count++] = part;
}

static void write_ended(struct client_frame *frame);

static void send_to_copies(struct client_frame *frame)
{
    struct lethe_pool_lease *lease = frame->lease;
    frame->replies++; /* none is the last before all have it */
    if (frame->parts[0]->kind == PART_REPAIR)
        (void)client_frame_send(frame, &lease->copies[frame->parts[0]->target]);
    else
        for (unsigned i = 0; i < lease->copy_count; i++)
            if (client_is_attached(&lease->copies[i]))
                (void)client_frame_send(frame, &lease->copies[i]);
    if (--frame->replies == 0)
        write_ended(frame);
}

static size_t ready_bytes(const struct lethe_pool_lease *lease)
{
    size_t bytes = lease->block_bytes; /* of the part that was taken already */
    const struct client_part *part;
    STAILQ_FOREACH(part, &lease->writes, next)
    {
        if (bytes + lease->block_bytes > CLIENT_FRAME_BYTES)
            break;
        bytes += lease->block_bytes;
    }
    return bytes;
}

/* With those behind it. Repairs go alone: they are for one copy. */
static void send_writes(struct lethe_pool_lease *lease, struct client_part *part)
{
    bool is_repair = part->kind == PART_REPAIR;
    struct client_frame *frame = client_frame_begin(lease, true);
    if (frame != NULL)
        frame->data =
            client_chunk_take(lease->worker, is_repair ? lease->block_bytes : ready_bytes(lease));
    if (frame == NULL || frame->data == NULL) {
        struct lethe_error why = {0};
        error_set(&why, LETHE_NO_MEMORY, "no memory for a frame");
        client_part_end(part, &why);
    } else {
        add_write(frame, part);
        while (!is_repair && !client_frame_is_full(frame) &&
               (part = STAILQ_FIRST(&lease->writes)) != NULL && part->kind != PART_REPAIR) {
            STAILQ_REMOVE_HEAD(&lease->writes, next);
            add_write(frame, part);
        }
    }
    if (frame == NULL)
        return;
    if (frame->count > 0)
        send_to_copies(frame);
    else
        lease->in_flight--;
    client_frame_let_go(frame);
}

static bool may_be_written(const struct client_part *part, struct lethe_error *why)
{
    if (part->kind == PART_REPAIR && part->lease->copies[part->target].state == COPY_LOST) {
        error_set(why, LETHE_LOST, "the copy is lost");
        return false;
    }
    return !client_all_lost(part->lease, why);
}

static bool can_write(const struct client_part *part)
{
    const struct lethe_pool_lease *lease = part->lease;
    if (part->kind == PART_REPAIR)
        return client_is_attached(&lease->copies[part->target]);
    for (unsigned i = 0; i < lease->copy_count; i++)
        if (client_is_attached(&lease->copies[i]))
            return true;
    return false;
}

void client_writes_flush(struct lethe_pool_lease *lease)
{
    struct client_parts held = STAILQ_HEAD_INITIALIZER(held);
    struct client_part *part;
    while ((part = STAILQ_FIRST(&lease->writes)) != NULL) {
        STAILQ_REMOVE_HEAD(&lease->writes, next);
        struct lethe_error why = {0};
        if (can_write(part))
            send_writes(lease, part);
        else if (may_be_written(part, &why))
            STAILQ_INSERT_TAIL(&held, part, next);
        else
            client_part_end(part, &why);
    }
    STAILQ_CONCAT(&lease->writes, &held);
}

static void repair_ended(struct client_frame *frame)
{
    struct client_part *part = frame->parts[0];
    struct client_copy *copy = &frame->lease->copies[part->target];
    if (frame->acknowledged != 0) {
        client_stale_set(copy, part->block, false);
        atomic_fetch_add(&copy->repaired_blocks, 1);
    }
    client_part_end(part, NULL);
}

/* Done when a copy has it that is not lost; those that have it not are stale. */
static void part_written(struct client_part *part, uint8_t have)
{
    struct lethe_pool_lease *lease = part->lease;
    if (have == 0) {
        client_ready(part);
        return;
    }
    versions_settle(lease->versions, part->block);
    for (unsigned i = 0; i < lease->copy_count; i++)
        client_stale_set(&lease->copies[i], part->block, (have & 1u << i) == 0);
    client_part_end(part, NULL);
}

static void write_ended(struct client_frame *frame)
{
    struct lethe_pool_lease *lease = frame->lease;
    lease->in_flight--;
    if (frame->parts[0]->kind == PART_REPAIR) {
        repair_ended(frame);
        return;
    }
    uint8_t have = frame->acknowledged;
    for (unsigned i = 0; i < lease->copy_count; i++)
        if (lease->copies[i].state == COPY_LOST)
            have &= (uint8_t) ~(1u << i);
    for (unsigned i = 0; i < frame->count; i++)
        part_written(frame->parts[i], have);
}

void client_write_answered(struct client_frame *frame, struct client_copy *copy,
                           const struct lethe_error *why)
{
    if (why == NULL)
        frame->acknowledged |= (uint8_t)(1u << copy->index);
    if (--frame->replies == 0)
        write_ended(frame);
    client_frame_let_go(frame);
}
