#include "audit_check.h"

#include "audit/chain.h"
#include "base/text.h"

#define DIRECTORY(node) ((node)->options.directory)

/* A log of two groups, closed: record 0, then 1 and 2. */
static struct node *smaller_log(void)
{
    struct node *node = node_fresh("alpha");
    struct audit_log *log = must_open(node);
    must_commit(log, 1);
    must_commit_group(log, 2);
    must_close(log);
    must_verify(node, 3);
    return node;
}

/* And a third one: record 3. */
static struct node *small_log(void)
{
    struct node *node = smaller_log();
    struct audit_log *log = must_open(node);
    must_commit(log, 3);
    must_close(log);
    must_verify(node, 4);
    return node;
}

/* Neither the reader nor the writer takes the log, both say so alike, and it is left as it was. */
static void assert_refused(const struct node *node, const char *expected_text)
{
    struct lethe_error err = {0}, open_err = {0};
    struct audit_verify_report report;
    struct audit_log *log;
    struct log_copy before = log_take(DIRECTORY(node));
    assert_result(LETHE_INTEGRITY, verify_log(node, DIRECTORY(node), &report, &err));
    assert_result(LETHE_INTEGRITY, audit_open(&node->options, &log, &open_err));
    if (expected_text != NULL && strstr(err.text, expected_text) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.text, expected_text);
    struct log_copy after = log_take(DIRECTORY(node));
    for (size_t i = 0; i < LOG_FILES; i++) {
        assert_int_equal(before.files[i].size_bytes, after.files[i].size_bytes);
        assert_memory_equal(before.files[i].bytes, after.files[i].bytes,
                            before.files[i].size_bytes);
    }
    log_copy_clear(&before);
    log_copy_clear(&after);
}

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
    size_t flipped = 0;
    for (size_t file = 0; file < LOG_FILES; file++) {
        struct buffer content = log_file(DIRECTORY(node), log_files[file]);
        for (size_t at = 0; at < content.size_bytes; at++) {
            for (unsigned bit = 0; bit < 8; bit++) {
                flip(node, log_files[file], at, (uint8_t)(1 << bit));
                assert_result(LETHE_INTEGRITY, verify_log(node, DIRECTORY(node), &report, NULL));
                if (bit == at % 8)
                    assert_refused_or_without_effect(node, log_files[file]);
                flip(node, log_files[file], at, (uint8_t)(1 << bit));
                flipped++;
            }
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
    for (size_t file = 0; file < LOG_FILES; file++) {
        struct buffer content = log_file(DIRECTORY(node), log_files[file]);
        char *path = log_path(DIRECTORY(node), log_files[file]);
        for (size_t length = content.size_bytes; length-- > 0;) {
            assert_int_equal(truncate(path, (off_t)length), 0);
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
    const struct audit_event event = audit_key_used("forged", 1, "decrypt", "granted");
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

/* ---- checkpoints ----------------------------------------------------------------------------- */

/* A checkpoint file for a log that has more records than are there. */
static void checkpoints_of_the_future_are_refused(void **state)
{
    struct node *node = small_log();
    struct log_copy short_log = log_take(DIRECTORY(node));
    struct audit_log *log = must_open(node);
    must_commit(log, 4);
    must_close(log);
    struct log_copy longer = log_take(DIRECTORY(node));

    log_put(&short_log, DIRECTORY(node));
    put_log_file(DIRECTORY(node), "checkpoint", longer.files[2].bytes, longer.files[2].size_bytes);
    assert_refused(node, "checkpoint signs 5 records, the log has 4");
    log_put(&short_log, DIRECTORY(node));
    put_log_file(DIRECTORY(node), "checkpoints", longer.files[1].bytes, longer.files[1].size_bytes);
    assert_refused(node, "signs 5 records, but only 4 are there");
    log_copy_clear(&short_log);
    log_copy_clear(&longer);
    node_free(node);
}

/* A note with the right text, signed by a key of the same name. */
static void forged_checkpoints_are_refused(void **state)
{
    struct node *node = small_log();
    struct node *forger = node_create("alpha", "");
    struct lethe_error err = {0};
    uint8_t seed[32] = {1};
    sign_pair_free(forger->pair);
    forger->pair = pair_of_seed(seed);
    key_of_pair(forger->pair, "lethe/alpha", &forger->options.signer.key);

    struct buffer genuine = log_file(DIRECTORY(node), "checkpoint");
    size_t text_bytes = (size_t)(strstr(genuine.bytes, "\n\n") + 1 - genuine.bytes);
    struct buffer note = {0};
    uint8_t signature[64];
    assert_ok(node_sign(forger, genuine.bytes, text_bytes, signature, &err), &err);
    buffer_append(&note, genuine.bytes, text_bytes);
    audit_note_sign_line(&forger->options.signer.key, signature, &note);
    put_log_file(DIRECTORY(node), "checkpoint", note.bytes, note.size_bytes);
    assert_refused(node, "no signature by lethe/alpha");

    /* The same with our key's id in front of the signature. */
    buffer_truncate(&note, text_bytes);
    audit_note_sign_line(&node->options.signer.key, signature, &note);
    put_log_file(DIRECTORY(node), "checkpoint", note.bytes, note.size_bytes);
    assert_refused(node, "forged");
    buffer_clear(&genuine);
    buffer_clear(&note);
    node_free(node);
    node_free(forger);
}

/* Records added in perfect form, with a checkpoint over them that only lacks a good signature, as
 * if the machine had stopped before `checkpoint` was replaced. */
static void a_forged_newest_checkpoint_is_refused(void **state)
{
    struct node *node = small_log();
    struct log_copy before = log_take(DIRECTORY(node));
    struct audit_log *log = must_open(node);
    must_commit(log, 4);
    must_close(log);
    struct log_copy after = log_take(DIRECTORY(node));
    put_log_file(DIRECTORY(node), "checkpoint", before.files[2].bytes, before.files[2].size_bytes);
    must_verify(node, 5); /* such a state is good when the signature is */

    char *signature = strrchr(after.files[1].bytes, ' ') + 1;
    signature[20] = signature[20] == 'A' ? 'B' : 'A';
    put_log_file(DIRECTORY(node), "checkpoints", after.files[1].bytes, after.files[1].size_bytes);
    assert_refused(node, "checkpoints: note 5: a signature that does not fit");
    log_copy_clear(&before);
    log_copy_clear(&after);
    node_free(node);
}

/* A whole log that someone else made under the same name. */
static void a_log_signed_by_another_key_is_refused(void **state)
{
    struct node *node = small_log();
    struct node *reader = node_create("alpha", DIRECTORY(node));
    struct node *beta = node_create("beta", DIRECTORY(node));
    uint8_t seed[32] = {1};
    sign_pair_free(reader->pair);
    reader->pair = pair_of_seed(seed);
    key_of_pair(reader->pair, "lethe/alpha", &reader->options.signer.key);
    assert_refused(reader, "no signature by lethe/alpha");
    assert_refused(beta, "lethe/beta");
    node_free(reader);
    node_free(beta);
    node_free(node);
}

/* Notes reordered or repeated; `order` lists them, -1 ends it. */
static void put_notes(const struct node *node, const struct buffer *from, const int *order)
{
    struct buffer notes = {0};
    for (; *order >= 0; order++) {
        const char *line = NULL;
        for (size_t n = 0; n < 6; n++) { /* text, blank, signature, blank */
            size_t length = nth_line(from, 6 * (size_t)*order + n, &line);
            assert_true(length > 0);
            buffer_append(&notes, line, length);
        }
    }
    put_log_file(DIRECTORY(node), "checkpoints", notes.bytes, notes.size_bytes);
    buffer_clear(&notes);
}

static void rearranged_checkpoints_are_refused(void **state)
{
    static const int orders[][8] = {
        {1, 2, 3, -1},       {0, 1, 2, -1},       {0, 2, 1, 3, -1},    {0, 1, 1, 2, 3, -1},
        {0, 0, 1, 2, 3, -1}, {0, 1, 2, 3, 3, -1}, {0, 1, 2, 3, 0, -1},
    };
    struct node *node = small_log();
    struct buffer notes = log_file(DIRECTORY(node), "checkpoints");
    for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
        put_notes(node, &notes, orders[i]);
        assert_refused(node, NULL);
    }
    put_notes(node, &notes, (const int[]){0, 3, -1}); /* the newest covers what the others did */
    must_verify(node, 4);
    put_notes(node, &notes, (const int[]){0, 1, 2, 3, -1});
    must_verify(node, 4);
    buffer_clear(&notes);
    node_free(node);
}

/* ---- anchors --------------------------------------------------------------------------------- */

static lethe_result verify_since(const struct node *node, const struct buffer *since,
                                 struct lethe_error *err)
{
    struct audit_verify_report report;
    const struct audit_verify_options options = {.directory = DIRECTORY(node),
                                                 .key = node->options.signer.key,
                                                 .since = since->bytes,
                                                 .since_bytes = since->size_bytes};
    lethe_result result = audit_verify(&options, &report, err);
    assert_true(report.anchored == (result == LETHE_OK));
    return result;
}

/* a log put back as a whole is good in itself; a checkpoint that someone kept tells. */
static void a_rollback_is_found_by_an_anchor(void **state)
{
    struct node *node = small_log();
    struct lethe_error err = {0};
    struct log_copy old = log_take(DIRECTORY(node));
    struct audit_log *log = must_open(node);
    must_commit(log, 4);
    must_close(log);
    struct buffer kept = log_file(DIRECTORY(node), "checkpoint");
    assert_ok(verify_since(node, &kept, &err), &err);
    assert_ok(verify_since(node, &old.files[2], &err), &err); /* an older one is fine too */

    log_put(&old, DIRECTORY(node));
    must_verify(node, 4); /* nothing to see without the anchor */
    assert_result(LETHE_INTEGRITY, verify_since(node, &kept, &err));
    assert_non_null(strstr(err.text, "signs 5 records, the log has 4: it was cut or rolled back"));

    log = must_open(node); /* and going on from there does not hide it */
    must_commit(log, 99);
    must_commit(log, 100);
    must_close(log);
    must_verify(node, 6);
    assert_result(LETHE_INTEGRITY, verify_since(node, &kept, &err));
    assert_non_null(strstr(err.text, "the root of the first 5 records differs"));

    kept.bytes[20] ^= 1;
    assert_true(verify_since(node, &kept, &err) != LETHE_OK);
    log_copy_clear(&old);
    buffer_clear(&kept);
    node_free(node);
}

/* ---- several files --------------------------------------------------------------------------- */

/* Records may go on in a file with the next number (rotation). */
static void records_are_read_across_files(void **state)
{
    struct node *node = small_log();
    struct buffer lines = log_file(DIRECTORY(node), "000001.jsonl");
    const char *line;
    size_t first = nth_line(&lines, 0, &line);
    put_log_file(DIRECTORY(node), "000001.jsonl", lines.bytes, first);
    put_log_file(DIRECTORY(node), "000002.jsonl", lines.bytes + first, lines.size_bytes - first);
    must_verify(node, 4);
    struct audit_log *log = must_open(node);
    must_commit(log, 5);
    must_close(log);
    must_verify(node, 5);
    struct buffer second = log_file(DIRECTORY(node), "000002.jsonl");
    assert_non_null(strstr(second.bytes, "\"seq\":4"));

    put_log_file(DIRECTORY(node), "000003.jsonl", "", 0);
    assert_refused(node, "no checkpoint covers 000003.jsonl");
    char *path = log_path(DIRECTORY(node), "000002.jsonl");
    assert_int_equal(unlink(path), 0);
    assert_refused(node, "missing");
    free(path);
    buffer_clear(&lines);
    buffer_clear(&second);
    node_free(node);
}

static void a_line_does_not_cross_files(void **state)
{
    struct node *node = small_log();
    struct buffer lines = log_file(DIRECTORY(node), "000001.jsonl");
    put_log_file(DIRECTORY(node), "000001.jsonl", lines.bytes, 100);
    put_log_file(DIRECTORY(node), "000002.jsonl", lines.bytes + 100, lines.size_bytes - 100);
    assert_refused(node, "000001.jsonl:1: not a whole line");
    buffer_clear(&lines);
    node_free(node);
}

/* ---- while it is open ------------------------------------------------------------------------ */

/* What is done to the files behind a running process's back is seen at its next commit. */
static void changes_under_an_open_log_are_seen(void **state)
{
    for (size_t file = 0; file < 2; file++) {
        struct node *node = small_log();
        struct lethe_error err = {0};
        struct audit_log *log = must_open(node);
        struct buffer content = log_file(DIRECTORY(node), log_files[file]);
        put_log_file(DIRECTORY(node), log_files[file], content.bytes, content.size_bytes - 1);
        assert_result(LETHE_INTEGRITY, commit_key_used(log, 5, &err));
        put_log_file(DIRECTORY(node), log_files[file], content.bytes, content.size_bytes);

        char *path = log_path(DIRECTORY(node), log_files[file]);
        assert_int_equal(unlink(path), 0);
        put_log_file(DIRECTORY(node), log_files[file], content.bytes, content.size_bytes);
        assert_result(LETHE_INTEGRITY, commit_key_used(log, 5, &err));
        assert_non_null(strstr(err.text, "replaced"));
        (void)!audit_close(log, NULL);
        must_verify(node, 4);
        free(path);
        buffer_clear(&content);
        node_free(node);
    }
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
        cmocka_unit_test(checkpoints_of_the_future_are_refused),
        cmocka_unit_test(forged_checkpoints_are_refused),
        cmocka_unit_test(a_forged_newest_checkpoint_is_refused),
        cmocka_unit_test(a_log_signed_by_another_key_is_refused),
        cmocka_unit_test(rearranged_checkpoints_are_refused),
        cmocka_unit_test(a_rollback_is_found_by_an_anchor),
        cmocka_unit_test(records_are_read_across_files),
        cmocka_unit_test(a_line_does_not_cross_files),
        cmocka_unit_test(changes_under_an_open_log_are_seen),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
