#include "pool/link_intake.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "mem/slab.h"

void intake_init(struct link_intake *intake, enum wire_role self, enum wire_role peer)
{
    *intake = (struct link_intake){.self = self, .peer = peer};
}

static void forget_frame(struct link_intake *intake)
{
    intake->index = NULL;
    free(MOVE(intake->long_index));
    if (intake->pieces != intake->few_pieces)
        free(intake->pieces);
    intake->pieces = NULL;
    intake->piece = intake->piece_count = 0;
    intake->done_bytes = 0;
    intake->refused = LETHE_OK;
    intake->part = INTAKE_HEAD;
}

/* ---- rules -----------------------------------------------------------------------------------
 */

static lethe_result broken(const struct link_intake *intake, const char *rule,
                           struct lethe_error *err)
{
    return error_set(err, LETHE_MALFORMED, "frame %" PRIu64 " (%s%s): %s", intake->head.request,
                     wire_type_name(intake->head.type),
                     wire_is_reply(&intake->head) ? "'s reply" : "", rule);
}

static lethe_result check_reply(const struct link_intake *intake, struct lethe_error *err)
{
    return intake->head.request > intake->asked
               ? broken(intake, "a reply to what was not asked", err)
               : LETHE_OK;
}

static lethe_result check_request(struct link_intake *intake, struct lethe_error *err)
{
    const struct wire_head *head = &intake->head;
    if (head->request == 0)
        return LETHE_OK; /* a notice */
    if (head->request <= intake->last_request)
        return broken(intake, "its number is not greater than the last", err);
    if (wire_answered_later(head->type) && ++intake->unanswered_later > LINK_LATER_MAX)
        return broken(intake, "too many before it wait for their answers", err);
    intake->last_request = head->request;
    return LETHE_OK;
}

static lethe_result check_head(struct link_intake *intake, struct lethe_error *err)
{
    const uint8_t *bytes = intake->ahead + intake->ahead_from;
    TRY(wire_head_read(bytes, intake->peer, intake->self, &intake->head, err));
    if (intake->has_frame && intake->head.type == WIRE_HELLO)
        return broken(intake, "it was said before", err);
    intake->has_frame = true;
    return wire_is_reply(&intake->head) ? check_reply(intake, err) : check_request(intake, err);
}

/* ---- head and index --------------------------------------------------------------------------
 */

static size_t ahead_bytes(const struct link_intake *intake)
{
    return intake->ahead_until - intake->ahead_from;
}

/* What is there moves to the front, so that the rest of it has room behind it. What was there
 * before, of data too, which belong to a lease, is wiped. */
static void wait_for_more(struct link_intake *intake)
{
    size_t bytes = ahead_bytes(intake);
    if (intake->ahead_from == 0)
        return;
    memmove(intake->ahead, intake->ahead + intake->ahead_from, bytes);
    lethe_wipe(intake->ahead + bytes, intake->ahead_from);
    intake->ahead_from = 0;
    intake->ahead_until = bytes;
}

void intake_clear(struct link_intake *intake)
{
    forget_frame(intake);
    intake->ahead_from = intake->ahead_until;
    wait_for_more(intake);
}

static size_t take_ahead(struct link_intake *intake, uint8_t *out, size_t most_bytes)
{
    size_t bytes = MIN(most_bytes, ahead_bytes(intake));
    if (out != NULL && bytes > 0)
        memcpy(out, intake->ahead + intake->ahead_from, bytes);
    intake->ahead_from += bytes;
    return bytes;
}

static lethe_result begin_index(struct link_intake *intake, struct lethe_error *err)
{
    TRY(check_head(intake, err));
    intake->ahead_from += WIRE_HEAD_BYTES;
    intake->part = INTAKE_INDEX;
    if (intake->head.index_bytes <= INTAKE_AHEAD_BYTES)
        return LETHE_OK;
    intake->long_index = malloc(intake->head.index_bytes);
    if (intake->long_index == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a frame");
    intake->done_bytes = take_ahead(intake, intake->long_index, intake->head.index_bytes);
    return LETHE_OK;
}

static bool has_index(struct link_intake *intake)
{
    if (intake->long_index != NULL) {
        intake->index = intake->long_index;
        return intake->done_bytes == intake->head.index_bytes;
    }
    intake->index = intake->ahead + intake->ahead_from;
    return ahead_bytes(intake) >= intake->head.index_bytes;
}

static lethe_result advance(struct link_intake *intake, struct lethe_error *err)
{
    if (intake->part == INTAKE_HEAD && ahead_bytes(intake) >= WIRE_HEAD_BYTES)
        TRY(begin_index(intake, err));
    if (intake->part == INTAKE_HEAD || !has_index(intake)) {
        wait_for_more(intake);
        return LETHE_OK;
    }
    if (intake->long_index == NULL)
        intake->ahead_from += intake->head.index_bytes;
    intake->done_bytes = 0;
    intake->part = intake->head.data_bytes > 0 ? INTAKE_PLACE : INTAKE_FRAME;
    return LETHE_OK;
}

/* ---- data ------------------------------------------------------------------------------------
 */

/* Merges what lies side by side, so that it is read at once. */
static void add_piece(struct link_intake *intake, const struct iovec *piece)
{
    struct iovec *last = intake->piece_count > 0 ? &intake->pieces[intake->piece_count - 1] : NULL;
    if (piece->iov_len == 0)
        return;
    if (last != NULL && (uint8_t *)last->iov_base + last->iov_len == piece->iov_base)
        last->iov_len += piece->iov_len;
    else
        intake->pieces[intake->piece_count++] = *piece;
}

static lethe_result take_pieces(struct link_intake *intake, const struct iovec *pieces,
                                size_t count, struct lethe_error *err)
{
    size_t total = 0;
    intake->pieces =
        count <= INTAKE_FEW_PIECES ? intake->few_pieces : malloc(count * sizeof *pieces);
    if (intake->pieces == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a frame");
    for (size_t i = 0; i < count; i++) {
        add_piece(intake, &pieces[i]);
        total += pieces[i].iov_len;
    }
    REQUIRE(total == intake->head.data_bytes);
    return LETHE_OK;
}

static void data_room(const struct link_intake *intake, struct iovec *room)
{
    if (intake->pieces != NULL)
        *room = intake->pieces[intake->piece];
    else
        *room = (struct iovec){NULL, intake->head.data_bytes - intake->done_bytes};
}

static void fill_piece(struct link_intake *intake, size_t size_bytes)
{
    struct iovec *piece = &intake->pieces[intake->piece];
    REQUIRE(size_bytes <= piece->iov_len);
    piece->iov_base = (uint8_t *)piece->iov_base + size_bytes;
    piece->iov_len -= size_bytes;
    intake->piece += piece->iov_len == 0;
}

static void took_data(struct link_intake *intake, size_t size_bytes)
{
    intake->done_bytes += size_bytes;
    if (intake->pieces != NULL)
        fill_piece(intake, size_bytes);
    if (intake->done_bytes == intake->head.data_bytes)
        intake->part = INTAKE_FRAME;
}

lethe_result intake_place(struct link_intake *intake, lethe_result refused,
                          const struct iovec *pieces, size_t count, struct lethe_error *err)
{
    REQUIRE(intake->part == INTAKE_PLACE && count <= LINK_PIECES_MAX);
    intake->refused = refused;
    intake->part = INTAKE_DATA;
    if (refused == LETHE_OK)
        TRY(take_pieces(intake, pieces, count, err));
    while (intake->part == INTAKE_DATA && ahead_bytes(intake) > 0) {
        struct iovec room;
        data_room(intake, &room);
        took_data(intake, take_ahead(intake, room.iov_base, room.iov_len));
    }
    return LETHE_OK;
}

/* ---- all parts -------------------------------------------------------------------------------
 */

void intake_room(const struct link_intake *intake, struct iovec *room)
{
    REQUIRE(intake->part != INTAKE_PLACE && intake->part != INTAKE_FRAME); /* it is dealt with */
    if (intake->part == INTAKE_DATA)
        data_room(intake, room);
    else if (intake->long_index != NULL)
        *room = (struct iovec){intake->long_index + intake->done_bytes,
                               intake->head.index_bytes - intake->done_bytes};
    else
        *room = (struct iovec){(uint8_t *)(uintptr_t)intake->ahead + intake->ahead_until,
                               INTAKE_AHEAD_BYTES - intake->ahead_until};
}

lethe_result intake_took(struct link_intake *intake, size_t size_bytes, struct lethe_error *err)
{
    if (intake->part == INTAKE_DATA) {
        took_data(intake, size_bytes);
        return LETHE_OK;
    }
    if (intake->long_index != NULL)
        intake->done_bytes += size_bytes;
    else
        intake->ahead_until += size_bytes;
    return advance(intake, err);
}

struct link_frame intake_frame(const struct link_intake *intake)
{
    return (struct link_frame){.head = intake->head,
                               .index = cursor_over(intake->index, intake->head.index_bytes)};
}

lethe_result intake_next(struct link_intake *intake, struct lethe_error *err)
{
    REQUIRE(intake->part == INTAKE_FRAME);
    forget_frame(intake);
    return advance(intake, err);
}
