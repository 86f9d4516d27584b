#include "audit/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

/* A crash leaves one group at most. More behind the newest checkpoint means that `checkpoints` is
 * damaged, and overwriting it would make that worse. */
#define TAIL_RECORD_BYTES_MAX ((uint64_t)(WRITER_GROUP_MAX + 2) * RECORD_LINE_MAX)
#define TAIL_NOTE_BYTES_MAX 1024u

#define ROTATE_BYTES ((uint64_t)16 << 20)

struct group {
    struct chain chain; /* what the log comes to with it */
    struct buffer lines;
    struct buffer leaves; /* their hashes in the tree */
    uint64_t count;
    struct buffer note; /* and the blank line behind it */
};

static void group_clear_at_scope_end(struct group *group)
{
    buffer_clear(&group->lines);
    buffer_clear(&group->leaves);
    buffer_clear(&group->note);
}

/* ---- what is there --------------------------------------------------------------------------- */

static lethe_result check_tail(const struct replay_tail *tail, struct lethe_error *err)
{
    if (tail->record_bytes <= TAIL_RECORD_BYTES_MAX && tail->note_bytes <= TAIL_NOTE_BYTES_MAX)
        return LETHE_OK;
    error_set(err, LETHE_INTEGRITY,
              "no checkpoint covers the last %llu bytes of records: more than a crash can leave",
              (unsigned long long)tail->record_bytes);
    error_hint(err, "if " FILES_CHECKPOINTS " was cut, bring it back from a backup");
    return LETHE_INTEGRITY;
}

/* ---- what is in the journal only ------------------------------------------------------------- */

/* Writes only what differs: a reader without the lock sees nothing change that was good. After a
 * sync that failed everything is written again: the kernel has forgotten that it was not. */
static lethe_result put_back(const struct writer *writer, const char *name, uint64_t at,
                             const struct buffer *bytes, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer there = {0};
    struct stat status;
    CLEANUP(fd_close)
    int fd =
        openat(writer->directory, name,
               O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (at == 0 ? O_CREAT : 0), FILES_MODE);
    if (fd < 0 || fstat(fd, &status) != 0)
        return error_from_errno(err, "opening %s", name);
    if (!S_ISREG(status.st_mode) || (uint64_t)status.st_size < at)
        return error_set(err, LETHE_INTEGRITY,
                         "%s is shorter than where the journal begins: it was cut", name);
    if (writer->sync_failed)
        return file_write_at(fd, name, at, bytes->bytes, bytes->size_bytes, err);
    size_t held = (size_t)MIN((uint64_t)status.st_size - at, bytes->size_bytes);
    char *room = buffer_extend(&there, held);
    TRY(buffer_result(&there, err));
    TRY(file_read_at(fd, name, at, room, held, err));
    if (held == bytes->size_bytes && memcmp(room, bytes->bytes, held) == 0)
        return LETHE_OK;
    return file_write_at(fd, name, at, bytes->bytes, bytes->size_bytes, err);
}

/* Lines are checked once they are in the files; but nothing that was made without our key gets
 * there. */
static lethe_result check_group(const struct writer *writer, const struct journal_group *group,
                                struct lethe_error *err)
{
    struct audit_checkpoint checkpoint;
    if (group->note_bytes == 0 ||
        audit_checkpoint_open(group->note, group->note_bytes - 1, &writer->signer.key, &checkpoint,
                              NULL) != LETHE_OK ||
        checkpoint.records != group->records + group->count)
        return error_set(err, LETHE_INTEGRITY, JOURNAL_NAME " holds a group that nobody signed");
    return LETHE_OK;
}

static lethe_result put_group_back(const struct writer *writer, const struct journal_group *group,
                                   struct lethe_error *err)
{
    char name[FILES_NAME_SIZE];
    TRY(check_group(writer, group, err));
    if (group->number < 1 || group->number > FILES_NUMBER_MAX)
        return error_set(err, LETHE_INTEGRITY, JOURNAL_NAME " names a file that cannot be there");
    files_name(group->number, name);
    const struct buffer lines = {.bytes = (char *)(uintptr_t)group->lines,
                                 .size_bytes = group->lines_bytes};
    const struct buffer note = {.bytes = (char *)(uintptr_t)group->note,
                                .size_bytes = group->note_bytes};
    TRY(put_back(writer, name, group->lines_at, &lines, err));
    return put_back(writer, FILES_CHECKPOINTS, group->note_at, &note, err);
}

/* What is put into the files is checked there, as everything that somebody else wrote. */
static lethe_result recover(struct writer *writer, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer bytes = {0};
    struct journal_group group;
    enum journal_found found;
    TRY(journal_follow(&writer->journal, err));
    if (writer->files_lag || writer->sync_failed)
        journal_begin_anew(&writer->journal);
    do {
        TRY(journal_next(&writer->journal, &bytes, &group, &found, err));
        if (found == JOURNAL_GROUP)
            TRY(error_context(err, put_group_back(writer, &group, err), "finishing a group"));
    } while (found == JOURNAL_GROUP);
    writer->torn = found == JOURNAL_TORN;
    writer->files_lag = writer->sync_failed = false;
    return LETHE_OK;
}

static void records_name(const struct writer *writer, char out[FILES_NAME_SIZE])
{
    files_name(MAX(writer->replay.number, 1), out);
}

static lethe_result open_private(const struct writer *writer, const char *name, int flags, int *out,
                                 struct lethe_error *err)
{
    struct stat status;
    CLEANUP(fd_close)
    int fd = openat(writer->directory, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, FILES_MODE);
    if (fd < 0 || fstat(fd, &status) != 0)
        return error_from_errno(err, "opening %s", name);
    TRY(file_check_private(name, &status, err));
    *out = FD_MOVE(fd);
    return LETHE_OK;
}

/* The file that the next group goes to. */
static lethe_result open_records(struct writer *writer, struct lethe_error *err)
{
    char name[FILES_NAME_SIZE];
    int fd = -1;
    records_name(writer, name);
    TRY(open_private(writer, name, O_CREAT, &fd, err));
    fd_close(writer->records);
    writer->records = fd;
    writer->reserved = 0;
    return LETHE_OK;
}

static lethe_result read_on(struct writer *writer, struct replay_tail *tail,
                            struct lethe_error *err)
{
    CLEANUP(files_view_clear) struct files_view view = {0};
    struct replay replay = writer->replay;
    TRY(files_look(writer->directory, &view, err));
    const struct replay_options options = {
        .directory = writer->directory, .view = &view, .key = &writer->signer.key};
    TRY(replay_run(&replay, &options, tail, err));
    TRY(check_tail(tail, err));
    writer->checkpoint_lags = tail->checkpoint_lags;
    bool elsewhere = writer->records >= 0 && replay.number != writer->replay.number;
    writer->replay = replay;
    return elsewhere ? open_records(writer, err) : LETHE_OK;
}

/* LETHE_INTEGRITY when the name no longer leads to the file that is open. */
static lethe_result size_of_open(const struct writer *writer, int fd, const char *name,
                                 uint64_t *size_bytes, struct lethe_error *err)
{
    struct stat opened;
    struct stat named;
    if (fstat(fd, &opened) != 0)
        return error_from_errno(err, "looking at %s", name);
    if (fstatat(writer->directory, name, &named, AT_SYMLINK_NOFOLLOW) != 0 ||
        named.st_ino != opened.st_ino || named.st_dev != opened.st_dev)
        return error_set(err, LETHE_INTEGRITY, "%s was replaced or removed while it was open",
                         name);
    *size_bytes = (uint64_t)opened.st_size;
    return LETHE_OK;
}

static lethe_result catch_up(struct writer *writer, struct replay_tail *tail,
                             struct lethe_error *err)
{
    char name[FILES_NAME_SIZE];
    uint64_t record_bytes = 0;
    uint64_t note_bytes = 0;
    TRY(recover(writer, err));
    records_name(writer, name);
    TRY(size_of_open(writer, writer->records, name, &record_bytes, err));
    TRY(size_of_open(writer, writer->notes, FILES_CHECKPOINTS, &note_bytes, err));
    *tail = (struct replay_tail){0};
    if (record_bytes == writer->replay.offset && note_bytes == writer->replay.note_offset)
        return LETHE_OK;
    return read_on(writer, tail, err);
}

/* ---- making a group -------------------------------------------------------------------------- */

static lethe_result add_record(const struct writer *writer, struct group *group,
                               const struct entry *entry, struct lethe_error *err)
{
    size_t start = group->lines.size_bytes;
    const struct record_place place = {
        .node = writer_node(writer),
        .seq = group->chain.tree.leaves,
        .time_ns = entry->time_ns,
        .prev = group->chain.prev,
    };
    record_append(&group->lines, &place, &entry->who, entry->event);
    TRY(buffer_result(&group->lines, err));
    const char *line = group->lines.bytes + start;
    size_t length = group->lines.size_bytes - start;
    uint8_t leaf[MERKLE_HASH_BYTES];
    chain_append(&group->chain, line, length, audit_event_epoch(entry->event));
    merkle_leaf(line, length, leaf);
    buffer_append(&group->leaves, leaf, sizeof leaf);
    TRY(buffer_result(&group->leaves, err));
    buffer_byte(&group->lines, '\n');
    group->count++;
    return buffer_result(&group->lines, err);
}

static lethe_result add_repair(const struct writer *writer, struct group *group,
                               const struct replay_tail *tail, struct lethe_error *err)
{
    uint64_t cut_bytes = tail->record_bytes + tail->note_bytes;
    if (cut_bytes == 0 && !writer->torn)
        return LETHE_OK;
    const struct audit_event event = audit_log_repaired(
        cut_bytes > 0
            ? "no checkpoint covered these bytes: left by a crash, or added without the key"
            : "a group that a crash interrupted was never finished",
        cut_bytes, group->chain.tree.leaves);
    const struct entry entry = {.event = &event, .time_ns = clock_wall_ns(writer->clock)};
    return add_record(writer, group, &entry, err);
}

/* Appends the signed note over the first records of a log, as `chain` knows them. */
static lethe_result sign_chain(const struct writer *writer, const struct chain *chain,
                               struct buffer *out, struct lethe_error *err)
{
    const struct audit_key *key = &writer->signer.key;
    struct audit_checkpoint checkpoint = {.records = chain->tree.leaves};
    uint8_t signature[64];
    memcpy(checkpoint.origin, key->name, sizeof checkpoint.origin);
    merkle_root(&chain->tree, checkpoint.root);
    audit_checkpoint_text(&checkpoint, out);
    TRY(buffer_result(out, err));
    TRY(error_context(
        err,
        writer->signer.sign(writer->signer.context, out->bytes, out->size_bytes, signature, err),
        "signing a checkpoint"));
    audit_note_sign_line(key, signature, out);
    return buffer_result(out, err);
}

static lethe_result add_rotation(const struct writer *writer, struct group *group,
                                 struct lethe_error *err)
{
    if (!writer->rotated)
        return LETHE_OK;
    const struct audit_event event =
        audit_log_rotated(writer->replay.number - 1, group->chain.tree.leaves, "size");
    const struct entry entry = {.event = &event, .time_ns = clock_wall_ns(writer->clock)};
    return add_record(writer, group, &entry, err);
}

static lethe_result make_group(const struct writer *writer, const struct entry *list,
                               const struct replay_tail *tail, struct group *group,
                               struct lethe_error *err)
{
    TRY(add_rotation(writer, group, err));
    TRY(add_repair(writer, group, tail, err));
    for (; list != NULL; list = list->next)
        TRY(add_record(writer, group, list, err));
    TRY(sign_chain(writer, &group->chain, &group->note, err));
    buffer_byte(&group->note, '\n');
    return buffer_result(&group->note, err);
}

/* ---- writing it ------------------------------------------------------------------------------ */

#define RESERVE_BYTES ((uint64_t)64 << 10)

static lethe_result reserve(int fd, uint64_t from, uint64_t to)
{
    int failed =
        to <= from ? 0 : fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)(to - from));
    return failed == 0 || errno == EOPNOTSUPP || errno == ENOSYS ? LETHE_OK : LETHE_NO_SPACE;
}

/* A disk that is full is found before the group counts, not after. */
static lethe_result reserve_room(struct writer *writer, const struct journal_group *group,
                                 struct lethe_error *err)
{
    uint64_t lines_end = group->lines_at + group->lines_bytes;
    uint64_t note_end = group->note_at + group->note_bytes;
    if (lines_end <= writer->reserved && note_end <= writer->notes_reserved)
        return LETHE_OK;
    if (reserve(writer->records, group->lines_at, lines_end + RESERVE_BYTES) == LETHE_OK &&
        reserve(writer->notes, group->note_at, note_end + RESERVE_BYTES) == LETHE_OK) {
        writer->reserved = lines_end + RESERVE_BYTES;
        writer->notes_reserved = note_end + RESERVE_BYTES;
        return LETHE_OK;
    }
    if (reserve(writer->records, group->lines_at, lines_end) == LETHE_OK &&
        reserve(writer->notes, group->note_at, note_end) == LETHE_OK)
        return LETHE_OK;
    return error_from_errno(err, "room for %u records", group->count);
}

/* A tail longer than what goes over it is cut first: it must not be taken for a part of it. */
static lethe_result cut_tails(struct writer *writer, const struct replay_tail *tail,
                              struct lethe_error *err)
{
    if ((tail->record_bytes > 0 && ftruncate(writer->records, (off_t)writer->replay.offset) != 0) ||
        (tail->note_bytes > 0 && ftruncate(writer->notes, (off_t)writer->replay.note_offset) != 0))
        return error_from_errno(err, "cutting what no checkpoint covers");
    return LETHE_OK;
}

static lethe_result sync_files(struct writer *writer, struct lethe_error *err)
{
    writer->sync_failed = fdatasync(writer->records) != 0 || fdatasync(writer->notes) != 0;
    return writer->sync_failed ? error_from_errno(err, "syncing the log") : LETHE_OK;
}

static lethe_result write_journal(struct writer *writer, const struct journal_group *group,
                                  struct lethe_error *err)
{
    bool undone = true;
    if (journal_is_full_for(&writer->journal, group)) {
        TRY(sync_files(writer, err));
        journal_begin_anew(&writer->journal);
    }
    lethe_result result = journal_append(&writer->journal, group, &undone, err);
    writer->broken = !undone;
    return result;
}

/* Failing here loses nothing: the journal has the group, and the next one begins with putting it
 * where it belongs. */
static void write_files(struct writer *writer, const struct journal_group *group)
{
    char name[FILES_NAME_SIZE];
    records_name(writer, name);
    writer->files_lag = file_write_at(writer->records, name, group->lines_at, group->lines,
                                      group->lines_bytes, NULL) != LETHE_OK ||
                        file_write_at(writer->notes, FILES_CHECKPOINTS, group->note_at, group->note,
                                      group->note_bytes, NULL) != LETHE_OK;
    writer->checkpoint_lags =
        writer->files_lag || files_replace_checkpoint(writer->directory, group->note,
                                                      group->note_bytes - 1, NULL) != LETHE_OK;
}

/* Tiles that are missing are made again by whoever needs them. */
static void write_tiles(struct writer *writer, const struct group *group, uint64_t first)
{
    (void)!tiles_append(writer->tiles, first,
                        (const uint8_t(*)[MERKLE_HASH_BYTES])group->leaves.bytes, group->count,
                        NULL);
}

static void keep_group(struct writer *writer, const struct group *group)
{
    struct replay *replay = &writer->replay;
    replay->chain = group->chain;
    replay->number = MAX(replay->number, 1);
    replay->offset += group->lines.size_bytes;
    replay->line += group->count;
    replay->notes++;
    replay->note_offset += group->note.size_bytes;
    writer->torn = false;
    writer->rotated = false;
}

static struct journal_group placed(const struct writer *writer, const struct group *group)
{
    return (struct journal_group){
        .records = writer->replay.chain.tree.leaves,
        .lines_at = writer->replay.offset,
        .note_at = writer->replay.note_offset,
        .number = MAX(writer->replay.number, 1),
        .count = (uint32_t)group->count,
        .lines = group->lines.bytes,
        .note = group->note.bytes,
        .lines_bytes = (uint32_t)group->lines.size_bytes,
        .note_bytes = (uint32_t)group->note.size_bytes,
    };
}

/* Space that was reserved behind the end is given back. */
static lethe_result trim(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && ftruncate(fd, status.st_size) == 0 ? LETHE_OK : LETHE_IO;
}

static lethe_result move_to(struct writer *writer, const struct replay *place,
                            struct lethe_error *err)
{
    writer->replay = *place;
    return open_records(writer, err);
}

/* Begins the next file of records. An empty last file is no harm, whoever leaves one. */
static lethe_result rotate(struct writer *writer, struct lethe_error *err)
{
    struct replay next = writer->replay;
    TRY(sync_files(writer, err));
    journal_begin_anew(&writer->journal);
    if (trim(writer->records) != LETHE_OK)
        return error_from_errno(err, "giving back room");
    next.number = MAX(next.number, 1) + 1;
    next.offset = 0;
    next.line = 0;
    TRY(move_to(writer, &next, err));
    writer->rotated = true;
    return file_sync_directory(writer->directory, ".", err);
}

static bool rotation_is_due(const struct writer *writer, const struct replay_tail *tail)
{
    return writer->replay.offset > writer->limits.rotate_bytes &&
           writer->replay.number < FILES_NUMBER_MAX && tail->record_bytes == 0;
}

static lethe_result write_group(struct writer *writer, const struct entry *list,
                                const struct replay_tail *tail, struct lethe_error *err)
{
    if (rotation_is_due(writer, tail))
        TRY(rotate(writer, err));
    CLEANUP(group_clear) struct group group = {.chain = writer->replay.chain};
    TRY(make_group(writer, list, tail, &group, err));
    const struct journal_group placed_group = placed(writer, &group);
    TRY(reserve_room(writer, &placed_group, err));
    TRY(cut_tails(writer, tail, err));
    TRY(write_journal(writer, &placed_group, err));
    write_files(writer, &placed_group);
    write_tiles(writer, &group, placed_group.records);
    keep_group(writer, &group);
    return LETHE_OK;
}

/* A group that fails leaves the writer in the file that others go on with. */
static lethe_result group_under_lock(struct writer *writer, const struct entry *list,
                                     const struct replay_tail *tail, struct lethe_error *err)
{
    const struct replay before = writer->replay;
    lethe_result result = write_group(writer, list, tail, err);
    if (result != LETHE_OK && writer->replay.number != before.number) {
        writer->rotated = false;
        TRY(move_to(writer, &before, NULL));
    }
    return result;
}

/* A group of which the disk did not say whether it has it: nobody was told that it counts. If
 * another process has found it whole meanwhile, it does. */
static lethe_result undo_failed_group(struct writer *writer, struct lethe_error *err)
{
    uint64_t note_bytes = 0;
    if (!writer->broken)
        return LETHE_OK;
    TRY(size_of_open(writer, writer->notes, FILES_CHECKPOINTS, &note_bytes, err));
    if (note_bytes == writer->replay.note_offset)
        TRY(error_context(err, journal_undo(&writer->journal, err),
                          "undoing an earlier write to the log"));
    writer->broken = false;
    return LETHE_OK;
}

lethe_result writer_group(struct writer *writer, const struct entry *list, struct lethe_error *err)
{
    struct replay_tail tail;
    CLEANUP(files_unlock) int lock = -1;
    TRY(files_lock_exclusive(writer->directory, &lock, err));
    TRY(undo_failed_group(writer, err));
    TRY(catch_up(writer, &tail, err));
    return group_under_lock(writer, list, &tail, err);
}

lethe_result writer_catch_up(struct writer *writer, struct lethe_error *err)
{
    struct replay_tail tail;
    CLEANUP(files_unlock) int lock = -1;
    TRY(files_lock_exclusive(writer->directory, &lock, err));
    TRY(undo_failed_group(writer, err));
    return catch_up(writer, &tail, err);
}

/* ---- opening and closing --------------------------------------------------------------------- */

static lethe_result replace_checkpoint(struct writer *writer, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer note = {0};
    TRY(sign_chain(writer, &writer->replay.chain, &note, err));
    TRY(files_replace_checkpoint(writer->directory, note.bytes, note.size_bytes, err));
    writer->checkpoint_lags = false;
    return LETHE_OK;
}

/* A log begins with the checkpoint of the empty tree, so that records without any checkpoint are
 * never taken for a log's first group. */
static lethe_result begin(struct writer *writer, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer note = {0};
    CLEANUP(fd_close) int notes = -1;
    CLEANUP(fd_close) int records = -1;
    char name[FILES_NAME_SIZE];
    files_name(1, name);

    TRY(sign_chain(writer, &writer->replay.chain, &note, err));
    size_t note_bytes = note.size_bytes;
    buffer_byte(&note, '\n');
    TRY(buffer_result(&note, err));
    TRY(open_private(writer, FILES_CHECKPOINTS, O_CREAT, &notes, err));
    TRY(file_write_at(notes, FILES_CHECKPOINTS, 0, note.bytes, note.size_bytes, err));
    if (ftruncate(notes, (off_t)note.size_bytes) != 0 || fdatasync(notes) != 0)
        return error_from_errno(err, "writing " FILES_CHECKPOINTS);
    TRY(open_private(writer, name, O_CREAT, &records, err));
    return files_replace_checkpoint(writer->directory, note.bytes, note_bytes, err);
}

static lethe_result open_files(struct writer *writer, struct lethe_error *err)
{
    TRY(open_private(writer, FILES_CHECKPOINTS, 0, &writer->notes, err));
    return open_records(writer, err);
}

/* Before the first record is written all files are there, on disk, whatever stopped the making of
 * the log before: from then on a missing one was taken away. */
static lethe_result settle(struct writer *writer, const struct replay_tail *tail,
                           struct lethe_error *err)
{
    if (writer->checkpoint_lags)
        TRY(replace_checkpoint(writer, err));
    if (writer->replay.chain.tree.leaves == 0)
        TRY(file_sync_directory(writer->directory, ".", err));
    if (tail->record_bytes + tail->note_bytes > 0 || writer->torn)
        TRY(group_under_lock(writer, NULL, tail, err));
    return LETHE_OK;
}

static lethe_result open_under_lock(struct writer *writer, struct lethe_error *err)
{
    struct replay_tail tail;
    TRY(journal_open(&writer->journal, writer->directory, err));
    TRY(tiles_open(writer->directory, &writer->tiles, err));
    TRY(recover(writer, err));
    lethe_result result = read_on(writer, &tail, err);
    if (result == LETHE_NOT_FOUND) {
        TRY(begin(writer, err));
        result = read_on(writer, &tail, err);
    }
    TRY(result);
    TRY(open_files(writer, err));
    return settle(writer, &tail, err);
}

static void close_files(struct writer *writer)
{
    fd_close(writer->records);
    fd_close(writer->notes);
    journal_close(&writer->journal);
    tiles_close(writer->tiles);
}

lethe_result writer_open(struct writer *writer, int directory, const struct audit_options *options,
                         struct lethe_error *err)
{
    *writer = (struct writer){
        .directory = directory,
        .records = -1,
        .notes = -1,
        .journal = {.fd = -1},
        .clock = options->clock == NULL ? &clock_system : options->clock,
        .signer = options->signer,
        .limits = options->limits,
    };
    if (writer->limits.rotate_bytes == 0)
        writer->limits.rotate_bytes = ROTATE_BYTES;
    CLEANUP(files_unlock) int lock = -1;
    TRY(files_lock_exclusive(directory, &lock, err));
    lethe_result result = open_under_lock(writer, err);
    if (result != LETHE_OK)
        close_files(writer);
    return result;
}

/* With the lock held: the files are whole on disk, and the journal has nothing to say. */
static lethe_result rest(struct writer *writer, struct lethe_error *err)
{
    struct replay_tail tail;
    TRY(catch_up(writer, &tail, err));
    if (writer->checkpoint_lags)
        TRY(replace_checkpoint(writer, err));
    if (writer->reserved > 0 &&
        (trim(writer->records) != LETHE_OK || trim(writer->notes) != LETHE_OK))
        return error_from_errno(err, "giving back room");
    if (writer->journal.offset == 0)
        return LETHE_OK;
    TRY(sync_files(writer, err));
    return journal_clear(&writer->journal, err);
}

lethe_result writer_close(struct writer *writer, struct lethe_error *err)
{
    CLEANUP(files_unlock) int lock = -1;
    lethe_result result = files_lock_exclusive(writer->directory, &lock, err);
    if (result == LETHE_OK)
        result = undo_failed_group(writer, err);
    if (result == LETHE_OK)
        result = rest(writer, err);
    close_files(writer);
    fd_close(writer->directory);
    return result;
}
