#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

#define READ_CHUNK_BYTES 16384

/* read(2) that was interrupted is read again. 0 is the end of the file. */
static ssize_t read_some(int fd, void *out, size_t size_bytes)
{
    ssize_t got;
    do
        got = read(fd, out, size_bytes);
    while (got < 0 && errno == EINTR);
    return got;
}

static lethe_result append_until_end(int fd, const char *path, size_t max_bytes, struct buffer *out,
                                     struct lethe_error *err)
{
    char chunk[READ_CHUNK_BYTES];
    size_t total = 0;
    for (;;) {
        ssize_t got = read_some(fd, chunk, sizeof chunk);
        if (got < 0)
            return error_from_errno(err, "reading %s", path);
        if (got == 0)
            return buffer_result(out, err);
        if ((size_t)got > max_bytes - total)
            return error_set(err, LETHE_LIMIT, "%s is larger than the limit of %zu bytes", path,
                             max_bytes);
        total += (size_t)got;
        buffer_append(out, chunk, (size_t)got);
        TRY(buffer_result(out, err));
    }
}

lethe_result file_read_to_end(int fd, const char *path, size_t max_bytes, struct buffer *out,
                              struct lethe_error *err)
{
    size_t before = out->size_bytes;
    lethe_result result = append_until_end(fd, path, max_bytes, out, err);
    if (result != LETHE_OK)
        buffer_truncate(out, before);
    return result;
}

lethe_result file_read_all(int dir_fd, const char *path, size_t max_bytes, struct buffer *out,
                           struct lethe_error *err)
{
    /* Non-blocking, so that a FIFO with the file's name cannot hold us up before it is refused. */
    CLEANUP(fd_close)
    int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return error_from_errno(err, "opening %s", path);
    struct stat status;
    if (fstat(fd, &status) != 0)
        return error_from_errno(err, "looking at %s", path);
    if (!S_ISREG(status.st_mode))
        return error_set(err, LETHE_INVALID, "%s is not a regular file", path);
    return file_read_to_end(fd, path, max_bytes, out, err);
}

lethe_result file_read_at(int fd, const char *path, uint64_t offset, void *out, size_t size_bytes,
                          struct lethe_error *err)
{
    uint8_t *at = out;
    uint64_t end;
    if (__builtin_add_overflow(offset, size_bytes, &end) || end > INT64_MAX)
        return error_set(err, LETHE_INTEGRITY, "%s: no file reaches to byte %" PRIu64, path,
                         offset);
    while (size_bytes > 0) {
        ssize_t got = pread(fd, at, size_bytes, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_from_errno(err, "reading %s", path);
        if (got == 0)
            return error_set(err, LETHE_INTEGRITY,
                             "%s is cut short: it ends at byte %" PRIu64 " instead of %" PRIu64
                             " or later",
                             path, offset, end);
        at += got;
        offset += (size_t)got;
        size_bytes -= (size_t)got;
    }
    return LETHE_OK;
}

lethe_result file_write_at(int fd, const char *path, uint64_t offset, const void *bytes,
                           size_t size_bytes, struct lethe_error *err)
{
    const uint8_t *at = bytes;
    uint64_t end;
    if (__builtin_add_overflow(offset, size_bytes, &end) || end > INT64_MAX)
        return error_set(err, LETHE_LIMIT, "%s: no file reaches to byte %" PRIu64, path, offset);
    while (size_bytes > 0) {
        ssize_t put = pwrite(fd, at, size_bytes, (off_t)offset);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return error_from_errno(err, "writing %s", path);
        at += put;
        offset += (size_t)put;
        size_bytes -= (size_t)put;
    }
    return LETHE_OK;
}

lethe_result file_write(int fd, const char *path, const void *bytes, size_t size_bytes,
                        struct lethe_error *err)
{
    const uint8_t *at = bytes;
    while (size_bytes > 0) {
        ssize_t put = write(fd, at, size_bytes);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return error_from_errno(err, "writing %s", path);
        at += put;
        size_bytes -= (size_t)put;
    }
    return LETHE_OK;
}

lethe_result file_check_private(const char *path, const struct stat *status,
                                struct lethe_error *err)
{
    if (status->st_uid != geteuid()) {
        error_set(err, LETHE_UNPROTECTED, "%s belongs to uid %u instead of %u", path,
                  (unsigned)status->st_uid, (unsigned)geteuid());
        error_hint(err, "run as its owner, or: chown %u %s", (unsigned)geteuid(), path);
        return LETHE_UNPROTECTED;
    }
    if ((status->st_mode & 077) != 0) {
        error_set(err, LETHE_UNPROTECTED, "%s is open to group or others (mode %04o)", path,
                  (unsigned)(status->st_mode & 07777));
        error_hint(err, "chmod %s %s", S_ISDIR(status->st_mode) ? "700" : "600", path);
        return LETHE_UNPROTECTED;
    }
    return LETHE_OK;
}

const char *path_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

char *path_join(const char *directory, const char *name)
{
    size_t length = strlen(directory);
    bool ends_in_slash = length > 0 && directory[length - 1] == '/';
    char *joined;
    if (asprintf(&joined, "%s%s%s", directory, ends_in_slash ? "" : "/", name) < 0)
        return NULL;
    return joined;
}
