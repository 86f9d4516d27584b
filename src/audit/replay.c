#include "audit/replay.h"

#include <string.h>

#include "audit/boundary.h"
#include "audit/lines.h"
#include "audit/note.h"
#include "base/error.h"

/* A checkpoint from elsewhere that the log must have come by. */
struct anchor {
    const char *from;
    struct audit_checkpoint checkpoint;
};

struct walk {
    const struct replay_options *options;
    struct replay *at;
    const char *node;
    struct lines lines;
    struct stream notes;
    struct anchor anchors[2];
    size_t anchor_count;
    struct buffer newest;    /* the last note read, while its signature is not checked */
    uint64_t signed_records; /* by the last note whose records were all read           */
};

static void walk_clear_at_scope_end(struct walk *walk)
{
    lines_close(&walk->lines);
    stream_close(&walk->notes);
    buffer_clear(&walk->newest);
}

/* What is malformed in a log was changed there. */
static lethe_result as_integrity(lethe_result result, struct lethe_error *err)
{
    if (result != LETHE_MALFORMED)
        return result;
    if (err != NULL)
        err->code = LETHE_INTEGRITY;
    return LETHE_INTEGRITY;
}

/* ---- anchors --------------------------------------------------------------------------------- */

static lethe_result compare_root(const struct merkle *tree, const uint8_t expected[32],
                                 struct lethe_error *err)
{
    uint8_t root[MERKLE_HASH_BYTES];
    merkle_root(tree, root);
    if (memcmp(root, expected, sizeof root) != 0)
        return error_set(err, LETHE_INTEGRITY,
                         "the root of the first %llu records differs: one of them was changed",
                         (unsigned long long)tree->leaves);
    return LETHE_OK;
}

static lethe_result check_anchors(const struct walk *walk, struct lethe_error *err)
{
    for (size_t i = 0; i < walk->anchor_count; i++) {
        const struct anchor *anchor = &walk->anchors[i];
        if (anchor->checkpoint.records == walk->at->chain.tree.leaves)
            TRY(error_context(err,
                              compare_root(&walk->at->chain.tree, anchor->checkpoint.root, err),
                              "%s", anchor->from));
    }
    return LETHE_OK;
}

static lethe_result check_anchors_reached(const struct walk *walk, struct lethe_error *err)
{
    for (size_t i = 0; i < walk->anchor_count; i++) {
        const struct anchor *anchor = &walk->anchors[i];
        if (anchor->checkpoint.records > walk->at->chain.tree.leaves)
            return error_set(err, LETHE_INTEGRITY,
                             "%s signs %llu records, the log has %llu: it was cut or rolled back",
                             anchor->from, (unsigned long long)anchor->checkpoint.records,
                             (unsigned long long)walk->at->chain.tree.leaves);
    }
    return LETHE_OK;
}

/* Says which checkpoint of `checkpoints` it is about: the one behind those that were taken. */
static lethe_result note_context(const struct walk *walk, lethe_result result,
                                 struct lethe_error *err)
{
    return error_context(err, result, FILES_CHECKPOINTS ": note %llu",
                         (unsigned long long)walk->at->notes + 1);
}

/* ---- records --------------------------------------------------------------------------------- */

/* A boundary that is there says what the records before it say. */
static lethe_result check_boundary(const struct walk *walk, const struct replay *begin,
                                   struct lethe_error *err)
{
    struct replay there;
    CLEANUP(buffer_clear) struct buffer expected = {0};
    CLEANUP(buffer_clear) struct buffer found = {0};
    const struct audit_key *key = walk->options->key;
    lethe_result result = boundary_read(walk->options->directory, begin->number, key, &there, err);
    if (result == LETHE_NOT_FOUND)
        return LETHE_OK;
    TRY(as_integrity(result, err));
    boundary_text(begin, key, &expected);
    boundary_text(&there, key, &found);
    TRY(buffer_result(&expected, err));
    TRY(buffer_result(&found, err));
    if (strcmp(expected.bytes, found.bytes) != 0)
        return error_set(err, LETHE_INTEGRITY, "%06u.boundary does not fit the records before it",
                         begin->number);
    return LETHE_OK;
}

/* Before the first line of a file. */
static lethe_result begin_file(struct walk *walk, struct lethe_error *err)
{
    struct replay begin = *walk->at;
    begin.number = walk->lines.number;
    begin.offset = begin.line = begin.begun_ns = 0;
    if (begin.number < BOUNDARY_NUMBER_MIN)
        return LETHE_OK;
    if (walk->options->begun != NULL && begin.chain.tree.leaves == walk->signed_records)
        *walk->options->begun = begin;
    return walk->options->every_signature ? check_boundary(walk, &begin, err) : LETHE_OK;
}

static void keep_line(struct walk *walk, const char *line, size_t length,
                      const struct record_line *record)
{
    struct replay *at = walk->at;
    chain_append(&at->chain, line, length, record->epoch);
    at->number = walk->lines.number;
    at->offset = walk->lines.stream.offset;
    at->line = walk->lines.line;
    at->time_ns = record->time_ns;
    if (at->line == 1)
        at->begun_ns = record->time_ns;
    if (record->kept_file > 0)
        at->trimmed = (struct replay_trimmed){record->kept_file, record->kept_record};
}

static lethe_result take_line(struct walk *walk, const char *line, size_t length,
                              struct lethe_error *err)
{
    struct record_line record;
    TRY(as_integrity(record_parse(line, length, &record, err), err));
    TRY(chain_check(&walk->at->chain, walk->node, &record, err));
    if (walk->lines.line == 1)
        TRY(begin_file(walk, err));
    keep_line(walk, line, length, &record);
    TRY(check_anchors(walk, err));
    if (walk->options->visit == NULL)
        return LETHE_OK;
    return walk->options->visit(walk->options->context,
                                &(struct audit_record){line, length, record.seq, record.epoch},
                                err);
}

static lethe_result take_lines_until(struct walk *walk, uint64_t records, struct lethe_error *err)
{
    while (walk->at->chain.tree.leaves < records) {
        const char *line = NULL;
        size_t length = 0;
        TRY(lines_next(&walk->lines, &line, &length, err));
        if (line == NULL)
            return note_context(
                walk,
                error_set(err, LETHE_INTEGRITY,
                          "signs %llu records, but only %llu are there: the log was cut",
                          (unsigned long long)records,
                          (unsigned long long)walk->at->chain.tree.leaves),
                err);
        TRY(error_context(err, take_line(walk, line, length, err), "%s:%llu", walk->lines.name,
                          (unsigned long long)walk->lines.line));
    }
    return LETHE_OK;
}

/* ---- checkpoints ----------------------------------------------------------------------------- */

/* The first one signs the empty log, and each further one more records than the one before. */
static lethe_result check_order(const struct walk *walk, const struct audit_checkpoint *checkpoint,
                                struct lethe_error *err)
{
    uint64_t before = walk->at->chain.tree.leaves;
    bool fits = walk->at->notes == 0 ? checkpoint->records == 0 : checkpoint->records > before;
    if (!fits)
        return error_set(err, LETHE_INTEGRITY,
                         "signs %llu records behind one of %llu: removed, repeated or moved",
                         (unsigned long long)checkpoint->records, (unsigned long long)before);
    if (strcmp(checkpoint->origin, walk->options->key->name) != 0)
        return error_set(err, LETHE_INTEGRITY, "a checkpoint of another log: expected %s",
                         walk->options->key->name);
    return LETHE_OK;
}

static lethe_result open_note(const struct walk *walk, const struct buffer *note,
                              struct audit_checkpoint *out, struct lethe_error *err)
{
    return as_integrity(
        audit_checkpoint_open(note->bytes, note->size_bytes, walk->options->key, out, err), err);
}

/* The newest note is kept: unless every signature is checked, its is the only one that has to be.
 */
static lethe_result read_note(struct walk *walk, const char *note, size_t size_bytes,
                              struct audit_checkpoint *out, struct lethe_error *err)
{
    buffer_truncate(&walk->newest, 0);
    buffer_append(&walk->newest, note, size_bytes);
    TRY(buffer_result(&walk->newest, err));
    if (walk->options->every_signature)
        return open_note(walk, &walk->newest, out, err);
    return as_integrity(audit_checkpoint_read(note, size_bytes, out, err), err);
}

static lethe_result take_note(struct walk *walk, const char *note, size_t size_bytes,
                              struct lethe_error *err)
{
    struct audit_checkpoint checkpoint = {0};
    TRY(note_context(walk, read_note(walk, note, size_bytes, &checkpoint, err), err));
    TRY(note_context(walk, check_order(walk, &checkpoint, err), err));
    TRY(take_lines_until(walk, checkpoint.records, err));
    TRY(note_context(walk, compare_root(&walk->at->chain.tree, checkpoint.root, err), err));
    walk->signed_records = checkpoint.records;
    if (walk->options->compared != NULL)
        *walk->options->compared = checkpoint.records;
    walk->at->notes++;
    walk->at->note_at = walk->at->note_offset;
    walk->at->note_offset = walk->notes.offset;
    return LETHE_OK;
}

static lethe_result take_notes(struct walk *walk, struct lethe_error *err)
{
    for (;;) {
        const char *unit = NULL;
        size_t length = 0;
        TRY(stream_next(&walk->notes, stream_note, &unit, &length, err));
        if (unit == NULL)
            return LETHE_OK;
        TRY(take_note(walk, unit, length - 1, err));
    }
}

static lethe_result check_newest(const struct walk *walk, struct lethe_error *err)
{
    struct audit_checkpoint checkpoint;
    if (walk->at->notes == 0)
        return error_set(err, LETHE_INTEGRITY, FILES_CHECKPOINTS " holds no whole checkpoint");
    if (walk->newest.size_bytes == 0) /* none since the last run */
        return LETHE_OK;
    return error_context(err, open_note(walk, &walk->newest, &checkpoint, err),
                         FILES_CHECKPOINTS ": note %llu", (unsigned long long)walk->at->notes);
}

/* ---- the run --------------------------------------------------------------------------------- */

/* A log whose making was interrupted: perhaps its first checkpoint, but no file of records yet. */
static bool is_unborn(const struct walk *walk)
{
    const struct files_view *view = walk->options->view;
    return view->last_number == 0 && !view->has_checkpoint && walk->at->notes == 0 &&
           view->notes_bytes <= note_genesis_bytes(walk->options->key) + 1;
}

static lethe_result add_anchors(struct walk *walk, struct lethe_error *err)
{
    const struct files_view *view = walk->options->view;
    if (walk->options->anchored)
        walk->anchors[walk->anchor_count++] =
            (struct anchor){"the checkpoint that was kept", walk->options->since};
    if (!view->has_checkpoint)
        return LETHE_OK;
    struct anchor *anchor = &walk->anchors[walk->anchor_count++];
    anchor->from = FILES_CHECKPOINT;
    return error_context(err, open_note(walk, &view->checkpoint, &anchor->checkpoint, err),
                         FILES_CHECKPOINT);
}

static lethe_result walk_open(struct walk *walk, struct lethe_error *err)
{
    const struct replay *at = walk->at;
    const struct files_view *view = walk->options->view;
    if (is_unborn(walk))
        return error_set(err, LETHE_NOT_FOUND, "there is no log");
    if (!view->has_notes)
        return error_set(err, LETHE_INTEGRITY, FILES_CHECKPOINTS " is missing");
    if (view->notes_bytes < at->note_offset)
        return error_set(err, LETHE_INTEGRITY, FILES_CHECKPOINTS " became shorter");
    TRY(add_anchors(walk, err));

    lines_open(&walk->lines, walk->options->directory, view);
    if (at->number > 0)
        TRY(lines_seek(&walk->lines, at->number, at->offset, at->line, err));
    return stream_open(&walk->notes, walk->options->directory, FILES_CHECKPOINTS,
                       (struct stream_range){at->note_offset, view->notes_bytes}, err);
}

/* The file with the last signed record is the last one, unless a next one was begun and nothing
 * came to be in it. */
static lethe_result find_newest_file(const struct walk *walk, uint64_t *size_bytes,
                                     struct lethe_error *err)
{
    const struct files_view *view = walk->options->view;
    unsigned number = MAX(walk->at->number, 1);
    char name[FILES_NAME_SIZE];
    if (view->last_number <= number)
        return LETHE_OK;
    if (view->last_number > number + 1 || view->last_bytes > 0)
        return error_set(err, LETHE_INTEGRITY, "no checkpoint covers %06u.jsonl",
                         view->last_number);
    files_name(number, name);
    return files_size(walk->options->directory, name, size_bytes, err);
}

/* What is missing in front was trimmed, on record. */
static lethe_result check_trimmed(const struct walk *walk, struct lethe_error *err)
{
    unsigned first = walk->options->view->first_number;
    if (first <= MAX(walk->at->trimmed.file, 1))
        return LETHE_OK;
    return error_set(err, LETHE_INTEGRITY,
                     "%06u.jsonl is missing, and no record says that it was trimmed", first - 1);
}

/* `checkpoint` is written last of all, and is missing only before the first record. */
static lethe_result find_tail(const struct walk *walk, struct replay_tail *tail,
                              struct lethe_error *err)
{
    const struct replay *at = walk->at;
    const struct files_view *view = walk->options->view;
    if (!view->has_checkpoint && at->chain.tree.leaves > 0)
        return error_set(err, LETHE_INTEGRITY, FILES_CHECKPOINT " is missing");
    uint64_t newest_bytes = view->last_bytes;
    TRY(find_newest_file(walk, &newest_bytes, err));
    *tail = (struct replay_tail){
        .record_bytes = newest_bytes - at->offset,
        .note_bytes = view->notes_bytes - at->note_offset,
        .checkpoint_lags =
            !view->has_checkpoint ||
            walk->anchors[walk->anchor_count - 1].checkpoint.records < at->chain.tree.leaves,
    };
    return LETHE_OK;
}

lethe_result replay_run(struct replay *replay, const struct replay_options *options,
                        struct replay_tail *tail, struct lethe_error *err)
{
    CLEANUP(walk_clear)
    struct walk walk = {
        .options = options,
        .at = replay,
        .node = options->key->name + strlen(RECORD_ORIGIN_PREFIX),
        .signed_records = replay->chain.tree.leaves,
    };
    TRY(walk_open(&walk, err));
    TRY(check_anchors(&walk, err));
    TRY(take_notes(&walk, err));
    TRY(check_newest(&walk, err));
    TRY(check_anchors_reached(&walk, err));
    TRY(check_trimmed(&walk, err));
    return find_tail(&walk, tail, err);
}

lethe_result replay_root_at(const struct replay *from, int directory, const struct files_view *view,
                            uint64_t records, uint8_t root[32], struct lethe_error *err)
{
    CLEANUP(lines_close) struct lines lines;
    struct merkle tree = from->chain.tree;
    REQUIRE(tree.leaves <= records);
    lines_open(&lines, directory, view);
    if (from->number > 0)
        TRY(lines_seek(&lines, from->number, from->offset, from->line, err));
    while (tree.leaves < records) {
        const char *line = NULL;
        size_t length = 0;
        uint8_t leaf[MERKLE_HASH_BYTES];
        TRY(lines_next(&lines, &line, &length, err));
        if (line == NULL)
            return error_set(err, LETHE_NOT_FOUND, "the log never had %llu records",
                             (unsigned long long)records);
        merkle_leaf(line, length, leaf);
        merkle_append(&tree, leaf);
    }
    merkle_root(&tree, root);
    return LETHE_OK;
}
