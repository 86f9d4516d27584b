/* Sessions: what ends together is wiped together and reported once, whatever ends it. */
#include "check.h"

#include <pthread.h>
#include <stdatomic.h>

#include <lethe/mem.h>

#include "child.h"
#include "fakes.h"
#include "mem/slab.h"

static struct {
    unsigned regions;
    unsigned sessions;
    struct lethe_session_report last;
    struct lethe_label label;
    unsigned regions_before_session;
} heard;

static void on_region_wiped(void *context, const struct lethe_wipe_report *report)
{
    heard.regions++;
    assert_string_equal(report->label->session, "chat-42");
    assert_string_equal(report->label->tenant, "tenant-a");
}

static void on_session_ended(void *context, const struct lethe_session_report *report)
{
    heard.sessions++;
    heard.last = *report;
    heard.label = *report->label;
    heard.regions_before_session = heard.regions;
}

static int listen(void **state)
{
    fakes_install(state);
    memset(&heard, 0, sizeof heard);
    lethe_mem_observe(&(struct lethe_mem_observer){on_region_wiped, on_session_ended, NULL});
    return 0;
}

static int stop_listening(void **state)
{
    fakes_remove(state);
    lethe_mem_observe(NULL);
    return 0;
}

static const struct lethe_label chat = {.tenant = "tenant-a", .session = "chat-42"};

/* A session that owns two regions of 8 KiB, filled, and a secret of 48 bytes, filled. */
struct held {
    struct lethe_session *session;
    struct lethe_region *regions[2];
    struct lethe_secret *secret;
};

static struct held must_hold(uint64_t heartbeat_timeout_ms, uint64_t now_ms)
{
    struct lethe_error err = {0};
    struct held held;
    assert_ok(lethe_session_create(&chat, heartbeat_timeout_ms, now_ms, &held.session, &err), &err);
    for (size_t i = 0; i < 2; i++) {
        assert_ok(
            lethe_session_region(held.session, 8000, LETHE_CLASS_CONTENT, &held.regions[i], &err),
            &err);
        pattern_fill(lethe_region_bytes(held.regions[i]), 8192, 81);
    }
    assert_ok(lethe_session_secret(held.session, 48, &held.secret, &err), &err);
    pattern_fill(lethe_secret_bytes(held.secret), 48, 82);
    return held;
}

static void assert_all_zero(const struct held *held)
{
    for (size_t i = 0; i < 2; i++)
        assert_true(lethe_is_zero(lethe_region_bytes(held->regions[i]), 8192));
    assert_true(lethe_is_zero(lethe_secret_bytes(held->secret), 48));
}

static void assert_reported_once(enum lethe_session_end cause)
{
    assert_int_equal(heard.sessions, 1);
    assert_int_equal(heard.last.cause, cause);
    assert_int_equal(heard.last.regions, 2);
    assert_int_equal(heard.last.secrets, 1);
    assert_int_equal(heard.last.size_bytes, 2 * 8192 + 48);
    assert_true(heard.last.verified);
    assert_int_equal(heard.regions_before_session, 2);
    assert_string_equal(heard.label.session, "chat-42");
}

/* Z-4, Z-8 */
static void ending_wipes_everything_and_reports_totals(void **state)
{
    const enum lethe_session_end causes[] = {LETHE_SESSION_ENDED, LETHE_SESSION_CANCELLED};
    for (size_t i = 0; i < ARRAY_LEN(causes); i++) {
        listen(state);
        struct held held = must_hold(0, 1000);
        void *neighbour;
        assert_result(LETHE_OK, slab_alloc(48, &neighbour, NULL)); /* keeps the arena mapped */
        lethe_session_end(held.session, causes[i]);
        assert_reported_once(causes[i]);
        assert_true(lethe_is_zero(held.secret, 48));
        slab_free(neighbour);
    }
    lethe_session_end(NULL, LETHE_SESSION_ENDED);
}

static void an_empty_session_is_reported_too(void **state)
{
    struct lethe_session *session;
    assert_result(LETHE_OK, lethe_session_create(&chat, 0, 0, &session, NULL));
    lethe_session_end(session, LETHE_SESSION_ENDED);
    assert_int_equal(heard.sessions, 1);
    assert_int_equal(heard.last.size_bytes, 0);
    assert_true(heard.last.verified);
}

static void causes_have_names(void **state)
{
    assert_string_equal(lethe_session_end_name(LETHE_SESSION_TIMED_OUT), "timed out");
    assert_string_equal(lethe_session_end_name(LETHE_SESSION_PROCESS_EXIT), "process exit");
    assert_string_equal(lethe_session_end_name((enum lethe_session_end)9), "unknown");
}

static void a_session_needs_a_name_that_fits(void **state)
{
    struct lethe_label label = {.tenant = "t"};
    struct lethe_session *session = (struct lethe_session *)&label;
    assert_result(LETHE_INVALID, lethe_session_create(&label, 0, 0, &session, NULL));
    assert_null(session);
    memset(label.session, 'x', sizeof label.session);
    assert_result(LETHE_INVALID, lethe_session_create(&label, 0, 0, &session, NULL));
}

static void what_a_session_cannot_have_it_does_not_get(void **state)
{
    struct lethe_session *session;
    struct lethe_region *region;
    struct lethe_secret *secret;
    assert_result(LETHE_OK, lethe_session_create(&chat, 0, 0, &session, NULL));
    assert_result(LETHE_INVALID,
                  lethe_session_region(session, 0, LETHE_CLASS_CONTENT, &region, NULL));
    assert_null(region);
    assert_result(LETHE_INVALID, lethe_session_secret(session, 5000, &secret, NULL));
    assert_null(secret);
    lethe_session_end(session, LETHE_SESSION_ENDED);
    assert_int_equal(heard.last.regions, 0);
    assert_int_equal(heard.last.secrets, 0);
}

/* ---- heartbeats ------------------------------------------------------------------------------ */

/* Z-4: on a missed heartbeat; just in time is in time. */
static void an_overdue_session_is_wiped_where_it_is(void **state)
{
    struct lethe_error err = {0};
    struct held held = must_hold(500, 1000);
    assert_int_equal(lethe_sessions_expire(1500), 0);
    assert_result(LETHE_OK, lethe_session_heartbeat(held.session, 1500));
    assert_int_equal(lethe_sessions_expire(2000), 0);
    assert_int_equal(pattern_count(lethe_region_bytes(held.regions[0]), 8192, 81), 1);

    assert_int_equal(lethe_sessions_expire(2001), 1);
    assert_reported_once(LETHE_SESSION_TIMED_OUT);
    assert_all_zero(&held);
    assert_int_equal(lethe_sessions_expire(9000), 0); /* once */

    struct lethe_region *region;
    struct lethe_secret *secret;
    assert_result(LETHE_CANCELLED, lethe_session_heartbeat(held.session, 2002));
    assert_result(LETHE_CANCELLED,
                  lethe_session_region(held.session, 1, LETHE_CLASS_CONTENT, &region, &err));
    assert_null(region);
    assert_non_null(strstr(err.text, "chat-42"));
    assert_result(LETHE_CANCELLED, lethe_session_secret(held.session, 1, &secret, NULL));
    assert_null(secret);

    pattern_fill(lethe_region_bytes(held.regions[1]), 8192, 83); /* a straggler */
    lethe_session_end(held.session, LETHE_SESSION_ENDED);
    assert_int_equal(heard.sessions, 1);
    assert_int_equal(heard.regions, 2 + 1 + 2); /* expired; refused; freed */
}

static void only_overdue_sessions_expire(void **state)
{
    struct held eternal = must_hold(0, 0), early = must_hold(10, 0), late = must_hold(1000, 0);
    assert_int_equal(lethe_sessions_expire(500), 1);
    assert_result(LETHE_OK, lethe_session_heartbeat(eternal.session, 500));
    assert_result(LETHE_CANCELLED, lethe_session_heartbeat(early.session, 500));
    assert_result(LETHE_OK, lethe_session_heartbeat(late.session, 500));
    assert_result(LETHE_OK, lethe_session_heartbeat(late.session, 100)); /* does not step back */
    assert_int_equal(lethe_sessions_expire(1500), 0);
    assert_int_equal(lethe_sessions_expire(UINT64_MAX), 1);
    lethe_session_end(eternal.session, LETHE_SESSION_ENDED);
    lethe_session_end(early.session, LETHE_SESSION_ENDED);
    lethe_session_end(late.session, LETHE_SESSION_ENDED);
    assert_int_equal(heard.sessions, 3);
}

/* ---- failure --------------------------------------------------------------------------------- */

static void wipe_all_but_one_byte(void *memory, size_t size_bytes)
{
    lethe_wipe(memory, size_bytes);
    *(uint8_t *)memory = 1;
}

static void a_failed_wipe_is_in_the_record(void **state)
{
    struct held held = must_hold(0, 0);
    host.wipe = wipe_all_but_one_byte;
    lethe_session_end(held.session, LETHE_SESSION_CANCELLED);
    assert_int_equal(heard.sessions, 1);
    assert_false(heard.last.verified);
}

static void free_a_sessions_region(void *unused)
{
    struct held held = must_hold(0, 0);
    lethe_region_free(held.regions[0]);
}

static void replace_a_sessions_region(void *unused)
{
    struct held held = must_hold(0, 0);
    struct lethe_region *current = held.regions[0];
    (void)!lethe_region_replace(&current, held.regions[1], NULL);
}

static void a_sessions_region_is_the_sessions_to_free(void **state)
{
    assert_child_dies(free_a_sessions_region, NULL, SIGABRT, "is_adopted");
    assert_child_dies(replace_a_sessions_region, NULL, SIGABRT, "is_adopted");
}

/* ---- two threads ----------------------------------------------------------------------------- */

static atomic_bool stop;
static atomic_uint expired;

static void *keep_expiring(void *unused)
{
    while (!atomic_load(&stop))
        atomic_fetch_add(&expired, (unsigned)lethe_sessions_expire(100));
    return NULL;
}

/* An end and an expiry at the same time: one of them reports, the other waits or finds nothing. */
static void ending_and_expiring_at_once_reports_once(void **state)
{
    enum { ROUNDS = 300 };
    lethe_mem_observe(NULL);
    pthread_t thread;
    unsigned live_ends = 0;
    assert_int_equal(pthread_create(&thread, NULL, keep_expiring, NULL), 0);
    for (int i = 0; i < ROUNDS; i++) {
        struct held held;
        struct lethe_error err = {0};
        assert_ok(lethe_session_create(&chat, 10, i % 2 == 0 ? 0 : 95, &held.session, &err), &err);
        lethe_result result =
            lethe_session_region(held.session, 4096, LETHE_CLASS_CONTENT, &held.regions[0], &err);
        assert_true(result == LETHE_OK || result == LETHE_CANCELLED);
        live_ends += lethe_session_heartbeat(held.session, 0) == LETHE_OK;
        lethe_session_end(held.session, LETHE_SESSION_ENDED);
    }
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    assert_true(live_ends >= ROUNDS / 2);
    assert_true(live_ends + atomic_load(&expired) >= ROUNDS);
}

/* The owner's end comes while the expiry is at work: it waits. */
static struct {
    pthread_t owner;
    struct lethe_session *session;
    atomic_bool has_ended;
    bool had_ended_too_early;
} waiting;

static void *end_as_owner(void *unused)
{
    lethe_session_end(waiting.session, LETHE_SESSION_ENDED);
    atomic_store(&waiting.has_ended, true);
    return NULL;
}

static void end_during_report(void *context, const struct lethe_session_report *report)
{
    heard.sessions++;
    assert_int_equal(pthread_create(&waiting.owner, NULL, end_as_owner, NULL), 0);
    usleep(20000);
    waiting.had_ended_too_early = atomic_load(&waiting.has_ended);
}

static void ending_waits_for_the_expiry(void **state)
{
    waiting.session = must_hold(10, 0).session;
    lethe_mem_observe(&(struct lethe_mem_observer){on_region_wiped, end_during_report, NULL});
    assert_int_equal(lethe_sessions_expire(100), 1);
    pthread_join(waiting.owner, NULL);
    assert_false(waiting.had_ended_too_early);
    assert_true(atomic_load(&waiting.has_ended));
    assert_int_equal(heard.sessions, 1);
}

#define test_listening(f) cmocka_unit_test_setup_teardown(f, listen, stop_listening)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_listening(ending_wipes_everything_and_reports_totals),
        test_listening(an_empty_session_is_reported_too),
        cmocka_unit_test(causes_have_names),
        cmocka_unit_test(a_session_needs_a_name_that_fits),
        test_listening(what_a_session_cannot_have_it_does_not_get),
        test_listening(an_overdue_session_is_wiped_where_it_is),
        test_listening(only_overdue_sessions_expire),
        test_listening(a_failed_wipe_is_in_the_record),
        test_listening(a_sessions_region_is_the_sessions_to_free),
        cmocka_unit_test(ending_and_expiring_at_once_reports_once),
        test_listening(ending_waits_for_the_expiry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
