/* the log's own thread writes what was emitted, and nobody waits for it. */
#include "emit_check.h"

#include <pthread.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <time.h>

#include "check_child.h"

#define PATIENCE_MS 20000u /* for what happens at once, on a machine that is busy */

static struct node *node_with_thread(void)
{
    struct node *node = node_fresh("alpha");
    node->options.clock = NULL;
    node->options.without_thread = false;
    return node;
}

/* Whether the log gets that long without anyone asking for it. */
static bool gets_to(struct audit_log *log, uint64_t records)
{
    for (unsigned waited_ms = 0; waited_ms < PATIENCE_MS; waited_ms++) {
        if (records_of(log) >= records)
            return true;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return false;
}

static void nothing_waits_for_long(void **state)
{
    struct node *node = node_with_thread();
    node->options.limits.flush_ms = 5;
    struct audit_log *log = must_open(node);
    for (unsigned i = 1; i <= 20; i++) {
        emit_label(log, "alone");
        assert_true(gets_to(log, i));
    }
    must_close(log);
    must_verify(node, 20);
    node_free(node);
}

static void so_many_do_not_wait_at_all(void **state)
{
    struct node *node = node_with_thread();
    node->options.limits.flush_records = 100;
    node->options.limits.flush_ms = 3600000;
    struct audit_log *log = must_open(node);
    emit_many(log, 99);
    assert_int_equal(records_of(log), 0);
    emit_label(log, "the hundredth");
    assert_true(gets_to(log, 100));
    emit_many(log, 3); /* these wait; closing writes them */
    must_close(log);
    must_verify(node, 103);
    node_free(node);
}

/* with the disk standing still, emit goes on and then counts. The control: a group is being
 * tried, and does not get anywhere. */
static void a_disk_that_stands_still_blocks_nobody(void **state)
{
    struct node *node = node_with_thread();
    struct lethe_error err = {0};
    node->options.limits.flush_records = 10;
    node->options.limits.flush_ms = 1;
    node->options.limits.queue_bytes = 64 << 10;
    struct audit_log *log = must_open(node);
    char *path = log_path(DIRECTORY(node), "lock");
    int lock = open(path, O_RDWR | O_CLOEXEC);
    free(path);
    assert_int_equal(flock(lock, LOCK_EX), 0);
    emit_many(log, 3000);
    assert_int_equal(records_of(log), 0);
    assert_int_equal(flock(lock, LOCK_UN), 0);
    assert_ok(audit_sync(log, &err), &err);
    must_close(log);
    close(lock);
    uint64_t dropped = dropped_in_log(node, "too many were waiting");
    assert_true(dropped > 0);
    assert_int_equal(count_in_log(node, "a label") + dropped, 3000);
    node_free(node);
}

#define THREADS 4
#define EMITS 3000u

static void *emit_from_a_thread(void *context)
{
    emit_many(context, EMITS);
    return NULL;
}

/* Every record is in the log or counted, whoever emitted it. */
static void threads_emit_at_once(void **state)
{
    struct node *node = node_with_thread();
    node->options.limits.flush_ms = 1;
    node->options.limits.flush_records = 64;
    node->options.limits.queue_bytes = 64 << 10;
    struct audit_log *log = must_open(node);
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, emit_from_a_thread, log), 0);
    for (unsigned i = 0; i < 20; i++)
        must_commit(log, i);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    must_close(log);
    assert_int_equal(count_in_log(node, "a label") + dropped_in_log(node, "waiting"),
                     THREADS * EMITS);
    assert_int_equal(count_in_log(node, "key_used"), 20);
    must_verify(node, count_in_log(node, "\n"));
    node_free(node);
}

/* ---- forks ----------------------------------------------------------------------------------- */

static void use_the_parents_log(void *context)
{
    struct lethe_error err = {0};
    struct audit_log *log = context;
    alarm(60);
    emit_label(log, "from the child");
    CHILD_REQUIRE(commit_key_used(log, 77, &err) == LETHE_UNAVAILABLE);
    CHILD_REQUIRE(strstr(err.text, "the process that opened it") != NULL);
    CHILD_REQUIRE(audit_sync(log, &err) == LETHE_UNAVAILABLE);
    CHILD_REQUIRE(audit_tick(log, &err) == LETHE_UNAVAILABLE);
    CHILD_REQUIRE(audit_close(log, &err) == LETHE_UNAVAILABLE);
}

/* Whatever the log's threads were doing at that moment. */
static void a_forked_child_writes_nothing(void **state)
{
    struct node *node = node_with_thread();
    node->options.limits.flush_ms = 1;
    node->options.limits.flush_records = 8;
    struct audit_log *log = must_open(node);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, emit_from_a_thread, log), 0);
    for (unsigned i = 0; i < 30; i++)
        assert_exited(0, child_status(use_the_parents_log, log));
    assert_int_equal(pthread_join(thread, NULL), 0);
    must_close(log);
    assert_int_equal(count_in_log(node, "from the child"), 0);
    assert_int_equal(count_in_log(node, "key_used"), 0);
    must_verify(node, EMITS);
    node_free(node);
}

/* ---- no thread to be had --------------------------------------------------------------------- */

#define NOBODY 65534

/* Root may start as many as it likes, so this is done as someone who is not. */
static void open_without_threads(void *context)
{
    struct node *node = context;
    struct lethe_error err = {0};
    struct audit_log *log = NULL;
    const struct rlimit none = {0, 0};
    if (geteuid() == 0)
        CHILD_REQUIRE(setresgid(NOBODY, NOBODY, NOBODY) == 0 &&
                      setresuid(NOBODY, NOBODY, NOBODY) == 0);
    CHILD_REQUIRE(setrlimit(RLIMIT_NPROC, &none) == 0);
    CHILD_REQUIRE(crypto_start(&err) == LETHE_OK);
    node->pair = pair_of_seed((const uint8_t *)"01234567890123456789012345678901");
    key_of_pair(node->pair, "lethe/alpha", &node->options.signer.key);
    CHILD_REQUIRE(audit_open(&node->options, &log, &err) == LETHE_UNAVAILABLE);
    CHILD_REQUIRE(log == NULL && strstr(err.text, "thread") != NULL && err.hint[0] != '\0');
    node->options.without_thread = true;
    CHILD_REQUIRE(audit_open(&node->options, &log, &err) == LETHE_OK);
    CHILD_REQUIRE(audit_close(log, &err) == LETHE_OK);
}

static void a_log_without_its_thread_is_not_opened(void **state)
{
    struct node *node = node_with_thread();
    char *directory = temp_dir();
    snprintf(node->directory, sizeof node->directory, "%s/log", directory);
    if (geteuid() == 0) {
        assert_int_equal(chown(directory, NOBODY, NOBODY), 0);
        assert_int_equal(chmod(temp_root, 0711), 0);
    }
    assert_exited(0, child_status(open_without_threads, node));
    free(directory);
    node_free(node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_waits_for_long),
        cmocka_unit_test(so_many_do_not_wait_at_all),
        cmocka_unit_test(a_disk_that_stands_still_blocks_nobody),
        cmocka_unit_test(threads_emit_at_once),
        cmocka_unit_test(a_forked_child_writes_nothing),
        cmocka_unit_test(a_log_without_its_thread_is_not_opened),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
