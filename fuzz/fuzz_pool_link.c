/* A stream of frames, cut in two ways: both give the same frames up to the same end, and what was
 * taken is the stream as it came. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "pool/link_intake.h"

#define ROOM_BYTES (64u << 10) /* frames with more data are refused, as an owner may */

struct taking {
    struct link_intake intake;
    struct buffer taken; /* heads and indexes, data where they were not refused */
    uint8_t room[ROOM_BYTES];
    unsigned frames;
    lethe_result end;
    uint32_t random;
};

/* A few bytes, all but a few, or any number. */
static size_t cut(struct taking *taking, size_t most)
{
    taking->random = taking->random * 1664525u + 1013904223u;
    size_t few = 1 + (taking->random >> 20) % 8, any = 1 + (taking->random >> 8) % 9000;
    switch (taking->random >> 30) {
    case 0:
        return MIN(few, most);
    case 1:
        return most > few ? most - few : most;
    default:
        return MIN(any, most);
    }
}

/* Two uneven pieces, the second in front of the first, so that they are not taken for one. */
static size_t first_bytes(uint32_t data_bytes)
{
    return data_bytes / 3;
}

static void place(struct taking *taking, uint32_t data_bytes)
{
    size_t first = first_bytes(data_bytes);
    struct iovec pieces[2] = {{0}};
    bool fits = data_bytes <= ROOM_BYTES;
    if (fits) {
        pieces[0] = (struct iovec){taking->room + data_bytes - first, first};
        pieces[1] = (struct iovec){taking->room, data_bytes - first};
    }
    FUZZ_PROPERTY(intake_place(&taking->intake, fits ? LETHE_OK : LETHE_LOST, pieces, 2, NULL) ==
                  LETHE_OK);
}

static void append_data(struct taking *taking, uint32_t data_bytes)
{
    size_t first = first_bytes(data_bytes);
    buffer_append(&taking->taken, taking->room + data_bytes - first, first);
    buffer_append(&taking->taken, taking->room, data_bytes - first);
}

static void take(struct taking *taking)
{
    uint8_t head[WIRE_HEAD_BYTES];
    struct link_frame frame = intake_frame(&taking->intake);
    wire_head_write(&frame.head, head);
    buffer_append(&taking->taken, head, sizeof head);
    buffer_append(&taking->taken, frame.index.at, cursor_left(&frame.index));
    if (frame.head.data_bytes > 0 && taking->intake.refused == LETHE_OK)
        append_data(taking, frame.head.data_bytes);
    taking->frames++;
    taking->end = intake_next(&taking->intake, NULL);
}

static void deal_with_what_is_there(struct taking *taking)
{
    while (taking->end == LETHE_OK) {
        if (taking->intake.part == INTAKE_PLACE)
            place(taking, taking->intake.head.data_bytes);
        else if (taking->intake.part == INTAKE_FRAME)
            take(taking);
        else
            return;
    }
}

static void feed(struct taking *taking, const uint8_t *data, size_t size)
{
    while (size > 0 && taking->end == LETHE_OK) {
        struct iovec room;
        intake_room(&taking->intake, &room);
        FUZZ_PROPERTY(room.iov_len > 0 && room.iov_len <= WIRE_JSON_MAX);
        size_t step = cut(taking, MIN(room.iov_len, size));
        if (room.iov_base != NULL)
            memcpy(room.iov_base, data, step);
        taking->end = intake_took(&taking->intake, step, NULL);
        data += step;
        size -= step;
        deal_with_what_is_there(taking);
    }
}

static void begin(struct taking *taking, const uint8_t *data, uint32_t seed)
{
    enum wire_role peer = data[0] % 5, self = 1 + data[0] / 5 % 4;
    intake_init(&taking->intake, self, peer);
    taking->intake.asked = data[1];
    taking->random = seed;
}

/* Where nothing was refused, the frames are the stream. */
static void check_stream(const struct taking *taking, const uint8_t *data, size_t size)
{
    FUZZ_PROPERTY(taking->taken.failure == LETHE_OK && taking->taken.size_bytes <= size);
    if (taking->taken.size_bytes > 0)
        FUZZ_PROPERTY(memcmp(taking->taken.bytes, data, taking->taken.size_bytes) == 0);
}

/* A byte with the two roles, one that says how much was asked, and the stream. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct taking one, other;
    if (size < 2 || size > ROOM_BYTES) /* then what comes whole is never refused */
        return 0;
    begin(&one, data, 1);
    begin(&other, data, 7 + data[size - 1] + (uint32_t)size * 256);
    feed(&one, data + 2, size - 2);
    feed(&other, data + 2, size - 2);
    FUZZ_PROPERTY(one.end == other.end && one.frames == other.frames);
    FUZZ_PROPERTY(one.taken.size_bytes == other.taken.size_bytes);
    check_stream(&one, data + 2, size - 2);
    check_stream(&other, data + 2, size - 2);
    intake_clear(&one.intake);
    intake_clear(&other.intake);
    buffer_clear(&one.taken);
    buffer_clear(&other.taken);
    one.frames = other.frames = 0;
    one.end = other.end = LETHE_OK;
    return 0;
}
