#include "service/wire.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cursor.h"
#include "base/error.h"

#define FILL_BYTES ((size_t)64 << 10)
#define KEPT_BYTES ((size_t)1 << 20)

/* How many parts a frame of a kind has. */
static const uint8_t part_counts[] = {
#define PART_COUNT(name, parts) parts,
    WIRE_KINDS(PART_COUNT)
#undef PART_COUNT
};

/* ---- frames ---------------------------------------------------------------------------------- */

static uint8_t *put_le(uint8_t *at, uint64_t number, size_t size_bytes)
{
    uint64_t bytes = htole64(number);
    memcpy(at, &bytes, size_bytes);
    return at + size_bytes;
}

static uint8_t *put_header(uint8_t *at, const struct wire_frame *frame, size_t size_bytes)
{
    at = put_le(at, size_bytes, 4);
    *at++ = (uint8_t)frame->kind;
    *at++ = frame->flags;
    at = put_le(at, frame->code, 2);
    at = put_le(at, frame->connection, 8);
    return put_le(at, frame->number, 8);
}

void wire_append(struct guarded *out, const struct wire_frame *frame)
{
    size_t count = part_counts[frame->kind];
    size_t size_bytes = WIRE_HEADER_BYTES - 4;
    for (size_t i = 0; i < count; i++)
        size_bytes += 4 + frame->parts[i].size_bytes;
    if (size_bytes > WIRE_FRAME_MAX) {
        out->failure = LETHE_LIMIT;
        return;
    }
    uint8_t *at = guarded_extend(out, 4 + size_bytes);
    if (at == NULL)
        return;
    at = put_header(at, frame, size_bytes);
    for (size_t i = 0; i < count; i++) {
        const struct wire_part *part = &frame->parts[i];
        at = put_le(at, part->size_bytes, 4);
        if (part->size_bytes > 0)
            memcpy(at, part->at, part->size_bytes);
        at += part->size_bytes;
    }
}

static lethe_result read_header(struct cursor *cursor, struct wire_frame *out)
{
    uint8_t kind;
    TRY(cursor_u8(cursor, &kind));
    TRY(cursor_u8(cursor, &out->flags));
    TRY(cursor_le16(cursor, &out->code));
    TRY(cursor_le64(cursor, &out->connection));
    TRY(cursor_le64(cursor, &out->number));
    out->kind = (enum wire_kind)kind;
    return kind < WIRE_KIND_COUNT ? LETHE_OK : LETHE_MALFORMED;
}

static lethe_result read_parts(struct cursor *cursor, struct wire_frame *out)
{
    for (size_t i = 0; i < part_counts[out->kind]; i++) {
        uint32_t size_bytes;
        TRY(cursor_le32(cursor, &size_bytes));
        TRY(cursor_bytes(cursor, size_bytes, &out->parts[i].at));
        out->parts[i].size_bytes = size_bytes;
    }
    return cursor_left(cursor) == 0 ? LETHE_OK : LETHE_MALFORMED;
}

lethe_result wire_parse(const uint8_t *bytes, size_t size_bytes, struct wire_frame *out,
                        size_t *frame_bytes)
{
    struct cursor cursor = cursor_over(bytes, size_bytes);
    const uint8_t *begin;
    uint32_t frame_size;
    if (cursor_le32(&cursor, &frame_size) != LETHE_OK)
        return LETHE_NOT_FOUND;
    if (frame_size > WIRE_FRAME_MAX || frame_size < WIRE_HEADER_BYTES - 4)
        return LETHE_MALFORMED;
    if (cursor_bytes(&cursor, frame_size, &begin) != LETHE_OK)
        return LETHE_NOT_FOUND;
    struct cursor frame = cursor_over(begin, frame_size);
    memset(out, 0, sizeof *out);
    TRY(read_header(&frame, out));
    TRY(read_parts(&frame, out));
    *frame_bytes = 4 + (size_t)frame_size;
    return LETHE_OK;
}

/* ---- one end --------------------------------------------------------------------------------- */

void wire_init(struct wire *wire, int fd)
{
    *wire = (struct wire){.fd = fd};
}

void wire_clear(struct wire *wire)
{
    fd_close(wire->fd);
    guarded_clear(&wire->in);
    guarded_clear(&wire->out);
    *wire = (struct wire){.fd = -1};
}

/* How much room the next read should have: for the rest of a frame whose size is known. */
static size_t wanted_bytes(const struct wire *wire)
{
    uint32_t frame_size;
    if (wire->in.size_bytes < sizeof frame_size)
        return FILL_BYTES;
    memcpy(&frame_size, wire->in.bytes, sizeof frame_size);
    size_t whole = 4 + MIN((size_t)le32toh(frame_size), WIRE_FRAME_MAX);
    return whole > wire->in.size_bytes ? MAX(whole - wire->in.size_bytes, FILL_BYTES) : FILL_BYTES;
}

static bool would_block(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/* What one large message needed is not kept locked for ever. */
static void give_back(struct guarded *guarded)
{
    if (guarded->size_bytes == 0 && guarded->capacity_bytes > KEPT_BYTES)
        guarded_clear(guarded);
}

lethe_result wire_fill(struct wire *wire, struct lethe_error *err)
{
    guarded_consume(&wire->in, wire->in_done);
    wire->in_done = 0;
    give_back(&wire->in);
    size_t before = wire->in.size_bytes;
    size_t wanted = wanted_bytes(wire);
    guarded_reserve(&wire->in, before + wanted);
    TRY(guarded_result(&wire->in, err));
    size_t room = wire->in.capacity_bytes - before;
    ssize_t got = recv(wire->fd, wire->in.bytes + before, room, MSG_DONTWAIT);
    if (got < 0 && would_block())
        return LETHE_OK;
    if (got <= 0)
        return error_set(err, LETHE_UNAVAILABLE, "the other end is gone");
    wire->in.size_bytes += (size_t)got;
    return LETHE_OK;
}

lethe_result wire_next(struct wire *wire, struct wire_frame *out)
{
    size_t frame_bytes;
    if (wire->in_done == wire->in.size_bytes)
        return LETHE_NOT_FOUND;
    TRY(wire_parse(wire->in.bytes + wire->in_done, wire->in.size_bytes - wire->in_done, out,
                   &frame_bytes));
    wire->in_done += frame_bytes;
    return LETHE_OK;
}

void wire_put(struct wire *wire, const struct wire_frame *frame)
{
    wire_append(&wire->out, frame);
}

lethe_result wire_flush(struct wire *wire, bool *left, struct lethe_error *err)
{
    *left = false;
    TRY(guarded_result(&wire->out, err));
    while (wire->out_done < wire->out.size_bytes) {
        ssize_t sent = send(wire->fd, wire->out.bytes + wire->out_done,
                            wire->out.size_bytes - wire->out_done, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        *left = sent < 0 && would_block();
        if (*left)
            return LETHE_OK;
        if (sent < 0)
            return error_set(err, LETHE_UNAVAILABLE, "the other end is gone");
        wire->out_done += (size_t)sent;
    }
    guarded_wipe(&wire->out);
    wire->out_done = 0;
    give_back(&wire->out);
    return LETHE_OK;
}
