/* Hashing of the pieces of files, each on whatever thread is free. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/thread.h"
#include "model/oms_format.h"

#define READ_BYTES ((size_t)256 << 10) /* stays in a core's own cache between read and hash */

struct job {
    const struct oms_work *how;
    const struct oms_list *list;
    struct oms_resource *fill; /* where the digests go; NULL: compare with those in the list */
    atomic_size_t next;        /* the piece that nobody has taken yet */
    atomic_bool failed;        /* then the others need not go on */
};

/* What a thread uses for all its pieces. */
struct worker {
    struct job *job;
    uint8_t *buffer; /* READ_BYTES */
    struct sha256_stream *stream;
};

/* What was there when the list was made is gone, or leads elsewhere. */
static lethe_result cannot_open(struct lethe_error *err)
{
    if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
        return error_set(err, LETHE_INTEGRITY, "it is missing, or behind a symbolic link");
    return error_from_errno(err, "cannot open it");
}

/* Opens part by part, so that no part may be a symlink: what was signed is in this directory. */
static lethe_result open_below(int dir_fd, const char *path, int *out, struct lethe_error *err)
{
    CLEANUP(fd_close) int folder = -1;
    char part[NAME_MAX + 1];
    int at = dir_fd;
    for (const char *slash; (slash = strchr(path, '/')) != NULL; path = slash + 1) {
        size_t length = (size_t)(slash - path);
        if (length > NAME_MAX)
            return error_set(err, LETHE_INVALID, "a part of the path is longer than %d", NAME_MAX);
        memcpy(part, path, length);
        part[length] = '\0';
        int next = openat(at, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0)
            return cannot_open(err);
        fd_close(folder);
        at = folder = next;
    }
    *out = openat(at, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    return *out >= 0 ? LETHE_OK : cannot_open(err);
}

static lethe_result open_regular(int dir_fd, const char *path, int *out, uint64_t *size_bytes,
                                 struct lethe_error *err)
{
    struct stat status;
    TRY(open_below(dir_fd, path, out, err));
    if (fstat(*out, &status) != 0)
        return error_from_errno(err, "cannot look at it");
    if (!S_ISREG(status.st_mode))
        return error_set(err, LETHE_INTEGRITY, "it is not a regular file");
    *size_bytes = (uint64_t)status.st_size;
    return LETHE_OK;
}

static lethe_result hash_range(const struct worker *worker, int fd, const struct oms_range *range,
                               uint8_t digest[SHA256_BYTES], struct lethe_error *err)
{
    const struct oms_progress *progress = worker->job->how->progress;
    for (uint64_t offset = range->start; offset < range->end;) {
        size_t size_bytes = MIN(range->end - offset, READ_BYTES);
        if (atomic_load_explicit(&worker->job->failed, memory_order_relaxed))
            return LETHE_CANCELLED;
        TRY(file_read_at(fd, range->path, offset, worker->buffer, size_bytes, err));
        sha256_update(worker->stream, worker->buffer, size_bytes);
        if (progress != NULL)
            progress->report(progress->context, size_bytes);
        offset += size_bytes;
    }
    sha256_finish(worker->stream, digest);
    return LETHE_OK;
}

static lethe_result hash_piece(const struct worker *worker, size_t index, struct lethe_error *err)
{
    const struct job *job = worker->job;
    const struct oms_resource *piece = &job->list->resources[index];
    CLEANUP(fd_close) int fd = -1;
    uint64_t file_bytes = 0;
    uint8_t digest[SHA256_BYTES];
    struct oms_range range = {piece->path, piece->start, piece->end};
    TRY(open_regular(job->how->dir_fd, piece->path, &fd, &file_bytes, err));
    if (job->list->whole_files)
        range.end = file_bytes;
    TRY(hash_range(worker, fd, &range, digest, err));
    if (job->fill != NULL)
        memcpy(job->fill[index].digest, digest, SHA256_BYTES);
    else if (memcmp(piece->digest, digest, SHA256_BYTES) != 0)
        return error_set(err, LETHE_INTEGRITY,
                         "bytes %" PRIu64 " to %" PRIu64 " are not those that were signed",
                         range.start, range.end);
    return LETHE_OK;
}

static lethe_result hash_pieces(const struct worker *worker, struct lethe_error *err)
{
    struct job *job = worker->job;
    size_t index;
    while ((index = atomic_fetch_add(&job->next, 1)) < job->list->count) {
        lethe_result result = hash_piece(worker, index, err);
        if (result == LETHE_CANCELLED)
            return LETHE_OK; /* another worker has the reason */
        if (result != LETHE_OK) {
            atomic_store(&job->failed, true);
            return error_context(err, result, "file \"%s\" of the model",
                                 job->list->resources[index].path);
        }
    }
    return LETHE_OK;
}

static lethe_result work(void *context, unsigned number, struct lethe_error *err)
{
    CLEANUP(memory_free) uint8_t *buffer = malloc(READ_BYTES);
    CLEANUP(sha256_free) struct sha256_stream *stream = NULL;
    if (buffer == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory to read files with");
    TRY(sha256_create(&stream, err));
    struct worker worker = {.job = context, .buffer = buffer, .stream = stream};
    return hash_pieces(&worker, err);
}

static lethe_result run(struct job *job, struct lethe_error *err)
{
    unsigned threads = job->how->threads == 0 ? threads_available() : job->how->threads;
    size_t useful = MIN(threads, MIN(job->list->count, THREADS_MAX));
    return threads_run((unsigned)MAX(useful, 1u), work, job, err);
}

static lethe_result add_pieces(struct oms_list *list, const struct oms_file *file,
                               struct lethe_error *err)
{
    static const uint8_t unknown[SHA256_BYTES];
    struct oms_range range = {.path = file->path};
    if (list->whole_files)
        return oms_list_add(list, &range, unknown, err);
    for (; range.start < file->size_bytes; range.start = range.end) {
        range.end = range.start + MIN(file->size_bytes - range.start, list->shard_bytes);
        TRY(oms_list_add(list, &range, unknown, err));
    }
    return LETHE_OK;
}

lethe_result oms_hash_files(const struct oms_work *how, const struct oms_file *files, size_t count,
                            struct oms_list *out, struct lethe_error *err)
{
    REQUIRE(out->count == 0);
    out->shard_bytes = OMS_SHARD_BYTES;
    out->whole_files = false;
    for (size_t i = 0; i < count; i++)
        out->whole_files |= files[i].size_bytes == 0; /* method `shards` has no words for those */
    for (size_t i = 0; i < count; i++)
        TRY(add_pieces(out, &files[i], err));
    struct job job = {.how = how, .list = out, .fill = out->resources};
    return run(&job, err);
}

lethe_result oms_check_content(const struct oms_list *list, const struct oms_work *how,
                               struct lethe_error *err)
{
    struct job job = {.how = how, .list = list};
    return run(&job, err);
}
