#include "pool/link_intake.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

void intake_init(struct link_intake *intake, enum wire_role self, enum wire_role peer)
{
    *intake = (struct link_intake){.self = self, .peer = peer};
}

static void forget_frame(struct link_intake *intake)
{
    free(MOVE(intake->index));
    free(MOVE(intake->pieces));
    intake->piece = intake->piece_count = 0;
    intake->done_bytes = 0;
    intake->refused = LETHE_OK;
}

void intake_clear(struct link_intake *intake)
{
    forget_frame(intake);
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
    TRY(wire_head_read(intake->head_bytes, intake->peer, intake->self, &intake->head, err));
    if (intake->has_frame && intake->head.type == WIRE_HELLO)
        return broken(intake, "it was said before", err);
    intake->has_frame = true;
    return wire_is_reply(&intake->head) ? check_reply(intake, err) : check_request(intake, err);
}

/* ---- parts -----------------------------------------------------------------------------------
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

lethe_result intake_place(struct link_intake *intake, lethe_result refused,
                          const struct iovec *pieces, size_t count, struct lethe_error *err)
{
    REQUIRE(intake->part == INTAKE_PLACE && count <= LINK_PIECES_MAX);
    size_t total = 0;
    intake->refused = refused;
    intake->part = INTAKE_DATA;
    if (refused != LETHE_OK)
        return LETHE_OK;
    intake->pieces = malloc(MAX(count, 1u) * sizeof *pieces);
    if (intake->pieces == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a frame");
    for (size_t i = 0; i < count; i++) {
        add_piece(intake, &pieces[i]);
        total += pieces[i].iov_len;
    }
    REQUIRE(total == intake->head.data_bytes);
    return LETHE_OK;
}

void intake_room(const struct link_intake *intake, struct iovec *room)
{
    switch (intake->part) {
    case INTAKE_HEAD:
        *room = (struct iovec){(uint8_t *)(uintptr_t)intake->head_bytes, WIRE_HEAD_BYTES};
        break;
    case INTAKE_INDEX:
        *room = (struct iovec){intake->index, intake->head.index_bytes};
        break;
    case INTAKE_DATA:
        if (intake->pieces != NULL) {
            *room = intake->pieces[intake->piece];
            return; /* it shrinks while it is filled */
        }
        *room = (struct iovec){NULL, intake->head.data_bytes - intake->done_bytes};
        return;
    default:
        require_failed("the frame that is there was dealt with", __FILE__, __LINE__);
    }
    room->iov_base = (uint8_t *)room->iov_base + intake->done_bytes;
    room->iov_len -= intake->done_bytes;
}

static lethe_result begin_index(struct link_intake *intake, struct lethe_error *err)
{
    TRY(check_head(intake, err));
    intake->part = INTAKE_INDEX;
    intake->done_bytes = 0;
    if (intake->head.index_bytes == 0)
        return LETHE_OK;
    intake->index = malloc(intake->head.index_bytes);
    return intake->index != NULL ? LETHE_OK
                                 : error_set(err, LETHE_NO_MEMORY, "no memory for a frame");
}

static void fill_piece(struct link_intake *intake, size_t size_bytes)
{
    struct iovec *piece = &intake->pieces[intake->piece];
    REQUIRE(size_bytes <= piece->iov_len);
    piece->iov_base = (uint8_t *)piece->iov_base + size_bytes;
    piece->iov_len -= size_bytes;
    intake->piece += piece->iov_len == 0;
}

lethe_result intake_took(struct link_intake *intake, size_t size_bytes, struct lethe_error *err)
{
    intake->done_bytes += size_bytes;
    if (intake->part == INTAKE_DATA && intake->pieces != NULL)
        fill_piece(intake, size_bytes);
    if (intake->part == INTAKE_HEAD && intake->done_bytes == WIRE_HEAD_BYTES)
        TRY(begin_index(intake, err));
    if (intake->part == INTAKE_INDEX && intake->done_bytes == intake->head.index_bytes) {
        intake->part = intake->head.data_bytes > 0 ? INTAKE_PLACE : INTAKE_FRAME;
        intake->done_bytes = 0;
    }
    if (intake->part == INTAKE_DATA && intake->done_bytes == intake->head.data_bytes)
        intake->part = INTAKE_FRAME;
    return LETHE_OK;
}

/* An empty index is somewhere, too: a NULL has no end. */
struct link_frame intake_frame(const struct link_intake *intake)
{
    const uint8_t *index = intake->index != NULL ? intake->index : intake->head_bytes;
    return (struct link_frame){.head = intake->head,
                               .index = cursor_over(index, intake->head.index_bytes)};
}

void intake_next(struct link_intake *intake)
{
    REQUIRE(intake->part == INTAKE_FRAME);
    intake_clear(intake);
}
