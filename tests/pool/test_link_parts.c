/* The pure parts of a link: intake, outbox, and what was asked. */
#include "check.h"

#include <stdlib.h>

#include "pool/link_intake.h"
#include "pool/link_outbox.h"
#include "pool/pending.h"

#define STREAM_MAX (1u << 20)

/* ---- a stream, made by the outbox -------------------------------------------------------------
 */

static unsigned released;
static void count_release(void *context)
{
    released++;
}

static void add(struct link_outbox *outbox, const struct wire_head *head, const char *index,
                size_t index_bytes, const struct link_data *data)
{
    CLEANUP(buffer_clear) struct buffer bytes = {0};
    buffer_append(&bytes, index, index_bytes);
    assert_result(LETHE_OK, outbox_add(outbox, head, &bytes, data, NULL));
}

static uint8_t blocks[3 * 4096];

/* RENEW, WRITE of three blocks in uneven pieces, READ, OVER's like: no data; in all a stream. */
static void add_requests(struct link_outbox *outbox)
{
    static const char entries[3 * 24] = "entries";
    struct iovec pieces[] = {{blocks, 5000}, {blocks + 5000, 0}, {blocks + 5000, 7288}};
    const struct link_data data = {pieces, 3, count_release, NULL};
    for (size_t i = 0; i < sizeof blocks; i++)
        blocks[i] = (uint8_t)(i * 7 + (i >> 8));
    add(outbox, &(struct wire_head){.type = WIRE_RENEW, .channel = 1, .request = 1}, "", 0, NULL);
    add(outbox, &(struct wire_head){.type = WIRE_WRITE, .channel = 1, .request = 2, .code = 3},
        entries, sizeof entries, &data);
    add(outbox, &(struct wire_head){.type = WIRE_READ, .channel = 1, .request = 9, .code = 2},
        entries, 16, NULL);
}

static size_t drain(struct link_outbox *outbox, uint8_t *stream, size_t step)
{
    size_t total = 0;
    struct iovec parts[4];
    for (size_t count; (count = outbox_parts(outbox, parts, ARRAY_LEN(parts))) > 0;) {
        size_t left = step;
        for (size_t i = 0; i < count && left > 0; i++) {
            size_t size = MIN(left, parts[i].iov_len);
            if (size > 0)
                memcpy(stream + total, parts[i].iov_base, size);
            total += size;
            left -= size;
        }
        outbox_wrote(outbox, step - left);
    }
    return total;
}

/* ---- outbox ----------------------------------------------------------------------------------
 */

static void frames_leave_whole_however_they_are_written(void **state)
{
    static const size_t steps[] = {1, 3, 31, 32, 33, 100, 4096, 5000, STREAM_MAX};
    static uint8_t first[STREAM_MAX], again[STREAM_MAX];
    size_t expected = 3 * WIRE_HEAD_BYTES + 72 + 16 + sizeof blocks;
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        struct link_outbox outbox;
        outbox_init(&outbox);
        released = 0;
        add_requests(&outbox);
        assert_int_equal(outbox.queued_bytes, expected);
        assert_int_equal(outbox.reply_bytes, 0);
        assert_int_equal(outbox.naming_frames, 1);
        assert_int_equal(drain(&outbox, i == 0 ? first : again, steps[i]), expected);
        assert_int_equal(outbox.queued_bytes, 0);
        assert_int_equal(outbox.naming_frames, 0);
        assert_int_equal(released, 1);
        if (i > 0)
            assert_memory_equal(first, again, expected);
    }
    assert_memory_equal(first + 2 * WIRE_HEAD_BYTES + 72, blocks, sizeof blocks);
}

static void what_is_not_sent_is_released(void **state)
{
    struct link_outbox outbox;
    struct iovec part;
    outbox_init(&outbox);
    released = 0;
    add_requests(&outbox);
    add(&outbox, &(struct wire_head){.type = WIRE_RENEW | WIRE_REPLY, .request = 1}, "", 0, NULL);
    assert_int_equal(outbox.reply_bytes, WIRE_HEAD_BYTES);
    assert_int_equal(outbox_parts(&outbox, &part, 1), 1);
    outbox_wrote(&outbox, 200); /* into the second frame */
    assert_int_equal(released, 0);
    outbox_clear(&outbox);
    assert_int_equal(released, 1);
    assert_int_equal(outbox.queued_bytes + outbox.reply_bytes + outbox.naming_frames, 0);
}

/* ---- intake ----------------------------------------------------------------------------------
 */

struct taken {
    unsigned frames, places, held; /* ... while the intake held something of a frame */
    uint64_t numbers[8];
    uint8_t data[sizeof blocks];
    char index[128];
};

static void deal_with(struct link_intake *intake, struct taken *taken, bool refuses)
{
    struct link_frame frame = intake_frame(intake);
    taken->held += !lethe_is_zero(intake->ahead, sizeof intake->ahead);
    if (intake->part == INTAKE_PLACE) {
        struct iovec pieces[] = {{taken->data, 1000}, {taken->data + 1000, sizeof blocks - 1000}};
        taken->places++;
        assert_result(LETHE_OK,
                      intake_place(intake, refuses ? LETHE_LOST : LETHE_OK, pieces, 2, NULL));
    } else if (intake->part == INTAKE_FRAME) {
        taken->numbers[taken->frames++] = frame.head.request;
        assert_int_equal(intake->refused, frame.head.data_bytes > 0 && refuses ? LETHE_LOST : 0);
        if (frame.head.index_bytes > 0)
            memcpy(taken->index, frame.index.at, MIN(cursor_left(&frame.index), 127));
        assert_result(LETHE_OK, intake_next(intake, NULL));
    }
}

static lethe_result feed(struct link_intake *intake, const uint8_t *stream, size_t size_bytes,
                         size_t step, struct taken *taken, bool refuses)
{
    while (size_bytes > 0) {
        struct iovec room;
        intake_room(intake, &room);
        size_t size = MIN(MIN(step, size_bytes), room.iov_len);
        assert_true(size > 0);
        if (room.iov_base != NULL)
            memcpy(room.iov_base, stream, size);
        TRY(intake_took(intake, size, NULL));
        stream += size;
        size_bytes -= size;
        while (intake->part == INTAKE_PLACE || intake->part == INTAKE_FRAME)
            deal_with(intake, taken, refuses);
    }
    return LETHE_OK;
}

static void frames_are_the_same_however_they_are_cut(void **state)
{
    static const size_t steps[] = {1, 2, 31, 32, 33, 999, 1000, 1001, 4096, STREAM_MAX};
    static uint8_t stream[STREAM_MAX];
    struct link_outbox outbox;
    outbox_init(&outbox);
    add_requests(&outbox);
    size_t size = drain(&outbox, stream, STREAM_MAX);
    for (size_t i = 0; i < 2 * ARRAY_LEN(steps); i++) {
        bool refuses = i >= ARRAY_LEN(steps);
        struct taken taken = {0};
        struct link_intake intake;
        intake_init(&intake, WIRE_PROVIDER, WIRE_CONSUMER);
        assert_result(LETHE_OK,
                      feed(&intake, stream, size, steps[i % ARRAY_LEN(steps)], &taken, refuses));
        assert_int_equal(taken.frames, 3);
        assert_int_equal(taken.places, 1);
        assert_int_equal(taken.numbers[2], 9);
        assert_string_equal(taken.index, "entries");
        if (refuses)
            assert_int_equal(taken.data[77], 0);
        else
            assert_memory_equal(taken.data, blocks, sizeof blocks);
        assert_null(intake.index); /* nothing is held between frames */
        assert_null(intake.pieces);
        assert_true(taken.held > 0);
        assert_true(lethe_is_zero(intake.ahead, sizeof intake.ahead));
        assert_int_equal(intake.part, INTAKE_HEAD);
        intake_clear(&intake);
    }
}

static lethe_result take_one(struct link_intake *intake, const struct wire_head *head)
{
    uint8_t bytes[WIRE_HEAD_BYTES + 64] = {0};
    struct taken taken = {0};
    wire_head_write(head, bytes);
    lethe_result result =
        feed(intake, bytes, WIRE_HEAD_BYTES + head->index_bytes, 7, &taken, false);
    intake_clear(intake);
    return result;
}

static void hello_comes_first_or_never(void **state)
{
    const struct wire_head hello = {.type = WIRE_HELLO, .request = 1, .index_bytes = 17};
    const struct wire_head renew = {.type = WIRE_RENEW, .channel = 1, .request = 2};
    const struct wire_head later = {.type = WIRE_HELLO, .request = 3, .index_bytes = 17};
    struct link_intake intake;
    intake_init(&intake, WIRE_PROVIDER, WIRE_UNKNOWN);
    assert_result(LETHE_MALFORMED, take_one(&intake, &renew));
    intake_init(&intake, WIRE_PROVIDER, WIRE_UNKNOWN);
    assert_result(LETHE_OK, take_one(&intake, &hello));
    assert_result(LETHE_MALFORMED, take_one(&intake, &renew)); /* nobody said what it is */
    intake_init(&intake, WIRE_PROVIDER, WIRE_UNKNOWN);
    assert_result(LETHE_OK, take_one(&intake, &hello));
    intake.peer = WIRE_CONSUMER;
    assert_result(LETHE_OK, take_one(&intake, &renew));
    assert_result(LETHE_MALFORMED, take_one(&intake, &later));
}

static void numbers_are_checked(void **state)
{
    struct link_intake intake;
    struct wire_head head = {.type = WIRE_RENEW, .channel = 1, .request = 7};
    intake_init(&intake, WIRE_PROVIDER, WIRE_CONSUMER);
    assert_result(LETHE_OK, take_one(&intake, &head));
    assert_result(LETHE_MALFORMED, take_one(&intake, &head));
    head.request = 6;
    assert_result(LETHE_MALFORMED, take_one(&intake, &head));
    head.request = UINT64_MAX;
    assert_result(LETHE_OK, take_one(&intake, &head));
    intake_init(&intake, WIRE_CONSUMER, WIRE_PROVIDER);
    head = (struct wire_head){.type = WIRE_RENEW | WIRE_REPLY, .channel = 1, .request = 1};
    assert_result(LETHE_MALFORMED, take_one(&intake, &head));
    intake.asked = 1;
    assert_result(LETHE_OK, take_one(&intake, &head));
}

/* ---- what was asked ---------------------------------------------------------------------------
 */

static struct pending_request asked[6];

static void ask(struct pending *pending)
{
    static const enum wire_type types[] = {WIRE_READ,    WIRE_RELEASE, WIRE_WRITE,
                                           WIRE_RELEASE, WIRE_READ,    WIRE_RELEASE};
    pending_init(pending);
    for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
        asked[i] = (struct pending_request){.number = i + 1, .type = types[i]};
        pending_add(pending, &asked[i]);
    }
}

static lethe_result reply(struct pending *pending, enum wire_type type, uint64_t number)
{
    const struct wire_head head = {.type = (uint8_t)(type | WIRE_REPLY), .request = number};
    struct pending_request *request = NULL;
    lethe_result result = pending_take(pending, &head, &request, NULL);
    if (result == LETHE_OK)
        assert_int_equal(request->number, number);
    return result;
}

static void replies_come_in_order_but_for_the_later_ones(void **state)
{
    struct pending pending;
    ask(&pending);
    assert_result(LETHE_OK, reply(&pending, WIRE_RELEASE, 4));
    assert_result(LETHE_MALFORMED, reply(&pending, WIRE_RELEASE, 4)); /* twice */
    assert_result(LETHE_MALFORMED, reply(&pending, WIRE_WRITE, 3));   /* before its turn */
    assert_result(LETHE_MALFORMED, reply(&pending, WIRE_RENEW, 1));   /* of another type */
    assert_result(LETHE_MALFORMED, reply(&pending, WIRE_RELEASE, 1));
    assert_result(LETHE_MALFORMED, reply(&pending, WIRE_DROP, 2));
    assert_result(LETHE_OK, reply(&pending, WIRE_READ, 1));
    assert_result(LETHE_OK, reply(&pending, WIRE_WRITE, 3));
    assert_result(LETHE_OK, reply(&pending, WIRE_RELEASE, 6));
    assert_result(LETHE_OK, reply(&pending, WIRE_READ, 5));
    assert_result(LETHE_OK, reply(&pending, WIRE_RELEASE, 2));
    assert_int_equal(pending.count, 0);
    assert_null(pending_pop(&pending));
}

static void what_was_never_answered_is_given_back_in_order(void **state)
{
    struct pending pending;
    ask(&pending);
    for (uint64_t i = 1; i <= ARRAY_LEN(asked); i++)
        assert_int_equal(pending_pop(&pending)->number, i);
    assert_null(pending_pop(&pending));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_leave_whole_however_they_are_written),
        cmocka_unit_test(what_is_not_sent_is_released),
        cmocka_unit_test(frames_are_the_same_however_they_are_cut),
        cmocka_unit_test(hello_comes_first_or_never),
        cmocka_unit_test(numbers_are_checked),
        cmocka_unit_test(replies_come_in_order_but_for_the_later_ones),
        cmocka_unit_test(what_was_never_answered_is_given_back_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
