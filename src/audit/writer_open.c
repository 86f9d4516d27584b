/* Opening and closing a log for writing. */
#include "audit/writer_core.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "audit/boundary.h"
#include "base/error.h"
#include "base/file.h"

#define ROTATE_BYTES ((uint64_t)16 << 20)
#define ROTATE_S 86400u

static lethe_result replace_checkpoint(struct writer *writer, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer note = {0};
    TRY(writer_sign(writer, &writer->replay.chain, &note, err));
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

    TRY(writer_sign(writer, &writer->replay.chain, &note, err));
    size_t note_bytes = note.size_bytes;
    buffer_byte(&note, '\n');
    TRY(buffer_result(&note, err));
    TRY(writer_open_private(writer, FILES_CHECKPOINTS, O_CREAT, &notes, err));
    TRY(file_write_at(notes, FILES_CHECKPOINTS, 0, note.bytes, note.size_bytes, err));
    if (ftruncate(notes, (off_t)note.size_bytes) != 0 || fdatasync(notes) != 0)
        return error_from_errno(err, "writing " FILES_CHECKPOINTS);
    TRY(writer_open_private(writer, name, O_CREAT, &records, err));
    return files_replace_checkpoint(writer->directory, note.bytes, note_bytes, err);
}

static lethe_result open_files(struct writer *writer, struct lethe_error *err)
{
    TRY(writer_open_private(writer, FILES_CHECKPOINTS, 0, &writer->notes, err));
    return writer_open_records(writer, err);
}

/* A boundary is missing when an older version wrote the log, or somebody took it away: without it
 * the next opening would read as much again. */
static void renew_boundary(const struct writer *writer)
{
    struct replay there;
    const struct replay *begun = &writer->begun;
    if (begun->number != writer->replay.number || begun->number < BOUNDARY_NUMBER_MIN)
        return;
    lethe_result result =
        boundary_read(writer->directory, begun->number, &writer->signer.key, &there, NULL);
    if (result == LETHE_NOT_FOUND || result == LETHE_MALFORMED)
        (void)!writer_write_boundary(writer, begun, NULL);
}

/* Finishes what a crash interrupted, and trims; a full disk keeps nobody from opening the log, only
 * from trimming it. */
static lethe_result settle_records(struct writer *writer, const struct replay_tail *tail,
                                   struct lethe_error *err)
{
    struct replay_trimmed trim;
    const char *why = NULL;
    renew_boundary(writer);
    writer_remove_trimmed(writer);
    if (tail->record_bytes + tail->note_bytes > 0 || writer->torn)
        return writer_group_locked(writer, NULL, tail, err);
    writer_choose_trim(writer, &trim, &why);
    if (why != NULL)
        (void)!writer_group_locked(writer, NULL, tail, NULL);
    return LETHE_OK;
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
    return settle_records(writer, tail, err);
}

static lethe_result open_under_lock(struct writer *writer, struct lethe_error *err)
{
    struct replay_tail tail;
    TRY(journal_open(&writer->journal, writer->directory, err));
    TRY(tiles_open(writer->directory, &writer->tiles, err));
    TRY(writer_recover(writer, err));
    lethe_result result = writer_read_on(writer, &tail, err);
    if (result == LETHE_NOT_FOUND) {
        TRY(begin(writer, err));
        result = writer_read_on(writer, &tail, err);
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
    if (writer->limits.rotate_s == 0)
        writer->limits.rotate_s = ROTATE_S;
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
    TRY(writer_catch_up_locked(writer, &tail, err));
    if (writer->checkpoint_lags)
        TRY(replace_checkpoint(writer, err));
    if (writer->reserved > 0 && (writer_give_back(writer->records) != LETHE_OK ||
                                 writer_give_back(writer->notes) != LETHE_OK))
        return error_from_errno(err, "giving back room");
    if (writer->journal.offset == 0)
        return LETHE_OK;
    TRY(writer_sync_files(writer, err));
    return journal_clear(&writer->journal, err);
}

lethe_result writer_close(struct writer *writer, struct lethe_error *err)
{
    CLEANUP(files_unlock) int lock = -1;
    lethe_result result = files_lock_exclusive(writer->directory, &lock, err);
    if (result == LETHE_OK)
        result = writer_undo_failed(writer, err);
    if (result == LETHE_OK)
        result = rest(writer, err);
    close_files(writer);
    fd_close(writer->directory);
    return result;
}

void writer_abandon(struct writer *writer)
{
    close_files(writer);
    fd_close(writer->directory);
}
