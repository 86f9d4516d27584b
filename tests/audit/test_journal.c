/* what the journal has is in the log, whatever a power cut left of the files. */
#include "audit/journal.h"
#include "audit/stream.h"
#include "small_log.h"

#define COMMITS 5u

/* A log whose owner is gone, as its files were then: the journal has all of it. */
struct crashed {
    struct node *node;
    struct log_copy before; /* the last group */
    struct log_copy files;
    struct buffer journal;
};

/* The note of the empty log and its blank line. */
static size_t genesis_bytes(const struct log_copy *files)
{
    return stream_note((const uint8_t *)files->files[1].bytes, files->files[1].size_bytes);
}

static struct crashed crash(void)
{
    struct crashed crashed = {.node = node_fresh("alpha")};
    struct audit_log *log = must_open(crashed.node);
    for (unsigned version = 1; version < COMMITS; version++)
        must_commit(log, version);
    crashed.before = log_take(DIRECTORY(crashed.node));
    must_commit(log, COMMITS);
    crashed.files = log_take(DIRECTORY(crashed.node));
    crashed.journal = log_file(DIRECTORY(crashed.node), JOURNAL_NAME);
    must_close(log);
    return crashed;
}

static void crashed_free(struct crashed *crashed)
{
    log_copy_clear(&crashed->before);
    log_copy_clear(&crashed->files);
    buffer_clear(&crashed->journal);
    node_free(crashed->node);
}

/* As it was, but one file has only its first bytes, and behind them perhaps zeros. */
static void put_with(const struct crashed *crashed, size_t file, size_t kept, bool zeros)
{
    const char *directory = DIRECTORY(crashed->node);
    const struct buffer *whole = &crashed->files.files[file];
    CLEANUP(memory_free) char *spoilt = calloc(1, whole->size_bytes);
    memcpy(spoilt, whole->bytes, kept);
    log_put(&crashed->files, directory);
    put_log_file(directory, log_files[file], spoilt, zeros ? whole->size_bytes : kept);
    put_log_file(directory, JOURNAL_NAME, crashed->journal.bytes, crashed->journal.size_bytes);
}

static void clear_journal(const struct crashed *crashed)
{
    static const char zeros[512];
    put_log_file(DIRECTORY(crashed->node), JOURNAL_NAME, zeros, sizeof zeros);
}

static void a_power_cut_loses_nothing(void **state)
{
    struct crashed crashed = crash();
    size_t first_note = genesis_bytes(&crashed.files);
    unsigned points = 0;
    for (size_t file = 0; file < 2; file++) {
        for (size_t kept = file == 0 ? 0 : first_note; kept < crashed.files.files[file].size_bytes;
             kept += 3) {
            for (int zeros = 0; zeros < 2; zeros++, points++) {
                put_with(&crashed, file, kept, zeros);
                must_close(must_open(crashed.node));
                must_verify(crashed.node, COMMITS);
            }
        }
    }
    printf("%u ways to lose power\n", points);
    crashed_free(&crashed);
}

/* The control: without the journal the same files are refused. */
static void without_the_journal_it_would_be_refused(void **state)
{
    struct crashed crashed = crash();
    struct audit_log *log;
    put_with(&crashed, 0, crashed.files.files[0].size_bytes - 1, false);
    clear_journal(&crashed);
    assert_result(LETHE_INTEGRITY, audit_open(&crashed.node->options, &log, NULL));
    crashed_free(&crashed);
}

static void a_verifier_says_that_the_journal_has_more(void **state)
{
    struct crashed crashed = crash();
    struct lethe_error err = {0};
    struct audit_verify_report report;
    put_with(&crashed, 0, crashed.files.files[0].size_bytes - 1, false);
    assert_result(LETHE_INTEGRITY,
                  verify_log(crashed.node, DIRECTORY(crashed.node), &report, &err));
    assert_non_null(strstr(err.hint, "journal"));
    crashed_free(&crashed);
}

/* Where the last group begins in the journal, and where it ends. */
static struct stream_range last_group(const struct crashed *crashed)
{
    struct stream_range range = {0};
    struct journal journal;
    struct journal_group group;
    enum journal_found found = JOURNAL_GROUP;
    CLEANUP(buffer_clear) struct buffer bytes = {0};
    int directory = open(DIRECTORY(crashed->node), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    put_log_file(DIRECTORY(crashed->node), JOURNAL_NAME, crashed->journal.bytes,
                 crashed->journal.size_bytes);
    assert_result(LETHE_OK, journal_open_to_read(&journal, directory, NULL));
    for (unsigned groups = 0; groups < COMMITS; groups++) {
        range.begin = journal.offset;
        assert_result(LETHE_OK, journal_next(&journal, &bytes, &group, &found, NULL));
        assert_int_equal(found, JOURNAL_GROUP);
    }
    range.end = journal.offset;
    journal_close(&journal);
    close(directory);
    return range;
}

/* Every byte of the journal's last group, while the files do not have it: it is as if it had not
 * been written, and that is on record, unless not even its header is one. */
static void a_torn_group_does_not_count(void **state)
{
    struct crashed crashed = crash();
    const char *directory = DIRECTORY(crashed.node);
    struct stream_range range = last_group(&crashed);
    unsigned repairs = 0;
    for (uint64_t at = range.begin; at < range.end; at += 3) {
        crashed.journal.bytes[at] ^= 0x10;
        log_put(&crashed.before, directory);
        put_log_file(directory, JOURNAL_NAME, crashed.journal.bytes, crashed.journal.size_bytes);
        crashed.journal.bytes[at] ^= 0x10;
        must_close(must_open(crashed.node));
        struct buffer lines = log_file(directory, "000001.jsonl");
        bool repaired = strstr(lines.bytes, "log_repaired") != NULL;
        assert_null(strstr(lines.bytes, "\"version\":5"));
        assert_non_null(strstr(lines.bytes, "\"version\":4"));
        must_verify(crashed.node, COMMITS - 1 + repaired);
        repairs += repaired;
        buffer_clear(&lines);
    }
    assert_true(repairs > (range.end - range.begin) / 4);
    crashed_free(&crashed);
}

/* Whoever can write the files can write the journal, too, and gains nothing. */
static void a_planted_group_is_refused(void **state)
{
    struct node *node = small_log();
    struct log_copy files = log_take(DIRECTORY(node));
    struct journal journal;
    bool undone;
    static const char line[] = "{\"seq\":4}\n";
    const struct buffer *notes = &files.files[1];
    const struct journal_group group = {
        .records = 4,
        .lines_at = files.files[0].size_bytes,
        .note_at = notes->size_bytes,
        .number = 1,
        .count = 1,
        .lines = line,
        .note = notes->bytes,
        .lines_bytes = sizeof line - 1,
        .note_bytes = (uint32_t)genesis_bytes(&files),
    };
    int directory = open(DIRECTORY(node), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_result(LETHE_OK, journal_open(&journal, directory, NULL));
    assert_result(LETHE_OK, journal_append(&journal, &group, &undone, NULL));
    journal_close(&journal);
    close(directory);
    struct audit_log *log;
    assert_result(LETHE_INTEGRITY, audit_open(&node->options, &log, NULL));
    log_copy_clear(&files);
    node_free(node);
}

/* Groups that end where files end, at places that no file has, of sizes that nobody has. */
static void an_impossible_group_is_refused(void **state)
{
    static const struct journal_group groups[] = {
        {.records = 4, .lines_at = UINT64_MAX / 2, .number = 1, .lines = "x", .lines_bytes = 1},
        {.records = 4, .number = 0, .lines = "x", .lines_bytes = 1},
        {.records = 4, .number = 1000000, .lines = "x", .lines_bytes = 1},
        {.records = 4, .number = 2, .lines = "x", .lines_bytes = 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
        struct node *node = small_log();
        struct journal journal;
        struct audit_log *log;
        bool undone;
        int directory = open(DIRECTORY(node), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_result(LETHE_OK, journal_open(&journal, directory, NULL));
        assert_result(LETHE_OK, journal_append(&journal, &groups[i], &undone, NULL));
        journal_close(&journal);
        close(directory);
        assert_true(audit_open(&node->options, &log, NULL) != LETHE_OK);
        must_verify(node, 4);
        node_free(node);
    }
}

/* More groups than the journal holds, of two writers in turns. */
static void the_journal_begins_anew_when_it_is_full(void **state)
{
    struct node *node = node_fresh("alpha");
    struct audit_log *one = must_open(node);
    struct audit_log *two = must_open(node);
    uint64_t records = 0;
    for (unsigned i = 0; i < 40; i++) {
        must_commit_group(one, 50);
        must_commit_group(two, 3);
        records += 53;
    }
    struct buffer journal = log_file(DIRECTORY(node), JOURNAL_NAME);
    struct buffer lines = log_file(DIRECTORY(node), "000001.jsonl");
    assert_int_equal(journal.size_bytes, JOURNAL_BYTES);
    assert_true(lines.size_bytes > JOURNAL_BYTES + JOURNAL_BYTES / 2);
    buffer_clear(&journal);
    buffer_clear(&lines);
    must_close(one);
    must_commit(two, 1); /* the journal was cleared under it */
    must_close(two);
    must_verify(node, records + 1);
    node_free(node);
}

static lethe_result count_rotations(void *context, const struct audit_record *record,
                                    struct lethe_error *err)
{
    *(unsigned *)context += memmem(record->line, record->length, "log_rotated", 11) != NULL;
    return LETHE_OK;
}

/* two writers and a reader, while one file of records after the other is begun. */
static void a_log_is_continued_in_the_next_file(void **state)
{
    struct node *node = node_fresh("alpha");
    node->options.limits.rotate_bytes = 4096;
    struct audit_log *one = must_open(node);
    struct audit_log *two = must_open(node);
    unsigned rotations = 0;
    struct audit_verify_report report;
    const struct audit_verify_options options = {.directory = DIRECTORY(node),
                                                 .key = node->options.signer.key,
                                                 .visit = count_rotations,
                                                 .context = &rotations};
    for (unsigned i = 0; i < 60; i++) {
        must_commit_group(one, 3);
        must_commit_group(two, 2);
        rotations = 0;
        assert_result(LETHE_OK, audit_verify(&options, &report, NULL));
        assert_int_equal(report.records, 5 * (i + 1) + rotations);
    }
    must_close(one);
    must_close(two);
    assert_true(rotations > 10);
    struct buffer next = log_file(DIRECTORY(node), "000002.jsonl");
    assert_non_null(strstr(next.bytes, "\"event\":\"log_rotated\",\"file\":1"));
    buffer_clear(&next);

    struct audit_log *again = must_open(node);
    must_commit(again, 1);
    must_close(again);
    char *second = log_path(DIRECTORY(node), "000002.jsonl");
    assert_int_equal(unlink(second), 0);
    free(second);
    assert_result(LETHE_INTEGRITY, audit_verify(&options, &report, NULL));
    node_free(node);
}

/* in order, and nobody else's between them, as long as they fit into a group. */
static void many_records_are_committed_at_once(void **state)
{
    struct node *node = node_fresh("alpha");
    struct audit_log *log = must_open(node);
    struct audit_event events[1000];
    struct audit_verify_report report;
    struct lethe_error err = {0};
    for (unsigned i = 0; i < ARRAY_LEN(events); i++)
        events[i] = audit_key_used("default.vad.hot", i + 1, "rewrap", "allowed", 1);
    assert_ok(audit_commit_all(log, &someone, events, ARRAY_LEN(events), &err), &err);
    must_close(log);
    assert_ok(verify_log(node, DIRECTORY(node), &report, &err), &err);
    assert_int_equal(report.records, ARRAY_LEN(events));
    assert_int_equal(report.checkpoints, 3); /* the empty log's, and two groups' */
    node_free(node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_power_cut_loses_nothing),
        cmocka_unit_test(without_the_journal_it_would_be_refused),
        cmocka_unit_test(a_verifier_says_that_the_journal_has_more),
        cmocka_unit_test(a_torn_group_does_not_count),
        cmocka_unit_test(a_planted_group_is_refused),
        cmocka_unit_test(an_impossible_group_is_refused),
        cmocka_unit_test(the_journal_begins_anew_when_it_is_full),
        cmocka_unit_test(a_log_is_continued_in_the_next_file),
        cmocka_unit_test(many_records_are_committed_at_once),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
