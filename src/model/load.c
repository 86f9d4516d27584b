#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/error.h"
#include "base/thread.h"
#include "mem/host.h"
#include "model/opened.h"
#include "model/progress.h"
#include "model/staging.h"

struct load { /* of a shard */
    const struct shard_reader *reader;
    const struct extent_list *places; /* in the destination */
    const struct staging *staging;    /* of each worker; NULL: the places are one */
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

static lethe_result load_in_pieces(const struct load *load, uint64_t index, void *cipher,
                                   const struct staging *staging, struct lethe_error *err)
{
    struct tink_segment segment = shard_segment(load->reader, index);
    TRY(shard_read_segment(load->reader, index, cipher, staging->segment, err));
    extent_list_scatter(load->places, segment.plain_offset, staging->segment, segment.plain_bytes,
                        load->destination);
    return LETHE_OK;
}

/* The ciphertext goes through one small buffer per worker, which stays in the cache, and from there
 * straight to its place; what has several goes by way of guarded memory. */
static lethe_result load_segment(const struct load *load, uint64_t index, void *cipher,
                                 unsigned worker, struct lethe_error *err)
{
    struct tink_segment segment = shard_segment(load->reader, index);
    struct extent piece = extent_piece(load->places, segment.plain_offset, segment.plain_bytes);
    if (extent_bytes(&piece) < segment.plain_bytes)
        return load_in_pieces(load, index, cipher, &load->staging[worker], err);
    uint8_t *place = load->destination + piece.begin;
    make_pages(place, segment.plain_bytes);
    return shard_read_segment(load->reader, index, cipher, place, err);
}

static lethe_result load_segments(struct load *load, unsigned worker, struct lethe_error *err)
{
    CLEANUP(memory_free) void *cipher = aligned_alloc(TREE_BLOCK_BYTES, SEGMENT_BYTES);
    if (cipher == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a worker's buffer");
    while (!atomic_load(&load->failed)) {
        uint64_t index = atomic_fetch_add(&load->next, 1);
        if (index >= load->reader->segments)
            return LETHE_OK;
        if (load->cancelled != NULL && atomic_load(load->cancelled))
            return error_set(err, LETHE_CANCELLED, "loading was cancelled");
        TRY(load_segment(load, index, cipher, worker, err));
        progress_add(load->progress, shard_segment(load->reader, index).plain_bytes);
    }
    return LETHE_OK;
}

static lethe_result load_worker(void *context, unsigned worker, struct lethe_error *err)
{
    struct load *load = context;
    lethe_result result = load_segments(load, worker, err);
    if (result != LETHE_OK)
        atomic_store(&load->failed, true);
    return result;
}

/* Where to, and how. */
struct loading {
    struct model *model;
    const struct key_source *keys;
    const struct model_work *work;
    uint8_t *destination;
    unsigned threads;
    struct staging_set staging; /* empty when every shard has one place */
    struct progress progress;
};

static lethe_result load_shard(struct loading *loading, size_t shard_index,
                               const struct extent_list *places, struct lethe_error *err)
{
    CLEANUP(shard_reader_close) struct shard_reader reader = SHARD_READER_NONE;
    const struct model_work *work = loading->work;
    const struct shard_access access = {
        .keys = loading->keys, .purpose = "load", .backend = work->backend};
    TRY(shard_reader_open(loading->model, shard_index, &access, &reader, err));
    struct load load = {.reader = &reader,
                        .places = places,
                        .staging = loading->staging.items,
                        .destination = loading->destination,
                        .progress = &loading->progress,
                        .cancelled = work->cancelled};
    return threads_run(workers_for(loading->threads, reader.segments), load_worker, &load, err);
}

static lethe_result load_file(struct loading *loading, const struct model_file *file,
                              struct lethe_error *err)
{
    const struct manifest *manifest = loading->model->manifest;
    if (file->shard_count > 1) {
        TRY(staging_create(loading->threads, UINT64_MAX, manifest->tenant, &loading->staging, err));
        loading->threads = loading->staging.count;
    }
    for (size_t i = 0; i < file->shard_count; i++) {
        const struct shard *shard = &manifest->shards[file->shards[i]];
        TRY(load_shard(loading, file->shards[i], &shard->extents, err));
    }
    return LETHE_OK;
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

lethe_result model_load_shard(struct model *model, size_t shard_index,
                              const struct key_source *keys, void *destination,
                              const struct model_work *work, struct lethe_error *err)
{
    static const struct extent_list one_piece = {0};
    REQUIRE(model->is_signed);
    REQUIRE(shard_index < model->manifest->count);
    uint64_t size_bytes = model->manifest->shards[shard_index].size;
    struct loading loading = {.model = model,
                              .keys = keys,
                              .work = work,
                              .destination = destination,
                              .threads = work->threads};
    progress_init(&loading.progress, work->progress, size_bytes);
    lethe_result result = load_shard(&loading, shard_index, &one_piece, err);
    return finish(&loading, size_bytes, result, err);
}

lethe_result model_load_file(struct model *model, size_t file_index, const struct key_source *keys,
                             void *destination, const struct model_work *work,
                             struct lethe_error *err)
{
    REQUIRE(model->is_signed);
    REQUIRE(file_index < model->manifest->files.count);
    const struct model_file *file = &model->manifest->files.items[file_index];
    struct loading loading = {.model = model,
                              .keys = keys,
                              .work = work,
                              .destination = destination,
                              .threads = work->threads};
    progress_init(&loading.progress, work->progress, file->size_bytes);
    lethe_result result = load_file(&loading, file, err);
    return finish(&loading, file->size_bytes, result, err);
}
