/* failures before authentication are one record a source and interval, however many. */
#include "audit/failures.h"
#include "emit_check.h"

#include <pthread.h>

#define S 1000000000ull

struct door {
    struct node *node;
    struct audit_log *log;
    struct audit_failures *failures;
};

static struct door door_open(void)
{
    struct door door = {.node = node_fresh("alpha")};
    struct lethe_error err = {0};
    door.log = must_open(door.node);
    assert_ok(audit_failures_create(door.log, 10000, &door.node->clock, &door.failures, &err),
              &err);
    return door;
}

static void door_close(struct door *door)
{
    audit_failures_free(door->failures);
    must_close(door->log);
}

static void fail_from(const struct door *door, const char *source, const char *reason)
{
    const struct audit_failure failure = {"token", source, reason};
    audit_failures_note(door->failures, &failure);
}

static void sync_log(const struct door *door)
{
    struct lethe_error err = {0};
    assert_ok(audit_sync(door->log, &err), &err);
}

static void a_source_has_one_record_an_interval(void **state)
{
    struct door door = door_open();
    for (unsigned i = 0; i < 1000; i++)
        fail_from(&door, "192.0.2.1", "unknown token");
    fail_from(&door, "192.0.2.2", "unknown token");
    sync_log(&door);
    assert_int_equal(records_of(door.log), 0);
    door.node->now_ns += 10 * S;
    audit_failures_tick(door.failures);
    sync_log(&door);
    assert_int_equal(records_of(door.log), 2);
    door.node->now_ns += 100 * S;
    audit_failures_tick(door.failures); /* nothing new, nothing to say */
    fail_from(&door, "192.0.2.1", "unknown token");
    door_close(&door); /* says what is left */
    assert_int_equal(count_in_log(door.node, "\"count\":1000,\"event\":\"auth_failure\""), 1);
    assert_int_equal(count_in_log(door.node, "\"count\":1,\"event\":\"auth_failure\""), 2);
    assert_int_equal(count_in_log(door.node, "\"source\":\"192.0.2.1\""), 2);
    must_verify(door.node, 3);
    node_free(door.node);
}

/* A steady attack is told of as it goes on, without a tick. */
static void a_long_attack_is_a_record_an_interval(void **state)
{
    struct door door = door_open();
    for (unsigned i = 0; i < 1000; i++, door.node->now_ns += S / 10)
        fail_from(&door, "192.0.2.1", "unknown token");
    door_close(&door);
    unsigned records = count_in_log(door.node, "auth_failure");
    assert_true(records >= 9 && records <= 11);
    node_free(door.node);
}

static void different_reasons_are_several(void **state)
{
    struct door door = door_open();
    fail_from(&door, "192.0.2.1", "unknown token");
    fail_from(&door, "192.0.2.1", "expired token");
    fail_from(&door, "192.0.2.1", "unknown token");
    door_close(&door);
    assert_int_equal(count_in_log(door.node, "\"reason\":\"several\""), 1);
    assert_int_equal(count_in_log(door.node, "\"method\":\"token\""), 1);
    node_free(door.node);
}

/* Nobody fills the log by coming from everywhere; and none of it goes uncounted. */
static void many_sources_share_a_record(void **state)
{
    struct door door = door_open();
    for (unsigned i = 0; i < 10000; i++) {
        char source[32];
        snprintf(source, sizeof source, "10.%u.%u.1", i / 256, i % 256);
        fail_from(&door, source, "unknown token");
    }
    door_close(&door);
    must_verify(door.node, FAILURES_SOURCES + 1);
    assert_int_equal(count_in_log(door.node, "\"source\":\"others\""), 1);
    assert_int_equal(count_in_log(door.node, "{\"count\":9744,"), 1);
    node_free(door.node);
}

static void hostile_sources_are_harmless(void **state)
{
    static char endless[1 << 20];
    struct door door = door_open();
    memset(endless, 'x', sizeof endless - 1);
    fail_from(&door, "\x1b[31m\n\xff\xe2\x80\xae{\"seq\":1}", "\r\n");
    fail_from(&door, endless, endless);
    fail_from(&door, "", "");
    door_close(&door);
    assert_int_equal(count_in_log(door.node, "\"source\":\"?[31m???{\\\"seq\\\":1}\""), 1);
    must_verify(door.node, 3);
    node_free(door.node);
}

#define THREADS 4
#define FAILURES 2000u

static void *fail_often(void *context)
{
    for (unsigned i = 0; i < FAILURES; i++)
        fail_from(context, i % 2 == 0 ? "192.0.2.1" : "192.0.2.2", "unknown token");
    return NULL;
}

static void threads_count_together(void **state)
{
    struct door door = door_open();
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, fail_often, &door), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    door_close(&door);
    assert_int_equal(count_in_log(door.node, "{\"count\":4000,"), 2);
    must_verify(door.node, 2);
    node_free(door.node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_source_has_one_record_an_interval),
        cmocka_unit_test(a_long_attack_is_a_record_an_interval),
        cmocka_unit_test(different_reasons_are_several),
        cmocka_unit_test(many_sources_share_a_record),
        cmocka_unit_test(hostile_sources_are_harmless),
        cmocka_unit_test(threads_count_together),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
