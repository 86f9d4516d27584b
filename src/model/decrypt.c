#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/thread.h"
#include "model/crew.h"
#include "model/files_ahead.h"
#include "model/progress.h"
#include "model/sibling.h"
#include "model/staging.h"

struct decryption { /* of a model */
    struct model *model;
    const struct key_source *keys;
    const struct model_work *work;
    struct sibling place;
    struct staging_set staging;
    struct progress progress;
    struct files_ahead ahead;
};

/* ---- one shard ------------------------------------------------------------------------------- */

struct file_writing { /* of a shard */
    struct decryption *decryption;
    int fd;
    const struct shard_reader *reader;
    atomic_uint_fast64_t next; /* segment that nobody has taken */
    atomic_bool failed;
};

static lethe_result write_segment(const struct file_writing *file, uint64_t index,
                                  const uint8_t *plain, struct lethe_error *err)
{
    const struct shard *shard = file->reader->shard;
    struct tink_segment segment = shard_segment(file->reader, index);
    for (size_t done = 0; done < segment.plain_bytes;) {
        struct extent piece =
            extent_piece(&shard->extents, segment.plain_offset + done, segment.plain_bytes - done);
        size_t piece_bytes = extent_bytes(&piece);
        TRY(file_write_at(file->fd, shard->name, piece.begin, plain + done, piece_bytes, err));
        done += piece_bytes;
    }
    if (shard->extents.count == 0)
        staging_write_behind(file->fd, index);
    return LETHE_OK;
}

/* A segment is written when its tag was checked; nobody else can see the file before all were. */
static lethe_result write_segments(struct file_writing *file, const struct staging *staging,
                                   struct lethe_error *err)
{
    while (!atomic_load(&file->failed)) {
        uint64_t index = atomic_fetch_add(&file->next, 1);
        if (index >= file->reader->segments)
            return LETHE_OK;
        TRY(shard_read_segment(file->reader, index, staging->segment, staging->segment, err));
        TRY(write_segment(file, index, staging->segment, err));
        progress_add(&file->decryption->progress, shard_segment(file->reader, index).plain_bytes);
    }
    return LETHE_OK;
}

static lethe_result write_worker(void *context, unsigned worker, struct lethe_error *err)
{
    struct file_writing *file = context;
    lethe_result result = write_segments(file, &file->decryption->staging.items[worker], err);
    if (result != LETHE_OK)
        atomic_store(&file->failed, true);
    return result;
}

static lethe_result write_together(void *context, const struct shard_reader *reader,
                                   struct lethe_error *err)
{
    struct file_writing file = *(struct file_writing *)context;
    file.reader = reader;
    unsigned threads = (unsigned)MIN(file.decryption->staging.count, reader->segments);
    return threads_run(threads, write_worker, &file, err);
}

static lethe_result write_alone(void *context, const struct shard_reader *reader, unsigned worker,
                                struct lethe_error *err)
{
    struct file_writing file = *(struct file_writing *)context;
    file.reader = reader;
    return write_worker(&file, worker, err);
}

static lethe_result decrypt_to(struct decryption *d, size_t file_index, int fd,
                               struct lethe_error *err)
{
    const struct model_file *file = &d->model->manifest->files.items[file_index];
    struct file_writing writing = {.decryption = d, .fd = fd};
    struct shard_access access = {
        .keys = d->keys, .purpose = "decrypt", .backend = d->work->backend};
    if (file->shard_count == 1)
        access.ahead = files_ahead_look(&d->ahead, d->model, &access, file_index);
    const struct crew crew = {.model = d->model,
                              .access = &access,
                              .shards = file->shards,
                              .count = file->shard_count,
                              .threads = d->staging.count,
                              .large_segments = 2,
                              .together = write_together,
                              .alone = write_alone,
                              .context = &writing};
    TRY(crew_run(&crew, err));
    return fdatasync(fd) == 0 ? LETHE_OK : error_from_errno(err, "syncing %s", file->name);
}

/* ---- folders --------------------------------------------------------------------------------- */

/* Calls for every folder that `name` lies in, outermost first: "a", then "a/b", for "a/b/c". */
static lethe_result for_each_folder(int dir_fd, const char *name,
                                    lethe_result (*act)(int dir_fd, const char *folder,
                                                        struct lethe_error *err),
                                    struct lethe_error *err)
{
    CLEANUP(memory_free) char *folder = strdup(name);
    if (folder == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a path");
    for (char *slash = strchr(folder, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        TRY(act(dir_fd, folder, err));
        *slash = '/';
    }
    return LETHE_OK;
}

static lethe_result make_folder(int dir_fd, const char *folder, struct lethe_error *err)
{
    if (mkdirat(dir_fd, folder, 0700) == 0 || errno == EEXIST)
        return LETHE_OK;
    return error_from_errno(err, "creating the directory %s", folder);
}

static lethe_result decrypt_file(struct decryption *d, size_t file_index, struct lethe_error *err)
{
    const struct model_file *file = &d->model->manifest->files.items[file_index];
    TRY(for_each_folder(d->place.fd, file->name, make_folder, err));
    CLEANUP(fd_close)
    int fd =
        openat(d->place.fd, file->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_from_errno(err, "creating %s", file->name);
    TRY(decrypt_to(d, file_index, fd, err));
    return for_each_folder(d->place.fd, file->name, file_sync_directory, err);
}

/* ---- all ------------------------------------------------------------------------------------- */

static lethe_result decrypt_all(struct decryption *d, struct lethe_error *err)
{
    TRY(sibling_check_space(&d->place, model_plain_bytes(d->model), err));
    TRY(sibling_create(&d->place, 0700, &random_system, err));
    for (size_t i = 0; i < d->model->manifest->files.count; i++)
        TRY(decrypt_file(d, i, err));
    return sibling_publish(&d->place, err);
}

static void decryption_clear(struct decryption *d)
{
    sibling_discard(&d->place);
    staging_clear(&d->staging);
    progress_clear(&d->progress);
    files_ahead_clear(&d->ahead);
}
static inline void decryption_clear_at_scope_end(struct decryption *d)
{
    decryption_clear(d);
}

lethe_result model_decrypt(struct model *model, const struct key_source *keys,
                           const char *directory, const struct model_work *work,
                           struct lethe_error *err)
{
    REQUIRE(model->is_signed);
    CLEANUP(decryption_clear)
    struct decryption d = {.model = model, .keys = keys, .work = work, .place = SIBLING_NONE};
    progress_init(&d.progress, work->progress, model_plain_bytes(model));
    TRY(sibling_prepare(directory, false, &d.place, err));
    TRY(staging_create(work->threads, UINT64_MAX, model->manifest->tenant, &d.staging, err));
    return error_context(err, decrypt_all(&d, err), "model %s", model->path);
}
