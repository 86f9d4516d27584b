/* Reads: which copy is asked, where its answer goes, and what is made of it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "pool/client_calls.h"

/* ---- which copy ------------------------------------------------------------------------------ */

/* Whether a copy may be asked for what the part wants to read. */
static bool is_untried(const struct client_part *part, const struct client_copy *copy)
{
    return copy->state != COPY_LOST && (part->tried & 1u << copy->index) == 0 &&
           (part->kind != PART_REPAIR || part->target != copy->index);
}

/* Whether it should have it. When a write was not finished, nobody knows where it arrived. */
static bool is_fresh(const struct client_part *part, const struct client_copy *copy)
{
    return !client_is_stale(copy, part->block) ||
           versions_is_pending(part->lease->versions, part->block);
}

static bool has_fresh(const struct client_part *part)
{
    for (unsigned i = 0; i < part->lease->copy_count; i++)
        if (is_untried(part, &part->lease->copies[i]) && is_fresh(part, &part->lease->copies[i]))
            return true;
    return false;
}

/* Of those that should not have it one may be asked when no other is left: its tag tells. */
static bool may_have(const struct client_part *part, const struct client_copy *copy)
{
    return is_untried(part, copy) &&
           (is_fresh(part, copy) || (part->kind != PART_REPAIR && !has_fresh(part)));
}

static struct client_copy *choose(const struct client_part *part)
{
    struct lethe_pool_lease *lease = part->lease;
    unsigned first = lease->next_copy++;
    for (unsigned i = 0; i < lease->copy_count; i++) {
        struct client_copy *copy = &lease->copies[(first + i) % lease->copy_count];
        if (client_is_attached(copy) && may_have(part, copy))
            return copy;
    }
    return NULL;
}

static void say_unreadable(const struct client_part *part, struct lethe_error *why)
{
    bool pending = versions_is_pending(part->lease->versions, part->block);
    if (part->wrong != 0 && !pending)
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

static bool may_wait(const struct client_part *part, struct lethe_error *why)
{
    const struct lethe_pool_lease *lease = part->lease;
    for (unsigned i = 0; i < lease->copy_count; i++)
        if (may_have(part, &lease->copies[i]))
            return true;
    if (part->tried != 0 || !client_all_lost(lease, why))
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

size_t client_read_pieces(const struct client_frame *frame, struct iovec *pieces)
{
    for (unsigned i = 0; i < frame->count; i++) {
        const struct client_part *part = frame->parts[i];
        pieces[i] = (struct iovec){
            .iov_base = part->sealed != NULL ? part->sealed->bytes : client_plain(part),
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
    struct client_frame *frame = client_frame_begin(lease, false);
    if (frame == NULL) {
        struct lethe_error why = {0};
        error_set(&why, LETHE_NO_MEMORY, "no memory for a frame");
        client_part_end(part, &why);
        return;
    }
    add_read(frame, part);
    while (!client_frame_is_full(frame) && (part = STAILQ_FIRST(&lease->reads)) != NULL &&
           may_have(part, copy) && versions_of(lease->versions, part->block) != 0) {
        STAILQ_REMOVE_HEAD(&lease->reads, next);
        add_read(frame, part);
    }
    if (frame->count == 0 || !client_frame_send(frame, copy)) {
        for (unsigned i = 0; i < frame->count; i++)
            client_ready(frame->parts[i]);
        lease->in_flight--;
    }
    client_frame_let_go(frame);
}

void client_reads_flush(struct lethe_pool_lease *lease)
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
        else if (may_wait(part, &why))
            STAILQ_INSERT_TAIL(&held, part, next);
        else
            client_part_end(part, &why);
    }
    STAILQ_CONCAT(&lease->reads, &held);
}

/* The newest version was found there: it has arrived, and who gave something else has it not. */
static void note_found(struct client_part *part, struct client_copy *found)
{
    struct lethe_pool_lease *lease = part->lease;
    bool was_pending = versions_is_pending(lease->versions, part->block);
    versions_settle(lease->versions, part->block);
    client_stale_set(found, part->block, false);
    for (unsigned i = 0; i < lease->copy_count; i++)
        if (i != found->index && (was_pending || (part->tried & 1u << i) != 0))
            client_stale_set(&lease->copies[i], part->block, true);
}

static void open_part(struct client_part *part, struct client_copy *copy, const uint8_t *tag)
{
    struct lethe_pool_lease *lease = part->lease;
    const struct block_place place = {
        .block = part->block, .version = part->version, .size_bytes = lease->block_bytes};
    uint8_t *plain = client_plain(part);
    const uint8_t *sealed = part->sealed != NULL ? part->sealed->bytes : plain;
    if (block_open(lease->key, &place, sealed, tag, plain) == LETHE_OK) {
        note_found(part, copy);
        memcpy(part->tag, tag, AEAD_TAG_BYTES);
        have_read(part);
        return;
    }
    part->tried |= (uint8_t)(1u << copy->index);
    part->wrong |= (uint8_t)((unsigned)is_fresh(part, copy) << copy->index);
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
