#include "model/sibling.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "model/listing.h"

#define MARK ".lethe-"
#define KEPT_MARK MARK "unfinished"
#define MARK_DIGITS 16
#define PARENT_NAMES_MAX ((size_t)1 << 24)
#define CREATE_ATTEMPTS 8

/* ---- where ----------------------------------------------------------------------------------- */

/* "a/b/" is "b" in "a"; "b" is "b" in "."; "/b" is "b" in "/". */
static lethe_result split(struct sibling *sibling, char **parent, struct lethe_error *err)
{
    CLEANUP(memory_free) char *path = strdup(sibling->path);
    if (path == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a path");
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        path[--length] = '\0';
    char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return error_set(err, LETHE_INVALID, "'%s' does not end in a name for a directory",
                         sibling->path);
    sibling->name = strdup(name);
    if (slash != NULL)
        slash[slash == path] = '\0';
    *parent = strdup(slash == NULL ? "." : path);
    return sibling->name != NULL && *parent != NULL
               ? LETHE_OK
               : error_set(err, LETHE_NO_MEMORY, "no memory for a path");
}

/* The digits of a name that a sibling has; NULL for another name. */
static const char *digits_of(const struct sibling *sibling, const char *name)
{
    size_t length = strlen(sibling->name);
    if (name[0] != '.' || strncmp(name + 1, sibling->name, length) != 0 ||
        strncmp(name + 1 + length, MARK, strlen(MARK)) != 0)
        return NULL;
    const char *digits = name + 1 + length + strlen(MARK);
    return strspn(digits, "0123456789abcdef") == MARK_DIGITS && digits[MARK_DIGITS] == '\0' ? digits
                                                                                            : NULL;
}

const char *sibling_digits(const struct sibling *sibling)
{
    return digits_of(sibling, sibling->temporary);
}

/* ---- locks ----------------------------------------------------------------------------------- */

static int open_directory(int dir_fd, const char *name)
{
    return openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* True when `name` still is the directory that `fd` has open. */
static bool is_in_place(int dir_fd, const char *name, int fd)
{
    struct stat there;
    struct stat open;
    return fstatat(dir_fd, name, &there, AT_SYMLINK_NOFOLLOW) == 0 && fstat(fd, &open) == 0 &&
           there.st_dev == open.st_dev && there.st_ino == open.st_ino;
}

/* Somebody else's is none of ours: it may have been put there to make us remove things. */
static bool is_ours(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && status.st_uid == geteuid();
}

/* What cannot be removed now is left for the next run: it is in nobody's way. */
static void remove_leftovers(const struct sibling *sibling,
                             void (*first)(void *context, const char *digits), void *context)
{
    CLEANUP(listing_clear) struct listing listing = {0};
    if (listing_read(sibling->parent_fd, ".", PARENT_NAMES_MAX, &listing, NULL) != LETHE_OK)
        return;
    for (size_t i = 0; i < listing.count; i++) {
        const char *digits = digits_of(sibling, listing.names[i]);
        if (digits == NULL)
            continue;
        CLEANUP(fd_close) int fd = open_directory(sibling->parent_fd, listing.names[i]);
        if (fd < 0 || !is_ours(fd) || flock(fd, LOCK_EX | LOCK_NB) != 0 ||
            !is_in_place(sibling->parent_fd, listing.names[i], fd))
            continue;
        if (first != NULL)
            first(context, digits);
        (void)!file_remove_tree(sibling->parent_fd, listing.names[i], NULL);
    }
}

static lethe_result lock_replaced(struct sibling *sibling, struct lethe_error *err)
{
    sibling->replaced_fd = open_directory(sibling->parent_fd, sibling->name);
    if (sibling->replaced_fd < 0 && errno != ENOTDIR && errno != ELOOP)
        return error_from_errno(err, "opening the directory %s", sibling->path);
    if (sibling->replaced_fd < 0)
        return error_set(err, LETHE_INVALID, "%s is not a directory", sibling->path);
    if (flock(sibling->replaced_fd, LOCK_EX | LOCK_NB) != 0)
        return error_set(err, errno == EWOULDBLOCK ? LETHE_BUSY : LETHE_IO,
                         "someone else is replacing %s", sibling->path);
    if (!is_in_place(sibling->parent_fd, sibling->name, sibling->replaced_fd))
        return error_set(err, LETHE_CONFLICT, "someone else has just replaced %s", sibling->path);
    return LETHE_OK;
}

lethe_result sibling_locate(const char *path, struct sibling *out, struct lethe_error *err)
{
    *out = SIBLING_NONE;
    CLEANUP(memory_free) char *parent = NULL;
    out->path = strdup(path);
    if (out->path == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a path");
    TRY(split(out, &parent, err));
    out->parent_fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return out->parent_fd >= 0 ? LETHE_OK
                               : error_from_errno(err, "opening the directory %s", parent);
}

void sibling_remove_leftovers(const char *path, void (*first)(void *context, const char *digits),
                              void *context)
{
    CLEANUP(sibling_discard) struct sibling sibling = SIBLING_NONE;
    if (sibling_locate(path, &sibling, NULL) == LETHE_OK)
        remove_leftovers(&sibling, first, context);
}

lethe_result sibling_prepare(const char *path, bool replace, struct sibling *out,
                             struct lethe_error *err)
{
    TRY(sibling_locate(path, out, err));
    remove_leftovers(out, NULL, NULL);

    struct stat status;
    if (fstatat(out->parent_fd, out->name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? LETHE_OK : error_from_errno(err, "looking at %s", path);
    if (!replace)
        return error_set(err, LETHE_EXISTS, "%s exists already", path);
    return lock_replaced(out, err);
}

lethe_result sibling_check_space(const struct sibling *sibling, uint64_t needed_bytes,
                                 struct lethe_error *err)
{
    struct statvfs status;
    if (fstatvfs(sibling->parent_fd, &status) != 0)
        return error_from_errno(err, "asking for the space left for %s", sibling->path);
    uint64_t free_bytes = (uint64_t)status.f_bavail * status.f_frsize;
    if (needed_bytes <= free_bytes)
        return LETHE_OK;
    char needed[BYTES_TEXT_SIZE];
    char left[BYTES_TEXT_SIZE];
    bytes_text(needed_bytes, needed);
    bytes_text(free_bytes, left);
    return error_set(err, LETHE_NO_SPACE, "%s needs %s, and %s are free", sibling->path, needed,
                     left);
}

/* ---- build ----------------------------------------------------------------------------------- */

/* Between mkdir and flock another process may take the new directory for a leftover and remove it.
 * It holds the lock while it does, so with the lock we see whether it did. */
static lethe_result create_locked(struct sibling *sibling, mode_t mode, struct lethe_error *err)
{
    if (mkdirat(sibling->parent_fd, sibling->temporary, mode) != 0)
        return error_from_errno(err, "creating a directory beside %s", sibling->path);
    sibling->fd = open_directory(sibling->parent_fd, sibling->temporary);
    if (sibling->fd < 0 && errno == ENOENT)
        return LETHE_CONFLICT;
    if (sibling->fd < 0) {
        lethe_result result =
            error_from_errno(err, "opening the directory beside %s", sibling->path);
        unlinkat(sibling->parent_fd, sibling->temporary, AT_REMOVEDIR);
        return result;
    }
    if (flock(sibling->fd, LOCK_EX) != 0)
        return error_from_errno(err, "locking the directory beside %s", sibling->path);
    if (is_in_place(sibling->parent_fd, sibling->temporary, sibling->fd))
        return LETHE_OK;
    fd_close(sibling->fd);
    sibling->fd = -1;
    unlinkat(sibling->parent_fd, sibling->temporary, AT_REMOVEDIR); /* if it could not be seen */
    return LETHE_CONFLICT;
}

static lethe_result draw_name(struct sibling *sibling, const struct random_source *random,
                              struct lethe_error *err)
{
    uint64_t number;
    if (random_fill(random, &number, sizeof number) != LETHE_OK)
        return error_set(err, LETHE_FAILED, "the system gives no randomness");
    int length = snprintf(sibling->temporary, sizeof sibling->temporary, ".%s" MARK "%0*" PRIx64,
                          sibling->name, MARK_DIGITS, number);
    if (length >= (int)sizeof sibling->temporary)
        return error_set(err, LETHE_INVALID, "the name of %s is too long", sibling->path);
    return LETHE_OK;
}

lethe_result sibling_create(struct sibling *sibling, mode_t mode,
                            const struct random_source *random, struct lethe_error *err)
{
    for (int attempt = 0; attempt < CREATE_ATTEMPTS; attempt++) {
        TRY(draw_name(sibling, random, err));
        lethe_result result = create_locked(sibling, mode, err);
        if (result != LETHE_CONFLICT)
            return result;
    }
    return error_set(err, LETHE_CONFLICT, "someone else removes the directories beside %s",
                     sibling->path);
}

/* ---- kept ------------------------------------------------------------------------------------ */

static lethe_result kept_name(const struct sibling *sibling, char out[sizeof sibling->temporary],
                              struct lethe_error *err)
{
    int length = snprintf(out, sizeof sibling->temporary, ".%s" KEPT_MARK, sibling->name);
    return length < (int)sizeof sibling->temporary
               ? LETHE_OK
               : error_set(err, LETHE_INVALID, "the name of %s is too long", sibling->path);
}

lethe_result sibling_keep(struct sibling *sibling, struct lethe_error *err)
{
    char name[sizeof sibling->temporary];
    TRY(kept_name(sibling, name, err));
    if (fsync(sibling->fd) != 0)
        return error_from_errno(err, "syncing the directory beside %s", sibling->path);
    if (renameat2(sibling->parent_fd, sibling->temporary, sibling->parent_fd, name,
                  RENAME_NOREPLACE) != 0)
        return error_from_errno(err, "naming the directory beside %s", sibling->path);
    memcpy(sibling->temporary, name, sizeof name);
    sibling->kept = true;
    return fsync(sibling->parent_fd) == 0
               ? LETHE_OK
               : error_from_errno(err, "syncing the directory of %s", sibling->path);
}

/* Whoever has this name without this beginning is somebody else, and is left alone. */
static bool is_kept(int fd)
{
    char begin[sizeof KEPT_MAGIC - 1];
    CLEANUP(fd_close)
    int state = openat(fd, KEPT_STATE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    return is_ours(fd) && state >= 0 &&
           pread(state, begin, sizeof begin, 0) == (ssize_t)sizeof begin &&
           memcmp(begin, KEPT_MAGIC, sizeof begin) == 0;
}

static lethe_result not_kept(const struct sibling *sibling, const char *name,
                             struct lethe_error *err)
{
    error_set(err, LETHE_EXISTS, "%s, beside %s, was not made by lethe reencrypt, or was changed",
              name, sibling->path);
    error_hint(err, "look at it, and move it away or remove it");
    return LETHE_EXISTS;
}

lethe_result sibling_open_kept(struct sibling *sibling, bool lock, struct lethe_error *err)
{
    char name[sizeof sibling->temporary];
    TRY(kept_name(sibling, name, err));
    CLEANUP(fd_close) int fd = open_directory(sibling->parent_fd, name);
    if (fd < 0)
        return errno == ENOENT ? error_set(err, LETHE_NOT_FOUND, "there is no %s", name)
                               : not_kept(sibling, name, err);
    if (!is_kept(fd))
        return not_kept(sibling, name, err);
    if (lock && (flock(fd, LOCK_EX | LOCK_NB) != 0 || !is_in_place(sibling->parent_fd, name, fd)))
        return error_set(err, LETHE_BUSY, "someone else works on %s", name);
    memcpy(sibling->temporary, name, sizeof name);
    sibling->fd = FD_MOVE(fd);
    sibling->kept = true;
    return LETHE_OK;
}

/* Under its other name it is what a dead process left. */
lethe_result sibling_remove_kept(struct sibling *sibling, const struct random_source *random,
                                 struct lethe_error *err)
{
    char name[sizeof sibling->temporary];
    REQUIRE(sibling->kept);
    memcpy(name, sibling->temporary, sizeof name);
    TRY(draw_name(sibling, random, err));
    if (renameat2(sibling->parent_fd, name, sibling->parent_fd, sibling->temporary,
                  RENAME_NOREPLACE) != 0) {
        lethe_result result = error_from_errno(err, "removing %s", name);
        memcpy(sibling->temporary, name, sizeof name);
        return result;
    }
    sibling->kept = false;
    lethe_result result = file_remove_tree(sibling->parent_fd, sibling->temporary, err);
    fd_close(FD_MOVE(sibling->fd));
    if (result != LETHE_OK)
        error_hint(err, "the next encrypt, rewrap or reencrypt of %s removes what is left",
                   sibling->path);
    return result;
}

/* The target has been replaced: what was kept for the old one is of no use to anyone. */
static void drop_kept(const struct sibling *published)
{
    struct sibling kept = *published;
    kept.fd = -1;
    if (sibling_open_kept(&kept, true, NULL) != LETHE_OK)
        return;
    (void)!sibling_remove_kept(&kept, &random_system, NULL);
    fd_close(kept.fd);
}

/* ---- publish --------------------------------------------------------------------------------- */

static lethe_result put_in_place(const struct sibling *sibling, const char *new_path,
                                 struct lethe_error *err)
{
    bool exchange = sibling->replaced_fd >= 0;
    if (exchange && !is_in_place(sibling->parent_fd, sibling->name, sibling->replaced_fd))
        return error_set(err, LETHE_CONFLICT, "%s was moved meanwhile", sibling->path);
    if (renameat2(sibling->parent_fd, new_path, sibling->parent_fd, sibling->name,
                  exchange ? RENAME_EXCHANGE : RENAME_NOREPLACE) == 0)
        return LETHE_OK;
    int number = errno;
    if (number == EEXIST)
        return error_set(err, LETHE_CONFLICT, "%s has appeared meanwhile", sibling->path);
    lethe_result result = error_from_errno(err, "putting %s into place", sibling->path);
    if (number == EINVAL && exchange)
        error_hint(err, "this file system cannot exchange directories: choose another output, or "
                        "remove the old one first");
    return result;
}

/* The way back, after a sync that failed: the old one was promised. */
static void take_back(const struct sibling *sibling, const char *new_path)
{
    bool exchange = sibling->replaced_fd >= 0;
    (void)!renameat2(sibling->parent_fd, sibling->name, sibling->parent_fd, new_path,
                     exchange ? RENAME_EXCHANGE : RENAME_NOREPLACE);
}

lethe_result sibling_exchange(const struct sibling *sibling, const char *new_path, int new_fd,
                              struct lethe_error *err)
{
    if (fsync(new_fd) != 0)
        return error_from_errno(err, "syncing %s", sibling->path);
    TRY(put_in_place(sibling, new_path, err));
    if (fsync(sibling->parent_fd) == 0)
        return LETHE_OK;
    lethe_result result = error_from_errno(err, "syncing the directory of %s", sibling->path);
    take_back(sibling, new_path);
    return result;
}

lethe_result sibling_publish(struct sibling *sibling, struct lethe_error *err)
{
    TRY(sibling_exchange(sibling, sibling->temporary, sibling->fd, err));
    /* Under the temporary name is the old one now, if anything; failing that, the next run does. */
    if (sibling->replaced_fd >= 0) {
        (void)!file_remove_tree(sibling->parent_fd, sibling->temporary, NULL);
        drop_kept(sibling);
    }
    fd_close(sibling->fd);
    sibling->fd = -1;
    return LETHE_OK;
}

void sibling_discard(struct sibling *sibling)
{
    if (sibling->fd >= 0 && !sibling->kept)
        (void)!file_remove_tree(sibling->parent_fd, sibling->temporary, NULL);
    fd_close(sibling->fd);
    fd_close(sibling->replaced_fd);
    fd_close(sibling->parent_fd);
    free(sibling->name);
    free(sibling->path);
    *sibling = SIBLING_NONE;
}
