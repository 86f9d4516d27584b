/* Frames between door and keeper: what is none is refused, and what is half there waits. */
#include "check.h"

#include <sys/socket.h>
#include <unistd.h>

#include "service/wire.h"

static struct wire_part part(const char *text)
{
    return (struct wire_part){(const uint8_t *)text, strlen(text)};
}

static struct wire_frame request(void)
{
    return (struct wire_frame){
        .kind = WIRE_REQUEST,
        .flags = WIRE_HAS_TOKEN,
        .code = 3,
        .connection = 0x1122334455667788u,
        .number = 9,
        .parts = {part("token"), part("v1/sys/health"), part(""), part("{}")}};
}

static void check_same(const struct wire_frame *left, const struct wire_frame *right)
{
    assert_int_equal(left->kind, right->kind);
    assert_int_equal(left->flags, right->flags);
    assert_int_equal(left->code, right->code);
    assert_true(left->connection == right->connection && left->number == right->number);
    for (size_t i = 0; i < WIRE_PARTS_MAX; i++) {
        assert_int_equal(left->parts[i].size_bytes, right->parts[i].size_bytes);
        if (left->parts[i].size_bytes > 0)
            assert_memory_equal(left->parts[i].at, right->parts[i].at, left->parts[i].size_bytes);
    }
}

static void test_there_and_back(void **state)
{
    CLEANUP(guarded_clear) struct guarded bytes = {0};
    struct wire_frame sent = request(), got;
    size_t frame_bytes;
    (void)state;
    wire_append(&bytes, &sent);
    for (size_t i = 0; i < bytes.size_bytes; i++)
        assert_result(LETHE_NOT_FOUND, wire_parse(bytes.bytes, i, &got, &frame_bytes));
    assert_result(LETHE_OK, wire_parse(bytes.bytes, bytes.size_bytes, &got, &frame_bytes));
    assert_int_equal(frame_bytes, bytes.size_bytes);
    check_same(&sent, &got);
}

/* Every byte of the header and of the sizes, changed. */
static void test_broken(void **state)
{
    CLEANUP(guarded_clear) struct guarded bytes = {0};
    const struct wire_frame sent = request();
    struct wire_frame got;
    size_t frame_bytes;
    static const size_t sizes[] = {24, 24 + 4 + 5, 24 + 4 + 5 + 4 + 13, 24 + 4 + 5 + 4 + 13 + 4};
    (void)state;
    wire_append(&bytes, &sent);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        for (size_t byte = 0; byte < 4; byte++) {
            bytes.bytes[sizes[i] + byte] ^= 1;
            assert_result(LETHE_MALFORMED,
                          wire_parse(bytes.bytes, bytes.size_bytes, &got, &frame_bytes));
            bytes.bytes[sizes[i] + byte] ^= 1;
        }
    }
    bytes.bytes[4] = WIRE_KIND_COUNT;
    assert_result(LETHE_MALFORMED, wire_parse(bytes.bytes, bytes.size_bytes, &got, &frame_bytes));
    bytes.bytes[4] = WIRE_CLOSED; /* parts too many */
    assert_result(LETHE_MALFORMED, wire_parse(bytes.bytes, bytes.size_bytes, &got, &frame_bytes));
    bytes.bytes[4] = WIRE_REQUEST;
    bytes.bytes[3] = 0x80; /* a size over every limit is refused before anything is waited for */
    assert_result(LETHE_MALFORMED, wire_parse(bytes.bytes, 4, &got, &frame_bytes));
    memset(bytes.bytes, 0, 4);
    assert_result(LETHE_MALFORMED, wire_parse(bytes.bytes, bytes.size_bytes, &got, &frame_bytes));
}

static void test_too_large(void **state)
{
    CLEANUP(guarded_clear) struct guarded bytes = {0};
    struct wire_frame frame = request();
    (void)state;
    frame.parts[3].size_bytes = WIRE_FRAME_MAX;
    wire_append(&bytes, &frame);
    assert_result(LETHE_LIMIT, guarded_result(&bytes, NULL));
}

static void open_pair(struct wire ends[2])
{
    int fds[2];
    assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds));
    wire_init(&ends[0], fds[0]);
    wire_init(&ends[1], fds[1]);
}

static void pump(struct wire ends[2], struct lethe_error *err)
{
    bool left = true;
    while (left) {
        assert_ok(wire_flush(&ends[0], &left, err), err);
        assert_ok(wire_fill(&ends[1], err), err);
    }
    assert_ok(wire_fill(&ends[1], err), err);
}

static void test_ends(void **state)
{
    struct wire ends[2];
    struct lethe_error err = {0};
    struct wire_frame frame = request(), got;
    (void)state;
    open_pair(ends);
    assert_result(LETHE_NOT_FOUND, wire_next(&ends[1], &got));
    for (unsigned i = 0; i < 1000; i++) {
        frame.number = i;
        wire_put(&ends[0], &frame);
    }
    pump(ends, &err);
    for (unsigned i = 0; i < 1000; i++) {
        frame.number = i;
        if (wire_next(&ends[1], &got) == LETHE_NOT_FOUND) {
            assert_ok(wire_fill(&ends[1], &err), &err);
            assert_result(LETHE_OK, wire_next(&ends[1], &got));
        }
        check_same(&frame, &got);
    }
    assert_result(LETHE_NOT_FOUND, wire_next(&ends[1], &got));
    wire_clear(&ends[0]);
    assert_result(LETHE_UNAVAILABLE, wire_fill(&ends[1], &err));
    bool left;
    wire_put(&ends[1], &frame);
    assert_result(LETHE_UNAVAILABLE, wire_flush(&ends[1], &left, &err));
    wire_clear(&ends[1]);
}

/* A body of 32 MiB passes, and is not kept; what was handled is wiped. */
static void test_large_and_wiped(void **state)
{
    struct wire ends[2];
    struct lethe_error err = {0};
    struct wire_frame frame = request(), got;
    CLEANUP(guarded_clear) struct guarded body = {0};
    (void)state;
    uint8_t *filled = guarded_extend(&body, (size_t)32 << 20);
    assert_non_null(filled);
    memset(filled, 0xa5, body.size_bytes);
    frame.parts[3] = (struct wire_part){body.bytes, body.size_bytes};
    open_pair(ends);
    wire_put(&ends[0], &frame);
    pump(ends, &err);
    assert_result(LETHE_OK, wire_next(&ends[1], &got));
    check_same(&frame, &got);
    assert_int_equal(ends[0].out.capacity_bytes, 0);
    assert_ok(wire_fill(&ends[1], &err), &err);
    assert_true(ends[1].in.capacity_bytes <= 1 << 20);

    frame.parts[3] = part("{\"plaintext\":\"c2VjcmV0\"}");
    wire_put(&ends[0], &frame);
    pump(ends, &err);
    assert_result(LETHE_OK, wire_next(&ends[1], &got));
    size_t used = ends[1].in.size_bytes;
    assert_non_null(memmem(ends[1].in.bytes, used, "c2VjcmV0", 8));
    assert_ok(wire_fill(&ends[1], &err), &err);
    for (size_t i = 0; i < used; i++)
        assert_int_equal(ends[1].in.bytes[i], 0);
    wire_clear(&ends[0]);
    wire_clear(&ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),  cmocka_unit_test(test_broken),
        cmocka_unit_test(test_too_large),       cmocka_unit_test(test_ends),
        cmocka_unit_test(test_large_and_wiped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
