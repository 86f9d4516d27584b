/* Verification reads everything and keeps nothing. The plaintext's digest is over blocks of 4096
 * bytes, and segments do not end where blocks do: a worker carries the beginning of a block over
 * from one segment to the next, and opens the segment behind its range for the end of its last. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/thread.h"
#include "model/opened.h"
#include "model/progress.h"
#include "model/staging.h"
#include "model/turns.h"

/* ---- ciphertext ------------------------------------------------------------------------------ */

static void count_bytes(void *context, uint64_t bytes)
{
    progress_add(context, bytes);
}

lethe_result model_verify_cipher(struct model *model, const struct model_work *work,
                                 struct lethe_error *err)
{
    REQUIRE(model->is_signed);
    uint64_t total_bytes = model->manifest_text.size_bytes;
    for (size_t i = 0; i < model->manifest->count; i++)
        total_bytes += model->manifest->shards[i].cipher_size;
    struct progress progress;
    progress_init(&progress, work->progress, total_bytes);
    const struct oms_progress counter = {.report = count_bytes, .context = &progress};
    const struct oms_work how = {
        .dir_fd = model->dir_fd, .threads = work->threads, .progress = &counter};
    lethe_result result = oms_check_content(&model->signed_list, &how, err);
    progress_clear(&progress);
    return error_context(err, result, "model %s", model->path);
}

/* ---- plaintext ------------------------------------------------------------------------------- */

struct check { /* of a model */
    struct model *model;
    const struct key_source *keys;
    const struct model_work *work;
    struct staging_set staging;
    struct progress progress;
};

struct verification { /* of a shard */
    struct check *check;
    struct shard_reader reader;
    struct turns turns;
    atomic_uint_fast64_t next_range;
    struct tree tree; /* in turns only */
};

/* A worker's place in its range. What is carried over lies in the margin right before the segment.
 */
struct run {
    const struct verification *verification;
    struct staging *staging;
    size_t carried; /* bytes of a block whose end is in the next segment */
    size_t hashes;
};

static void hash_bytes(struct run *run, const uint8_t *bytes, size_t size_bytes)
{
    tree_hash_blocks(bytes, size_bytes, run->staging->hashes + run->hashes * TREE_HASH_BYTES);
    run->hashes += (size_bytes + TREE_BLOCK_BYTES - 1) / TREE_BLOCK_BYTES;
}

/* Opens a segment; gives the bytes from the first block on that is this range's. */
static lethe_result open_segment(struct run *run, uint64_t index, bool first, const uint8_t **bytes,
                                 size_t *size_bytes, struct lethe_error *err)
{
    const struct shard_reader *reader = &run->verification->reader;
    uint8_t *plain = run->staging->segment;
    TRY(shard_read_segment(reader, index, plain, plain, err));
    struct tink_segment segment = shard_segment(reader, index);
    uint64_t into_block = segment.plain_offset % TREE_BLOCK_BYTES;
    size_t skip = first && into_block > 0 ? TREE_BLOCK_BYTES - into_block : 0;
    skip = MIN(skip, segment.plain_bytes);
    *bytes = plain + skip - run->carried;
    *size_bytes = segment.plain_bytes - skip + run->carried;
    return LETHE_OK;
}

static lethe_result hash_segment(struct run *run, uint64_t index, bool first,
                                 struct lethe_error *err)
{
    const uint8_t *bytes;
    size_t size_bytes;
    TRY(open_segment(run, index, first, &bytes, &size_bytes, err));
    bool last = index + 1 == run->verification->reader.segments;
    run->carried = last ? 0 : size_bytes % TREE_BLOCK_BYTES;
    size_t whole = size_bytes - run->carried;
    hash_bytes(run, bytes, whole);
    memmove(run->staging->segment - run->carried, bytes + whole, run->carried);
    return LETHE_OK;
}

/* The block that the range's last segment began. */
static lethe_result hash_last_block(struct run *run, uint64_t next_index, struct lethe_error *err)
{
    const uint8_t *bytes;
    size_t size_bytes;
    TRY(open_segment(run, next_index, false, &bytes, &size_bytes, err));
    hash_bytes(run, bytes, MIN(size_bytes, TREE_BLOCK_BYTES));
    return LETHE_OK;
}

static lethe_result hash_range(struct verification *v, struct run *run, uint64_t range,
                               struct lethe_error *err)
{
    uint64_t begin = range * RANGE_SEGMENTS;
    uint64_t end = MIN(v->reader.segments, begin + RANGE_SEGMENTS);
    for (uint64_t i = begin; i < end; i++) {
        if (turns_stopped(&v->turns))
            return LETHE_OK; /* another's failure is reported by the other */
        TRY(hash_segment(run, i, i == begin, err));
        progress_add(&v->check->progress, shard_segment(&v->reader, i).plain_bytes);
    }
    return run->carried > 0 ? hash_last_block(run, end, err) : LETHE_OK;
}

static lethe_result verify_ranges(struct verification *v, struct staging *staging,
                                  struct lethe_error *err)
{
    while (!turns_stopped(&v->turns)) {
        uint64_t range = atomic_fetch_add(&v->next_range, 1);
        if (range * RANGE_SEGMENTS >= v->reader.segments)
            return LETHE_OK;
        struct run run = {.verification = v, .staging = staging};
        TRY(hash_range(v, &run, range, err));
        if (!turns_enter(&v->turns, range))
            return LETHE_OK;
        tree_push(&v->tree, staging->hashes, run.hashes);
        turns_leave(&v->turns);
    }
    return LETHE_OK;
}

static lethe_result verify_worker(void *context, unsigned worker, struct lethe_error *err)
{
    struct verification *v = context;
    lethe_result result = verify_ranges(v, &v->check->staging.items[worker], err);
    if (result != LETHE_OK)
        turns_stop(&v->turns);
    return result;
}

static void verification_free(struct verification *v)
{
    if (v == NULL)
        return;
    shard_reader_close(&v->reader);
    turns_clear(&v->turns);
    free(v);
}
DEFINE_CLEANUP(verification_free, struct verification *);

static lethe_result verify_shard(struct check *check, size_t shard_index, struct lethe_error *err)
{
    CLEANUP(verification_free) struct verification *v = calloc(1, sizeof *v);
    if (v == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a verification");
    v->check = check;
    v->reader = SHARD_READER_NONE;
    turns_init(&v->turns);
    const struct shard_access access = {
        .keys = check->keys, .purpose = "verify", .backend = check->work->backend};
    TRY(shard_reader_open(check->model, shard_index, &access, &v->reader, err));
    uint64_t ranges = (v->reader.segments + RANGE_SEGMENTS - 1) / RANGE_SEGMENTS;
    unsigned threads = (unsigned)MIN(check->staging.count, ranges);
    TRY(threads_run(threads, verify_worker, v, err));
    uint8_t digest[TREE_HASH_BYTES];
    const struct shard *shard = v->reader.shard;
    tree_finish(&v->tree, shard->size, digest);
    if (bytes_equal(digest, shard->digest, sizeof digest))
        return LETHE_OK;
    return error_set(err, LETHE_INTEGRITY, "%s: the plaintext is not what its digest says",
                     shard->file);
}

static lethe_result verify_shards(struct check *check, struct lethe_error *err)
{
    TRY(staging_create(check->work->threads, UINT64_MAX, check->model->manifest->tenant,
                       &check->staging, err));
    for (size_t i = 0; i < check->model->manifest->count; i++)
        TRY(verify_shard(check, i, err));
    return LETHE_OK;
}

lethe_result model_verify_plain(struct model *model, const struct key_source *keys,
                                const struct model_work *work, struct lethe_error *err)
{
    REQUIRE(model->is_signed);
    struct check check = {.model = model, .keys = keys, .work = work};
    progress_init(&check.progress, work->progress, model_plain_bytes(model));
    lethe_result result = verify_shards(&check, err);
    staging_clear(&check.staging);
    progress_clear(&check.progress);
    return error_context(err, result, "model %s", model->path);
}
