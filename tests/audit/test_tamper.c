#include "small_log.h"

#include "audit/record.h"

/* ---- every byte ------------------------------------------------------------------------------ */

static void flip(const struct node *node, const char *name, uint64_t at, uint8_t mask)
{
    uint8_t byte;
    char *path = log_path(DIRECTORY(node), name);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
    byte ^= mask;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    close(fd);
    free(path);
}

/* The writer checks only the newest signature, so a flaw in an older one may pass it by: then the
 * log is as it was. */
static void assert_refused_or_without_effect(const struct node *node, const char *name)
{
    struct audit_log *log;
    struct audit_head head;
    lethe_result result = audit_open(&node->options, &log, NULL);
    if (result == LETHE_INTEGRITY)
        return;
    assert_result(LETHE_OK, result);
    assert_string_equal(name, "checkpoints");
    audit_head(log, &head);
    assert_int_equal(head.records, 3);
    must_close(log);
}

/* no bit of any file of a log can change unnoticed. */
static void every_flipped_bit_is_refused(void **state)
{
    struct node *node = smaller_log();
    struct audit_verify_report report;
    size_t flipped = 0, stride = table_stride(7); /* a bit of each byte, and all bits of some */
    for (size_t file = 0; file < LOG_FILES; file++) {
        struct buffer content = log_file(DIRECTORY(node), log_files[file]);
        for (size_t place = 0; place < content.size_bytes * 8; place += stride) {
            size_t at = place / 8, bit = place % 8;
            flip(node, log_files[file], at, (uint8_t)(1 << bit));
            assert_result(LETHE_INTEGRITY, verify_log(node, DIRECTORY(node), &report, NULL));
            if (bit == at % 8)
                assert_refused_or_without_effect(node, log_files[file]);
            flip(node, log_files[file], at, (uint8_t)(1 << bit));
            flipped++;
        }
        buffer_clear(&content);
    }
    must_verify(node, 3); /* as it was: nothing was written to it */
    printf("%zu flipped bits\n", flipped);
    node_free(node);
}

/* a log that is shorter than its newest checkpoint was cut, and no file can be cut alone. */
static void every_truncation_is_refused(void **state)
{
    struct node *node = small_log();
    size_t stride = table_stride(7);
    for (size_t file = 0; file < LOG_FILES; file++) {
        struct buffer content = log_file(DIRECTORY(node), log_files[file]);
        char *path = log_path(DIRECTORY(node), log_files[file]);
        for (size_t cut = 1; cut <= content.size_bytes; cut += stride) {
            assert_int_equal(truncate(path, (off_t)(content.size_bytes - cut)), 0);
            assert_refused(node, NULL);
        }
        put_log_file(DIRECTORY(node), log_files[file], content.bytes, content.size_bytes);
        free(path);
        buffer_clear(&content);
    }
    must_verify(node, 4);
    node_free(node);
}

static void every_missing_file_is_seen(void **state)
{
    for (size_t file = 0; file < LOG_FILES; file++) {
        struct node *node = small_log();
        struct lethe_error err = {0};
        struct audit_verify_report report;
        struct audit_log *log;
        char *path = log_path(DIRECTORY(node), log_files[file]);
        assert_int_equal(unlink(path), 0);
        assert_result(LETHE_INTEGRITY, verify_log(node, DIRECTORY(node), &report, &err));
        assert_result(LETHE_INTEGRITY, audit_open(&node->options, &log, &err));
        free(path);
        node_free(node);
    }
}

/* Every log has a checkpoint, if only of the empty tree: records without any are not taken for a
 * first group that a crash left, and cut. */
static void records_without_any_checkpoint_are_not_cut(void **state)
{
    struct node *node = small_log();
    struct lethe_error err = {0};
    struct audit_log *log;
    struct buffer before = log_file(DIRECTORY(node), "000001.jsonl");
    char *path = log_path(DIRECTORY(node), "checkpoint");
    assert_int_equal(unlink(path), 0);
    put_log_file(DIRECTORY(node), "checkpoints", "", 0);
    assert_result(LETHE_INTEGRITY, audit_open(&node->options, &log, &err));
    assert_non_null(strstr(err.text, "holds no whole checkpoint"));
    struct buffer after = log_file(DIRECTORY(node), "000001.jsonl");
    assert_string_equal(before.bytes, after.bytes);
    buffer_clear(&before);
    buffer_clear(&after);
    free(path);
    node_free(node);
}

/* ---- lines ----------------------------------------------------------------------------------- */

/* Writes the lines of `from` in another order; -1 ends it. */
static void put_lines(const struct node *node, const struct buffer *from, const int *order)
{
    struct buffer lines = {0};
    for (; *order >= 0; order++) {
        const char *line;
        size_t length = nth_line(from, (size_t)*order, &line);
        assert_true(length > 0);
        buffer_append(&lines, line, length);
    }
    put_log_file(DIRECTORY(node), "000001.jsonl", lines.bytes, lines.size_bytes);
    buffer_clear(&lines);
}

/* removed, reordered and duplicated records are found, by file and line. */
static void rearranged_records_are_found(void **state)
{
    static const struct {
        int order[8];
        const char *text;
    } arrangements[] = {
        {{1, 2, 3, -1}, "000001.jsonl:1: record 1 where record 0 belongs"},
        {{0, 2, 3, -1}, "000001.jsonl:2: record 2 where record 1 belongs"},
        {{0, 1, 3, -1}, "000001.jsonl:3: record 3 where record 2 belongs"},
        {{0, 1, 2, -1}, "signs 4 records, but only 3 are there"},
        {{0, -1}, "signs 3 records, but only 1 are there"},
        {{0, 2, 1, 3, -1}, "000001.jsonl:2: record 2 where record 1 belongs"},
        {{1, 0, 2, 3, -1}, "000001.jsonl:1"},
        {{0, 0, 1, 2, 3, -1}, "000001.jsonl:2: record 0 where record 1 belongs"},
        {{0, 1, 1, 2, 3, -1}, "000001.jsonl:3: record 1 where record 2 belongs"},
        {{0, 1, 2, 2, -1}, "000001.jsonl:4"},
    };
    struct node *node = small_log();
    struct buffer lines = log_file(DIRECTORY(node), "000001.jsonl");
    for (size_t i = 0; i < ARRAY_LEN(arrangements); i++) {
        put_lines(node, &lines, arrangements[i].order);
        assert_refused(node, arrangements[i].text);
    }
    put_log_file(DIRECTORY(node), "000001.jsonl", lines.bytes, lines.size_bytes);
    must_verify(node, 4);
    buffer_clear(&lines);
    node_free(node);
}

/* A record that still is one, said otherwise: what does not fit is named. */
static void a_changed_record_is_named(void **state)
{
    struct node *node = smaller_log();
    struct buffer lines = log_file(DIRECTORY(node), "000001.jsonl");
    const char *line;
    for (size_t n = 0; n < 3; n++) {
        size_t length = nth_line(&lines, n, &line);
        char *severity = memmem(line, length, "\"info\"", 6);
        assert_non_null(severity);
        const char original[] = "\"info\"";
        memcpy(severity, "\"none\"", 6);
        put_log_file(DIRECTORY(node), "000001.jsonl", lines.bytes, lines.size_bytes);
        assert_refused(node, "\"severity\" is not as it must be");
        memcpy(severity, original, 6);

        char *actor = memmem(line, length, "uid:1000", 8);
        actor[4] = '2';
        put_log_file(DIRECTORY(node), "000001.jsonl", lines.bytes, lines.size_bytes);
        /* Of the last record of a group the root tells; of others the next record does. */
        assert_refused(node, n == 1 ? "000001.jsonl:3: \"prev\" is not the hash of the line before"
                                    : "the root of the first");
        actor[4] = '1';
    }
    buffer_clear(&lines);
    node_free(node);
}

/* A log of another node, or of the same node in another run, record by record. */
static void spliced_records_are_found(void **state)
{
    static const struct {
        const char *node;
        const char *text;
    } others_of[] = {{"alpha", NULL}, {"beta", "a record of another node than alpha"}};
    struct node *node = small_log();
    struct buffer lines = log_file(DIRECTORY(node), "000001.jsonl");
    for (size_t i = 0; i < ARRAY_LEN(others_of); i++) {
        struct node *other = node_fresh(others_of[i].node);
        other->now_ns += 1000000000;
        struct audit_log *log = must_open(other);
        for (unsigned record = 0; record < 4; record++)
            must_commit(log, record);
        must_close(log);
        struct buffer others = log_file(DIRECTORY(other), "000001.jsonl");
        for (size_t at = 0; at < 4; at++) {
            struct buffer spliced = {0};
            const char *line;
            for (size_t n = 0; n < 4; n++) {
                size_t length = nth_line(n == at ? &others : &lines, n, &line);
                buffer_append(&spliced, line, length);
            }
            put_log_file(DIRECTORY(node), "000001.jsonl", spliced.bytes, spliced.size_bytes);
            assert_refused(node, others_of[i].text);
            buffer_clear(&spliced);
        }
        buffer_clear(&others);
        node_free(other);
    }
    buffer_clear(&lines);
    node_free(node);
}

/* Each file replaced by the one of another log of the same node and key. */
static void swapped_files_are_found(void **state)
{
    struct node *node = small_log();
    struct node *other = node_fresh("alpha");
    struct audit_log *log = must_open(other);
    for (unsigned record = 0; record < 4; record++)
        must_commit(log, record);
    must_close(log);
    for (size_t file = 0; file < LOG_FILES; file++) {
        struct buffer mine = log_file(DIRECTORY(node), log_files[file]);
        struct buffer theirs = log_file(DIRECTORY(other), log_files[file]);
        put_log_file(DIRECTORY(node), log_files[file], theirs.bytes, theirs.size_bytes);
        assert_refused(node, NULL);
        put_log_file(DIRECTORY(node), log_files[file], mine.bytes, mine.size_bytes);
        buffer_clear(&mine);
        buffer_clear(&theirs);
    }
    must_verify(node, 4);
    node_free(node);
    node_free(other);
}

/* The line that would belong next, made without the key. */
static struct buffer forged_line(const struct buffer *lines, uint64_t seq)
{
    struct buffer line = {0};
    const char *last;
    uint8_t prev[32];
    size_t length = nth_line(lines, (size_t)seq - 1, &last);
    sha256(last, length - 1, prev);
    const struct record_place place = {"alpha", seq, 1795176001000000000, prev};
    const struct audit_event event = audit_key_used("forged", 1, "decrypt", "granted", 1);
    record_append(&line, &place, &someone, &event);
    buffer_byte(&line, '\n');
    return line;
}

/* records that someone adds in perfect form, but without the key, are refused by the reader,
 * and the writer never signs them: it cuts them off, and says so. */
static void added_records_are_never_signed(void **state)
{
    struct node *node = small_log();
    struct lethe_error err = {0};
    struct audit_verify_report report;
    struct buffer lines = log_file(DIRECTORY(node), "000001.jsonl");
    struct buffer forged = forged_line(&lines, 4);
    buffer_append(&lines, forged.bytes, forged.size_bytes);
    put_log_file(DIRECTORY(node), "000001.jsonl", lines.bytes, lines.size_bytes);

    assert_result(LETHE_INTEGRITY, verify_log(node, DIRECTORY(node), &report, &err));
    assert_int_equal(report.records, 4);
    assert_int_equal(report.tail_bytes, forged.size_bytes);
    must_close(must_open(node));
    must_verify(node, 5);
    struct buffer repaired = log_file(DIRECTORY(node), "000001.jsonl");
    assert_null(strstr(repaired.bytes, "forged"));
    char expected[64];
    snprintf(expected, sizeof expected, "{\"cut_bytes\":%zu,\"event\":\"log_repaired\"",
             forged.size_bytes);
    assert_non_null(strstr(repaired.bytes, expected));
    buffer_clear(&lines);
    buffer_clear(&forged);
    buffer_clear(&repaired);
    node_free(node);
}

/* More behind the newest checkpoint than a crash can leave: nothing is cut. */
static void a_large_unsigned_tail_is_left_alone(void **state)
{
    struct node *node = small_log();
    struct lethe_error err = {0};
    struct audit_log *log;
    char *path = log_path(DIRECTORY(node), "000001.jsonl");
    assert_int_equal(truncate(path, 64 << 20), 0);
    assert_result(LETHE_INTEGRITY, audit_open(&node->options, &log, &err));
    assert_non_null(strstr(err.text, "more than a crash can leave"));
    assert_true(err.hint[0] != '\0');
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_size, 64 << 20);
    free(path);
    node_free(node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_flipped_bit_is_refused),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_missing_file_is_seen),
        cmocka_unit_test(records_without_any_checkpoint_are_not_cut),
        cmocka_unit_test(rearranged_records_are_found),
        cmocka_unit_test(a_changed_record_is_named),
        cmocka_unit_test(spliced_records_are_found),
        cmocka_unit_test(swapped_files_are_found),
        cmocka_unit_test(added_records_are_never_signed),
        cmocka_unit_test(a_large_unsigned_tail_is_left_alone),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
