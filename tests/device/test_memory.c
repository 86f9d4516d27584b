#include "device_check.h"

#include <signal.h>
#include <unistd.h>

#include "check_child.h"

#define SMALL 10000u

static void memory_is_zero_at_first_and_keeps_what_is_put_there(void **state)
{
    uint8_t in[SMALL], out[SMALL];
    bool is_zero;
    struct device_memory *memory = memory_of(SMALL);
    assert_int_equal(device_memory_size(memory), SMALL);
    assert_ptr_equal(device_of(memory), under_test.device);
    assert_ok(device_is_zero(memory, 0, SMALL, &is_zero, &err), &err);
    assert_true(is_zero);
    fill_random(in, sizeof in);
    put(memory, 0, in, sizeof in);
    assert_ok(device_read(memory, 0, out, sizeof out, &err), &err);
    assert_memory_equal(in, out, sizeof in);
    put(memory, 100, in, 77);
    assert_ok(device_read(memory, 99, out, 79, &err), &err);
    assert_int_equal(out[0], in[99]);
    assert_memory_equal(out + 1, in, 77);
    assert_int_equal(out[78], in[177]);
    assert_ok(device_write(memory, SMALL, in, 0, &err), &err); /* nothing, at the very end */
    assert_ok(device_read(memory, SMALL, out, 0, &err), &err);
    free_ok(memory);
}

/* IV-002 */
static void a_device_that_is_not_there_is_refused(void **state)
{
    struct device *device = (struct device *)1;
    size_t count = lethe_device_count(under_test.kind, NULL);
    char expected[32];
    assert_true(count > 0);
    for (size_t beyond = 0; beyond < 3; beyond++) {
        assert_refused(LETHE_INVALID, device_open(under_test.kind, count + beyond, &device, &err),
                       NULL);
        assert_null(device);
        snprintf(expected, sizeof expected, "has %zu", count);
        assert_non_null(strstr(err.text, expected));
    }
    assert_refused(LETHE_INVALID, device_open(under_test.kind, SIZE_MAX, &device, &err), NULL);
    assert_refused(LETHE_INVALID, device_open((enum lethe_device_kind)7, 0, &device, &err), NULL);
    struct lethe_device_info info;
    assert_refused(LETHE_INVALID, lethe_device_info(under_test.kind, count, &info, &err), NULL);
}

static void a_device_says_what_it_is(void **state)
{
    struct lethe_device_info info;
    char expected[32];
    assert_ok(lethe_device_info(under_test.kind, under_test.index, &info, &err), &err);
    snprintf(expected, sizeof expected, "%s:%zu", device_kind_name(under_test.kind),
             under_test.index);
    assert_string_equal(info.name, expected);
    assert_string_equal(device_name(under_test.device), expected);
    assert_true(info.model[0] != '\0');
    assert_no_address(info.model, NULL);
    assert_true(info.total_bytes > 0 && info.free_bytes <= info.total_bytes);
    assert_int_equal(device_kind(under_test.device), under_test.kind);
}

/* ---- bounds ---------------------------------------------------------------------------------- */

/* Offsets and lengths that are outside of SMALL bytes, some only because they wrap. */
static const struct {
    uint64_t offset, size;
} outside[] = {
    {0, SMALL + 1},
    {1, SMALL},
    {SMALL, 1},
    {SMALL + 1, 0},
    {SMALL - 1, 2},
    {UINT64_MAX, 1},
    {UINT64_MAX, 2},
    {1, UINT64_MAX},
    {0, UINT64_MAX},
    {UINT64_MAX, UINT64_MAX},
    {UINT64_MAX - SMALL + 1, SMALL},
    {SMALL, UINT64_MAX - SMALL + 1},
    {(uint64_t)1 << 63, (uint64_t)1 << 63},
    {(uint64_t)1 << 63, ((uint64_t)1 << 63) + 10},
    {(uint64_t)1 << 32, 1},
    {5, (uint64_t)1 << 32},
};

/* MS-001, MS-002, MS-006, MS-007 */
static void nothing_outside_of_a_memory_is_touched(void **state)
{
    static uint8_t bytes[SMALL + 1];
    bool is_zero;
    struct device_memory *memory = memory_of(SMALL), *other = memory_of(SMALL);
    memset(bytes, 0x5c, sizeof bytes);
    put(memory, 0, bytes, SMALL);
    put(other, 0, bytes, SMALL);
    for (size_t i = 0; i < ARRAY_LEN(outside); i++) {
        const uint64_t at = outside[i].offset, size = outside[i].size;
        assert_refused(LETHE_INVALID, device_read(memory, at, bytes, size, &err), memory);
        assert_refused(LETHE_INVALID, device_write(memory, at, bytes, size, &err), memory);
        assert_refused(LETHE_INVALID, device_wipe(memory, at, size, &err), memory);
        assert_refused(LETHE_INVALID, device_is_zero(memory, at, size, &is_zero, &err), memory);
        assert_false(is_zero);
    }
    for (size_t i = 0; i < 2; i++) {
        uint8_t after[SMALL];
        assert_ok(device_read(i == 0 ? memory : other, 0, after, SMALL, &err), &err);
        assert_memory_equal(after, bytes, SMALL);
    }
    free_ok(memory);
    free_ok(other);
}

/* MS-007: a segment's place is checked as any other range is, before anything is done. */
static void a_segment_outside_of_a_memory_is_refused(void **state)
{
    const uint8_t key_bytes[32] = {1}, nonce[12] = {2};
    static uint8_t cipher[SMALL + 17];
    struct device_memory *memory = memory_of(SMALL);
    struct device_key *key = key_of(key_bytes);
    size_t failed;
    for (size_t i = 0; i < ARRAY_LEN(outside); i++) {
        const struct device_segment segment = {.nonce = nonce,
                                               .cipher = cipher,
                                               .plain_bytes = outside[i].size,
                                               .offset_bytes = outside[i].offset};
        assert_refused(LETHE_INVALID, device_open_segments(memory, key, &segment, 1, &failed, &err),
                       memory);
    }
    device_key_free(key);
    free_ok(memory);
}

/* MS-003, MS-006, RP-004 */
static void impossible_sizes_are_refused_and_cost_nothing(void **state)
{
    struct device_capacity capacity;
    device_capacity(under_test.device, &capacity);
    const uint64_t sizes[] = {capacity.available_bytes + 1, UINT64_MAX, UINT64_MAX - 4095,
                              (uint64_t)1 << 63};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        const struct device_request request = request_of(sizes[i]);
        struct device_memory *memory = (struct device_memory *)1;
        char needed[32], available[32];
        assert_refused(LETHE_NO_MEMORY, device_alloc(under_test.device, &request, &memory, &err),
                       NULL);
        assert_null(memory);
        snprintf(needed, sizeof needed, "%" PRIu64 " bytes are needed", sizes[i]);
        snprintf(available, sizeof available, "%" PRIu64 " of ", capacity.available_bytes);
        assert_non_null(strstr(err.text, needed));
        assert_non_null(strstr(err.text, available));
        assert_int_equal(used_bytes(), capacity.used_bytes);
    }
    const struct device_request nothing = request_of(0);
    struct device_memory *memory;
    assert_refused(LETHE_INVALID, device_alloc(under_test.device, &nothing, &memory, &err), NULL);
}

/* ---- wipe ------------------------------------------------------------------------------------ */

/* Z-3: at every alignment of both ends; what lies beside stays. */
static void a_wipe_clears_its_range_and_nothing_else(void **state)
{
    uint8_t pattern[160], after[160];
    struct device_memory *memory = memory_of(sizeof pattern);
    memset(pattern, 0xc3, sizeof pattern);
    for (size_t offset = 0; offset < 34; offset++)
        for (size_t size = 0; size < 70; size++) {
            bool is_zero;
            put(memory, 0, pattern, sizeof pattern);
            assert_ok(device_is_zero(memory, offset, size, &is_zero, &err), &err);
            assert_true(is_zero == (size == 0));
            assert_ok(device_wipe(memory, offset, size, &err), &err);
            assert_ok(device_is_zero(memory, offset, size, &is_zero, &err), &err);
            assert_true(is_zero);
            assert_ok(device_read(memory, 0, after, sizeof after, &err), &err);
            for (size_t i = 0; i < sizeof after; i++)
                assert_int_equal(after[i], i >= offset && i < offset + size ? 0 : 0xc3);
        }
    free_ok(memory);
}

static void one_bit_anywhere_is_not_zero(void **state)
{
    struct device_memory *memory = memory_of(SMALL);
    for (size_t at = 0; at < SMALL; at += at < 40 || at > SMALL - 40 ? 1 : 379) {
        const uint8_t bit = (uint8_t)(1u << at % 8), none = 0;
        bool is_zero;
        put(memory, at, &bit, 1);
        assert_ok(device_is_zero(memory, 0, SMALL, &is_zero, &err), &err);
        assert_false(is_zero);
        assert_ok(device_is_zero(memory, at + 1, SMALL - at - 1, &is_zero, &err), &err);
        assert_true(is_zero);
        put(memory, at, &none, 1);
        assert_ok(device_is_zero(memory, 0, SMALL, &is_zero, &err), &err);
        assert_true(is_zero);
    }
    free_ok(memory);
}

/* ---- capacity, quarantine -------------------------------------------------------------------- */

/* RP-002 */
static void what_is_freed_can_be_had_again(void **state)
{
    uint64_t before = used_bytes();
    struct device_memory *memories[8];
    for (size_t i = 0; i < ARRAY_LEN(memories); i++) {
        memories[i] = memory_of(1000 + i);
        assert_int_equal(used_bytes(), before + 1000 * (i + 1) + i * (i + 1) / 2);
    }
    for (size_t i = 0; i < ARRAY_LEN(memories); i++)
        free_ok(memories[i]);
    assert_int_equal(used_bytes(), before);
    struct device_capacity capacity;
    device_capacity(under_test.device, &capacity);
    assert_int_equal(capacity.available_bytes, capacity.limit_bytes - before);
    assert_ok(device_free(NULL, &err), &err);
    device_discard(NULL);
    device_close(NULL);
    device_key_free(NULL);
    device_discard(memory_of(1));
    assert_int_equal(used_bytes(), before);
}

/* W-1 */
static void a_quarantined_device_takes_nothing_new(void **state)
{
    const struct device_request request = request_of(1);
    struct device_memory *there = memory_of(SMALL), *memory;
    struct device *device;
    uint8_t byte = 1;
    struct lethe_device_info info;
    device_quarantine(under_test.device);
    assert_refused(LETHE_UNAVAILABLE, device_open(under_test.kind, under_test.index, &device, &err),
                   there);
    assert_refused(LETHE_UNAVAILABLE, device_alloc(under_test.device, &request, &memory, &err),
                   there);
    assert_ok(lethe_device_info(under_test.kind, under_test.index, &info, &err), &err);
    assert_true(info.quarantined);
    put(there, 0, &byte, 1); /* what is there can be used, and freed */
    free_ok(there);
    assert_ok(lethe_device_release(under_test.kind, under_test.index, &err), &err);
    assert_false(device_is_quarantined(under_test.device));
    free_ok(memory_of(1));
}

/* ---- read only ------------------------------------------------------------------------------- */

static void write_to(void *context)
{
    struct device_memory *memory = context;
    signal(SIGSEGV, SIG_DFL); /* cmocka has a handler */
    *(volatile uint8_t *)device_memory_address(memory) = 1;
}

static void read_only_memory_faults_when_it_is_written(void **state)
{
    struct device_memory *memory = memory_of(SMALL);
    uint8_t byte = 7;
    put(memory, 5, &byte, 1);
    if (on_host())
        assert_exited(0, child_status(write_to, memory));
    assert_ok(device_set_read_only(memory, true, &err), &err);
    if (on_host()) {
        assert_true(device_memory_is_host(memory));
        assert_killed_by(SIGSEGV, child_status(write_to, memory));
        assert_ok(device_read(memory, 5, &byte, 1, &err), &err);
        assert_int_equal(byte, 7);
        assert_ok(device_set_read_only(memory, false, &err), &err);
        assert_exited(0, child_status(write_to, memory));
        assert_ok(device_set_read_only(memory, true, &err), &err);
    } else {
        assert_false(device_memory_is_host(memory));
    }
    free_ok(memory); /* which makes it writable, to wipe it */
}

/* ---- threads --------------------------------------------------------------------------------- */

#define THREADS 4u
#define ROUNDS 25u

static void *come_and_go(void *context)
{
    struct lethe_error own = {0};
    uint8_t mine[500], back[500];
    memset(mine, (int)(uintptr_t)context, sizeof mine);
    for (unsigned i = 0; i < ROUNDS; i++) {
        const struct device_request request = request_of(sizeof mine + i);
        struct device_memory *memory;
        bool is_zero;
        if (device_alloc(under_test.device, &request, &memory, &own) != LETHE_OK ||
            device_is_zero(memory, 0, request.size_bytes, &is_zero, &own) != LETHE_OK || !is_zero ||
            device_write(memory, i, mine, sizeof mine, &own) != LETHE_OK ||
            device_read(memory, i, back, sizeof back, &own) != LETHE_OK ||
            memcmp(mine, back, sizeof back) != 0 ||
            device_is_zero(memory, 0, request.size_bytes, &is_zero, &own) != LETHE_OK || is_zero ||
            device_free(memory, &own) != LETHE_OK)
            return context;
    }
    return NULL;
}

static void threads_share_a_device(void **state)
{
    uint64_t before = used_bytes();
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, (void *)(i + 1)), 0);
    assert_joined(threads, ARRAY_LEN(threads));
    assert_int_equal(used_bytes(), before);
}

DEVICE_TESTS(memory, cmocka_unit_test(memory_is_zero_at_first_and_keeps_what_is_put_there),
             cmocka_unit_test(a_device_that_is_not_there_is_refused),
             cmocka_unit_test(a_device_says_what_it_is),
             cmocka_unit_test(nothing_outside_of_a_memory_is_touched),
             cmocka_unit_test(a_segment_outside_of_a_memory_is_refused),
             cmocka_unit_test(impossible_sizes_are_refused_and_cost_nothing),
             cmocka_unit_test(a_wipe_clears_its_range_and_nothing_else),
             cmocka_unit_test(one_bit_anywhere_is_not_zero),
             cmocka_unit_test(what_is_freed_can_be_had_again),
             cmocka_unit_test(a_quarantined_device_takes_nothing_new),
             cmocka_unit_test(read_only_memory_faults_when_it_is_written),
             cmocka_unit_test(threads_share_a_device));
