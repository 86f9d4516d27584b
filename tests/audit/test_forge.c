#include "small_log.h"

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

    put_log_file(DIRECTORY(node), "000003.jsonl", "x", 1);
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
