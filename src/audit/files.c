#include "audit/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

void files_name(unsigned number, char out[FILES_NAME_SIZE])
{
    REQUIRE(number >= 1 && number <= FILES_NUMBER_MAX);
    snprintf(out, FILES_NAME_SIZE, "%06u.jsonl", number);
}

/* ---- the lock -------------------------------------------------------------------------------- */

/* Opened for each group rather than kept, so that a child forked meanwhile does not hold on to it.
 */
static lethe_result lock(int directory, int flags, int operation, int *out, struct lethe_error *err)
{
    *out = -1;
    CLEANUP(fd_close)
    int fd = openat(directory, FILES_LOCK, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, FILES_MODE);
    if (fd < 0)
        return error_from_errno(err, "opening " FILES_LOCK);
    while (flock(fd, operation) != 0) {
        if (errno != EINTR)
            return error_from_errno(err, "locking " FILES_LOCK);
    }
    *out = FD_MOVE(fd);
    return LETHE_OK;
}

lethe_result files_lock_exclusive(int directory, int *fd, struct lethe_error *err)
{
    return lock(directory, O_RDWR | O_CREAT, LOCK_EX, fd, err);
}

lethe_result files_lock_shared(int directory, int *fd, struct lethe_error *err)
{
    lethe_result result = lock(directory, O_RDONLY, LOCK_SH, fd, err);
    return result == LETHE_NOT_FOUND ? LETHE_OK : result;
}

/* Closing alone would leave it locked while a child that was forked meanwhile lives. */
void files_unlock(int fd)
{
    if (fd >= 0)
        flock(fd, LOCK_UN);
    fd_close(fd);
}

/* ---- looking --------------------------------------------------------------------------------- */

/* 0 when it is no numbered file with this suffix. */
static unsigned number_of(const char *name, const char *suffix)
{
    if (strspn(name, "0123456789") != 6 || strcmp(name + 6, suffix) != 0)
        return 0;
    return (unsigned)strtoul(name, NULL, 10);
}

static unsigned smaller(unsigned before, unsigned number)
{
    return before == 0 || (number > 0 && number < before) ? number : before;
}

static void close_directory(DIR *directory)
{
    if (directory != NULL)
        closedir(directory);
}
DEFINE_CLEANUP(close_directory, DIR *);

static lethe_result check_complete(const struct files_view *view, unsigned count,
                                   struct lethe_error *err)
{
    if (count == 0 || count == view->last_number - view->first_number + 1)
        return LETHE_OK;
    return error_set(err, LETHE_INTEGRITY, "%u of the files of records %06u to %06u are missing",
                     view->last_number - view->first_number + 1 - count, view->first_number,
                     view->last_number);
}

static lethe_result count_files(int directory, struct files_view *out, struct lethe_error *err)
{
    CLEANUP(fd_close) int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CLEANUP(close_directory) DIR *listing = fd < 0 ? NULL : fdopendir(fd);
    if (listing == NULL)
        return error_from_errno(err, "listing the log's directory");
    (void)FD_MOVE(fd); /* the listing closes it */

    unsigned count = 0;
    errno = 0;
    for (struct dirent *entry; (entry = readdir(listing)) != NULL; errno = 0) {
        unsigned number = number_of(entry->d_name, ".jsonl");
        count += number > 0;
        out->first_number = smaller(out->first_number, number);
        out->last_number = MAX(out->last_number, number);
        number = number_of(entry->d_name, ".boundary");
        out->first_boundary = smaller(out->first_boundary, number);
    }
    if (errno != 0)
        return error_from_errno(err, "listing the log's directory");
    return check_complete(out, count, err);
}

lethe_result files_size(int directory, const char *name, uint64_t *size_bytes,
                        struct lethe_error *err)
{
    struct stat status;
    if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return error_from_errno(err, "%s", name);
    if (!S_ISREG(status.st_mode))
        return error_set(err, LETHE_INTEGRITY, "%s is not a regular file", name);
    *size_bytes = (uint64_t)status.st_size;
    return LETHE_OK;
}

static lethe_result look_at_notes(int directory, struct files_view *out, struct lethe_error *err)
{
    lethe_result result = files_size(directory, FILES_CHECKPOINTS, &out->notes_bytes, err);
    out->has_notes = result == LETHE_OK;
    if (result != LETHE_NOT_FOUND)
        TRY(result);
    uint64_t checkpoint_bytes;
    result = files_size(directory, FILES_CHECKPOINT, &checkpoint_bytes, err);
    if (result == LETHE_OK)
        result = file_read_all(directory, FILES_CHECKPOINT, AUDIT_NOTE_MAX, &out->checkpoint, err);
    out->has_checkpoint = result == LETHE_OK;
    return result == LETHE_NOT_FOUND ? LETHE_OK : result;
}

lethe_result files_look(int directory, struct files_view *out, struct lethe_error *err)
{
    *out = (struct files_view){0};
    TRY(look_at_notes(directory, out, err));
    TRY(count_files(directory, out, err));
    if (out->last_number == 0)
        return LETHE_OK;
    char name[FILES_NAME_SIZE];
    files_name(out->last_number, name);
    return files_size(directory, name, &out->last_bytes, err);
}

lethe_result files_look_shared(int directory, struct files_view *out, struct lethe_error *err)
{
    *out = (struct files_view){0};
    CLEANUP(files_unlock) int lock = -1;
    TRY(files_lock_shared(directory, &lock, err));
    return files_look(directory, out, err);
}

void files_view_clear(struct files_view *view)
{
    buffer_clear(&view->checkpoint);
}

/* ---- the newest checkpoint ------------------------------------------------------------------- */

static lethe_result not_ours(const char *name, struct lethe_error *err)
{
    error_set(err, LETHE_INTEGRITY, "%s is not a regular file", name);
    error_hint(err, "remove it: it is made anew");
    return LETHE_INTEGRITY;
}

/* A note that is longer or shorter than what the inode held before could meet the wrong size on
 * disk after a power cut; one of the same length replaces it within one sector. */
static lethe_result write_note(int fd, const char *note, size_t size_bytes, struct lethe_error *err)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return error_from_errno(err, "looking at " FILES_CHECKPOINT_OLD);
    if (!S_ISREG(status.st_mode))
        return not_ours(FILES_CHECKPOINT_OLD, err);
    TRY(file_write_at(fd, FILES_CHECKPOINT_OLD, 0, note, size_bytes, err));
    if ((size_t)status.st_size == size_bytes)
        return LETHE_OK;
    if (ftruncate(fd, (off_t)size_bytes) != 0 || fdatasync(fd) != 0)
        return error_from_errno(err, "writing " FILES_CHECKPOINT_OLD);
    return LETHE_OK;
}

/* The note goes into the inode that held the checkpoint before the last; then the two change names.
 * Its blocks are allocated already, so no file system has a reason to write anything out: a plain
 * rename of a new file over the old one costs as much as a sync on ext4. */
lethe_result files_replace_checkpoint(int directory, const char *note, size_t size_bytes,
                                      struct lethe_error *err)
{
    CLEANUP(fd_close)
    int fd = openat(directory, FILES_CHECKPOINT_OLD,
                    O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, FILES_MODE);
    if (fd < 0 && (errno == ELOOP || errno == EISDIR || errno == ENXIO))
        return not_ours(FILES_CHECKPOINT_OLD, err);
    if (fd < 0)
        return error_from_errno(err, "opening " FILES_CHECKPOINT_OLD);
    TRY(write_note(fd, note, size_bytes, err));
    if (renameat2(directory, FILES_CHECKPOINT_OLD, directory, FILES_CHECKPOINT, RENAME_EXCHANGE) !=
            0 &&
        renameat(directory, FILES_CHECKPOINT_OLD, directory, FILES_CHECKPOINT) != 0)
        return error_from_errno(err, "replacing " FILES_CHECKPOINT);
    return LETHE_OK;
}
