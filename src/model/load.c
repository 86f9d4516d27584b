#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/error.h"
#include "base/thread.h"
#include "mem/host.h"
#include "model/opened.h"
#include "model/progress.h"
#include "model/staging.h"

struct load {
    const struct shard_reader *reader;
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

/* The ciphertext goes through one small buffer per worker, which stays in the cache, and from there
 * straight to its place. */
static lethe_result load_segments(struct load *load, struct lethe_error *err)
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
        struct tink_segment segment = shard_segment(load->reader, index);
        uint8_t *place = load->destination + segment.plain_offset;
        make_pages(place, segment.plain_bytes);
        TRY(shard_read_segment(load->reader, index, cipher, place, err));
        progress_add(load->progress, segment.plain_bytes);
    }
    return LETHE_OK;
}

static lethe_result load_worker(void *context, unsigned worker, struct lethe_error *err)
{
    struct load *load = context;
    lethe_result result = load_segments(load, err);
    if (result != LETHE_OK)
        atomic_store(&load->failed, true);
    return result;
}

static lethe_result load_shard(struct model *model, size_t shard_index,
                               const struct key_source *keys, void *destination,
                               const struct model_work *work, struct lethe_error *err)
{
    CLEANUP(shard_reader_close) struct shard_reader reader = SHARD_READER_NONE;
    const struct shard_access access = {.keys = keys, .purpose = "load", .backend = work->backend};
    TRY(shard_reader_open(model, shard_index, &access, &reader, err));
    struct progress progress;
    progress_init(&progress, work->progress, reader.shard->size);
    struct load load = {.reader = &reader,
                        .destination = destination,
                        .progress = &progress,
                        .cancelled = work->cancelled};
    lethe_result result =
        threads_run(workers_for(work->threads, reader.segments), load_worker, &load, err);
    progress_clear(&progress);
    return result;
}

lethe_result model_load_shard(struct model *model, size_t shard_index,
                              const struct key_source *keys, void *destination,
                              const struct model_work *work, struct lethe_error *err)
{
    REQUIRE(model->is_signed);
    REQUIRE(shard_index < model->manifest->count);
    lethe_result result = load_shard(model, shard_index, keys, destination, work, err);
    if (result != LETHE_OK)
        lethe_wipe(destination, model->manifest->shards[shard_index].size);
    return error_context(err, result, "model %s", model->path);
}

lethe_result model_check_digest(const struct model *model, size_t shard_index,
                                const void *plaintext, unsigned threads, struct lethe_error *err)
{
    REQUIRE(shard_index < model->manifest->count);
    const struct shard *shard = &model->manifest->shards[shard_index];
    uint8_t digest[TREE_HASH_BYTES];
    TRY(tree_digest(plaintext, shard->size, workers_for(threads, UINT64_MAX), digest, err));
    if (bytes_equal(digest, shard->digest, sizeof digest))
        return LETHE_OK;
    return error_set(err, LETHE_INTEGRITY, "model %s: %s is not what its digest says", model->path,
                     shard->file);
}
