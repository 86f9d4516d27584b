/* How sessions forget: truncated, reset, ended, cancelled, timed out, and with their cache. */
#include "kv_check.h"

/* ---- forgetting ------------------------------------------------------------------------------ */

/* Z-4 */
static void truncated_rows_are_gone_and_can_be_written_anew(void **state)
{
    struct kv_site *kv = *state;
    must_cache(kv, 8);
    struct lethe_kv *session = must_open_kv(kv, "acme", "s1");
    static const uint64_t cuts[] = {14, 13, 12, 9, 8, 4, 3, 0};
    must_append(kv, session, 13, 0, 15);
    uint64_t end = 15;
    for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
        assert_ok(lethe_kv_truncate(session, cuts[i], &kv->err), &kv->err);
        assert_ok(lethe_kv_truncate(session, end, &kv->err), &kv->err); /* beyond: nothing */
        end = cuts[i];
        assert_view(kv, session, 13, 0, end);
        assert_int_equal(counters_of(kv).used_blocks, (end + 3) / 4);
    }
    must_append(kv, session, 14, 0, 7);
    assert_view(kv, session, 14, 0, 7);
    must_end(kv, session);
}

/* Z-4: looked at where they were. */
static void truncated_rows_are_zero_in_their_block(void **state)
{
    struct kv_site *kv = *state;
    struct lethe_kv_view view;
    must_cache(kv, 8);
    struct lethe_kv *session = must_open_kv(kv, "acme", "s1");
    must_append(kv, session, 15, 0, 4);
    assert_ok(lethe_kv_read_begin(session, 2, &view, &kv->err), &kv->err);
    const uint8_t *keys = view.spans[0].keys, *values = view.spans[0].values;
    assert_result(LETHE_BUSY, lethe_kv_truncate(session, 1, &kv->err));
    assert_range(session, 2, 0, 4);
    lethe_kv_read_end(&view);
    assert_ok(lethe_kv_truncate(session, 1, &kv->err), &kv->err);
    assert_true(is_row(keys, 15, 2, 0, 0));
    assert_true(is_row(values, 15, 2, 1, 0));
    assert_true(lethe_is_zero(keys + ROW_BYTES, 3 * ROW_BYTES));
    assert_true(lethe_is_zero(values + ROW_BYTES, 3 * ROW_BYTES));
    must_end(kv, session);
}

static void what_a_window_took_cannot_be_truncated_to(void **state)
{
    struct kv_site *kv = *state;
    must_cache(kv, 8);
    struct lethe_kv *session = must_open_with(
        kv,
        &(struct lethe_kv_session_options){.tenant = "acme", .session = "s1", .window_tokens = 4},
        0);
    must_append(kv, session, 16, 0, 21);
    assert_range(session, 0, 16, 21);
    assert_result(LETHE_NOT_FOUND, lethe_kv_truncate(session, 15, &kv->err));
    assert_view(kv, session, 16, 16, 21);
    assert_ok(lethe_kv_truncate(session, 16, &kv->err), &kv->err);
    assert_range(session, 0, 16, 16);
    must_append(kv, session, 16, 16, 2);
    assert_view(kv, session, 16, 16, 18);
    assert_ok(lethe_kv_truncate(session, 0, &kv->err), &kv->err);
    assert_range(session, 0, 0, 0);
    must_append(kv, session, 16, 0, 2);
    assert_view(kv, session, 16, 0, 2);
    must_end(kv, session);
}

/* Z-4 */
static void reset_empties_and_keeps_the_buffers(void **state)
{
    struct kv_site *kv = *state;
    struct lethe_kv_view view;
    void *hidden, *small;
    uint8_t *seed;
    must_cache(kv, 8);
    struct lethe_kv *session = must_open_kv(kv, "acme", "s1");
    assert_ok(lethe_kv_buffer(session, 20000, &hidden, &kv->err), &kv->err);
    assert_ok(lethe_kv_buffer(session, 100, &small, &kv->err), &kv->err);
    assert_ok(lethe_kv_seed(session, 32, &seed, &kv->err), &kv->err);
    for (unsigned round = 0; round < 2; round++) {
        assert_true(lethe_is_zero(hidden, 20000) && lethe_is_zero(small, 100) &&
                    lethe_is_zero(seed, 32));
        memset(hidden, 0x11, 20000);
        memset(small, 0x22, 100);
        memset(seed, 0x33, 32);
        must_append(kv, session, 17 + round, 0, 9);
        assert_ok(lethe_kv_read_begin(session, 0, &view, &kv->err), &kv->err);
        assert_result(LETHE_BUSY, lethe_kv_reset(session, &kv->err));
        lethe_kv_read_end(&view);
        assert_view(kv, session, 17 + round, 0, 9);
        assert_ok(lethe_kv_reset(session, &kv->err), &kv->err);
        assert_range(session, 0, 0, 0);
        assert_int_equal(counters_of(kv).used_blocks, 0);
    }
    assert_true(lethe_is_zero(hidden, 20000) && lethe_is_zero(seed, 32));
    must_end(kv, session);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void assert_cancelled(struct kv_site *kv, struct lethe_kv *session, const char *cause)
{
    uint8_t row[ROW_BYTES] = {0}, *seed;
    struct lethe_kv_view view;
    uint64_t first, end;
    void *buffer;
    struct lethe_error *err = &kv->err;
    assert_result(LETHE_CANCELLED, lethe_kv_append(session, 0, row, row, 1, err));
    assert_non_null(strstr(err->text, cause));
    assert_result(LETHE_CANCELLED, lethe_kv_read_begin(session, 0, &view, err));
    assert_null(view.inside);
    assert_result(LETHE_CANCELLED, lethe_kv_gather(session, 0, 0, 1, row, row, err));
    assert_result(LETHE_CANCELLED, lethe_kv_range(session, 0, &first, &end));
    assert_result(LETHE_CANCELLED, lethe_kv_truncate(session, 0, err));
    assert_result(LETHE_CANCELLED, lethe_kv_reset(session, err));
    assert_result(LETHE_CANCELLED, lethe_kv_buffer(session, 10, &buffer, err));
    assert_null(buffer);
    assert_result(LETHE_CANCELLED, lethe_kv_seed(session, 10, &seed, err));
    assert_result(LETHE_CANCELLED, lethe_kv_heartbeat(session, 1));
}

/* Z-4, Z-8 */
static void cancel_wipes_at_once_and_the_name_is_free(void **state)
{
    struct kv_site *kv = *state;
    void *hidden;
    must_cache(kv, 8);
    struct lethe_kv *session = must_open_kv(kv, "acme", "s1");
    assert_ok(lethe_kv_buffer(session, 8192, &hidden, &kv->err), &kv->err);
    memset(hidden, 0x11, 8192);
    must_append(kv, session, 18, 0, 9);
    lethe_kv_cancel(session);
    lethe_kv_cancel(session);
    assert_true(lethe_is_zero(hidden, 8192));
    assert_int_equal(counters_of(kv).used_blocks, 0);
    assert_int_equal(counters_of(kv).sessions, 0);
    assert_cancelled(kv, session, "cancelled");
    struct lethe_kv *next = must_open_kv(kv, "acme", "s1");
    must_end(kv, session);
    must_end(kv, next);
    assert_recorded(1, kv->site, "session_ended", "\"cause\":\"cancelled\"", "\"session\":\"s1\"",
                    "\"bytes\":12800", "\"regions\":4", "\"verified\":true");
    assert_recorded(1, kv->site, "session_ended", "\"cause\":\"ended\"");
    assert_recorded(2, kv->site, "session_started");
    assert_recorded(1, kv->site, "region_wiped", "\"bytes\":4608", "\"class\":\"content\"");
}

/* Z-4 */
static void a_cancelled_session_is_wiped_when_the_read_ends(void **state)
{
    struct kv_site *kv = *state;
    struct lethe_kv_view view, second;
    must_cache(kv, 8);
    struct lethe_kv *session = must_open_kv(kv, "acme", "s1");
    must_append(kv, session, 19, 0, 6);
    assert_ok(lethe_kv_read_begin(session, 0, &view, &kv->err), &kv->err);
    assert_ok(lethe_kv_read_begin(session, 1, &second, &kv->err), &kv->err);
    must_append(kv, session, 19, 6, 6); /* a block that nobody reads */
    lethe_kv_cancel(session);
    assert_int_equal(counters_of(kv).used_blocks, 2);
    assert_true(view_is(&view, 19, 0, 0, 6));
    lethe_kv_read_end(&view);
    assert_int_equal(counters_of(kv).used_blocks, 2);
    assert_recorded(0, kv->site, "session_ended");
    const uint8_t *keys = second.spans[0].keys;
    lethe_kv_read_end(&second);
    assert_int_equal(counters_of(kv).used_blocks, 0);
    assert_true(lethe_is_zero(keys, BLOCK_TOKENS * ROW_BYTES));
    assert_recorded(1, kv->site, "session_ended", "\"cause\":\"cancelled\"", "\"regions\":3");
    must_end(kv, session);
    assert_recorded(1, kv->site, "session_ended");
}

/* Z-4 */
static void missed_heartbeats_end_a_session(void **state)
{
    struct kv_site *kv = *state;
    must_cache(kv, 8);
    struct lethe_kv_session_options options = {
        .tenant = "acme", .session = "s1", .heartbeat_timeout_ms = 100};
    struct lethe_kv *one = must_open_with(kv, &options, 1000);
    options.session = "s2";
    struct lethe_kv *two = must_open_with(kv, &options, 1000);
    struct lethe_kv *forever = must_open_kv(kv, "acme", "s3");
    must_append(kv, one, 20, 0, 5);
    must_append(kv, two, 21, 0, 5);
    must_append(kv, forever, 22, 0, 5);
    assert_int_equal(lethe_kv_expire(kv->cache, 1100), 0);
    assert_int_equal(lethe_kv_expire(kv->cache, 900), 0); /* a clock that went back */
    assert_result(LETHE_OK, lethe_kv_heartbeat(two, 1050));
    assert_result(LETHE_OK, lethe_kv_heartbeat(two, 1040)); /* an older one changes nothing */
    assert_int_equal(lethe_kv_expire(kv->cache, 1150), 1);
    assert_cancelled(kv, one, "timed out");
    assert_view(kv, two, 21, 0, 5);
    assert_int_equal(lethe_kv_expire(kv->cache, 1151), 1);
    assert_int_equal(lethe_kv_expire(kv->cache, UINT64_MAX), 0);
    assert_view(kv, forever, 22, 0, 5);
    assert_int_equal(counters_of(kv).sessions, 1);
    assert_recorded(2, kv->site, "session_ended", "\"cause\":\"timed out\"", "\"verified\":true");
    must_end(kv, one);
    must_end(kv, two);
    must_end(kv, forever);
}

/* Z-8 */
static void a_cache_that_is_freed_ends_its_sessions(void **state)
{
    struct kv_site *kv = *state;
    must_cache(kv, 8);
    struct lethe_kv *one = must_open_kv(kv, "acme", "s1");
    must_append(kv, one, 23, 0, 5);
    lethe_kv_cancel(must_open_kv(kv, "acme", "s2"));
    uint64_t used = used_bytes(kv->site);
    assert_ok(lethe_kv_cache_free(kv->cache, &kv->err), &kv->err);
    kv->cache = NULL;
    assert_true(used_bytes(kv->site) < used);
    assert_recorded(2, kv->site, "session_ended");
    assert_recorded(1, kv->site, "vram_deallocated", "\"wiped\":true");
    assert_result(LETHE_OK, lethe_kv_cache_free(NULL, NULL));
    assert_result(LETHE_OK, lethe_kv_end(NULL, LETHE_SESSION_ENDED, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        kv_test(truncated_rows_are_gone_and_can_be_written_anew),
        kv_test(truncated_rows_are_zero_in_their_block),
        kv_test(what_a_window_took_cannot_be_truncated_to),
        kv_test(reset_empties_and_keeps_the_buffers),
        kv_test(cancel_wipes_at_once_and_the_name_is_free),
        kv_test(a_cancelled_session_is_wiped_when_the_read_ends),
        kv_test(missed_heartbeats_end_a_session),
        kv_test(a_cache_that_is_freed_ends_its_sessions),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
