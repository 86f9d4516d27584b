#include "audit/writer_core.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "audit/history.h"
#include "audit/start.h"
#include "base/error.h"
#include "base/file.h"

/* A crash leaves one group at most. More behind the newest checkpoint means that `checkpoints` is
 * damaged, and overwriting it would make that worse. */
#define TAIL_RECORD_BYTES_MAX ((uint64_t)(WRITER_GROUP_MAX + WRITER_OWN_MAX) * RECORD_LINE_MAX)
#define TAIL_NOTE_BYTES_MAX 1024u

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

static void records_name(const struct writer *writer, char out[FILES_NAME_SIZE])
{
    files_name(MAX(writer->replay.number, 1), out);
}

lethe_result writer_open_private(const struct writer *writer, const char *name, int flags, int *out,
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
lethe_result writer_open_records(struct writer *writer, struct lethe_error *err)
{
    char name[FILES_NAME_SIZE];
    int fd = -1;
    records_name(writer, name);
    TRY(writer_open_private(writer, name, O_CREAT, &fd, err));
    fd_close(writer->records);
    writer->records = fd;
    writer->reserved = 0;
    return LETHE_OK;
}

/* After a trimming there is no way from where this writer was to where it begins again, but what
 * the tiles say. Where they say nothing the signatures have to do. */
static lethe_result check_grew(struct writer *writer, const struct replay *now,
                               struct lethe_error *err)
{
    const struct merkle *before = &writer->replay.chain.tree;
    struct proof_tree old = {.size = before->leaves};
    struct proof_tree tree = {.size = now->chain.tree.leaves};
    if (old.size > tree.size)
        return error_set(err, LETHE_INTEGRITY, "the log had %llu records, and has %llu: it was cut",
                         (unsigned long long)old.size, (unsigned long long)tree.size);
    merkle_root(before, old.root);
    merkle_root(&now->chain.tree, tree.root);
    lethe_result result = history_check(writer->tiles, &old, &tree, err);
    return result == LETHE_NOT_FOUND ? LETHE_OK : result;
}

/* From where the writer was; from the newest boundary when it was nowhere, or its file is gone. */
static lethe_result replay_on(struct writer *writer, const struct files_view *view,
                              struct replay *replay, struct replay_tail *tail,
                              struct lethe_error *err)
{
    const struct audit_key *key = &writer->signer.key;
    const struct replay_options options = {
        .directory = writer->directory, .view = view, .key = key, .begun = &writer->begun};
    bool anew = replay->number == 0 || replay->number < view->first_number;
    if (anew)
        TRY(start_near(writer->directory, view, key, UINT64_MAX, replay, err));
    TRY(replay_run(replay, &options, tail, err));
    return anew ? check_grew(writer, replay, err) : LETHE_OK;
}

lethe_result writer_read_on(struct writer *writer, struct replay_tail *tail,
                            struct lethe_error *err)
{
    CLEANUP(files_view_clear) struct files_view view = {0};
    struct replay replay = writer->replay;
    TRY(files_look(writer->directory, &view, err));
    TRY(replay_on(writer, &view, &replay, tail, err));
    TRY(check_tail(tail, err));
    writer->checkpoint_lags = tail->checkpoint_lags;
    bool elsewhere = writer->records >= 0 && replay.number != writer->replay.number;
    writer->replay = replay;
    return elsewhere ? writer_open_records(writer, err) : LETHE_OK;
}

/* LETHE_INTEGRITY when the name no longer leads to the file that is open. */
static lethe_result size_of_open(const struct writer *writer, int fd, const char *name,
                                 uint64_t *size_bytes, struct lethe_error *err)
{
    struct stat opened;
    struct stat named;
    if (fstat(fd, &opened) != 0)
        return error_from_errno(err, "looking at %s", name);
    bool is_there = fstatat(writer->directory, name, &named, AT_SYMLINK_NOFOLLOW) == 0;
    if (!is_there && errno != ENOENT)
        return error_from_errno(err, "looking at %s", name);
    if (!is_there || named.st_ino != opened.st_ino || named.st_dev != opened.st_dev)
        return error_set(err, LETHE_INTEGRITY, "%s was replaced or removed while it was open",
                         name);
    *size_bytes = (uint64_t)opened.st_size;
    return LETHE_OK;
}

/* Another process went on in later files and trimmed the one that this one was in. */
static bool was_trimmed(const struct writer *writer, const char *name)
{
    CLEANUP(files_view_clear) struct files_view view = {0};
    return faccessat(writer->directory, name, F_OK, AT_SYMLINK_NOFOLLOW) != 0 &&
           files_look(writer->directory, &view, NULL) == LETHE_OK &&
           writer->replay.number < view.first_number;
}

lethe_result writer_catch_up_locked(struct writer *writer, struct replay_tail *tail,
                                    struct lethe_error *err)
{
    char name[FILES_NAME_SIZE];
    uint64_t record_bytes = 0;
    uint64_t note_bytes = 0;
    TRY(writer_recover(writer, err));
    records_name(writer, name);
    if (was_trimmed(writer, name))
        return writer_read_on(writer, tail, err);
    TRY(size_of_open(writer, writer->records, name, &record_bytes, err));
    TRY(size_of_open(writer, writer->notes, FILES_CHECKPOINTS, &note_bytes, err));
    *tail = (struct replay_tail){0};
    if (record_bytes == writer->replay.offset && note_bytes == writer->replay.note_offset)
        return LETHE_OK;
    return writer_read_on(writer, tail, err);
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

lethe_result writer_sync_files(struct writer *writer, struct lethe_error *err)
{
    writer->sync_failed = fdatasync(writer->records) != 0 || fdatasync(writer->notes) != 0;
    return writer->sync_failed ? error_from_errno(err, "syncing the log") : LETHE_OK;
}

static lethe_result write_journal(struct writer *writer, const struct journal_group *group,
                                  struct lethe_error *err)
{
    bool undone = true;
    if (journal_is_full_for(&writer->journal, group)) {
        TRY(writer_sync_files(writer, err));
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

static void keep_group(struct writer *writer, const struct group *group,
                       const struct own_records *own)
{
    struct replay *replay = &writer->replay;
    replay->chain = group->chain;
    if (replay->line == 0)
        replay->begun_ns = group->begun_ns;
    replay->time_ns = group->time_ns;
    if (own->trimmed != NULL)
        replay->trimmed = own->trim;
    replay->number = MAX(replay->number, 1);
    replay->offset += group->lines.size_bytes;
    replay->line += group->count;
    replay->notes++;
    replay->note_at = replay->note_offset;
    replay->note_offset += group->note.size_bytes;
    writer->torn = false;
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
lethe_result writer_give_back(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && ftruncate(fd, status.st_size) == 0 ? LETHE_OK : LETHE_IO;
}

lethe_result writer_move_to(struct writer *writer, const struct replay *place,
                            struct lethe_error *err)
{
    writer->replay = *place;
    return writer_open_records(writer, err);
}

static lethe_result write_records(struct writer *writer, const struct entry *list,
                                  const struct own_records *own, struct lethe_error *err)
{
    CLEANUP(group_clear) struct group group = {.chain = writer->replay.chain};
    TRY(group_make(writer, list, own, &group, err));
    const struct journal_group placed_group = placed(writer, &group);
    TRY(reserve_room(writer, &placed_group, err));
    TRY(cut_tails(writer, own->tail, err));
    TRY(write_journal(writer, &placed_group, err));
    keep_group(writer, &group, own);
    if (writer->durable != NULL)
        writer->durable(writer->durable_context);
    write_files(writer, &placed_group);
    write_tiles(writer, &group, placed_group.records);
    return LETHE_OK;
}

/* Trimming is due where a file begins, or when a log is opened. */
static lethe_result write_group(struct writer *writer, const struct entry *list,
                                const struct replay_tail *tail, struct lethe_error *err)
{
    struct own_records own = {.tail = tail};
    for (const struct entry *entry = list; entry != NULL; entry = entry->next)
        own.time_ns = MAX(own.time_ns, entry->time_ns);
    own.rotated = writer_rotation_due(writer, tail, own.time_ns);
    if (own.rotated != NULL)
        TRY(writer_rotate(writer, err));
    if (own.rotated != NULL || list == NULL)
        writer_choose_trim(writer, &own.trim, &own.trimmed);
    if (own.trimmed != NULL) {
        own.time_ns = own.time_ns > 0 ? own.time_ns : clock_wall_ns(writer->clock);
        writer_save_tiles(writer);
    }
    TRY(write_records(writer, list, &own, err));
    if (own.trimmed != NULL)
        writer_remove_trimmed(writer);
    return LETHE_OK;
}

/* A group that fails leaves the writer in the file that others go on with. */
lethe_result writer_group_locked(struct writer *writer, const struct entry *list,
                                 const struct replay_tail *tail, struct lethe_error *err)
{
    const struct replay before = writer->replay;
    const struct replay begun = writer->begun;
    lethe_result result = write_group(writer, list, tail, err);
    if (result != LETHE_OK && writer->replay.number != before.number) {
        writer->begun = begun;
        TRY(writer_move_to(writer, &before, NULL));
    }
    return result;
}

/* A group of which the disk did not say whether it has it: nobody was told that it counts. If
 * another process has found it whole meanwhile, it does. */
lethe_result writer_undo_failed(struct writer *writer, struct lethe_error *err)
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

lethe_result writer_group(struct writer *writer, const struct entry *list, writer_durable *durable,
                          void *context, struct lethe_error *err)
{
    struct replay_tail tail;
    CLEANUP(files_unlock) int lock = -1;
    TRY(files_lock_exclusive(writer->directory, &lock, err));
    TRY(writer_undo_failed(writer, err));
    TRY(writer_catch_up_locked(writer, &tail, err));
    writer->durable = durable;
    writer->durable_context = context;
    lethe_result result = writer_group_locked(writer, list, &tail, err);
    writer->durable = NULL;
    return result;
}

lethe_result writer_catch_up(struct writer *writer, struct lethe_error *err)
{
    struct replay_tail tail;
    CLEANUP(files_unlock) int lock = -1;
    TRY(files_lock_exclusive(writer->directory, &lock, err));
    TRY(writer_undo_failed(writer, err));
    return writer_catch_up_locked(writer, &tail, err);
}
