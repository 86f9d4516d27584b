/* Writing a file so that a crash leaves the old one or the new one, never a part. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

#define RANDOM_BYTES 8
#define CREATE_ATTEMPTS 8

/* A file that is being written: where it will be, and what it is called until then: nothing, where
 * the file system has files without a name, so that a process that dies leaves nothing. It is
 * locked meanwhile: one that has a name, and that nobody holds, was left by a process that died. */
struct draft {
    int fd;        /* to write; -1 once it is on disk */
    int lock;      /* the same file again */
    int directory; /* the directory of both names */
    const char *path;
    const char *name;
    char temporary[sizeof FILE_TEMPORARY_PREFIX + 2 * RANDOM_BYTES]; /* "": it has no name */
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

static lethe_result write_and_sync(int fd, const char *path, const struct file_content *content,
                                   struct lethe_error *err)
{
    TRY(content->write(content->context, fd, path, err));
    return fsync(fd) == 0 ? LETHE_OK : error_from_errno(err, "syncing %s", path);
}

/* ---- what dead processes left ---------------------------------------------------------------- */

static bool is_temporary_name(const char *name)
{
    size_t prefix = strlen(FILE_TEMPORARY_PREFIX);
    return strncmp(name, FILE_TEMPORARY_PREFIX, prefix) == 0 &&
           strspn(name + prefix, "0123456789abcdef") == 2 * RANDOM_BYTES &&
           name[prefix + 2 * RANDOM_BYTES] == '\0';
}

/* Ours, held by nobody, and still under its name. */
static bool is_left_over(int directory, const char *name)
{
    struct stat opened;
    struct stat named;
    CLEANUP(fd_close)
    int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return fd >= 0 && fstat(fd, &opened) == 0 && S_ISREG(opened.st_mode) &&
           opened.st_uid == geteuid() && flock(fd, LOCK_EX | LOCK_NB) == 0 &&
           fstatat(directory, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           named.st_dev == opened.st_dev && named.st_ino == opened.st_ino;
}

/* It may hold a key. What cannot be removed now is left for the next. Takes the descriptor. */
static void remove_leftovers(int directory)
{
    DIR *entries = fdopendir(directory);
    if (entries == NULL) {
        fd_close(directory);
        return;
    }
    for (const struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        if (is_temporary_name(entry->d_name) && is_left_over(directory, entry->d_name))
            unlinkat(directory, entry->d_name, 0);
    }
    closedir(entries);
}

/* ---- writing --------------------------------------------------------------------------------- */

static lethe_result name_draft(struct draft *draft, struct lethe_error *err)
{
    uint8_t random[RANDOM_BYTES];
    if (random_fill(&random_system, random, sizeof random) != LETHE_OK)
        return error_set(err, LETHE_FAILED, "no randomness to name a temporary file with");
    char suffix[2 * RANDOM_BYTES + 1];
    hex_encode(random, sizeof random, suffix);
    snprintf(draft->temporary, sizeof draft->temporary, "%s%s", FILE_TEMPORARY_PREFIX, suffix);
    return LETHE_OK;
}

/* By what a file without a name is linked: linkat() with AT_EMPTY_PATH is not for everybody. */
static void descriptor_path(int fd, char out[32])
{
    snprintf(out, 32, "/proc/self/fd/%d", fd);
}

/* False: there are none here, or none that could get a name later. */
static bool draft_create_nameless(struct draft *draft, mode_t mode)
{
    char linked[32];
    CLEANUP(fd_close)
    int fd = openat(draft->directory, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, mode);
    CLEANUP(fd_close) int lock = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    descriptor_path(lock, linked);
    if (lock < 0 || flock(lock, LOCK_EX) != 0 || faccessat(AT_FDCWD, linked, F_OK, 0) != 0)
        return false;
    draft->fd = FD_MOVE(fd);
    draft->lock = FD_MOVE(lock);
    return true;
}

/* Before it is locked somebody may take it for left over: with the lock we see whether it is gone.
 */
static lethe_result draft_create_named(struct draft *draft, mode_t mode, struct lethe_error *err)
{
    for (int attempt = 0; attempt < CREATE_ATTEMPTS; attempt++) {
        struct stat status;
        TRY(name_draft(draft, err));
        CLEANUP(fd_close)
        int fd = openat(draft->directory, draft->temporary,
                        O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
        if (fd < 0)
            return error_from_errno(err, "creating a temporary file beside %s", draft->path);
        draft->lock = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (draft->lock < 0 || flock(fd, LOCK_EX) != 0 || fstat(fd, &status) != 0) {
            lethe_result result = error_from_errno(err, "locking a file beside %s", draft->path);
            unlinkat(draft->directory, draft->temporary, 0);
            return result;
        }
        if (status.st_nlink > 0) {
            draft->fd = FD_MOVE(fd);
            return LETHE_OK;
        }
        fd_close(FD_MOVE(draft->lock));
    }
    return error_set(err, LETHE_CONFLICT, "someone else removes the files beside %s", draft->path);
}

static void draft_remove(const struct draft *draft)
{
    if (draft->temporary[0] != '\0')
        unlinkat(draft->directory, draft->temporary, 0);
}

/* Creates the temporary file with its whole content, on disk; on failure it is gone. */
static lethe_result draft_write(struct draft *draft, mode_t mode,
                                const struct file_content *content, struct lethe_error *err)
{
    if (!draft_create_nameless(draft, mode))
        TRY(draft_create_named(draft, mode, err));
    lethe_result result = write_and_sync(draft->fd, draft->path, content, err);
    if (close(FD_MOVE(draft->fd)) != 0 && result == LETHE_OK)
        result = error_from_errno(err, "closing %s", draft->path);
    if (result != LETHE_OK)
        draft_remove(draft);
    return result;
}

static int link_nameless(const struct draft *draft, const char *name)
{
    char linked[32];
    descriptor_path(draft->lock, linked);
    return linkat(AT_FDCWD, linked, draft->directory, name, AT_SYMLINK_FOLLOW);
}

/* A link cannot replace: for a moment it has a name, under which it is renamed. */
static lethe_result name_nameless(struct draft *draft, struct lethe_error *err)
{
    for (int attempt = 0; attempt < CREATE_ATTEMPTS; attempt++) {
        TRY(name_draft(draft, err));
        if (link_nameless(draft, draft->temporary) == 0)
            return LETHE_OK;
        draft->temporary[0] = '\0';
        if (errno != EEXIST)
            break;
    }
    return error_from_errno(err, "naming a temporary file beside %s", draft->path);
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

static int put_in_place(const struct draft *draft, bool replace)
{
    if (replace)
        return renameat(draft->directory, draft->temporary, draft->directory, draft->name);
    return draft->temporary[0] != '\0' ? rename_to_new(draft) : link_nameless(draft, draft->name);
}

static lethe_result draft_publish(struct draft *draft, bool replace, struct lethe_error *err)
{
    int directory = draft->directory;
    if (replace && draft->temporary[0] == '\0')
        TRY(name_nameless(draft, err));
    if (put_in_place(draft, replace) != 0) {
        lethe_result result = error_from_errno(err, "putting %s in its place", draft->path);
        draft_remove(draft);
        return result;
    }
    if (fsync(directory) == 0)
        return LETHE_OK;
    lethe_result result = error_from_errno(err, "syncing the directory of %s", draft->path);
    if (!replace)
        unlinkat(directory, draft->name, 0);
    return result;
}

lethe_result file_produce_atomic(const struct file_place *place, const struct file_content *content,
                                 struct lethe_error *err)
{
    CLEANUP(fd_close) int directory = -1;
    TRY(open_directory_of(place->dir_fd, place->path, &directory, err));
    remove_leftovers(FD_MOVE(directory));
    TRY(open_directory_of(place->dir_fd, place->path, &directory, err));
    const char *slash = strrchr(place->path, '/');
    struct draft draft = {.fd = -1,
                          .lock = -1,
                          .directory = directory,
                          .path = place->path,
                          .name = slash == NULL ? place->path : slash + 1};
    lethe_result result = draft_write(&draft, place->mode, content, err);
    if (result == LETHE_OK)
        result = draft_publish(&draft, place->replace, err);
    fd_close(draft.lock);
    return result;
}

struct bytes {
    const void *bytes;
    size_t size_bytes;
};

static lethe_result write_bytes(void *context, int fd, const char *path, struct lethe_error *err)
{
    const struct bytes *bytes = context;
    return file_write(fd, path, bytes->bytes, bytes->size_bytes, err);
}

lethe_result file_write_atomic(int dir_fd, const char *path, const void *bytes, size_t size_bytes,
                               mode_t mode, bool replace, struct lethe_error *err)
{
    const struct file_place place = {
        .dir_fd = dir_fd, .path = path, .mode = mode, .replace = replace};
    struct bytes content = {.bytes = bytes, .size_bytes = size_bytes};
    return file_produce_atomic(
        &place, &(struct file_content){.write = write_bytes, .context = &content}, err);
}
