#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/error.h"
#include "base/thread.h"
#include "mem/host.h"
#include "model/crew.h"
#include "model/files_ahead.h"
#include "model/progress.h"
#include "model/staging.h"

struct load { /* of a shard */
    const struct shard_reader *reader;
    const struct extent_list *places; /* in the destination */
    const struct staging *staging;    /* of each worker; NULL: there is one place only */
    uint8_t *destination;
    struct progress *progress;
    const atomic_bool *cancelled;
    atomic_uint_fast64_t next; /* segment that nobody has taken */
    atomic_bool failed;
};

/* Makes the pages of a segment's place in one call, which takes less than a fault for each of them.
 * Only a help: what it cannot do (before Linux 5.14), the faults will. */
static void make_pages(uint8_t *place, size_t size_bytes)
{
    size_t into_page = (uintptr_t)place % PAGE_BYTES;
    (void)madvise(place - into_page, into_page + size_bytes, MADV_POPULATE_WRITE);
}

static lethe_result load_in_pieces(const struct load *load, uint64_t index, uint8_t *staging,
                                   struct lethe_error *err)
{
    struct tink_segment segment = shard_segment(load->reader, index);
    TRY(shard_read_segment(load->reader, index, staging, staging, err));
    extent_list_scatter(load->places, segment.plain_offset, staging, segment.plain_bytes,
                        load->destination);
    return LETHE_OK;
}

/* The ciphertext goes through one small buffer per worker, which stays in the cache, and from there
 * straight to its place. What has several is opened in that buffer, which then is guarded. */
static lethe_result load_segment(const struct load *load, uint64_t index, uint8_t *buffer,
                                 struct lethe_error *err)
{
    struct tink_segment segment = shard_segment(load->reader, index);
    struct extent piece = extent_piece(load->places, segment.plain_offset, segment.plain_bytes);
    if (extent_bytes(&piece) < segment.plain_bytes)
        return load_in_pieces(load, index, buffer, err);
    uint8_t *place = load->destination + piece.begin;
    make_pages(place, segment.plain_bytes);
    return shard_read_segment(load->reader, index, buffer, place, err);
}

static lethe_result load_segments(struct load *load, uint8_t *buffer, struct lethe_error *err)
{
    while (!atomic_load(&load->failed)) {
        uint64_t index = atomic_fetch_add(&load->next, 1);
        if (index >= load->reader->segments)
            return LETHE_OK;
        if (load->cancelled != NULL && atomic_load(load->cancelled))
            return error_set(err, LETHE_CANCELLED, "loading was cancelled");
        TRY(load_segment(load, index, buffer, err));
        progress_add(load->progress, shard_segment(load->reader, index).plain_bytes);
    }
    return LETHE_OK;
}

static lethe_result load_with_buffer(struct load *load, unsigned worker, struct lethe_error *err)
{
    if (load->staging != NULL)
        return load_segments(load, load->staging[worker].segment, err);
    CLEANUP(memory_free) void *cipher = aligned_alloc(TREE_BLOCK_BYTES, SEGMENT_BYTES);
    if (cipher == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a worker's buffer");
    return load_segments(load, cipher, err);
}

static lethe_result load_worker(void *context, unsigned worker, struct lethe_error *err)
{
    struct load *load = context;
    lethe_result result = load_with_buffer(load, worker, err);
    if (result != LETHE_OK)
        atomic_store(&load->failed, true);
    return result;
}

/* Where to, and how. */
struct loading {
    struct model *model;
    const struct model_work *work;
    struct shard_access access;
    uint8_t *destination;
    struct staging_set staging; /* for files of several shards */
    struct progress progress;
};

static struct load load_of(struct loading *loading, const struct shard_reader *reader,
                           const struct extent_list *places)
{
    return (struct load){.reader = reader,
                         .places = places,
                         .staging = loading->staging.items,
                         .destination = loading->destination,
                         .progress = &loading->progress,
                         .cancelled = loading->work->cancelled};
}

/* In one piece, wherever it lies in its file. */
static lethe_result load_shard(struct loading *loading, size_t shard_index, struct lethe_error *err)
{
    static const struct extent_list one_piece = {0};
    CLEANUP(shard_reader_close) struct shard_reader reader = SHARD_READER_NONE;
    TRY(shard_reader_open(loading->model, shard_index, &loading->access, &reader, err));
    struct load load = load_of(loading, &reader, &one_piece);
    unsigned threads = workers_for(loading->work->threads, reader.segments);
    return threads_run(threads, load_worker, &load, err);
}

static lethe_result load_part_together(void *context, const struct shard_reader *reader,
                                       struct lethe_error *err)
{
    struct loading *loading = context;
    struct load load = load_of(loading, reader, &reader->shard->extents);
    return threads_run(workers_for(loading->staging.count, reader->segments), load_worker, &load,
                       err);
}

static lethe_result load_part_alone(void *context, const struct shard_reader *reader,
                                    unsigned worker, struct lethe_error *err)
{
    struct load load = load_of(context, reader, &reader->shard->extents);
    return load_worker(&load, worker, err);
}

static lethe_result load_parts(struct loading *loading, const struct model_file *file,
                               struct lethe_error *err)
{
    TRY(staging_create(loading->work->threads, UINT64_MAX, loading->model->manifest->tenant,
                       &loading->staging, err));
    const struct crew crew = {.model = loading->model,
                              .access = &loading->access,
                              .shards = file->shards,
                              .count = file->shard_count,
                              .threads = loading->staging.count,
                              .large_segments = 2,
                              .together = load_part_together,
                              .alone = load_part_alone,
                              .context = loading};
    return crew_run(&crew, err);
}

static lethe_result finish(struct loading *loading, uint64_t size_bytes, lethe_result result,
                           struct lethe_error *err)
{
    progress_clear(&loading->progress);
    staging_clear(&loading->staging);
    if (result != LETHE_OK)
        lethe_wipe(loading->destination, size_bytes);
    return error_context(err, result, "model %s", loading->model->path);
}

static struct loading loading_of(struct model *model, const struct key_source *keys,
                                 void *destination, const struct model_work *work)
{
    REQUIRE(model->is_signed);
    return (struct loading){.model = model,
                            .work = work,
                            .access = {.keys = keys, .purpose = "load", .backend = work->backend},
                            .destination = destination};
}

/* All of a file: in one piece, or put together from its parts. */
static lethe_result load_file(struct loading *loading, size_t file_index, struct lethe_error *err)
{
    const struct model_file *file = &loading->model->manifest->files.items[file_index];
    if (file->shard_count > 1)
        return load_parts(loading, file, err);
    struct files_ahead *ahead = loading->work->ahead;
    if (ahead != NULL)
        loading->access.ahead =
            files_ahead_look(ahead, loading->model, &loading->access, file_index);
    return load_shard(loading, file->shards[0], err);
}

lethe_result model_load_shard(struct model *model, size_t shard_index,
                              const struct key_source *keys, void *destination,
                              const struct model_work *work, struct lethe_error *err)
{
    REQUIRE(shard_index < model->manifest->count);
    uint64_t size_bytes = model->manifest->shards[shard_index].size;
    struct loading loading = loading_of(model, keys, destination, work);
    progress_init(&loading.progress, work->progress, size_bytes);
    return finish(&loading, size_bytes, load_shard(&loading, shard_index, err), err);
}

lethe_result model_load_file(struct model *model, size_t file_index, const struct key_source *keys,
                             void *destination, const struct model_work *work,
                             struct lethe_error *err)
{
    REQUIRE(file_index < model->manifest->files.count);
    uint64_t size_bytes = model->manifest->files.items[file_index].size_bytes;
    struct loading loading = loading_of(model, keys, destination, work);
    progress_init(&loading.progress, work->progress, size_bytes);
    return finish(&loading, size_bytes, load_file(&loading, file_index, err), err);
}
