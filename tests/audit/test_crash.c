#include "crash_check.h"

#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "audit/journal.h"
#include "check_child.h"

/* killed anywhere, a log opens again, and has lost nothing that it acknowledged. */
static void killed_at_every_call_nothing_is_lost(void **state)
{
    if (!faults_work())
        skip();
    struct sweep sweep = sweep_faults(FAULT_KILL, 0);
    printf("%u places to be killed at, %u repairs\n", sweep.points, sweep.repairs);
    assert_true(sweep.points > 20);
    assert_int_equal(sweep.repairs, 0); /* a group is in the journal whole, or not at all */
}

/* One call fails, as on a full disk or a bad one: an error, and then it goes on. */
static void every_call_may_fail_once(void **state)
{
    static const int numbers[] = {ENOSPC, EIO};
    if (!faults_work())
        skip();
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        struct sweep sweep = sweep_faults(FAULT_FAIL, numbers[i]);
        printf("%u calls failed once, %u commits with them\n", sweep.points, sweep.refused);
        assert_true(sweep.points > 20);
        assert_true(sweep.refused * sweep.stride >= 2 * COMMITS); /* the lock, and the journal */
    }
}

/* From one call on everything fails; the log is good when the disk is. */
static void every_call_may_fail_from_then_on(void **state)
{
    static const int numbers[] = {ENOSPC, EIO};
    if (!faults_work())
        skip();
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        struct sweep sweep = sweep_faults(FAULT_FAIL_FROM, numbers[i]);
        printf("%u places for a disk to die at\n", sweep.points);
        assert_true(sweep.points > 20);
    }
}

/* ---- torn writes ----------------------------------------------------------------------------- */

/* The states that a power cut can leave of one more group: any part of its records; then all of
 * them and any part of its checkpoint. */
struct torn {
    struct node *node;
    struct log_copy before;
    struct log_copy after;
};

static struct torn torn_setup(void)
{
    struct torn torn = {.node = node_fresh("alpha")};
    struct audit_log *log = must_open(torn.node);
    must_commit(log, 1);
    torn.before = log_take(DIRECTORY(torn.node));
    must_commit_group(log, 2);
    must_close(log);
    torn.after = log_take(DIRECTORY(torn.node));
    return torn;
}

static void torn_clear(struct torn *torn)
{
    log_copy_clear(&torn->before);
    log_copy_clear(&torn->after);
    node_free(torn->node);
}

/* a torn tail is found by the reader, cut by the writer, and the cut is on record. */
static void assert_repaired(const struct torn *torn, uint64_t tail_bytes)
{
    struct lethe_error err = {0};
    struct audit_verify_report report;
    assert_result(LETHE_INTEGRITY, verify_log(torn->node, DIRECTORY(torn->node), &report, &err));
    assert_int_equal(report.tail_bytes, tail_bytes);
    assert_int_equal(report.records, 1);
    (void)read_log(torn->node, true);

    must_close(must_open(torn->node));
    must_verify(torn->node, 2);
    struct told told = read_log(torn->node, false);
    assert_int_equal(told.repairs, 1);
    assert_int_equal(told.count[1], 1);
    assert_int_equal(told.count[2], 0);
}

static void torn_records_are_cut_on_record(void **state)
{
    struct torn torn = torn_setup();
    const struct buffer *whole = &torn.after.files[0];
    size_t kept = torn.before.files[0].size_bytes, stride = table_stride(7);
    for (size_t length = kept + 1; length <= whole->size_bytes; length += stride) {
        log_put(&torn.before, DIRECTORY(torn.node));
        put_log_file(DIRECTORY(torn.node), "000001.jsonl", whole->bytes, length);
        assert_repaired(&torn, length - kept);
    }
    torn_clear(&torn);
}

static void a_torn_checkpoint_is_cut_on_record(void **state)
{
    struct torn torn = torn_setup();
    const struct buffer *notes = &torn.after.files[1];
    size_t kept = torn.before.files[1].size_bytes;
    size_t record_bytes = torn.after.files[0].size_bytes - torn.before.files[0].size_bytes;
    size_t stride = table_stride(7);
    for (size_t length = kept + 1; length < notes->size_bytes; length += stride) {
        log_put(&torn.after, DIRECTORY(torn.node));
        put_log_file(DIRECTORY(torn.node), "checkpoints", notes->bytes, length);
        put_log_file(DIRECTORY(torn.node), "checkpoint", torn.before.files[2].bytes,
                     torn.before.files[2].size_bytes);
        assert_repaired(&torn, record_bytes + length - kept);
    }
    torn_clear(&torn);
}

/* Killed before the last step: nothing is lost, and `checkpoint` is brought up to date. */
static void a_lagging_checkpoint_file_is_renewed(void **state)
{
    struct torn torn = torn_setup();
    put_log_file(DIRECTORY(torn.node), "checkpoint", torn.before.files[2].bytes,
                 torn.before.files[2].size_bytes);
    must_verify(torn.node, 3);
    struct audit_log *log = must_open(torn.node);
    struct buffer renewed = log_file(DIRECTORY(torn.node), "checkpoint");
    assert_string_equal(renewed.bytes, torn.after.files[2].bytes);
    must_close(log);
    must_verify(torn.node, 3);
    buffer_clear(&renewed);
    torn_clear(&torn);
}

/* A log whose making was interrupted is whole before it takes its first record: afterwards a
 * missing file would look taken away. */
static void an_interrupted_beginning_is_finished(void **state)
{
    for (size_t file = 0; file < LOG_FILES; file++) {
        struct node *node = node_fresh("alpha");
        must_close(must_open(node));
        for (size_t later = file; later < LOG_FILES; later++) { /* in the order of their making */
            static const char *const made[] = {"checkpoints", "000001.jsonl", "checkpoint"};
            char *path = log_path(DIRECTORY(node), made[later]);
            assert_int_equal(unlink(path), 0);
            free(path);
        }
        struct audit_log *log = must_open(node);
        must_verify(node, 0);
        must_commit(log, 1);
        must_close(log);
        must_verify(node, 1);
        node_free(node);
    }
}

/* A process that goes on while another one crashed repairs too. */
static void a_running_process_repairs_what_another_left(void **state)
{
    struct torn torn = torn_setup();
    log_put(&torn.before, DIRECTORY(torn.node));
    struct audit_log *log = must_open(torn.node);
    put_log_file(DIRECTORY(torn.node), "000001.jsonl", torn.after.files[0].bytes,
                 torn.after.files[0].size_bytes - 10);
    must_commit(log, 3);
    must_close(log);
    must_verify(torn.node, 3);
    struct told told = read_log(torn.node, false);
    assert_int_equal(told.repairs, 1);
    assert_int_equal(told.count[2], 0);
    assert_int_equal(told.count[3], 1);
    torn_clear(&torn);
}

/* ---- several processes ----------------------------------------------------------------------- */

#define WRITERS 3u
#define EACH 30u

struct writer_task {
    const char *directory;
    unsigned base;
};

static void commit_each(void *context)
{
    const struct writer_task *task = context;
    struct lethe_error err = {0};
    struct node *node = node_create("alpha", task->directory);
    struct audit_log *log = NULL;
    CHILD_REQUIRE(audit_open(&node->options, &log, &err) == LETHE_OK);
    for (unsigned i = 0; i < EACH; i++)
        CHILD_REQUIRE(commit_key_used(log, task->base + i, &err) == LETHE_OK);
    CHILD_REQUIRE(audit_close(log, &err) == LETHE_OK);
}

/* processes that append at once make one chain, and each finds all its records in it. */
static void processes_append_at_once(void **state)
{
    struct node *node = node_fresh("alpha");
    pid_t children[WRITERS];
    fflush(NULL);
    for (unsigned i = 0; i < WRITERS; i++) {
        struct writer_task task = {DIRECTORY(node), 100 * (i + 1)};
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            commit_each(&task);
            _exit(0);
        }
    }
    struct audit_log *log = must_open(node);
    for (unsigned i = 0; i < EACH; i++)
        must_commit(log, i);
    must_close(log);
    for (unsigned i = 0; i < WRITERS; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_exited(0, status);
    }
    must_verify(node, (WRITERS + 1) * EACH);
    struct told told = read_log(node, false);
    assert_int_equal(told.out_of_order + told.repairs, 0);
    for (unsigned i = 0; i < (WRITERS + 1) * EACH; i++)
        assert_int_equal(told.count[i / EACH * 100 + i % EACH], 1);
    node_free(node);
}

/* ---- a full disk ----------------------------------------------------------------------------- */

/* Files that may not grow, at every byte of the next group. What the journal took counts, and goes
 * to the files when they can grow again. */
static void a_record_that_does_not_fit_leaves_the_log_good(void **state)
{
    struct node *node = node_fresh("alpha");
    struct audit_log *log = must_open(node);
    struct rlimit before, limit;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    uint64_t records = 0;
    for (; records < 1500; records += 100) /* beyond the size of the journal, which may not grow */
        must_commit_group(log, 100);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    for (size_t room = 0; room < 280; room += 7) {
        char *path = log_path(DIRECTORY(node), "000001.jsonl");
        struct stat status;
        assert_int_equal(stat(path, &status), 0);
        assert_true((uint64_t)status.st_size > JOURNAL_BYTES);
        limit = before;
        limit.rlim_cur = (rlim_t)status.st_size + room;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        lethe_result first = commit_key_used(log, 2, NULL);
        lethe_result second = commit_key_used(log, 2, NULL);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_result(LETHE_NO_SPACE, second);
        records += first == LETHE_OK;
        must_commit(log, 3);
        must_verify(node, ++records);
        free(path);
    }
    must_close(log);
    must_verify(node, records);
    signal(SIGXFSZ, handler);
    node_free(node);
}

/* A small file system of the child's own. */
static void fill_a_small_disk(void *context)
{
    const char *mount_point = context;
    struct lethe_error err = {0};
    struct audit_verify_report report;
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", mount_point, "tmpfs", 0, "size=512k,mode=0700") != 0)
        _exit(77);
    char *path = path_join(mount_point, "audit");
    struct node *node = node_create("alpha", path);
    struct audit_log *log = NULL;
    CHILD_REQUIRE(audit_open(&node->options, &log, &err) == LETHE_OK);
    uint64_t committed = 0;
    while (commit_key_used(log, committed, &err) == LETHE_OK && committed < 1000)
        committed++;
    CHILD_REQUIRE(err.code == LETHE_NO_SPACE && committed > 20 && committed < 1000);
    CHILD_REQUIRE(commit_key_used(log, committed, &err) == LETHE_NO_SPACE);
    CHILD_REQUIRE(verify_log(node, path, &report, &err) == LETHE_OK);
    CHILD_REQUIRE(report.records == committed);

    CHILD_REQUIRE(mount("tmpfs", mount_point, "tmpfs", MS_REMOUNT, "size=640k,mode=0700") == 0);
    CHILD_REQUIRE(commit_key_used(log, committed, &err) == LETHE_OK);
    CHILD_REQUIRE(audit_close(log, &err) == LETHE_OK);
    CHILD_REQUIRE(verify_log(node, path, &report, &err) == LETHE_OK);
    CHILD_REQUIRE(report.records == committed + 1);
}

static void a_full_disk_leaves_the_log_good(void **state)
{
    char *mount_point = temp_dir();
    int status = child_status(fill_a_small_disk, mount_point);
    free(mount_point);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        printf("a small file system cannot be mounted here\n");
        skip();
    }
    assert_exited(0, status);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_at_every_call_nothing_is_lost),
        cmocka_unit_test(every_call_may_fail_once),
        cmocka_unit_test(every_call_may_fail_from_then_on),
        cmocka_unit_test(torn_records_are_cut_on_record),
        cmocka_unit_test(a_torn_checkpoint_is_cut_on_record),
        cmocka_unit_test(a_lagging_checkpoint_file_is_renewed),
        cmocka_unit_test(an_interrupted_beginning_is_finished),
        cmocka_unit_test(a_running_process_repairs_what_another_left),
        cmocka_unit_test(processes_append_at_once),
        cmocka_unit_test(a_record_that_does_not_fit_leaves_the_log_good),
        cmocka_unit_test(a_full_disk_leaves_the_log_good),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
