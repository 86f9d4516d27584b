/* Writing a file so that a crash leaves the old one or the new one, never a part. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

#define RANDOM_BYTES 8

/* A file that is being written: where it will be, and what it is called until then. */
struct draft {
    int directory; /* the directory of both names */
    const char *path;
    const char *name;
    char temporary[sizeof FILE_TEMPORARY_PREFIX + 2 * RANDOM_BYTES];
};

static lethe_result open_directory_of(int dir_fd, const char *path, int *out,
                                      struct lethe_error *err)
{
    const char *slash = strrchr(path, '/');
    CLEANUP(memory_free)
    char *parent = slash == NULL ? strdup(".") : strndup(path, (size_t)(slash - path) + 1);
    if (parent == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for the path %s", path);
    *out = openat(dir_fd, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *out >= 0 ? LETHE_OK : error_from_errno(err, "opening the directory %s", parent);
}

static lethe_result write_and_sync(int fd, const char *path, const void *bytes, size_t size_bytes,
                                   struct lethe_error *err)
{
    TRY(file_write(fd, path, bytes, size_bytes, err));
    return fsync(fd) == 0 ? LETHE_OK : error_from_errno(err, "syncing %s", path);
}

/* Creates the temporary file with its whole content, on disk; on failure it is gone. */
static lethe_result draft_write(struct draft *draft, mode_t mode, const void *bytes,
                                size_t size_bytes, struct lethe_error *err)
{
    int fd = openat(draft->directory, draft->temporary,
                    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        return error_from_errno(err, "creating a temporary file beside %s", draft->path);
    lethe_result result = write_and_sync(fd, draft->path, bytes, size_bytes, err);
    if (close(fd) != 0 && result == LETHE_OK)
        result = error_from_errno(err, "closing %s", draft->path);
    if (result != LETHE_OK)
        unlinkat(draft->directory, draft->temporary, 0);
    return result;
}

/* Gives the temporary file its name, unless the name is taken. NFS has no RENAME_NOREPLACE; there a
 * second link does the same. */
static int rename_to_new(const struct draft *draft)
{
    int directory = draft->directory;
    if (renameat2(directory, draft->temporary, directory, draft->name, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL || linkat(directory, draft->temporary, directory, draft->name, 0) != 0)
        return -1;
    return unlinkat(directory, draft->temporary, 0);
}

static lethe_result draft_publish(const struct draft *draft, bool replace, struct lethe_error *err)
{
    int directory = draft->directory;
    int failed = replace ? renameat(directory, draft->temporary, directory, draft->name)
                         : rename_to_new(draft);
    if (failed) {
        lethe_result result = error_from_errno(err, "putting %s in its place", draft->path);
        unlinkat(directory, draft->temporary, 0);
        return result;
    }
    if (fsync(directory) != 0)
        return error_from_errno(err, "syncing the directory of %s", draft->path);
    return LETHE_OK;
}

lethe_result file_write_atomic(int dir_fd, const char *path, const void *bytes, size_t size_bytes,
                               mode_t mode, bool replace, struct lethe_error *err)
{
    CLEANUP(fd_close) int directory = -1;
    TRY(open_directory_of(dir_fd, path, &directory, err));
    const char *slash = strrchr(path, '/');
    struct draft draft = {
        .directory = directory, .path = path, .name = slash == NULL ? path : slash + 1};

    uint8_t random[RANDOM_BYTES];
    if (random_fill(&random_system, random, sizeof random) != LETHE_OK)
        return error_set(err, LETHE_FAILED, "no randomness to name a temporary file with");
    char suffix[2 * RANDOM_BYTES + 1];
    hex_encode(random, sizeof random, suffix);
    snprintf(draft.temporary, sizeof draft.temporary, "%s%s", FILE_TEMPORARY_PREFIX, suffix);

    TRY(draft_write(&draft, mode, bytes, size_bytes, err));
    return draft_publish(&draft, replace, err);
}
