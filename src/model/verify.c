/* Verification reads everything once and keeps nothing. A worker takes a range of 64 segments,
 * which the signature covers as one: it reads a segment, hashes it for the signature, opens it in
 * place, and hashes its blocks for the plaintext's digest, all while it is in the cache. The
 * segment behind the range is opened for the end of its last block. */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/thread.h"
#include "model/blocks.h"
#include "model/crew.h"
#include "model/progress.h"
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

/* ---- all of it ------------------------------------------------------------------------------- */

_Static_assert(RANGE_SEGMENTS *SEGMENT_BYTES == OMS_SHARD_BYTES, "a range is signed as one");

struct check { /* of a model */
    struct model *model;
    const struct key_source *keys;
    const struct model_work *work;
    struct staging_set staging;
    struct progress progress;
};

struct verification { /* of a shard */
    struct check *check;
    const struct shard_reader *reader;
    const struct oms_resource *signed_ranges; /* in order */
    struct turns turns;
    atomic_uint_fast64_t next_range;
    struct tree tree; /* in turns only */
};

/* A worker's place in its range. */
struct run {
    const struct verification *verification;
    struct sha256_stream *sha;
    struct block_run blocks;
};

/* Reads a segment, and hashes it with what lies before it in the file. */
static lethe_result read_segment(struct run *run, uint64_t index, struct lethe_error *err)
{
    const struct shard_reader *reader = run->verification->reader;
    uint8_t *cipher = run->blocks.staging->segment;
    TRY(shard_read_cipher(reader, index, cipher, err));
    if (index == 0)
        sha256_update(run->sha, reader->header, tink_header_bytes(&tink_shard_parameters));
    sha256_update(run->sha, cipher, shard_segment(reader, index).cipher_bytes);
    return LETHE_OK;
}

static lethe_result hash_range(struct verification *v, struct run *run, uint64_t range,
                               struct lethe_error *err)
{
    uint64_t begin = range * RANGE_SEGMENTS;
    uint64_t end = MIN(v->reader->segments, begin + RANGE_SEGMENTS);
    for (uint64_t i = begin; i < end; i++) {
        if (turns_stopped(&v->turns))
            return LETHE_OK; /* another's failure is reported by the other */
        TRY(read_segment(run, i, err));
        TRY(blocks_open(&run->blocks, v->reader, i, i == begin, err));
        progress_add(&v->check->progress, shard_segment(v->reader, i).plain_bytes);
    }
    return blocks_finish(&run->blocks, v->reader, end, err);
}

/* The tags fit, so whoever wrote this has the key; it is not what was signed, though. */
static lethe_result check_range(const struct run *run, uint64_t range, struct lethe_error *err)
{
    const struct oms_resource *resource = &run->verification->signed_ranges[range];
    uint8_t digest[SHA256_BYTES];
    sha256_finish(run->sha, digest);
    if (bytes_equal(digest, resource->digest, sizeof digest))
        return LETHE_OK;
    return error_set(err, LETHE_INTEGRITY,
                     "%s: bytes %" PRIu64 " to %" PRIu64 " are not those that were signed",
                     resource->path, resource->start, resource->end);
}

static lethe_result verify_ranges(struct verification *v, struct staging *staging,
                                  struct lethe_error *err)
{
    CLEANUP(sha256_free) struct sha256_stream *sha = NULL;
    TRY(sha256_create(&sha, err));
    for (;;) {
        uint64_t range = atomic_fetch_add(&v->next_range, 1);
        if (range * RANGE_SEGMENTS >= v->reader->segments)
            return LETHE_OK;
        struct run run = {.verification = v, .sha = sha, .blocks.staging = staging};
        TRY(hash_range(v, &run, range, err));
        if (turns_stopped(&v->turns))
            return LETHE_OK;
        TRY(check_range(&run, range, err));
        if (!turns_enter(&v->turns, range))
            return LETHE_OK;
        tree_push(&v->tree, staging->hashes, run.blocks.hashes);
        turns_leave(&v->turns);
    }
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
    turns_clear(&v->turns);
    free(v);
}
DEFINE_CLEANUP(verification_free, struct verification *);

static lethe_result verification_create(struct check *check, const struct shard_reader *reader,
                                        struct verification **out, struct lethe_error *err)
{
    struct verification *v = *out = calloc(1, sizeof *v);
    if (v == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a verification");
    v->check = check;
    v->reader = reader;
    v->signed_ranges = oms_list_find(&check->model->signed_list, reader->shard->file);
    turns_init(&v->turns);
    return LETHE_OK;
}

/* All ranges have been verified. */
static lethe_result check_digest(struct verification *v, struct lethe_error *err)
{
    uint8_t digest[TREE_HASH_BYTES];
    const struct shard *shard = v->reader->shard;
    tree_finish(&v->tree, shard->size, digest);
    if (bytes_equal(digest, shard->digest, sizeof digest))
        return LETHE_OK;
    return error_set(err, LETHE_INTEGRITY, "%s: the plaintext is not what its digest says",
                     shard->file);
}

static lethe_result verify_together(void *context, const struct shard_reader *reader,
                                    struct lethe_error *err)
{
    struct check *check = context;
    CLEANUP(verification_free) struct verification *v = NULL;
    TRY(verification_create(check, reader, &v, err));
    uint64_t ranges = (reader->segments + RANGE_SEGMENTS - 1) / RANGE_SEGMENTS;
    unsigned threads = (unsigned)MIN(check->staging.count, ranges);
    TRY(threads_run(threads, verify_worker, v, err));
    return check_digest(v, err);
}

static lethe_result verify_alone(void *context, const struct shard_reader *reader, unsigned worker,
                                 struct lethe_error *err)
{
    CLEANUP(verification_free) struct verification *v = NULL;
    TRY(verification_create(context, reader, &v, err));
    TRY(verify_worker(v, worker, err));
    return check_digest(v, err);
}

static lethe_result verify_shards(struct check *check, struct lethe_error *err)
{
    const struct manifest *manifest = check->model->manifest;
    TRY(staging_create(check->work->threads, UINT64_MAX, manifest->tenant, &check->staging, err));
    const struct shard_access access = {
        .keys = check->keys, .purpose = "verify", .backend = check->work->backend};
    const struct crew crew = {.model = check->model,
                              .access = &access,
                              .count = manifest->count,
                              .threads = check->staging.count,
                              .large_segments = RANGE_SEGMENTS + 1,
                              .together = verify_together,
                              .alone = verify_alone,
                              .context = check};
    return crew_run(&crew, err);
}

lethe_result model_verify(struct model *model, const struct key_source *keys,
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
