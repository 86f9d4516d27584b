/* The rung that needs no mount: sealed memfds behind a private directory of symbolic links. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "engine/storage.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U /* Linux 6.3 */
#endif

/* Not F_SEAL_WRITE, which would forbid our own wipe: mappings that exist stay writable. */
#define SEALS (F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static lethe_result make_memfd(int *out, struct lethe_error *err)
{
    *out = memfd_create("lethe", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (*out < 0 && errno == EINVAL) /* an older kernel */
        *out = memfd_create("lethe", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (*out >= 0)
        return LETHE_OK;
    error_set(err, LETHE_UNPROTECTED, "a memory file cannot be made (memfd_create: %s)",
              strerrordesc_np(errno));
    error_hint(err, "use Linux 5.1 or later, or --handover tmpfs");
    return LETHE_UNPROTECTED;
}

static lethe_result seal(int fd, const char *name, struct lethe_error *err)
{
    int seals = fcntl(fd, F_ADD_SEALS, SEALS) == 0 ? fcntl(fd, F_GET_SEALS) : -1;
    if (seals >= 0 && (seals & SEALS) == SEALS)
        return LETHE_OK;
    error_set(err, LETHE_UNPROTECTED, "%s cannot be sealed: %s", name, strerrordesc_np(errno));
    error_hint(err, "use Linux 5.1 or later, or --handover tmpfs");
    return LETHE_UNPROTECTED;
}

lethe_result storage_memfd_check(struct lethe_error *err)
{
    CLEANUP(fd_close) int fd = -1;
    TRY(make_memfd(&fd, err));
    return seal(fd, "a memory file", err);
}

/* What could not be sealed is not even begun. The one directory that is in memory on every Linux;
 * scratch_open() checks that it is. */
static lethe_result memfd_prepare(struct storage *storage, struct lethe_error *err)
{
    TRY(storage_memfd_check(err));
    return storage_make_directory(storage, "/dev/shm", err);
}

static lethe_result memfd_create_file(struct storage *storage, struct memory_file *file,
                                      struct lethe_error *err)
{
    TRY(make_memfd(&file->fd, err));
    if (fchmod(file->fd, 0400) != 0 || ftruncate(file->fd, (off_t)file->content->size_bytes) != 0)
        return error_from_errno(err, "%s", file->content->name);
    return LETHE_OK;
}

/* The engine inherits a read-only descriptor under the number that the link names. */
static lethe_result link_read_only(struct storage *storage, struct memory_file *file,
                                   struct lethe_error *err)
{
    CLEANUP(memory_free) char *path = NULL;
    char self[64];
    snprintf(self, sizeof self, "/proc/self/fd/%d", file->fd);
    int readable = open(self, O_RDONLY | O_CLOEXEC);
    if (readable < 0)
        return error_from_errno(err, "a read-only descriptor for %s", file->content->name);
    close(file->fd);
    file->fd = readable;
    snprintf(self, sizeof self, "/proc/self/fd/%d", readable);
    TRY(storage_file_path(storage, file, &path, err));
    return symlink(self, path) == 0 ? LETHE_OK : error_from_errno(err, "%s", path);
}

static lethe_result memfd_seal(struct storage *storage, struct lethe_error *err)
{
    for (size_t i = 0; i < storage->count; i++) {
        struct memory_file *file = &storage->files[i];
        TRY(seal(file->fd, file->content->name, err));
        TRY(link_read_only(storage, file, err));
    }
    return LETHE_OK;
}

static void memfd_remove(struct storage *storage)
{
    (void)!file_remove_tree(AT_FDCWD, storage->directory, NULL);
}

const struct storage_rung storage_memfd = {.handover = HANDOVER_MEMFD,
                                           .passes_descriptors = true,
                                           .prepare = memfd_prepare,
                                           .create_file = memfd_create_file,
                                           .seal = memfd_seal,
                                           .remove = memfd_remove};
