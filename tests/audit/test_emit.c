/* records that nobody waits for, in a log without a thread of its own. */
#include "emit_check.h"

#include <signal.h>

#include "check_child.h"

/* emitted records go out before the commit that follows them, and at close. */
static void emitted_records_keep_their_order(void **state)
{
    struct node *node = node_fresh("alpha");
    struct audit_log *log = must_open(node);
    struct audit_head head;
    const struct audit_event event = audit_session_started("first");
    const struct audit_event last = audit_session_started("last");
    audit_emit(log, &someone, &event);
    audit_head(log, &head);
    assert_int_equal(head.records, 0);
    must_commit(log, 1);
    audit_emit(log, &someone, &last);
    must_close(log);

    struct buffer lines = log_file(node->options.directory, "000001.jsonl");
    const char *first = strstr(lines.bytes, "\"label\":\"first\"");
    const char *second = strstr(lines.bytes, "key_used");
    const char *third = strstr(lines.bytes, "\"label\":\"last\"");
    assert_true(first != NULL && first < second && second < third);
    buffer_clear(&lines);
    must_verify(node, 3);
    node_free(node);
}

/* What was emitted is a copy: the caller's texts may go. */
static void emitted_texts_are_copied(void **state)
{
    struct node *node = node_fresh("alpha");
    struct audit_log *log = must_open(node);
    char label[] = "original";
    char actor[] = "uid:7";
    const struct audit_who who = {actor, "", NULL};
    const struct audit_event event = audit_session_started(label);
    audit_emit(log, &who, &event);
    memset(label, 'x', sizeof label - 1);
    memset(actor, 'x', sizeof actor - 1);
    must_close(log);
    struct buffer lines = log_file(node->options.directory, "000001.jsonl");
    assert_non_null(strstr(lines.bytes, "\"label\":\"original\""));
    assert_non_null(strstr(lines.bytes, "\"actor\":\"uid:7\""));
    buffer_clear(&lines);
    node_free(node);
}

/* a full queue drops, never blocks, and says how many. */
static void dropped_records_are_counted_on_record(void **state)
{
    struct node *node = node_fresh("alpha");
    node->options.limits.queue_bytes = 64 << 10;
    struct audit_log *log = must_open(node);
    emit_many(log, 5000);
    must_commit(log, 1);
    must_close(log);

    uint64_t dropped = dropped_in_log(node, "too many were waiting");
    assert_true(dropped > 1000 && dropped < 5000);
    assert_int_equal(count_in_log(node, "events_dropped"), 1);
    must_verify(node, 5000 - dropped + 2); /* the count, and the commit */
    node_free(node);
}

static void emit_a_critical_event(void *context)
{
    const struct audit_event event = audit_integrity_violation("what", "why");
    audit_emit(context, &someone, &event);
}

/* a critical kind cannot be emitted: our own mistake, and it aborts. */
static void critical_kinds_are_only_committed(void **state)
{
    struct node *node = node_fresh("alpha");
    struct audit_log *log = must_open(node);
    struct lethe_error err = {0};
    const struct audit_event event = audit_integrity_violation("what", "why");
    assert_killed_by(SIGABRT, child_status(emit_a_critical_event, log));
    assert_ok(audit_commit(log, &someone, &event, &err), &err);
    must_close(log);
    must_verify(node, 1);
    node_free(node);
}

/* ---- when they are written ------------------------------------------------------------------- */

static void must_tick(struct audit_log *log)
{
    struct lethe_error err = {0};
    assert_ok(audit_tick(log, &err), &err);
}

/* when so many wait, or for so long: not before. */
static void a_tick_writes_what_is_due(void **state)
{
    struct node *node = node_fresh("alpha");
    node->options.limits.flush_records = 10;
    node->options.limits.flush_ms = 50;
    struct audit_log *log = must_open(node);
    must_tick(log);
    emit_many(log, 9);
    must_tick(log);
    assert_int_equal(records_of(log), 0);
    emit_label(log, "the tenth");
    must_tick(log);
    assert_int_equal(records_of(log), 10);

    emit_label(log, "alone");
    node->now_ns += 49 * 1000000;
    must_tick(log);
    assert_int_equal(records_of(log), 10);
    node->now_ns += 1 * 1000000;
    must_tick(log);
    assert_int_equal(records_of(log), 11);
    must_close(log);
    must_verify(node, 11);
    node_free(node);
}

static void the_first_that_waits_counts(void **state)
{
    struct node *node = node_fresh("alpha");
    node->options.limits.flush_ms = 50;
    struct audit_log *log = must_open(node);
    for (unsigned i = 0; i < 5; i++) {
        emit_label(log, "one more");
        node->now_ns += 12 * 1000000;
    }
    must_tick(log);
    assert_int_equal(records_of(log), 5);
    must_close(log);
    node_free(node);
}

/* More than a group holds go out in several, one behind the other. */
static void many_records_are_several_groups(void **state)
{
    struct node *node = node_fresh("alpha");
    struct lethe_error err = {0};
    struct audit_verify_report report;
    struct audit_log *log = must_open(node);
    emit_many(log, 1300);
    must_commit(log, 1);
    assert_int_equal(records_of(log), 1301);
    must_close(log);
    assert_ok(verify_log(node, DIRECTORY(node), &report, &err), &err);
    assert_int_equal(report.records, 1301);
    assert_int_equal(report.checkpoints, 1 + 3);
    assert_int_equal(count_in_log(node, "a label"), 1300);
    node_free(node);
}

static struct log_copy play(void)
{
    const struct audit_who other = {"uid:2", "", ""};
    const struct audit_event committed = audit_session_started("committed");
    struct lethe_error err = {0};
    struct node *node = node_fresh("alpha");
    node->options.limits = (struct audit_limits){
        .flush_records = 7, .flush_ms = 3, .queue_bytes = 1, .identity_bytes = 400000};
    struct audit_log *log = must_open(node);
    for (unsigned i = 0; i < 200; i++) {
        emit_label(log, i % 3 == 0 ? "three" : "other");
        if (i % 41 == 0)
            emit_many(log, 400);
        node->now_ns += i * 10000;
        must_tick(log);
        if (i % 50 == 0)
            assert_ok(audit_commit(log, &other, &committed, &err), &err);
    }
    must_close(log);
    assert_true(dropped_in_log(node, "waiting") > 0 && dropped_in_log(node, "budget") > 0);
    struct log_copy copy = log_take(DIRECTORY(node));
    node_free(node);
    return copy;
}

/* the same calls give the same bytes, losses, groups and all. */
static void the_same_calls_give_the_same_groups(void **state)
{
    struct log_copy first = play(), second = play();
    for (size_t i = 0; i < LOG_FILES; i++) {
        assert_int_equal(first.files[i].size_bytes, second.files[i].size_bytes);
        assert_memory_equal(first.files[i].bytes, second.files[i].bytes, first.files[i].size_bytes);
    }
    log_copy_clear(&first);
    log_copy_clear(&second);
}

/* ---- when the disk does not take them -------------------------------------------------------- */

static bool signer_fails;

static lethe_result sign_or_fail(void *context, const void *bytes, size_t size_bytes,
                                 uint8_t signature[64], struct lethe_error *err)
{
    return signer_fails ? error_set(err, LETHE_UNAVAILABLE, "the signer is away")
                        : node_sign(context, bytes, size_bytes, signature, err);
}

/* what could not be written waits, is tried again no sooner than a period later, and keeps its
 * place. */
static void a_failed_group_is_tried_again(void **state)
{
    struct node *node = node_fresh("alpha");
    struct lethe_error err = {0};
    node->options.signer.sign = sign_or_fail;
    node->options.limits.flush_records = 5;
    node->options.limits.flush_ms = 100;
    struct audit_log *log = must_open(node);
    emit_many(log, 5);
    emit_label(log, "sixth");
    signer_fails = true;
    assert_result(LETHE_UNAVAILABLE, audit_tick(log, &err));
    assert_non_null(strstr(err.text, "the signer is away"));
    must_tick(log); /* not yet */
    node->now_ns += 101 * 1000000;
    assert_result(LETHE_UNAVAILABLE, audit_tick(log, &err));
    assert_result(LETHE_UNAVAILABLE, commit_key_used(log, 1, &err));
    signer_fails = false;
    must_commit(log, 2);
    assert_int_equal(records_of(log), 7);
    must_close(log);
    must_verify(node, 7);
    CLEANUP(buffer_clear) struct buffer lines = log_file(DIRECTORY(node), "000001.jsonl");
    assert_true(strstr(lines.bytes, "sixth") < strstr(lines.bytes, "key_used"));
    node_free(node);
}

static void closing_says_what_could_not_be_written(void **state)
{
    struct node *node = node_fresh("alpha");
    struct lethe_error err = {0};
    node->options.signer.sign = sign_or_fail;
    struct audit_log *log = must_open(node);
    emit_label(log, "lost");
    signer_fails = true;
    assert_result(LETHE_UNAVAILABLE, audit_close(log, &err));
    signer_fails = false;
    must_verify(node, 0);
    node_free(node);
}

/* ---- clocks ---------------------------------------------------------------------------------- */

static uint64_t wall_ns;

static uint64_t stepping_wall_ns(void *context)
{
    return wall_ns;
}

/* a wall clock that steps, back or far ahead, changes times and nothing else. */
static void the_wall_clock_may_step(void **state)
{
    static const uint64_t steps[] = {1795176000000000000, 5, 0, UINT64_MAX / 4,
                                     1795176000000000001};
    struct node *node = node_fresh("alpha");
    node->clock.wall_ns = stepping_wall_ns;
    node->options.limits.flush_ms = 50;
    node->options.limits.rotate_s = AUDIT_NO_LIMIT; /* a new day has a record of its own */
    struct audit_log *log = must_open(node);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        wall_ns = steps[i];
        emit_label(log, "emitted");
        must_tick(log);
        assert_int_equal(records_of(log), 2 * i); /* not due, whatever the wall says */
        must_commit(log, i);
    }
    must_close(log);
    must_verify(node, 2 * ARRAY_LEN(steps));
    assert_int_equal(count_in_log(node, "\"time\":\"1970-01-01T00:00:00.000000005Z\""), 2);
    node_free(node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(emitted_records_keep_their_order),
        cmocka_unit_test(emitted_texts_are_copied),
        cmocka_unit_test(dropped_records_are_counted_on_record),
        cmocka_unit_test(critical_kinds_are_only_committed),
        cmocka_unit_test(a_tick_writes_what_is_due),
        cmocka_unit_test(the_first_that_waits_counts),
        cmocka_unit_test(many_records_are_several_groups),
        cmocka_unit_test(the_same_calls_give_the_same_groups),
        cmocka_unit_test(a_failed_group_is_tried_again),
        cmocka_unit_test(closing_says_what_could_not_be_written),
        cmocka_unit_test(the_wall_clock_may_step),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
