#include "model/load_device.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/thread.h"
#include "model/opened.h"
#include "model/progress.h"
#include "model/staging.h"

struct device_load {
    const struct shard_reader *reader;
    struct device_memory *memory;
    const struct device_key *key;
    size_t batch; /* segments that a worker takes at once */
    struct progress *progress;
    const atomic_bool *cancelled;
    atomic_uint_fast64_t next; /* segment that nobody has taken */
    atomic_bool failed;
};

/* What a worker works with: ciphertext, which is no secret, and where it goes. */
struct batch {
    uint8_t *cipher; /* of load->batch segments */
    struct device_segment *segments;
    uint8_t (*nonces)[AEAD_NONCE_BYTES];
    uint64_t first;
    size_t count;
    uint64_t plain_bytes;
};

static void batch_clear(struct batch *batch)
{
    free(batch->cipher);
    free(batch->segments);
    free(batch->nonces);
}
static inline void batch_clear_at_scope_end(struct batch *batch)
{
    batch_clear(batch);
}

static lethe_result batch_init(struct batch *batch, size_t segments, struct lethe_error *err)
{
    batch->cipher = aligned_alloc(TREE_BLOCK_BYTES, segments * SEGMENT_BYTES);
    batch->segments = calloc(segments, sizeof *batch->segments);
    batch->nonces = calloc(segments, sizeof *batch->nonces);
    if (batch->cipher != NULL && batch->segments != NULL && batch->nonces != NULL)
        return LETHE_OK;
    return error_set(err, LETHE_NO_MEMORY, "no memory for a worker's buffers");
}

/* False when there is nothing left. */
static bool batch_take(struct batch *batch, struct device_load *load)
{
    uint64_t first = atomic_fetch_add(&load->next, load->batch);
    if (first >= load->reader->segments)
        return false;
    batch->first = first;
    batch->count = (size_t)MIN(load->batch, load->reader->segments - first);
    batch->plain_bytes = 0;
    return true;
}

static lethe_result batch_read(struct batch *batch, const struct shard_reader *reader,
                               struct lethe_error *err)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct tink_segment segment = shard_segment(reader, batch->first + i);
        uint8_t *cipher = batch->cipher + i * SEGMENT_BYTES;
        TRY(shard_read_cipher(reader, segment.index, cipher, err));
        tink_segment_nonce(&tink_shard_parameters, reader->header, &segment, batch->nonces[i]);
        batch->segments[i] = (struct device_segment){.nonce = batch->nonces[i],
                                                     .cipher = cipher,
                                                     .plain_bytes = segment.plain_bytes,
                                                     .offset_bytes = segment.plain_offset};
        batch->plain_bytes += segment.plain_bytes;
    }
    return LETHE_OK;
}

static lethe_result batch_open(const struct batch *batch, const struct device_load *load,
                               struct lethe_error *err)
{
    size_t failed = 0;
    lethe_result result =
        device_open_segments(load->memory, load->key, batch->segments, batch->count, &failed, err);
    if (result == LETHE_INTEGRITY)
        return shard_segment_refused(load->reader, batch->first + failed, err);
    return result;
}

static lethe_result load_batches(struct device_load *load, struct lethe_error *err)
{
    CLEANUP(batch_clear) struct batch batch = {0};
    TRY(batch_init(&batch, load->batch, err));
    while (!atomic_load(&load->failed) && batch_take(&batch, load)) {
        if (load->cancelled != NULL && atomic_load(load->cancelled))
            return error_set(err, LETHE_CANCELLED, "loading was cancelled");
        TRY(batch_read(&batch, load->reader, err));
        TRY(batch_open(&batch, load, err));
        progress_add(load->progress, batch.plain_bytes);
    }
    return LETHE_OK;
}

static lethe_result device_load_worker(void *context, unsigned worker, struct lethe_error *err)
{
    struct device_load *load = context;
    lethe_result result = load_batches(load, err);
    if (result != LETHE_OK)
        atomic_store(&load->failed, true);
    return result;
}

static lethe_result run(const struct shard_reader *reader, const struct device_key *key,
                        struct device_memory *memory, const struct model_work *work,
                        struct lethe_error *err)
{
    struct progress progress;
    size_t batch = MAX(device_segments_at_once(device_of(memory)), 1);
    progress_init(&progress, work->progress, reader->shard->size);
    struct device_load load = {.reader = reader,
                               .memory = memory,
                               .key = key,
                               .batch = batch,
                               .progress = &progress,
                               .cancelled = work->cancelled};
    uint64_t jobs = (reader->segments + batch - 1) / batch;
    lethe_result result =
        threads_run(workers_for(work->threads, jobs), device_load_worker, &load, err);
    progress_clear(&progress);
    return result;
}

static lethe_result load_to_device(struct model *model, size_t shard_index,
                                   const struct key_source *keys, struct device_memory *memory,
                                   const struct model_work *work, struct lethe_error *err)
{
    CLEANUP(shard_reader_close) struct shard_reader reader = SHARD_READER_NONE;
    CLEANUP(lethe_secret_free) struct lethe_secret *derived = NULL;
    CLEANUP(device_key_free) struct device_key *key = NULL;
    const struct shard_access access = {.keys = keys, .purpose = "load", .backend = work->backend};
    TRY(shard_reader_open_key(model, shard_index, &access, &reader, &derived, err));
    TRY(device_key_create(device_of(memory), derived, &key, err));
    lethe_secret_free(MOVE(derived));
    return run(&reader, key, memory, work, err);
}

lethe_result model_load_shard_to_device(struct model *model, size_t shard_index,
                                        const struct key_source *keys, struct device_memory *memory,
                                        const struct model_work *work, struct lethe_error *err)
{
    REQUIRE(shard_index < model->manifest->count);
    REQUIRE(device_memory_size(memory) == model->manifest->shards[shard_index].size);
    lethe_result result = load_to_device(model, shard_index, keys, memory, work, err);
    return error_context(err, result, "model %s", model->path);
}
