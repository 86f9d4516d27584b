/* A worker takes a range of 64 segments, which is one range of the signature, too. Each segment is
 * read, its blocks are hashed for the plaintext's digest, it is sealed, hashed for the signature,
 * and written, all while it is in the cache. Then the worker waits for its turn to add the hashes
 * to the file's tree. */
#include "model/seal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/thread.h"
#include "model/progress.h"
#include "model/staging.h"
#include "model/tink.h"
#include "model/turns.h"

_Static_assert(RANGE_SEGMENTS *SEGMENT_BYTES == OMS_SHARD_BYTES, "a range is signed as one");

/* A shard being made. Freed by the last who refers to it: the pipeline while ranges are left, and
 * every worker that has one. */
struct sealing {
    const struct source *source;
    struct shard *shard;
    int in_fd;
    int out_fd;
    uint8_t header[TINK_HEADER_MAX];
    struct tink_stream *stream;
    uint64_t segments;
    uint64_t taken;      /* segments given to workers */
    unsigned references; /* guarded by the pipeline's lock */
};

struct pipeline {
    const struct seal_work *work;
    struct staging_set staging;
    struct progress progress;
    struct turns turns;
    pthread_mutex_t lock; /* guards the next three; held while a shard's key is made and wrapped */
    struct sealing *current; /* has ranges left */
    size_t next_shard;
    uint64_t ranges_taken;
    struct tree tree; /* of the shard whose turn it is; used in turns only */
};

struct range {
    struct sealing *sealing;
    uint64_t begin; /* segments */
    uint64_t end;
    uint64_t number;
    size_t hashes; /* in the worker's staging, once worked on */
    uint8_t digest[SHA256_BYTES];
};

/* ---- a shard's beginning --------------------------------------------------------------------- */

static void sealing_free(struct sealing *sealing)
{
    if (sealing == NULL)
        return;
    fd_close(sealing->in_fd);
    fd_close(sealing->out_fd);
    tink_stream_free(sealing->stream);
    free(sealing);
}
DEFINE_CLEANUP(sealing_free, struct sealing *);

static lethe_result keep_wrapped_key(struct shard *shard, const struct buffer *wrapped,
                                     struct lethe_error *err)
{
    TRY(buffer_result(wrapped, err));
    if (wrapped->size_bytes == 0 ||
        sscanf(wrapped->bytes, "vault:v%" SCNu64 ":", &shard->key_version) != 1)
        return error_set(err, LETHE_FAILED, "the key service gave no wrapped key for '%s'",
                         shard->key);
    shard->wrapped_key = strdup(wrapped->bytes);
    if (shard->wrapped_key == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a wrapped key");
    return LETHE_OK;
}

/* The data key lives from here to the end of this function, wrapped and derived from once (Z-2). */
static lethe_result begin_stream(const struct seal_work *work, struct sealing *sealing,
                                 struct lethe_error *err)
{
    const struct random_source *random = work->options->random;
    struct shard *shard = sealing->shard;
    CLEANUP(lethe_secret_free) struct lethe_secret *data_key = NULL;
    TRY(lethe_secret_create(AEAD_KEY_BYTES, &data_key, err));
    if (random_fill(random, lethe_secret_bytes(data_key), AEAD_KEY_BYTES) != LETHE_OK)
        return error_set(err, LETHE_FAILED, "the system gives no randomness");

    CLEANUP(buffer_clear) struct buffer aad = {0};
    manifest_shard_aad(work->manifest, shard, &aad);
    TRY(buffer_result(&aad, err));
    const struct key_use use = {.key = shard->key,
                                .shard = shard->id,
                                .purpose = "encrypt",
                                .aad = aad.bytes,
                                .aad_bytes = aad.size_bytes};
    CLEANUP(buffer_clear) struct buffer wrapped = {0};
    TRY(work->keys->wrap(work->keys->context, &use, data_key, &wrapped, err));
    TRY(keep_wrapped_key(shard, &wrapped, err));

    const struct tink_binding binding = {
        .key = data_key, .aad = aad.bytes, .aad_bytes = aad.size_bytes};
    return tink_seal_begin(&tink_shard_parameters, &binding, random, sealing->header,
                           &sealing->stream, err);
}

static lethe_result sealing_open(const struct seal_work *work, size_t index, struct sealing **out,
                                 struct lethe_error *err)
{
    CLEANUP(sealing_free) struct sealing *sealing = calloc(1, sizeof *sealing);
    if (sealing == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a shard");
    sealing->source = &work->sources->items[index];
    sealing->shard = &work->manifest->shards[index];
    sealing->segments = tink_segment_count(&tink_shard_parameters, sealing->shard->size);
    sealing->references = 1;
    sealing->in_fd = sealing->out_fd = -1;
    TRY(source_open(sealing->source, &sealing->in_fd, err));
    sealing->out_fd = openat(work->dir_fd, sealing->shard->file,
                             O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (sealing->out_fd < 0)
        return error_from_errno(err, "creating %s", sealing->shard->file);
    TRY(begin_stream(work, sealing, err));
    *out = MOVE(sealing);
    return LETHE_OK;
}

static void sealing_release(struct pipeline *pipeline, struct sealing *sealing)
{
    pthread_mutex_lock(&pipeline->lock);
    bool last = --sealing->references == 0;
    pthread_mutex_unlock(&pipeline->lock);
    if (last)
        sealing_free(sealing);
}

/* ---- taking ranges --------------------------------------------------------------------------- */

/* With the pipeline's lock. */
static lethe_result take_locked(struct pipeline *pipeline, struct range *range,
                                struct lethe_error *err)
{
    if (pipeline->current == NULL) {
        if (pipeline->next_shard == pipeline->work->sources->count)
            return LETHE_OK;
        /* A shard that cannot be begun is not tried again: the other thread would find its file. */
        size_t shard = pipeline->next_shard++;
        TRY(sealing_open(pipeline->work, shard, &pipeline->current, err));
    }
    struct sealing *sealing = pipeline->current;
    range->sealing = sealing;
    range->begin = sealing->taken;
    range->end = MIN(sealing->segments, sealing->taken + RANGE_SEGMENTS);
    range->number = pipeline->ranges_taken++;
    sealing->taken = range->end;
    if (sealing->taken == sealing->segments)
        pipeline->current = NULL; /* its reference is the range's now */
    else
        sealing->references++;
    return LETHE_OK;
}

/* range->sealing stays NULL when there is nothing left. */
static lethe_result take(struct pipeline *pipeline, struct range *range, struct lethe_error *err)
{
    *range = (struct range){0};
    pthread_mutex_lock(&pipeline->lock);
    lethe_result result = take_locked(pipeline, range, err);
    pthread_mutex_unlock(&pipeline->lock);
    return result;
}

/* ---- sealing a range ------------------------------------------------------------------------- */

static uint64_t next_block(uint64_t offset)
{
    return (offset + TREE_BLOCK_BYTES - 1) / TREE_BLOCK_BYTES * TREE_BLOCK_BYTES;
}

/* Reads a segment's plaintext, and on to the end of the last block that begins in it, and hashes
 * the blocks that begin in it. */
static lethe_result read_and_hash(const struct sealing *sealing, const struct tink_segment *segment,
                                  struct staging *staging, size_t *hashes, struct lethe_error *err)
{
    uint64_t begin = segment->plain_offset;
    uint64_t end = MIN(sealing->shard->size, next_block(begin + segment->plain_bytes));
    lethe_result result = file_read_at(sealing->in_fd, sealing->source->path, begin,
                                       staging->segment, end - begin, err);
    if (result == LETHE_INTEGRITY) /* cut short: changed meanwhile, and by no attack on us */
        TRY(source_check_unchanged(sealing->source, sealing->in_fd, err));
    TRY(result);
    uint64_t first = next_block(begin);
    if (first >= end)
        return LETHE_OK;
    tree_hash_blocks(staging->segment + (first - begin), end - first,
                     staging->hashes + *hashes * TREE_HASH_BYTES);
    *hashes += (end - first + TREE_BLOCK_BYTES - 1) / TREE_BLOCK_BYTES;
    return LETHE_OK;
}

static lethe_result seal_segment(const struct sealing *sealing, uint64_t index,
                                 struct staging *staging, struct sha256_stream *sha,
                                 struct range *range, struct lethe_error *err)
{
    struct tink_segment segment =
        tink_segment_at(&tink_shard_parameters, sealing->shard->size, index);
    TRY(read_and_hash(sealing, &segment, staging, &range->hashes, err));

    if (tink_seal_segment(sealing->stream, &segment, staging->segment, staging->segment) !=
        LETHE_OK)
        return error_set(err, LETHE_FAILED, "%s: sealing failed", sealing->shard->file);
    size_t before = index == 0 ? tink_header_bytes(&tink_shard_parameters) : 0;
    uint8_t *cipher = staging->segment - before;
    memcpy(cipher, sealing->header, before);
    size_t size_bytes = before + segment.cipher_bytes;
    sha256_update(sha, cipher, size_bytes);
    return file_write_at(sealing->out_fd, sealing->shard->file, segment.cipher_offset - before,
                         cipher, size_bytes, err);
}

static lethe_result seal_range(struct pipeline *pipeline, struct range *range,
                               struct staging *staging, struct sha256_stream *sha,
                               struct lethe_error *err)
{
    const struct sealing *sealing = range->sealing;
    for (uint64_t i = range->begin; i < range->end; i++) {
        if (turns_stopped(&pipeline->turns))
            return LETHE_OK; /* another's failure is reported by the other */
        TRY(seal_segment(sealing, i, staging, sha, range, err));
        staging_write_behind(sealing->out_fd, i);
        progress_add(&pipeline->progress,
                     tink_segment_at(&tink_shard_parameters, sealing->shard->size, i).plain_bytes);
    }
    sha256_finish(sha, range->digest);
    return LETHE_OK;
}

/* ---- handing in, in order -------------------------------------------------------------------- */

static lethe_result hand_in(struct pipeline *pipeline, const struct range *range,
                            const uint8_t *hashes, struct lethe_error *err)
{
    struct shard *shard = range->sealing->shard;
    tree_push(&pipeline->tree, hashes, range->hashes);
    const struct oms_range bytes = {
        .path = shard->file,
        .start = range->begin * SEGMENT_BYTES,
        .end = MIN(shard->cipher_size, range->end * SEGMENT_BYTES),
    };
    TRY(oms_list_add(pipeline->work->signed_list, &bytes, range->digest, err));
    if (range->end < range->sealing->segments)
        return LETHE_OK;
    tree_finish(&pipeline->tree, shard->size, shard->digest);
    pipeline->tree = (struct tree){0};
    return LETHE_OK;
}

/* All ranges of the shard were handed in. */
static lethe_result finish_shard(const struct sealing *sealing, struct lethe_error *err)
{
    if (fdatasync(sealing->out_fd) != 0)
        return error_from_errno(err, "syncing %s", sealing->shard->file);
    return source_check_unchanged(sealing->source, sealing->in_fd, err);
}

static lethe_result work_on_range(struct pipeline *pipeline, struct range *range,
                                  struct staging *staging, struct sha256_stream *sha,
                                  struct lethe_error *err)
{
    TRY(seal_range(pipeline, range, staging, sha, err));
    if (!turns_enter(&pipeline->turns, range->number))
        return LETHE_OK;
    lethe_result result = hand_in(pipeline, range, staging->hashes, err);
    turns_leave(&pipeline->turns);
    if (result == LETHE_OK && range->end == range->sealing->segments)
        result = finish_shard(range->sealing, err);
    return result;
}

static lethe_result work_until_done(struct pipeline *pipeline, struct staging *staging,
                                    struct lethe_error *err)
{
    CLEANUP(sha256_free) struct sha256_stream *sha = NULL;
    TRY(sha256_create(&sha, err));
    while (!turns_stopped(&pipeline->turns)) {
        struct range range;
        TRY(take(pipeline, &range, err));
        if (range.sealing == NULL)
            return LETHE_OK;
        lethe_result result = work_on_range(pipeline, &range, staging, sha, err);
        sealing_release(pipeline, range.sealing);
        TRY(result);
    }
    return LETHE_OK;
}

static lethe_result worker(void *context, unsigned number, struct lethe_error *err)
{
    struct pipeline *pipeline = context;
    lethe_result result = work_until_done(pipeline, &pipeline->staging.items[number], err);
    if (result != LETHE_OK)
        turns_stop(&pipeline->turns);
    return result;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void pipeline_free(struct pipeline *pipeline)
{
    if (pipeline == NULL)
        return;
    sealing_free(pipeline->current);
    staging_clear(&pipeline->staging);
    progress_clear(&pipeline->progress);
    turns_clear(&pipeline->turns);
    pthread_mutex_destroy(&pipeline->lock);
    free(pipeline);
}
DEFINE_CLEANUP(pipeline_free, struct pipeline *);

static uint64_t range_count(const struct manifest *manifest)
{
    uint64_t count = 0;
    for (size_t i = 0; i < manifest->count; i++)
        count += (manifest->shards[i].cipher_size + OMS_SHARD_BYTES - 1) / OMS_SHARD_BYTES;
    return count;
}

lethe_result seal_shards(const struct seal_work *work, struct lethe_error *err)
{
    CLEANUP(pipeline_free) struct pipeline *pipeline = calloc(1, sizeof *pipeline);
    if (pipeline == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for the encryption");
    pipeline->work = work;
    pthread_mutex_init(&pipeline->lock, NULL);
    turns_init(&pipeline->turns);
    uint64_t total_bytes = 0;
    for (size_t i = 0; i < work->manifest->count; i++)
        total_bytes += work->manifest->shards[i].size;
    progress_init(&pipeline->progress, work->options->progress, total_bytes);
    TRY(staging_create(work->options->threads, range_count(work->manifest), work->manifest->tenant,
                       &pipeline->staging, err));
    return threads_run(pipeline->staging.count, worker, pipeline, err);
}
