/* What is left of a session in this process: nothing. Every search has found the pattern before. */
#include "kv_check.h"

#include "crypto/memory_search.h"

#include <inttypes.h>

static bool wipe_fails;

lethe_result __real_device_wipe(struct device_memory *memory, uint64_t offset, uint64_t size_bytes,
                                struct lethe_error *err);
lethe_result __wrap_device_wipe(struct device_memory *memory, uint64_t offset, uint64_t size_bytes,
                                struct lethe_error *err);
lethe_result __wrap_device_wipe(struct device_memory *memory, uint64_t offset, uint64_t size_bytes,
                                struct lethe_error *err)
{
    if (wipe_fails)
        return error_set(err, LETHE_UNWIPED, "not zero");
    return __real_device_wipe(memory, offset, size_bytes, err);
}

/* What a session holds, each made anew where it is needed and kept nowhere: a key row, a value row,
 * a piece of a hidden state, a seed. */
enum { PART_KEY, PART_VALUE, PART_HIDDEN, PART_SMALL, PART_SEED, PARTS };
/* Volatile, or the compiler itself keeps the rows among its constants. */
static volatile uint64_t seed_value = 77;
#define SEED seed_value
#define HIDDEN_BYTES 20000u

static void part_fill(unsigned part, uint8_t out[32])
{
    for (uint64_t i = 0; i < 4; i++) {
        uint64_t word = row_word(SEED + (part > PART_VALUE ? part : 0), 1, part & 1, 2, i);
        memcpy(out + i * 8, &word, 8);
    }
}

static size_t found(unsigned part)
{
    uint8_t bytes[32];
    part_fill(part, bytes);
    struct needle needle = needle_of(bytes, sizeof bytes);
    lethe_wipe(bytes, sizeof bytes);
    return count_in_own_memory(&needle);
}

static void assert_found(bool expected)
{
    for (unsigned part = 0; part < PARTS; part++)
        if ((found(part) > 0) != expected)
            fail_msg("part %u: %s", part, expected ? "not found" : "found");
}

/* A session that holds each of them. */
static struct lethe_kv *must_fill(struct kv_site *kv, const char *name, uint64_t timeout_ms)
{
    uint8_t *seed;
    void *hidden, *small;
    struct lethe_kv *session =
        must_open_with(kv,
                       &(struct lethe_kv_session_options){
                           .tenant = "acme", .session = name, .heartbeat_timeout_ms = timeout_ms},
                       0);
    assert_ok(lethe_kv_buffer(session, HIDDEN_BYTES, &hidden, &kv->err), &kv->err);
    assert_ok(lethe_kv_buffer(session, 640, &small, &kv->err), &kv->err);
    assert_ok(lethe_kv_seed(session, 32, &seed, &kv->err), &kv->err);
    must_append(kv, session, SEED, 0, 6);
    part_fill(PART_HIDDEN, (uint8_t *)hidden + HIDDEN_BYTES - 32);
    part_fill(PART_SMALL, (uint8_t *)small + 101);
    part_fill(PART_SEED, seed);
    return session;
}

/* ---- the ways to go -------------------------------------------------------------------------- */

static void by_end(struct kv_site *kv, struct lethe_kv **session)
{
    must_end(kv, *session);
    *session = NULL;
}

static void by_cancel(struct kv_site *kv, struct lethe_kv **session)
{
    lethe_kv_cancel(*session);
}

static void by_timeout(struct kv_site *kv, struct lethe_kv **session)
{
    assert_int_equal(lethe_kv_expire(kv->cache, 1001), 1);
}

static void by_reset(struct kv_site *kv, struct lethe_kv **session)
{
    assert_ok(lethe_kv_reset(*session, &kv->err), &kv->err);
}

static void by_end_of_a_read(struct kv_site *kv, struct lethe_kv **session)
{
    struct lethe_kv_view view;
    assert_ok(lethe_kv_truncate(*session, 4, &kv->err), &kv->err); /* to what fits everywhere */
    assert_ok(lethe_kv_read_begin(*session, 0, &view, &kv->err), &kv->err);
    lethe_kv_cancel(*session);
    assert_true(found(PART_KEY) > 0);
    lethe_kv_read_end(&view);
}

static void by_end_of_the_cache(struct kv_site *kv, struct lethe_kv **session)
{
    assert_ok(lethe_kv_cache_free(kv->cache, &kv->err), &kv->err);
    *session = NULL;
    kv->cache = NULL;
}

typedef void leaving(struct kv_site *kv, struct lethe_kv **session);

/* Z-3, Z-4, Z-9 */
static void nothing_is_left_however_a_session_goes(void **state)
{
    static leaving *const ways[] = {by_end,   by_cancel,        by_timeout,
                                    by_reset, by_end_of_a_read, by_end_of_the_cache};
    for (size_t i = 0; i < ARRAY_LEN(ways) * 2; i++) {
        struct kv_site *kv = *state;
        if (i % 2 == 0)
            must_cache(kv, 4);
        else
            must_spilling_cache(kv, 1); /* most of it is at the store, and no key for it is left */
        struct lethe_kv *session = must_fill(kv, "s1", 1000);
        if (i % 2 != 0)
            assert_gather(kv, session, SEED, 0, 4);
        assert_found(true);
        ways[i / 2](kv, &session);
        assert_found(false);
        if (session != NULL)
            must_end(kv, session);
        assert_ok(lethe_kv_cache_free(kv->cache, &kv->err), &kv->err);
        kv->cache = NULL;
        lethe_spill_memory_free(MOVE(kv->memory));
    }
}

/* Z-3, Z-9: a block that is spilled for another's sake, one that falls out of a window, and rows
 * that are truncated. */
static void nothing_is_left_of_what_is_evicted(void **state)
{
    struct kv_site *kv = *state;
    must_spilling_cache(kv, 2);
    struct lethe_kv *session = must_open_kv(kv, "acme", "s1"),
                    *other = must_open_kv(kv, "bolt", "s1");
    must_append(kv, session, SEED, 0, 4);
    assert_true(found(PART_KEY) > 0 && found(PART_VALUE) > 0);
    must_append(kv, other, 1, 0, 8);
    assert_true(found(PART_KEY) == 0 && found(PART_VALUE) == 0);
    assert_gather(kv, session, SEED, 0, 4); /* it was only elsewhere */
    assert_true(found(PART_KEY) > 0 && found(PART_VALUE) > 0);
    assert_ok(lethe_kv_truncate(session, 2, &kv->err), &kv->err);
    assert_true(found(PART_KEY) == 0 && found(PART_VALUE) == 0);
    must_end(kv, session);

    session = must_open_with(
        kv,
        &(struct lethe_kv_session_options){.tenant = "acme", .session = "s2", .window_tokens = 1},
        0);
    must_append(kv, session, SEED, 0, 8);
    assert_true(found(PART_KEY) > 0);
    must_append(kv, session, SEED, 8, 1);
    assert_true(found(PART_KEY) == 0 && found(PART_VALUE) == 0);
    must_end(kv, session);
    must_end(kv, other);
}

/* Z-3: nor of what was read while there was no room for it. */
static void nothing_is_left_of_what_is_looked_at(void **state)
{
    struct kv_site *kv = *state;
    const struct lethe_kv_options options = cache_options(1);
    assert_ok(lethe_spill_memory_create(lethe_kv_spill_bytes(&options), &kv->memory, &kv->err),
              &kv->err);
    kv->spill = lethe_spill_memory_table(kv->memory);
    must_cache_with(kv, 1, &kv->spill);
    struct lethe_kv *session = must_open_kv(kv, "acme", "s1");
    must_append(kv, session, SEED, 0, 4);
    assert_true(found(PART_KEY) > 0 && found(PART_VALUE) > 0);
    must_append(kv, session, SEED, 4, 4);
    assert_gather(kv, session, SEED, 0, 4);
    assert_int_equal(counters_of(kv).fetches, 0);
    assert_true(found(PART_KEY) == 0 && found(PART_VALUE) == 0);
    must_end(kv, session);
}

/* Z-3: whoever gets a block finds zeros in it, but for his own row. */
static void a_block_is_zero_when_it_is_handed_over(void **state)
{
    struct kv_site *kv = *state;
    struct lethe_kv_view view;
    must_cache(kv, 1);
    struct lethe_kv *one = must_open_kv(kv, "acme", "s1");
    must_append(kv, one, 1, 0, 4);
    assert_ok(lethe_kv_read_begin(one, 0, &view, &kv->err), &kv->err);
    const uint8_t *block = view.spans[0].keys;
    assert_false(lethe_is_zero(block + ROW_BYTES, BLOCK_BYTES - ROW_BYTES));
    lethe_kv_read_end(&view);
    must_end(kv, one);

    struct lethe_kv *two = must_open_kv(kv, "bolt", "s1");
    assert_ok(append_layer(two, 2, 0, 0, 1, &kv->err), &kv->err);
    assert_ok(lethe_kv_read_begin(two, 0, &view, &kv->err), &kv->err);
    assert_ptr_equal(view.spans[0].keys, block);
    uint64_t value_at = BLOCK_TOKENS * ROW_BYTES;
    assert_true(lethe_is_zero(block + ROW_BYTES, value_at - ROW_BYTES));
    assert_true(lethe_is_zero(block + value_at + ROW_BYTES, BLOCK_BYTES - value_at - ROW_BYTES));
    lethe_kv_read_end(&view);
    must_end(kv, two);
}

/* Z-3: a block that is not zero after its wipe is nobody's again, and everyone hears of it. */
static void a_block_that_cannot_be_wiped_is_kept_from_everyone(void **state)
{
    struct kv_site *kv = *state;
    must_cache(kv, 2);
    struct lethe_kv *one = must_open_kv(kv, "acme", "s1");
    must_append(kv, one, 1, 0, 4);
    wipe_fails = true;
    assert_result(LETHE_UNWIPED, lethe_kv_end(one, LETHE_SESSION_ENDED, &kv->err));
    wipe_fails = false;
    assert_non_null(strstr(kv->err.text, "session s1 of acme"));
    assert_recorded(1, kv->site, "session_ended", "\"verified\":false");
    assert_recorded(1, kv->site, "region_wiped", "\"verified\":false", "\"bytes\":1536");
    assert_int_equal(counters_of(kv).used_blocks, 1);
    assert_int_equal(counters_of(kv).wiped_bytes, 0);

    struct lethe_kv *two = must_open_kv(kv, "acme", "s2");
    must_append(kv, two, 2, 0, 4);
    assert_result(LETHE_NO_MEMORY, append_tokens(two, 2, 4, 1, &kv->err));
    must_end(kv, two);
    one = must_open_kv(kv, "acme", "s1");
    must_append(kv, one, 1, 0, 4);
    wipe_fails = true;
    assert_result(LETHE_UNWIPED, lethe_kv_truncate(one, 0, &kv->err));
    wipe_fails = false;
    assert_result(LETHE_UNWIPED, lethe_kv_end(one, LETHE_SESSION_ENDED, &kv->err));
}

/* ---- many ------------------------------------------------------------------------------------ */

static uint64_t resident_bytes(void)
{
    FILE *status = fopen("/proc/self/status", "re");
    char line[256];
    uint64_t kib = 0;
    assert_non_null(status);
    while (fgets(line, sizeof line, status) != NULL)
        if (sscanf(line, "VmRSS: %" SCNu64, &kib) == 1)
            break;
    fclose(status);
    return kib << 10;
}

static size_t lines_of(const char *path)
{
    FILE *file = fopen(path, "re");
    size_t lines = 0;
    assert_non_null(file);
    for (int c; (c = fgetc(file)) != EOF;)
        lines += c == '\n';
    fclose(file);
    return lines;
}

static int next_fd(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    close(fd);
    return fd;
}

/* One of many: opened, filled, spilled in part, ended in one of three ways. */
static void one_of_many(struct kv_site *kv, unsigned number)
{
    char name[32];
    uint8_t *seed;
    void *hidden;
    snprintf(name, sizeof name, "s%u", number);
    struct lethe_kv *session = must_open_with(
        kv,
        &(struct lethe_kv_session_options){.tenant = number % 2 != 0 ? "acme" : "bolt",
                                           .session = name,
                                           .heartbeat_timeout_ms = 1},
        number);
    assert_ok(lethe_kv_seed(session, 32, &seed, &kv->err), &kv->err);
    part_fill(PART_SEED, seed);
    assert_ok(lethe_kv_buffer(session, number % 50 == 0 ? HIDDEN_BYTES : 640, &hidden, &kv->err),
              &kv->err);
    part_fill(PART_HIDDEN, hidden);
    must_append(kv, session, SEED, 0, 5 + number % 8);
    if (number % 3 == 1)
        lethe_kv_cancel(session);
    if (number % 3 == 2)
        assert_int_equal(lethe_kv_expire(kv->cache, number + 2), 1);
    must_end(kv, session);
}

static void many(struct kv_site *kv)
{
    for (unsigned i = 0; i < 10000; i++) {
        one_of_many(kv, i);
        if (i % 500 == 0)
            assert_ok(audit_sync(kv->site->log, &kv->err), &kv->err);
    }
}

/* Z-4, Z-9: the first ten thousand also fill the log's queue, which is a ring. */
static void ten_thousand_sessions_leave_nothing(void **state)
{
    struct kv_site *kv = *state;
    must_spilling_cache(kv, 2);
    many(kv);
    uint64_t bytes = resident_bytes();
    size_t mappings = lines_of("/proc/self/maps");
    int fd = next_fd();
    many(kv);
    struct lethe_kv_counters counters = counters_of(kv);
    assert_int_equal(counters.used_blocks + counters.spilled_blocks + counters.sessions, 0);
    assert_int_equal(next_fd(), fd);
    if (!HAS_SANITIZER) {
        assert_true(resident_bytes() <= bytes + 262144);
        assert_true(lines_of("/proc/self/maps") <= mappings);
    }
    for (unsigned part = 0; part < PARTS; part++)
        assert_int_equal(found(part), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        kv_test(nothing_is_left_however_a_session_goes),
        kv_test(nothing_is_left_of_what_is_evicted),
        kv_test(nothing_is_left_of_what_is_looked_at),
        kv_test(a_block_is_zero_when_it_is_handed_over),
        kv_test(a_block_that_cannot_be_wiped_is_kept_from_everyone),
        kv_test(ten_thousand_sessions_leave_nothing),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
