/* base/file.h -- files: read whole under a cap, written so that a crash leaves the old or the new.
 *
 * Every function retries EINTR and short transfers, checks every write and close, and names the
 * path in its error. Thread rule: any thread; a descriptor by one thread at a time, but
 * file_read_at and file_write_at may share one. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <sys/stat.h>

#include "base/buffer.h"

/* Appends the whole regular file. LETHE_LIMIT when it is larger than max_bytes, LETHE_INVALID for a
 * directory, device or FIFO; on failure `out` is as before. Not for secrets. */
LETHE_MUST_CHECK lethe_result file_read_all(int dir_fd, const char *path, size_t max_bytes,
                                            struct buffer *out, struct lethe_error *err);
/* The same from a descriptor that is open, whatever it leads to, up to its end. Blocks as reading
 * it does. */
LETHE_MUST_CHECK lethe_result file_read_to_end(int fd, const char *path, size_t max_bytes,
                                               struct buffer *out, struct lethe_error *err);
/* Exactly size_bytes at offset; LETHE_INTEGRITY when the file ends before. `path` only for errors.
 */
LETHE_MUST_CHECK lethe_result file_read_at(int fd, const char *path, uint64_t offset, void *out,
                                           size_t size_bytes, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result file_write_at(int fd, const char *path, uint64_t offset,
                                            const void *bytes, size_t size_bytes,
                                            struct lethe_error *err);
LETHE_MUST_CHECK lethe_result file_write(int fd, const char *path, const void *bytes,
                                         size_t size_bytes, struct lethe_error *err);

/* Temporary file, fsync, rename over `path`, fsync of the directory; on any failure the old file
 * stays and the temporary one is gone (but for the last fsync of one that replaces another:
 * then the new one is in place, and may not survive a power cut). `mode` is less the umask. With
 * `replace` false an existing file is LETHE_EXISTS. The temporary file has no name where the file
 * system can do that (O_TMPFILE): a process that is killed leaves nothing, but in the moment in
 * which an existing file is replaced. There, and elsewhere, it leaves FILE_TEMPORARY_PREFIX and 16
 * hex digits beside `path`, unlocked, which the next write into that directory removes. */
#define FILE_TEMPORARY_PREFIX ".lethe-tmp-"
LETHE_MUST_CHECK lethe_result file_write_atomic(int dir_fd, const char *path, const void *bytes,
                                                size_t size_bytes, mode_t mode, bool replace,
                                                struct lethe_error *err);

/* The same for a file that is too large to be in memory, or must not be: `write` writes all of it
 * to the descriptor; when it fails, nothing is left. */
struct file_place {
    int dir_fd;
    const char *path;
    mode_t mode;
    bool replace;
};
struct file_content {
    lethe_result (*write)(void *context, int fd, const char *path, struct lethe_error *err);
    void *context;
};
LETHE_MUST_CHECK lethe_result file_produce_atomic(const struct file_place *place,
                                                  const struct file_content *content,
                                                  struct lethe_error *err);

/* fsync of a directory (after a rename or create in it). */
LETHE_MUST_CHECK lethe_result file_sync_directory(int dir_fd, const char *path,
                                                  struct lethe_error *err);
/* mkdir -p with `mode` for what is created; an existing directory is fine. */
LETHE_MUST_CHECK lethe_result file_make_directories(const char *path, mode_t mode,
                                                    struct lethe_error *err);
/* Removes a tree without following symlinks; a missing one is fine. */
LETHE_MUST_CHECK lethe_result file_remove_tree(int dir_fd, const char *path,
                                               struct lethe_error *err);
/* LETHE_UNPROTECTED when group or others may read, write or enter it, or someone else owns it. */
LETHE_MUST_CHECK lethe_result file_check_private(const char *path, const struct stat *status,
                                                 struct lethe_error *err);
/* "<dir>/<name>", owned by the caller (memory_free); NULL when memory is out. */
char *path_join(const char *directory, const char *name);
/* The last part of a path, for messages and records: of the path's text. */
const char *path_base_name(const char *path);

#endif
