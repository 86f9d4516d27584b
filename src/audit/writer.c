#include "audit/writer.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

/* A crash leaves one group at most. More behind the newest checkpoint means that `checkpoints` is
 * damaged, and overwriting it would make that worse. */
#define TAIL_RECORD_BYTES_MAX ((uint64_t)(WRITER_GROUP_MAX + 2) * RECORD_LINE_MAX)
#define TAIL_NOTE_BYTES_MAX 1024u

struct group {
    struct chain chain; /* what the log comes to with it */
    struct buffer lines;
    uint64_t count;
    struct buffer note; /* and the blank line behind it */
};

static void group_clear_at_scope_end(struct group *group)
{
    buffer_clear(&group->lines);
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
    writer->replay = replay;
    writer->checkpoint_lags = tail->checkpoint_lags;
    return LETHE_OK;
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

static void records_name(const struct writer *writer, char out[FILES_NAME_SIZE])
{
    files_name(MAX(writer->replay.number, 1), out);
}

static lethe_result catch_up(struct writer *writer, struct replay_tail *tail,
                             struct lethe_error *err)
{
    char name[FILES_NAME_SIZE];
    uint64_t record_bytes = 0;
    uint64_t note_bytes = 0;
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
    chain_append(&group->chain, group->lines.bytes + start, group->lines.size_bytes - start,
                 audit_event_epoch(entry->event));
    buffer_byte(&group->lines, '\n');
    group->count++;
    return buffer_result(&group->lines, err);
}

static lethe_result add_repair(const struct writer *writer, struct group *group,
                               const struct replay_tail *tail, struct lethe_error *err)
{
    if (tail->record_bytes + tail->note_bytes == 0)
        return LETHE_OK;
    const struct audit_event event = audit_log_repaired(
        "no checkpoint covered these bytes: left by a crash, or added without the key",
        tail->record_bytes + tail->note_bytes, group->chain.tree.leaves);
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

static lethe_result make_group(const struct writer *writer, const struct entry *list,
                               const struct replay_tail *tail, struct group *group,
                               struct lethe_error *err)
{
    TRY(add_repair(writer, group, tail, err));
    for (; list != NULL; list = list->next)
        TRY(add_record(writer, group, list, err));
    TRY(sign_chain(writer, &group->chain, &group->note, err));
    buffer_byte(&group->note, '\n');
    return buffer_result(&group->note, err);
}

/* ---- writing it ------------------------------------------------------------------------------ */

struct target {
    int fd;
    const char *name;
    uint64_t offset;
    uint64_t tail_bytes; /* behind the offset, to be overwritten */
};

static lethe_result write_durably(const struct target *target, const struct buffer *bytes,
                                  struct lethe_error *err)
{
    TRY(file_write_at(target->fd, target->name, target->offset, bytes->bytes, bytes->size_bytes,
                      err));
    if (target->tail_bytes > bytes->size_bytes &&
        ftruncate(target->fd, (off_t)(target->offset + bytes->size_bytes)) != 0)
        return error_from_errno(err, "shortening %s", target->name);
    if (fdatasync(target->fd) != 0)
        return error_from_errno(err, "syncing %s", target->name);
    return LETHE_OK;
}

static bool cut(const struct target *target)
{
    return ftruncate(target->fd, (off_t)target->offset) == 0;
}

/* The note goes first, and durably: on a disk that kept it without its records the log would look
 * cut. If that fails both stay, and nobody writes here until the log is opened anew. Records that
 * stay without a note are a tail, which the next group overwrites on record; that is what they are
 * left for when they stand where a tail was. */
static void undo(struct writer *writer, const struct target *records, const struct target *notes,
                 bool note_written)
{
    writer->broken = note_written && (!cut(notes) || fdatasync(notes->fd) != 0);
    if (!writer->broken && records->tail_bytes + notes->tail_bytes == 0)
        cut(records);
}

static lethe_result store_group(struct writer *writer, const struct group *group,
                                const struct replay_tail *tail, struct lethe_error *err)
{
    char name[FILES_NAME_SIZE];
    records_name(writer, name);
    const struct target records = {writer->records, name, writer->replay.offset,
                                   tail->record_bytes};
    const struct target notes = {writer->notes, FILES_CHECKPOINTS, writer->replay.note_offset,
                                 tail->note_bytes};
    lethe_result result = write_durably(&records, &group->lines, err);
    bool note_written = result == LETHE_OK;
    if (note_written)
        result = write_durably(&notes, &group->note, err);
    if (result != LETHE_OK)
        undo(writer, &records, &notes, note_written);
    return result;
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
    /* Failing here loses nothing: it is done again with the next group, or at close. */
    writer->checkpoint_lags =
        files_replace_checkpoint(writer->directory, group->note.bytes, group->note.size_bytes - 1,
                                 NULL) != LETHE_OK;
}

static lethe_result group_under_lock(struct writer *writer, const struct entry *list,
                                     const struct replay_tail *tail, struct lethe_error *err)
{
    CLEANUP(group_clear) struct group group = {.chain = writer->replay.chain};
    TRY(make_group(writer, list, tail, &group, err));
    TRY(store_group(writer, &group, tail, err));
    keep_group(writer, &group);
    return LETHE_OK;
}

lethe_result writer_group(struct writer *writer, const struct entry *list, struct lethe_error *err)
{
    struct replay_tail tail;
    if (writer->broken)
        return error_set(err, LETHE_IO,
                         "an earlier write to the log could not be undone: open it anew");
    CLEANUP(files_unlock) int lock = -1;
    TRY(files_lock_exclusive(writer->directory, &lock, err));
    TRY(catch_up(writer, &tail, err));
    return group_under_lock(writer, list, &tail, err);
}

lethe_result writer_catch_up(struct writer *writer, struct lethe_error *err)
{
    struct replay_tail tail;
    CLEANUP(files_unlock) int lock = -1;
    TRY(files_lock_exclusive(writer->directory, &lock, err));
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
    const struct target target = {notes, FILES_CHECKPOINTS, 0, UINT64_MAX};
    TRY(write_durably(&target, &note, err));
    TRY(open_private(writer, name, O_CREAT, &records, err));
    return files_replace_checkpoint(writer->directory, note.bytes, note_bytes, err);
}

static lethe_result open_files(struct writer *writer, struct lethe_error *err)
{
    char name[FILES_NAME_SIZE];
    records_name(writer, name);
    TRY(open_private(writer, FILES_CHECKPOINTS, 0, &writer->notes, err));
    return open_private(writer, name, O_CREAT, &writer->records, err);
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
    if (tail->record_bytes + tail->note_bytes > 0)
        TRY(group_under_lock(writer, NULL, tail, err));
    return LETHE_OK;
}

static lethe_result open_under_lock(struct writer *writer, struct lethe_error *err)
{
    struct replay_tail tail;
    lethe_result result = read_on(writer, &tail, err);
    if (result == LETHE_NOT_FOUND) {
        TRY(begin(writer, err));
        result = read_on(writer, &tail, err);
    }
    TRY(result);
    TRY(open_files(writer, err));
    return settle(writer, &tail, err);
}

lethe_result writer_open(struct writer *writer, int directory, const struct audit_options *options,
                         struct lethe_error *err)
{
    *writer = (struct writer){
        .directory = directory,
        .records = -1,
        .notes = -1,
        .clock = options->clock == NULL ? &clock_system : options->clock,
        .signer = options->signer,
    };
    CLEANUP(files_unlock) int lock = -1;
    TRY(files_lock_exclusive(directory, &lock, err));
    lethe_result result = open_under_lock(writer, err);
    if (result != LETHE_OK) {
        fd_close(writer->records);
        fd_close(writer->notes);
    }
    return result;
}

lethe_result writer_close(struct writer *writer, struct lethe_error *err)
{
    CLEANUP(files_unlock) int lock = -1;
    struct replay_tail tail;
    lethe_result result = LETHE_OK;
    if (writer->checkpoint_lags && !writer->broken) {
        result = files_lock_exclusive(writer->directory, &lock, err);
        if (result == LETHE_OK)
            result = catch_up(writer, &tail, err);
        if (result == LETHE_OK && writer->checkpoint_lags)
            result = replace_checkpoint(writer, err);
    }
    fd_close(writer->records);
    fd_close(writer->notes);
    fd_close(writer->directory);
    return result;
}
