#include "many_files.h"

#include "audit/boundary.h"

/* ---- the text -------------------------------------------------------------------------------- */

static void sign_boundary(const struct node *node, const struct node *signer,
                          const struct replay *place, struct buffer *note)
{
    struct lethe_error err = {0};
    struct audit_key key;
    uint8_t signature[64];
    boundary_key(&node->options.signer.key, &key);
    boundary_text(place, &node->options.signer.key, note);
    assert_ok(node_sign((void *)(uintptr_t)signer, note->bytes, note->size_bytes, signature, &err),
              &err);
    audit_note_sign_line(&key, signature, note);
}

static void put_boundary(const struct node *node, const struct node *signer,
                         const struct replay *place, const char *name)
{
    struct buffer note = {0};
    sign_boundary(node, signer, place, &note);
    put_log_file(DIRECTORY(node), name, note.bytes, note.size_bytes);
    buffer_clear(&note);
}

static struct replay boundary_at(const struct node *node, unsigned number)
{
    struct lethe_error err = {0};
    struct replay place;
    int directory = open(DIRECTORY(node), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_ok(boundary_read(directory, number, &node->options.signer.key, &place, &err), &err);
    close(directory);
    return place;
}

/* There is one text for each place, and no bit of a note can change. */
static void a_boundary_has_one_spelling(void **state)
{
    struct node *node = many_files(4);
    const struct audit_key *key = &node->options.signer.key;
    struct buffer note = log_file(DIRECTORY(node), "000004.boundary");
    struct buffer again = {0};
    struct replay place;
    struct lethe_error err = {0};
    assert_ok(boundary_open(note.bytes, note.size_bytes, key, &place, &err), &err);
    boundary_text(&place, key, &again);
    assert_memory_equal(again.bytes, note.bytes, again.size_bytes);
    assert_int_equal(place.number, 4);
    assert_int_equal(place.chain.tree.leaves, 5);
    assert_int_equal(place.notes, 4);
    for (size_t at = 0; at < note.size_bytes; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            note.bytes[at] ^= (char)(1 << bit);
            assert_true(boundary_open(note.bytes, note.size_bytes, key, &place, NULL) != LETHE_OK);
            note.bytes[at] ^= (char)(1 << bit);
        }
    }
    for (size_t length = 0; length < note.size_bytes; length++)
        assert_result(LETHE_MALFORMED, boundary_open(note.bytes, length, key, &place, NULL));
    buffer_clear(&note);
    buffer_clear(&again);
    node_free(node);
}

/* Neither passes for the other, although one key signs both. */
static void a_boundary_is_no_checkpoint(void **state)
{
    struct node *node = many_files(2);
    const struct audit_key *key = &node->options.signer.key;
    struct audit_key named;
    struct audit_checkpoint checkpoint;
    struct replay place;
    struct buffer boundary = log_file(DIRECTORY(node), "000002.boundary");
    struct buffer note = log_file(DIRECTORY(node), "checkpoint");
    boundary_key(key, &named);
    assert_string_equal(named.name, "lethe/alpha/boundary");
    assert_result(LETHE_INTEGRITY, audit_checkpoint_open(boundary.bytes, boundary.size_bytes, key,
                                                         &checkpoint, NULL));
    assert_true(boundary_open(note.bytes, note.size_bytes, key, &place, NULL) != LETHE_OK);
    /* It reads as a checkpoint of its own origin: its first lines have that form. */
    assert_result(LETHE_OK, audit_checkpoint_open(boundary.bytes, boundary.size_bytes, &named,
                                                  &checkpoint, NULL));
    assert_int_equal(checkpoint.records, 1);
    buffer_clear(&boundary);
    buffer_clear(&note);
    node_free(node);
}

/* ---- opening --------------------------------------------------------------------------------- */

/* opening reads the newest file; what was changed before it is for audit_verify(), which reads
 * everything. Without boundaries opening does too. */
static void opening_reads_the_newest_file(void **state)
{
    struct node *node = many_files(4);
    struct lethe_error err = {0};
    struct audit_verify_report report;
    struct buffer first = log_file(DIRECTORY(node), "000001.jsonl");
    first.bytes[first.size_bytes / 2] ^= 1;
    put_log_file(DIRECTORY(node), "000001.jsonl", first.bytes, first.size_bytes);
    assert_result(LETHE_INTEGRITY, verify_log(node, DIRECTORY(node), &report, &err));
    assert_ok(open_result(node, &err), &err);

    remove_file(node, "000004.boundary");
    remove_file(node, "000003.boundary");
    remove_file(node, "000002.boundary");
    assert_both_refuse(node, "000001.jsonl:1");
    assert_false(has_file(node, "000004.boundary"));
    first.bytes[first.size_bytes / 2] ^= 1;
    put_log_file(DIRECTORY(node), "000001.jsonl", first.bytes, first.size_bytes);
    assert_ok(open_result(node, &err), &err);
    assert_true(has_file(node, "000004.boundary")); /* as for a log of an older version */
    must_verify(node, 7);

    struct buffer last = log_file(DIRECTORY(node), "000004.jsonl");
    last.bytes[last.size_bytes / 2] ^= 1;
    put_log_file(DIRECTORY(node), "000004.jsonl", last.bytes, last.size_bytes);
    assert_both_refuse(node, "000004.jsonl:");
    buffer_clear(&first);
    buffer_clear(&last);
    node_free(node);
}

/* The state is the same, from wherever it was read. */
static void the_head_does_not_depend_on_where_reading_began(void **state)
{
    struct node *node = many_files(6);
    for (unsigned removed = 6; removed >= 2; removed--) {
        struct audit_head head[2];
        char name[BOUNDARY_NAME_SIZE];
        boundary_name(removed, name);
        for (size_t i = 0; i < 2; i++) {
            struct audit_log *log = must_open(node);
            audit_head(log, &head[i]);
            must_close(log);
            if (i == 0)
                remove_file(node, name);
        }
        assert_memory_equal(&head[0], &head[1], sizeof head[0]);
    }
    struct audit_log *log = must_open(node);
    must_commit(log, 7);
    must_close(log);
    must_verify(node, 13);
    node_free(node);
}

/* what a crash can leave of a boundary is passed over, and made again from the records. */
static void a_torn_boundary_is_made_again(void **state)
{
    struct node *node = many_files(3);
    struct lethe_error err = {0};
    struct audit_verify_report report;
    struct buffer note = log_file(DIRECTORY(node), "000003.boundary");
    for (size_t length = 0; length < note.size_bytes; length++) {
        put_log_file(DIRECTORY(node), "000003.boundary", note.bytes, length);
        assert_result(LETHE_INTEGRITY, verify_log(node, DIRECTORY(node), &report, NULL));
        assert_ok(open_result(node, &err), &err);
        struct buffer again = log_file(DIRECTORY(node), "000003.boundary");
        assert_string_equal(again.bytes, note.bytes);
        buffer_clear(&again);
    }
    must_verify(node, 5);
    buffer_clear(&note);
    node_free(node);
}

/* Of an empty file a boundary says nothing: whoever began it died before its first record, and
 * others may have gone on in the file before. */
static void the_boundary_of_an_empty_file_says_nothing(void **state)
{
    struct node *node = many_files(2);
    struct replay stale = boundary_at(node, 2);
    stale.number = 3;
    put_log_file(DIRECTORY(node), "000003.jsonl", "", 0);
    put_boundary(node, node, &stale, "000003.boundary");
    must_verify(node, 3);
    node->options.limits.rotate_bytes = 0;
    struct audit_log *log = must_open(node);
    must_commit(log, 3);
    must_close(log);
    must_verify(node, 4);
    node->options.limits.rotate_bytes = 1;
    log = must_open(node);
    must_commit(log, 4);
    must_close(log);
    must_verify(node, 6);
    assert_int_equal(boundary_at(node, 3).chain.tree.leaves, 4);
    node_free(node);
}

/* ---- forged, moved, of another log ----------------------------------------------------------- */

static void boundaries_of_others_are_refused(void **state)
{
    struct node *node = many_files(3);
    struct node *beta = node_create("beta", DIRECTORY(node));
    struct replay place = boundary_at(node, 3);
    struct buffer second = log_file(DIRECTORY(node), "000002.boundary");
    struct buffer third = log_file(DIRECTORY(node), "000003.boundary");

    put_boundary(node, beta, &place, "000003.boundary"); /* another key under our name */
    assert_both_refuse(node, "forged");
    put_boundary(beta, beta, &place, "000003.boundary");
    assert_both_refuse(node, "no boundary of this log: expected lethe/alpha/boundary");
    put_log_file(DIRECTORY(node), "000003.boundary", second.bytes, second.size_bytes);
    assert_both_refuse(node, "000003.boundary: the boundary of file 2");
    put_log_file(DIRECTORY(node), "000003.boundary", third.bytes, third.size_bytes);
    must_verify(node, 5);
    buffer_clear(&second);
    buffer_clear(&third);
    node_free(beta);
    node_free(node);
}

/* Signed by the log's key, but of another state: an older one, or one of a log that was put back.
 */
static void boundaries_that_do_not_fit_are_refused(void **state)
{
    struct node *node = many_files(3);
    struct replay genuine = boundary_at(node, 3);
    struct replay older = boundary_at(node, 2);

    older.number = 3;
    put_boundary(node, node, &older, "000003.boundary");
    assert_both_refuse(node, "does not fit");

    struct node *other = node_fresh("alpha");
    other->now_ns += 1000000000;
    other->options.limits.rotate_bytes = 1;
    struct audit_log *log = must_open(other);
    for (unsigned i = 0; i < 3; i++)
        must_commit(log, i + 1);
    must_close(log);
    struct replay another = boundary_at(other, 3);
    assert_int_equal(another.chain.tree.leaves, genuine.chain.tree.leaves);
    put_boundary(node, node, &another, "000003.boundary");
    assert_both_refuse(node, "does not fit");

    struct replay changed = genuine;
    changed.chain.prev[0] ^= 1;
    put_boundary(node, node, &changed, "000003.boundary");
    assert_both_refuse(node, "does not fit");

    put_boundary(node, node, &genuine, "000003.boundary");
    must_verify(node, 5);
    node_free(other);
    node_free(node);
}

/* The checkpoint that it names was cut off, or changed. */
static void a_boundary_needs_its_checkpoint(void **state)
{
    struct node *node = many_files(3);
    struct replay place = boundary_at(node, 3);
    struct buffer notes = log_file(DIRECTORY(node), "checkpoints");
    put_log_file(DIRECTORY(node), "checkpoints", notes.bytes, (size_t)place.note_at);
    assert_both_refuse(node, "");
    for (uint64_t at = place.note_at; at < place.note_offset; at += 7) {
        notes.bytes[at] ^= 1;
        put_log_file(DIRECTORY(node), "checkpoints", notes.bytes, notes.size_bytes);
        assert_both_refuse(node, "");
        notes.bytes[at] ^= 1;
    }
    put_log_file(DIRECTORY(node), "checkpoints", notes.bytes, notes.size_bytes);
    must_verify(node, 5);
    buffer_clear(&notes);
    node_free(node);
}

/* files of records that change places, are cut, doubled, or come from another log. The
 * verifier refuses each; opening does when it reads the file, and never begins on one that does not
 * fit. */
static void moved_cut_and_foreign_files_are_refused(void **state)
{
    struct node *node = many_files(4);
    struct node *beta = node_fresh("beta");
    struct audit_verify_report report;
    beta->options.limits.rotate_bytes = 1;
    struct audit_log *log = must_open(beta);
    for (unsigned i = 0; i < 4; i++)
        must_commit(log, i + 1);
    must_close(log);
    for (unsigned to = 1; to <= 4; to++) {
        char name[FILES_NAME_SIZE];
        files_name(to, name);
        struct buffer genuine = log_file(DIRECTORY(node), name);
        for (unsigned from = 1; from <= 6; from++) {
            char other[FILES_NAME_SIZE];
            files_name(from <= 4 ? from : to, other);
            struct buffer content = log_file(DIRECTORY(from == 5 ? beta : node), other);
            size_t size_bytes = from == 6 ? content.size_bytes / 2 : content.size_bytes;
            put_log_file(DIRECTORY(node), name, content.bytes, size_bytes);
            lethe_result verified = verify_log(node, DIRECTORY(node), &report, NULL);
            lethe_result opened = open_result(node, NULL);
            assert_result(from == to ? LETHE_OK : LETHE_INTEGRITY, verified);
            assert_result(from == to || to < 4 ? LETHE_OK : LETHE_INTEGRITY, opened);
            put_log_file(DIRECTORY(node), name, genuine.bytes, genuine.size_bytes);
            buffer_clear(&content);
        }
        buffer_clear(&genuine);
    }
    must_verify(node, 7);
    node_free(beta);
    node_free(node);
}

/* What may be in its place: nothing that holds anybody up, or is followed elsewhere. */
static void what_is_no_file_is_refused(void **state)
{
    struct node *node = many_files(2);
    struct lethe_error err = {0};
    const char *path = path_in(DIRECTORY(node), "000002.boundary");
    remove_file(node, "000002.boundary");
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_both_refuse(node, "not a regular file");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("000001.jsonl", path), 0);
    assert_both_refuse(node, "not a regular file");
    assert_int_equal(unlink(path), 0);
    put_log_file(DIRECTORY(node), "000002.boundary", "x", 1);
    assert_int_equal(truncate(path, 1 << 20), 0);
    assert_ok(open_result(node, &err), &err);
    must_verify(node, 3);
    node_free(node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_boundary_has_one_spelling),
        cmocka_unit_test(a_boundary_is_no_checkpoint),
        cmocka_unit_test(opening_reads_the_newest_file),
        cmocka_unit_test(the_head_does_not_depend_on_where_reading_began),
        cmocka_unit_test(a_torn_boundary_is_made_again),
        cmocka_unit_test(the_boundary_of_an_empty_file_says_nothing),
        cmocka_unit_test(boundaries_of_others_are_refused),
        cmocka_unit_test(boundaries_that_do_not_fit_are_refused),
        cmocka_unit_test(a_boundary_needs_its_checkpoint),
        cmocka_unit_test(moved_cut_and_foreign_files_are_refused),
        cmocka_unit_test(what_is_no_file_is_refused),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
