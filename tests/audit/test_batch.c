/* records that are pushed are in the log in the order of their pushing, durable when their
 * batch is done; or not at all, and their batch says so. */
#include "batch_check.h"
#include "emit_check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 20000u /* for what happens at once, on a machine that is busy */
#define GROUP 512u         /* records that one write takes */

static struct node *node_with_thread(void)
{
    struct node *node = node_fresh("alpha");
    node->options.clock = NULL;
    node->options.without_thread = false;
    node->options.limits.flush_ms = 3600000; /* nothing is written by itself */
    node->options.limits.flush_records = 1u << 20;
    return node;
}

static void count_done(void *context)
{
    atomic_fetch_add((atomic_uint *)context, 1);
}

static struct audit_batch *batch_of(struct audit_log *log, atomic_uint *done)
{
    struct lethe_error err = {0};
    struct audit_batch *batch = NULL;
    assert_ok(audit_batch_create(log, done == NULL ? NULL : count_done, done, &batch, &err), &err);
    return batch;
}

static void push_number(struct audit_batch *batch, uint64_t number)
{
    const struct audit_event event =
        audit_key_used("default.vad.hot", number, "decrypt", "granted", 1);
    assert_result(LETHE_OK, audit_push(batch, &someone, &event, (size_t)number));
}

static bool gets_done(const atomic_uint *done, unsigned count)
{
    for (unsigned waited_ms = 0; waited_ms < PATIENCE_MS; waited_ms++) {
        if (atomic_load(done) == count)
            return true;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return false;
}

static size_t refused(const struct audit_batch *batch, lethe_result expected)
{
    struct refusals refusals = {0};
    audit_batch_failed(batch, note_refusal, &refusals);
    for (size_t i = 0; i < refusals.count; i++)
        assert_result(expected, refusals.results[i]);
    return refusals.count;
}

/* The versions in the log's uses of keys are 0, 1, 2, ... */
static void check_order(const struct node *node, size_t count)
{
    CLEANUP(buffer_clear) struct buffer lines = log_file(DIRECTORY(node), "000001.jsonl");
    const char *at = lines.bytes;
    for (size_t i = 0; i < count; i++) {
        char expected[32];
        snprintf(expected, sizeof expected, "\"version\":%zu,", i);
        at = strstr(at, "\"version\":");
        assert_non_null(at);
        assert_memory_equal(at, expected, strlen(expected) - 1);
        at++;
    }
    assert_null(strstr(at, "\"version\":"));
}

/* ---- order ----------------------------------------------------------------------------------- */

/* What is committed later comes behind, though the batch is not even started; and takes it along.
 */
static void what_is_pushed_goes_before_what_comes_later(void **state)
{
    for (unsigned threaded = 0; threaded < 2; threaded++) {
        struct node *node = threaded ? node_with_thread() : node_fresh("alpha");
        struct audit_log *log = must_open(node);
        struct audit_batch *batch = batch_of(log, NULL);
        push_number(batch, 0);
        push_number(batch, 1);
        must_commit(log, 2);
        push_number(batch, 3);
        assert_false(audit_batch_is_done(batch));
        must_commit(log, 4);
        audit_batch_wait(batch);
        assert_true(audit_batch_is_done(batch));
        assert_int_equal(audit_batch_count(batch), 3);
        assert_int_equal(refused(batch, LETHE_OK), 0);
        audit_batch_free(batch);
        must_close(log);
        check_order(node, 5);
        node_free(node);
    }
}

static void a_batch_may_be_longer_than_a_group(void **state)
{
    for (unsigned threaded = 0; threaded < 2; threaded++) {
        struct node *node = threaded ? node_with_thread() : node_fresh("alpha");
        struct audit_log *log = must_open(node);
        struct audit_batch *batch = batch_of(log, NULL);
        for (uint64_t i = 0; i < 3 * GROUP; i++)
            push_number(batch, i);
        if (threaded)
            audit_batch_start(batch);
        audit_batch_wait(batch);
        assert_int_equal(records_of(log), 3 * GROUP);
        audit_batch_free(batch);
        must_close(log);
        check_order(node, 3 * GROUP);
        node_free(node);
    }
}

static void texts_are_copied(void **state)
{
    struct node *node = node_fresh("alpha");
    struct audit_log *log = must_open(node);
    struct audit_batch *batch = batch_of(log, NULL);
    char actor[] = "uid:7", label[] = "first";
    const struct audit_who who = {actor, "", ""};
    const struct audit_event event = audit_session_started(label);
    assert_result(LETHE_OK, audit_push(batch, &who, &event, 0));
    memset(actor, 'x', sizeof actor - 1);
    memset(label, 'x', sizeof label - 1);
    audit_batch_wait(batch);
    audit_batch_free(batch);
    must_close(log);
    assert_int_equal(count_in_log(node, "first"), 1);
    assert_int_equal(count_in_log(node, "uid:7"), 1);
    assert_int_equal(count_in_log(node, "xxx"), 0);
    node_free(node);
}

/* ---- nobody waits ---------------------------------------------------------------------------- */

static void the_thread_writes_what_was_started(void **state)
{
    struct node *node = node_with_thread();
    struct audit_log *log = must_open(node);
    atomic_uint done = 0;
    struct audit_batch *batches[4];
    for (size_t i = 0; i < ARRAY_LEN(batches); i++) {
        batches[i] = batch_of(log, &done);
        push_number(batches[i], i);
        audit_batch_start(batches[i]);
    }
    assert_true(gets_done(&done, ARRAY_LEN(batches)));
    for (size_t i = 0; i < ARRAY_LEN(batches); i++) {
        assert_true(audit_batch_is_done(batches[i]));
        audit_batch_clear(batches[i]);
        audit_batch_start(batches[i]); /* an empty one is done at once */
    }
    assert_int_equal(atomic_load(&done), 2 * ARRAY_LEN(batches));
    for (size_t i = 0; i < ARRAY_LEN(batches); i++)
        audit_batch_free(batches[i]);
    must_close(log);
    check_order(node, ARRAY_LEN(batches));
    node_free(node);
}

static void *commit_often(void *context)
{
    struct lethe_error err = {0};
    for (uint64_t i = 0; i < 200; i++) {
        const struct audit_event event = audit_session_started("beside it");
        if (audit_commit(context, &someone, &event, &err) != LETHE_OK)
            return context;
    }
    return NULL;
}

/* Whoever waits goes on, whatever else is pushed, and the other way round. */
static void pushing_and_committing_go_together(void **state)
{
    struct node *node = node_with_thread();
    struct audit_log *log = must_open(node);
    atomic_uint done = 0;
    pthread_t others[2];
    struct audit_batch *batch = batch_of(log, &done);
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_int_equal(pthread_create(&others[i], NULL, commit_often, log), 0);
    for (unsigned i = 0; i < 200; i++) {
        push_number(batch, 2 * i);
        if (i % 3 == 0) /* in the middle of a batch */
            must_commit(log, 2 * i + 1);
        else
            push_number(batch, 2 * i + 1);
        emit_label(log, "emitted");
        if (i % 2 == 0)
            audit_batch_start(batch);
        audit_batch_wait(batch);
        audit_batch_clear(batch);
    }
    assert_true(gets_done(&done, 100));
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        void *failed;
        assert_int_equal(pthread_join(others[i], &failed), 0);
        assert_null(failed);
    }
    audit_batch_free(batch);
    must_close(log);
    check_order(node, 400);
    assert_int_equal(count_in_log(node, "beside it"), 400);
    node_free(node);
}

/* ---- failures -------------------------------------------------------------------------------- */

/* A node whose key is not there for a while. */
struct fickle {
    struct node *node;
    atomic_bool fails;
};

static lethe_result sign_or_not(void *context, const void *bytes, size_t size_bytes,
                                uint8_t signature[64], struct lethe_error *err)
{
    struct fickle *fickle = context;
    return atomic_load(&fickle->fails) ? error_set(err, LETHE_IO, "the test says so")
                                       : node_sign(fickle->node, bytes, size_bytes, signature, err);
}

static struct audit_log *open_fickle(struct node *node, struct fickle *fickle)
{
    fickle->node = node;
    atomic_store(&fickle->fails, false);
    node->options.signer.sign = sign_or_not;
    node->options.signer.context = fickle;
    struct audit_log *log = must_open(node);
    atomic_store(&fickle->fails, true);
    return log;
}

static void a_group_that_fails_fails_what_is_in_it(void **state)
{
    for (unsigned threaded = 0; threaded < 2; threaded++) {
        struct node *node = threaded ? node_with_thread() : node_fresh("alpha");
        struct fickle fickle;
        struct audit_log *log = open_fickle(node, &fickle);
        atomic_uint done = 0;
        struct audit_batch *batch = batch_of(log, &done);
        for (uint64_t i = 100; i < 100 + GROUP + 10; i++)
            push_number(batch, i);
        if (threaded) {
            audit_batch_start(batch);
            assert_true(gets_done(&done, 1));
        }
        audit_batch_wait(batch);
        assert_int_equal(refused(batch, LETHE_IO), GROUP + 10);
        audit_batch_clear(batch);
        atomic_store(&fickle.fails, false);
        push_number(batch, 0);
        audit_batch_wait(batch);
        assert_int_equal(refused(batch, LETHE_OK), 0);
        audit_batch_free(batch);
        must_close(log);
        check_order(node, 1); /* what failed is not tried again */
        node_free(node);
    }
}

/* More was emitted than one group takes, and cannot be written: what waits behind it is told. */
static void nobody_waits_for_what_cannot_be_written(void **state)
{
    for (unsigned threaded = 0; threaded < 2; threaded++) {
        struct node *node = threaded ? node_with_thread() : node_fresh("alpha");
        struct lethe_error err = {0};
        struct fickle fickle;
        struct audit_log *log = open_fickle(node, &fickle);
        struct audit_batch *batch = batch_of(log, NULL);
        emit_many(log, 2 * GROUP);
        push_number(batch, 100);
        if (threaded)
            audit_batch_start(batch);
        audit_batch_wait(batch);
        assert_int_equal(refused(batch, LETHE_IO), 1);
        assert_result(LETHE_IO, commit_key_used(log, 101, &err));
        assert_non_null(strstr(err.text, "the test says so"));
        atomic_store(&fickle.fails, false);
        must_commit(log, 0);
        audit_batch_free(batch);
        must_close(log);
        check_order(node, 1);
        assert_int_equal(count_in_log(node, "a label"), 2 * GROUP);
        node_free(node);
    }
}

static void freeing_waits(void **state)
{
    struct node *node = node_with_thread();
    struct audit_log *log = must_open(node);
    atomic_uint done = 0;
    struct audit_batch *batch = batch_of(log, &done);
    push_number(batch, 0);
    audit_batch_free(batch); /* never started: nobody is told */
    assert_int_equal(atomic_load(&done), 0);
    batch = batch_of(log, &done);
    push_number(batch, 1);
    audit_batch_start(batch);
    audit_batch_free(batch);
    audit_batch_free(NULL);
    audit_batch_free(batch_of(log, &done));
    must_close(log);
    assert_int_equal(atomic_load(&done), 1);
    check_order(node, 2);
    node_free(node);
}

static void a_forked_child_pushes_nothing(void **state)
{
    struct node *node = node_with_thread();
    struct audit_log *log = must_open(node);
    struct audit_batch *batch = batch_of(log, NULL);
    const struct audit_event event = audit_session_started("in a child");
    int status;
    push_number(batch, 0);
    pid_t child = fork();
    if (child == 0) {
        bool refuses = audit_push(batch, &someone, &event, 1) == LETHE_UNAVAILABLE;
        audit_batch_wait(batch);
        audit_batch_free(batch);
        _exit(refuses ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    audit_batch_free(batch);
    must_close(log);
    check_order(node, 1);
    assert_int_equal(count_in_log(node, "in a child"), 0);
    node_free(node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_pushed_goes_before_what_comes_later),
        cmocka_unit_test(a_batch_may_be_longer_than_a_group),
        cmocka_unit_test(texts_are_copied),
        cmocka_unit_test(the_thread_writes_what_was_started),
        cmocka_unit_test(pushing_and_committing_go_together),
        cmocka_unit_test(a_group_that_fails_fails_what_is_in_it),
        cmocka_unit_test(nobody_waits_for_what_cannot_be_written),
        cmocka_unit_test(freeing_waits),
        cmocka_unit_test(a_forked_child_pushes_nothing),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
