#include "audit_check.h"

#include <pthread.h>
#include <signal.h>

#include "check_child.h"

/* ---- what is kept ---------------------------------------------------------------------------- */

/* what was committed is there after a restart, and the chain goes on. */
static void a_log_continues_after_reopening(void **state)
{
    struct node *node = node_fresh("alpha");
    struct audit_head before, after;
    struct audit_log *log = must_open(node);
    must_commit(log, 1);
    must_commit_group(log, 3);
    audit_head(log, &before);
    assert_int_equal(before.records, 4);
    must_close(log);
    must_verify(node, 4);

    log = must_open(node);
    audit_head(log, &after);
    assert_memory_equal(&before, &after, sizeof before);
    must_commit(log, 3);
    must_close(log);
    must_verify(node, 5);
    node_free(node);
}

static void play_scenario(struct audit_log *log)
{
    struct lethe_error err = {0};
    const struct audit_who session = {"uid:1000", "default", "s-1"};
    const struct audit_event created =
        audit_key_created("default.vad.hot", "aes256-gcm96", 1, "0123456789ab", 2);
    const struct audit_event wiped = audit_region_wiped("weights", "s-1", 4096, 1234, true);
    assert_ok(audit_commit(log, &someone, &created, &err), &err);
    audit_emit(log, &session, &wiped);
    audit_emit(log, &session, &wiped);
    must_commit(log, 1);
    audit_emit(log, &session, &wiped);
}

/* the same calls, clock, node and key give the same bytes, in every file. */
static void the_same_calls_give_the_same_bytes(void **state)
{
    struct log_copy copies[2];
    for (size_t i = 0; i < 2; i++) {
        struct node *node = node_fresh("alpha");
        struct audit_log *log = must_open(node);
        play_scenario(log);
        must_close(log);
        must_verify(node, 5);
        copies[i] = log_take(node->options.directory);
        node_free(node);
    }
    for (size_t i = 0; i < LOG_FILES; i++) {
        assert_int_equal(copies[0].files[i].size_bytes, copies[1].files[i].size_bytes);
        assert_memory_equal(copies[0].files[i].bytes, copies[1].files[i].bytes,
                            copies[0].files[i].size_bytes);
    }
    log_copy_clear(&copies[0]);
    log_copy_clear(&copies[1]);
}

/* And reopening between two groups leaves no trace. */
static void reopening_does_not_show(void **state)
{
    struct log_copy copies[2];
    for (size_t i = 0; i < 2; i++) {
        struct node *node = node_fresh("alpha");
        struct audit_log *log = must_open(node);
        for (unsigned record = 0; record < 5; record++) {
            must_commit(log, record);
            if (i == 0)
                continue;
            must_close(log);
            log = must_open(node);
        }
        must_close(log);
        copies[i] = log_take(node->options.directory);
        node_free(node);
    }
    for (size_t i = 0; i < LOG_FILES; i++)
        assert_string_equal(copies[0].files[i].bytes, copies[1].files[i].bytes);
    log_copy_clear(&copies[0]);
    log_copy_clear(&copies[1]);
}

static void an_empty_log_is_good(void **state)
{
    struct node *node = node_fresh("alpha");
    must_close(must_open(node));
    must_verify(node, 0);
    must_close(must_open(node));
    must_verify(node, 0);
    node_free(node);
}

/* ---- threads --------------------------------------------------------------------------------- */

#define THREADS 8
#define COMMITS 40

static void *commit_many(void *context)
{
    struct lethe_error err = {0};
    const struct audit_event event = audit_session_started("emitted");
    for (unsigned i = 0; i < COMMITS; i++) {
        audit_emit(context, &someone, &event);
        if (commit_key_used(context, i, &err) != LETHE_OK)
            return context; /* failed */
    }
    return NULL;
}

/* Commits of several threads share groups, and each has its record. */
static void threads_commit_at_once(void **state)
{
    struct node *node = node_fresh("alpha");
    struct audit_log *log = must_open(node);
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, commit_many, log), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *failed;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    must_close(log);

    struct lethe_error err = {0};
    struct audit_verify_report report;
    assert_ok(verify_log(node, node->options.directory, &report, &err), &err);
    assert_int_equal(report.records, 2 * THREADS * COMMITS);
    assert_true(report.checkpoints < THREADS * COMMITS); /* some groups were shared */
    node_free(node);
}

/* ---- several handles --------------------------------------------------------------------------
 */

/* A handle sees what another one appended at its next commit, or when it is asked to look. */
static void two_handles_share_one_log(void **state)
{
    struct node *node = node_fresh("alpha");
    struct lethe_error err = {0};
    struct audit_log *first = must_open(node), *second = must_open(node);
    const struct audit_event event = audit_session_started("emitted");
    struct audit_head head;
    must_commit(first, 1);
    must_commit(second, 2);
    must_commit(second, 3);
    audit_head(first, &head);
    assert_int_equal(head.records, 1);
    audit_emit(first, &someone, &event);
    assert_ok(audit_sync(first, &err), &err);
    audit_head(first, &head);
    assert_int_equal(head.records, 4);
    audit_head(second, &head);
    assert_int_equal(head.records, 3);
    assert_ok(audit_sync(second, &err), &err);
    audit_head(second, &head);
    assert_int_equal(head.records, 4);
    must_close(first);
    must_close(second);
    must_verify(node, 4);
    node_free(node);
}

/* ---- the head -------------------------------------------------------------------------------- */

static void the_root_of_every_earlier_size_is_known(void **state)
{
    struct node *node = node_fresh("alpha");
    struct audit_log *log = must_open(node);
    struct lethe_error err = {0};
    struct audit_head heads[6];
    uint8_t root[32];
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        audit_head(log, &heads[i]);
        assert_int_equal(heads[i].records, i);
        must_commit(log, i);
    }
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        assert_ok(audit_root_at(log, i, root, &err), &err);
        assert_memory_equal(root, heads[i].root, sizeof root);
    }
    assert_ok(audit_root_at(log, 6, root, &err), &err);
    assert_result(LETHE_NOT_FOUND, audit_root_at(log, 7, root, &err));
    must_close(log);
    node_free(node);
}

static void the_largest_epoch_is_the_heads(void **state)
{
    struct node *node = node_fresh("alpha");
    struct audit_log *log = must_open(node);
    struct lethe_error err = {0};
    struct audit_head head;
    static const uint64_t epochs[] = {3, 9, 4};
    for (size_t i = 0; i < ARRAY_LEN(epochs); i++) {
        const struct audit_event event =
            audit_key_created("k", "aes256-gcm96", 1, "0123456789ab", epochs[i]);
        assert_ok(audit_commit(log, &someone, &event, &err), &err);
    }
    must_commit(log, 77); /* has no epoch */
    audit_head(log, &head);
    assert_int_equal(head.epoch, 9);
    must_close(log);
    log = must_open(node);
    audit_head(log, &head);
    assert_int_equal(head.epoch, 9);
    must_close(log);
    node_free(node);
}

struct seen {
    uint64_t records;
    struct buffer lines;
};

static lethe_result see(void *context, const struct audit_record *record, struct lethe_error *err)
{
    struct seen *seen = context;
    assert_int_equal(record->seq, seen->records++);
    buffer_append(&seen->lines, record->line, record->length);
    buffer_byte(&seen->lines, '\n');
    return LETHE_OK;
}

static lethe_result see_nothing(void *context, const struct audit_record *record,
                                struct lethe_error *err)
{
    return LETHE_CANCELLED;
}

static void a_reader_sees_every_record_once(void **state)
{
    struct node *node = node_fresh("alpha");
    struct audit_log *log = must_open(node);
    must_commit_group(log, 700); /* more than one group holds */
    must_close(log);

    struct seen seen = {0};
    struct lethe_error err = {0};
    struct audit_verify_report report;
    struct audit_verify_options options = {.directory = node->options.directory,
                                           .key = node->options.signer.key,
                                           .visit = see,
                                           .context = &seen};
    assert_ok(audit_verify(&options, &report, &err), &err);
    struct buffer file = log_file(node->options.directory, "000001.jsonl");
    assert_int_equal(seen.records, 700);
    assert_string_equal(seen.lines.bytes, file.bytes);
    options.visit = see_nothing;
    assert_result(LETHE_CANCELLED, audit_verify(&options, &report, &err));
    buffer_clear(&seen.lines);
    buffer_clear(&file);
    node_free(node);
}

/* ---- who may read, what may be given --------------------------------------------------------- */

static mode_t mode_of(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return status.st_mode & 07777;
}

/* nobody else can read a log, whatever the umask. */
static void files_are_private(void **state)
{
    static const char *const names[] = {"000001.jsonl", "checkpoints", "checkpoint",
                                        "checkpoint.old", "lock"};
    mode_t before = umask(0);
    struct node *node = node_fresh("alpha");
    struct audit_log *log = must_open(node);
    must_commit(log, 1);
    must_close(log);
    umask(before);
    assert_int_equal(mode_of(node->options.directory), 0700);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char *path = log_path(node->options.directory, names[i]);
        assert_int_equal(mode_of(path), 0600);
        free(path);
    }
    node_free(node);
}

/* and one that others can read is not written to. */
static void a_log_that_others_can_read_is_refused(void **state)
{
    static const char *const names[] = {"000001.jsonl", "checkpoints", "."};
    struct node *node = node_fresh("alpha");
    must_close(must_open(node));
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct lethe_error err = {0};
        struct audit_log *log;
        char *path = log_path(node->options.directory, names[i]);
        mode_t before = mode_of(path);
        assert_int_equal(chmod(path, before | 0040), 0);
        assert_result(LETHE_UNPROTECTED, audit_open(&node->options, &log, &err));
        assert_null(log);
        assert_int_equal(chmod(path, before), 0);
        free(path);
    }
    must_close(must_open(node));
    node_free(node);
}

static void bad_options_are_refused(void **state)
{
    struct node *node = node_fresh("alpha");
    struct lethe_error err = {0};
    struct audit_log *log;
    struct audit_options options = node->options;
    options.node = "al pha";
    assert_result(LETHE_INVALID, audit_open(&options, &log, &err));
    options.node = "beta";
    assert_result(LETHE_INVALID, audit_open(&options, &log, &err));
    assert_non_null(strstr(err.text, "lethe/beta"));

    struct audit_verify_report report;
    struct audit_verify_options verify = {.directory = node->options.directory,
                                          .key = node->options.signer.key};
    assert_result(LETHE_NOT_FOUND, audit_verify(&verify, &report, &err));
    must_close(must_open(node));
    snprintf(verify.key.name, sizeof verify.key.name, "example.com/log");
    assert_result(LETHE_INVALID, audit_verify(&verify, &report, &err));
    node_free(node);
}

/* ---- a signer that fails --------------------------------------------------------------------- */

static bool signer_is_down;

static lethe_result sign_or_not(void *context, const void *bytes, size_t size_bytes,
                                uint8_t signature[64], struct lethe_error *err)
{
    if (signer_is_down)
        return error_set(err, LETHE_UNAVAILABLE, "the key service is away");
    return node_sign(context, bytes, size_bytes, signature, err);
}

/* no signature, no record; and what was emitted meanwhile waits. */
static void without_a_signature_nothing_is_written(void **state)
{
    struct node *node = node_fresh("alpha");
    struct lethe_error err = {0};
    const struct audit_event event = audit_session_started("waits");
    node->options.signer.sign = sign_or_not;
    struct audit_log *log = must_open(node);
    must_commit(log, 1);

    signer_is_down = true;
    audit_emit(log, &someone, &event);
    assert_result(LETHE_UNAVAILABLE, commit_key_used(log, 2, &err));
    assert_non_null(strstr(err.text, "the key service is away"));
    must_verify(node, 1);
    signer_is_down = false;

    must_commit(log, 3);
    must_close(log);
    must_verify(node, 3);
    struct buffer lines = log_file(node->options.directory, "000001.jsonl");
    assert_non_null(strstr(lines.bytes, "\"label\":\"waits\""));
    assert_null(strstr(lines.bytes, "\"version\":2"));
    buffer_clear(&lines);
    node_free(node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_log_continues_after_reopening),
        cmocka_unit_test(the_same_calls_give_the_same_bytes),
        cmocka_unit_test(reopening_does_not_show),
        cmocka_unit_test(an_empty_log_is_good),
        cmocka_unit_test(threads_commit_at_once),
        cmocka_unit_test(two_handles_share_one_log),
        cmocka_unit_test(the_root_of_every_earlier_size_is_known),
        cmocka_unit_test(the_largest_epoch_is_the_heads),
        cmocka_unit_test(a_reader_sees_every_record_once),
        cmocka_unit_test(files_are_private),
        cmocka_unit_test(a_log_that_others_can_read_is_refused),
        cmocka_unit_test(bad_options_are_refused),
        cmocka_unit_test(without_a_signature_nothing_is_written),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
