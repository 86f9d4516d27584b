/* Ready parts become frames, and what came of those. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "pool/client_core.h"

/* ---- which copy ------------------------------------------------------------------------------ */

static bool is_attached(const struct client_copy *copy)
{
    return copy->state == COPY_ATTACHED && copy->remote->is_open;
}

/* Whether a copy may have what the part wants to read. One that missed a write has not, unless
 * nobody knows where that write arrived. */
static bool may_have(const struct client_part *part, const struct client_copy *copy)
{
    if (copy->state == COPY_LOST || (part->tried & 1u << copy->index) != 0)
        return false;
    if (part->kind == PART_REPAIR && part->target == copy->index)
        return false;
    return !client_is_stale(copy, part->block) ||
           versions_is_pending(part->lease->versions, part->block);
}

static struct client_copy *choose(const struct client_part *part)
{
    struct lethe_pool_lease *lease = part->lease;
    unsigned first = lease->next_copy++;
    for (unsigned i = 0; i < lease->copy_count; i++) {
        struct client_copy *copy = &lease->copies[(first + i) % lease->copy_count];
        if (is_attached(copy) && may_have(part, copy))
            return copy;
    }
    return NULL;
}

static bool may_be_written(const struct client_part *part, struct lethe_error *why)
{
    if (part->kind == PART_REPAIR && part->lease->copies[part->target].state == COPY_LOST) {
        error_set(why, LETHE_LOST, "the copy is lost");
        return false;
    }
    return !client_all_lost(part->lease, why);
}

static void say_unreadable(const struct client_part *part, struct lethe_error *why)
{
    bool pending = versions_is_pending(part->lease->versions, part->block);
    if (part->tried != 0 && !pending)
        error_set(why, LETHE_INTEGRITY,
                  "block %" PRIu64 ": a provider gave back something else than what was stored",
                  part->block);
    else if (pending)
        error_set(why, LETHE_LOST, "block %" PRIu64 ": a write of it was not finished",
                  part->block);
    else if (!client_all_lost(part->lease, why))
        error_set(why, LETHE_LOST, "block %" PRIu64 ": the copies that had it are lost",
                  part->block);
}

bool client_may_wait(const struct client_part *part, struct lethe_error *why)
{
    if (part->step == STEP_WRITE)
        return may_be_written(part, why);
    const struct lethe_pool_lease *lease = part->lease;
    for (unsigned i = 0; i < lease->copy_count; i++)
        if (may_have(part, &lease->copies[i]))
            return true;
    if (client_all_lost(lease, why) && part->tried == 0)
        return false;
    say_unreadable(part, why);
    return false;
}

void client_overdue(const struct client_part *part, struct lethe_error *why)
{
    if (part->step == STEP_READ && part->tried != 0) {
        say_unreadable(part, why);
        return;
    }
    error_set(why, LETHE_UNAVAILABLE, "block %" PRIu64 ": no provider that has it was reached",
              part->block);
    for (unsigned i = 0; i < part->lease->copy_count; i++)
        if (part->lease->copies[i].remote->why.code != LETHE_OK)
            error_hint(why, "%.*s: %.*s", 100, part->lease->copies[i].remote->provider, 140,
                       part->lease->copies[i].remote->why.text);
}

/* ---- frames ---------------------------------------------------------------------------------- */

static bool is_full(const struct client_frame *frame)
{
    size_t block_bytes = frame->lease->block_bytes;
    return frame->count == WIRE_BLOCKS_MAX ||
           (frame->count + 1) * block_bytes > MAX(CLIENT_FRAME_BYTES, block_bytes);
}

static struct client_frame *frame_of(struct lethe_pool_lease *lease, bool is_write)
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

static void le64_to(struct buffer *index, uint64_t value)
{
    char *out = buffer_extend(index, 8);
    for (size_t i = 0; out != NULL && i < 8; i++)
        out[i] = (char)(value >> (8 * i));
}

static const struct buffer *index_of(const struct client_frame *frame)
{
    struct buffer *index = &frame->worker->index;
    buffer_truncate(index, 0);
    for (unsigned i = 0; i < frame->count; i++) {
        le64_to(index, frame->parts[i]->block);
        if (frame->is_write)
            buffer_append(index, frame->tags[i], AEAD_TAG_BYTES);
    }
    return index;
}

static bool send_to(struct client_frame *frame, struct client_copy *copy)
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

/* ---- reading --------------------------------------------------------------------------------- */

/* Where the provider's answer goes, and where it is in plain afterwards. */
static lethe_result make_place(struct client_part *part, struct lethe_error *err)
{
    struct lethe_pool_lease *lease = part->lease;
    if (part->kind == PART_REPAIR && part->sealed == NULL) {
        part->sealed = client_chunk_take(lease->worker, lease->block_bytes);
        if (part->sealed == NULL)
            return error_set(err, LETHE_NO_MEMORY, "no memory for a block");
    }
    if (part->scratch != NULL || (part->kind == PART_READ && part->size == lease->block_bytes))
        return LETHE_OK;
    return client_scratch_take(lease->worker, lease->block_bytes, &part->scratch, err);
}

static uint8_t *plain_of(const struct client_part *part)
{
    return part->scratch != NULL ? part->scratch->bytes : part->user;
}

size_t client_read_pieces(const struct client_frame *frame, struct iovec *pieces)
{
    for (unsigned i = 0; i < frame->count; i++) {
        const struct client_part *part = frame->parts[i];
        pieces[i] = (struct iovec){
            .iov_base = part->sealed != NULL ? part->sealed->bytes : plain_of(part),
            .iov_len = frame->lease->block_bytes,
        };
    }
    return frame->count;
}

/* `plain` has the whole block. */
static void have_read(struct client_part *part)
{
    if (part->kind == PART_READ) {
        if (part->scratch != NULL)
            memcpy(part->user, part->scratch->bytes + part->offset, part->size);
        client_part_end(part, NULL);
        return;
    }
    if (part->kind == PART_WRITE) {
        memcpy(part->scratch->bytes + part->offset, part->user, part->size);
    } else { /* that it could be opened is all that is wanted */
        client_scratch_give(part->lease->worker, part->scratch);
        part->scratch = NULL;
    }
    part->step = STEP_WRITE;
    client_ready(part);
}

/* Nobody ever wrote it: it is all zeros. */
static void read_nothing(struct client_part *part)
{
    struct lethe_pool_lease *lease = part->lease;
    struct lethe_error why = {0};
    if (part->kind == PART_REPAIR) {
        client_stale_set(&lease->copies[part->target], part->block, false);
        client_part_end(part, NULL);
    } else if (part->kind == PART_READ) {
        memset(part->user, 0, part->size);
        client_part_end(part, NULL);
    } else if (make_place(part, &why) != LETHE_OK) {
        client_part_end(part, &why);
    } else {
        have_read(part);
    }
}

static void add_read(struct client_frame *frame, struct client_part *part)
{
    struct lethe_error why = {0};
    part->version = versions_of(part->lease->versions, part->block);
    if (make_place(part, &why) != LETHE_OK)
        client_part_end(part, &why);
    else
        frame->parts[frame->count++] = part;
}

/* With those behind it that the same copy may have. */
static void send_reads(struct lethe_pool_lease *lease, struct client_copy *copy,
                       struct client_part *part)
{
    struct client_frame *frame = frame_of(lease, false);
    if (frame == NULL) {
        struct lethe_error why = {0};
        error_set(&why, LETHE_NO_MEMORY, "no memory for a frame");
        client_part_end(part, &why);
        return;
    }
    add_read(frame, part);
    while (!is_full(frame) && (part = STAILQ_FIRST(&lease->reads)) != NULL &&
           may_have(part, copy) && versions_of(lease->versions, part->block) != 0) {
        STAILQ_REMOVE_HEAD(&lease->reads, next);
        add_read(frame, part);
    }
    if (frame->count == 0 || !send_to(frame, copy)) {
        for (unsigned i = 0; i < frame->count; i++)
            client_ready(frame->parts[i]);
        lease->in_flight--;
    }
    client_frame_let_go(frame);
}

static void flush_reads(struct lethe_pool_lease *lease)
{
    struct client_parts held = STAILQ_HEAD_INITIALIZER(held);
    struct client_part *part;
    while ((part = STAILQ_FIRST(&lease->reads)) != NULL) {
        STAILQ_REMOVE_HEAD(&lease->reads, next);
        struct lethe_error why = {0};
        struct client_copy *copy;
        if (versions_of(lease->versions, part->block) == 0)
            read_nothing(part);
        else if ((copy = choose(part)) != NULL)
            send_reads(lease, copy, part);
        else if (client_may_wait(part, &why))
            STAILQ_INSERT_TAIL(&held, part, next);
        else
            client_part_end(part, &why);
    }
    STAILQ_CONCAT(&lease->reads, &held);
}

/* The newest version was found: it is known to have arrived, and only there. */
static void settle_found(struct lethe_pool_lease *lease, struct client_copy *found, uint64_t block)
{
    if (!versions_is_pending(lease->versions, block))
        return;
    versions_settle(lease->versions, block);
    for (unsigned i = 0; i < lease->copy_count; i++)
        client_stale_set(&lease->copies[i], block, &lease->copies[i] != found);
}

static void open_part(struct client_part *part, struct client_copy *copy, const uint8_t *tag)
{
    struct lethe_pool_lease *lease = part->lease;
    const struct block_place place = {
        .block = part->block, .version = part->version, .size_bytes = lease->block_bytes};
    uint8_t *plain = plain_of(part);
    const uint8_t *sealed = part->sealed != NULL ? part->sealed->bytes : plain;
    if (block_open(lease->key, &place, sealed, tag, plain) == LETHE_OK) {
        settle_found(lease, copy, part->block);
        memcpy(part->tag, tag, AEAD_TAG_BYTES);
        have_read(part);
        return;
    }
    part->tried |= (uint8_t)(1u << copy->index);
    if (!versions_is_pending(lease->versions, part->block))
        client_stale_set(copy, part->block, true); /* is written again from another */
    client_ready(part);
}

void client_read_answered(struct client_frame *frame, struct client_copy *copy, const uint8_t *tags,
                          const struct lethe_error *why)
{
    struct lethe_pool_lease *lease = frame->lease;
    lease->in_flight--;
    for (unsigned i = 0; i < frame->count; i++)
        if (why == NULL)
            open_part(frame->parts[i], copy, tags + (size_t)i * AEAD_TAG_BYTES);
        else
            client_ready(frame->parts[i]);
    client_frame_let_go(frame);
}

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
    if (block_seal(lease->key, &place, plain_of(part), out, tag) != LETHE_OK)
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
        (void)send_to(frame, &lease->copies[frame->parts[0]->target]);
    else
        for (unsigned i = 0; i < lease->copy_count; i++)
            if (is_attached(&lease->copies[i]))
                (void)send_to(frame, &lease->copies[i]);
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
    struct client_frame *frame = frame_of(lease, true);
    if (frame != NULL)
        frame->data =
            client_chunk_take(lease->worker, is_repair ? lease->block_bytes : ready_bytes(lease));
    if (frame == NULL || frame->data == NULL) {
        struct lethe_error why = {0};
        error_set(&why, LETHE_NO_MEMORY, "no memory for a frame");
        client_part_end(part, &why);
    } else {
        add_write(frame, part);
        while (!is_repair && !is_full(frame) && (part = STAILQ_FIRST(&lease->writes)) != NULL &&
               part->kind != PART_REPAIR) {
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

static bool can_write(const struct client_part *part)
{
    const struct lethe_pool_lease *lease = part->lease;
    if (part->kind == PART_REPAIR)
        return is_attached(&lease->copies[part->target]);
    for (unsigned i = 0; i < lease->copy_count; i++)
        if (is_attached(&lease->copies[i]))
            return true;
    return false;
}

static void flush_writes(struct lethe_pool_lease *lease)
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

void client_flush(struct lethe_pool_lease *lease)
{
    if (lease->is_closing)
        return;
    do { /* what was read may now be written, and what ended lets others begin */
        lease->wants_flush = false;
        flush_reads(lease);
        flush_writes(lease);
    } while (lease->wants_flush);
}
