/* What is in the journal only. */
#include "audit/writer_core.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

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
lethe_result writer_recover(struct writer *writer, struct lethe_error *err)
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
