/* A worker takes a range of 64 segments, which is one range of the signature, too. Each segment is
 * read (or opened), its blocks are hashed for the plaintext's digest, it is sealed, hashed for the
 * signature, and written, all while it is in the cache. Then the worker waits for its turn to add
 * the hashes to the file's tree. */
#include "model/seal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/thread.h"
#include "model/new_keys.h"
#include "model/progress.h"
#include "model/turns.h"

_Static_assert(RANGE_SEGMENTS *SEGMENT_BYTES == OMS_SHARD_BYTES, "a range is signed as one");

/* A shard being made. Freed by the last who refers to it: the pipeline while ranges are left, and
 * every worker that has one. */
struct sealing {
    const struct seal_input *input;
    void *in; /* the input's stream */
    size_t index;
    struct shard *shard;
    int out_fd;
    uint8_t header[TINK_HEADER_MAX];
    struct tink_stream *stream;
    uint64_t segments;
    uint8_t *digests;    /* of the ranges that were handed in */
    uint64_t taken;      /* segments given to workers */
    unsigned references; /* guarded by the pipeline's lock */
};

struct pipeline {
    const struct seal_work *work;
    struct staging_set staging;
    struct progress progress;
    struct turns turns;
    pthread_mutex_t sealed_lock; /* one call of `sealed` at a time; taken with no other lock held */
    pthread_mutex_t lock;        /* guards the next four; held while keys are made and wrapped */
    struct new_keys new_keys;
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
    struct block_run blocks; /* once worked on */
    uint8_t digest[SHA256_BYTES];
};

/* ---- a shard's beginning --------------------------------------------------------------------- */

static void sealing_free(struct sealing *sealing)
{
    if (sealing == NULL)
        return;
    sealing->input->close(sealing->in);
    fd_close(sealing->out_fd);
    tink_stream_free(sealing->stream);
    free(sealing->digests);
    free(sealing);
}
DEFINE_CLEANUP(sealing_free, struct sealing *);

static lethe_result keep_wrapped_key(struct shard *shard, const struct buffer *wrapped,
                                     struct lethe_error *err)
{
    TRY(buffer_result(wrapped, err));
    shard->key_version = wrapped->size_bytes == 0 ? 0 : wrapped_key_version(wrapped->bytes);
    if (shard->key_version == 0)
        return error_set(err, LETHE_FAILED, "the key service gave no wrapped key for '%s'",
                         shard->key);
    free(shard->wrapped_key); /* of the model that is encrypted anew */
    shard->wrapped_key = strdup(wrapped->bytes);
    if (shard->wrapped_key == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a wrapped key");
    return LETHE_OK;
}

/* Of the shard, and of those that come behind it. */
static lethe_result make_keys(struct pipeline *pipeline, size_t shard, struct lethe_error *err)
{
    const struct seal_work *work = pipeline->work;
    const struct new_keys_for how = {.manifest = work->manifest,
                                     .keys = work->keys,
                                     .purpose = work->purpose,
                                     .random = work->random};
    size_t shards[KEYS_AHEAD_MAX];
    size_t count = keys_ahead_choose(work->manifest, work->skip, shard, shards);
    return new_keys_make(&pipeline->new_keys, &how, shards, count, err);
}

/* The data key is derived from once, and wiped at the end of this function (Z-2). */
static lethe_result begin_stream(struct pipeline *pipeline, struct sealing *sealing,
                                 struct lethe_error *err)
{
    CLEANUP(new_key_clear) struct new_key key = {0};
    if (!new_keys_take(&pipeline->new_keys, sealing->index, &key)) {
        TRY(make_keys(pipeline, sealing->index, err));
        REQUIRE(new_keys_take(&pipeline->new_keys, sealing->index, &key));
    }
    TRY(keep_wrapped_key(sealing->shard, &key.wrapped, err));
    const struct tink_binding binding = {
        .key = key.data_key, .aad = key.aad.bytes, .aad_bytes = key.aad.size_bytes};
    return tink_seal_begin(&tink_shard_parameters, &binding, pipeline->work->random,
                           sealing->header, &sealing->stream, err);
}

static lethe_result create_file(const struct seal_work *work, struct sealing *sealing,
                                struct lethe_error *err)
{
    const char *name = sealing->shard->file + sizeof SHARD_DIRECTORY;
    sealing->out_fd =
        openat(work->shards_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    return sealing->out_fd >= 0 ? LETHE_OK
                                : error_from_errno(err, "creating %s", sealing->shard->file);
}

static lethe_result sealing_open(struct pipeline *pipeline, size_t index, struct sealing **out,
                                 struct lethe_error *err)
{
    const struct seal_work *work = pipeline->work;
    CLEANUP(sealing_free) struct sealing *sealing = calloc(1, sizeof *sealing);
    if (sealing == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a shard");
    struct shard *shard = &work->manifest->shards[index];
    sealing->input = work->input;
    sealing->index = index;
    sealing->shard = shard;
    sealing->segments = tink_segment_count(&tink_shard_parameters, shard->size);
    sealing->references = 1;
    sealing->out_fd = -1;
    sealing->digests = calloc(seal_range_count(shard), SHA256_BYTES);
    if (sealing->digests == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for the digests of %s", shard->file);
    TRY(work->input->open(work->input_context, index, &sealing->in, err));
    TRY(create_file(work, sealing, err));
    TRY(begin_stream(pipeline, sealing, err));
    TRY(file_write_at(sealing->out_fd, shard->file, 0, sealing->header,
                      tink_header_bytes(&tink_shard_parameters), err));
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

static bool skips(const struct seal_work *work, size_t index)
{
    return work->skip != NULL && work->skip[index];
}

/* With the pipeline's lock. */
static lethe_result take_locked(struct pipeline *pipeline, struct range *range,
                                struct lethe_error *err)
{
    if (pipeline->current == NULL) {
        const struct seal_work *work = pipeline->work;
        while (pipeline->next_shard < work->manifest->count && skips(work, pipeline->next_shard))
            pipeline->next_shard++;
        if (pipeline->next_shard == work->manifest->count)
            return LETHE_OK;
        /* A shard that cannot be begun is not tried again: the other thread would find its file. */
        size_t shard = pipeline->next_shard++;
        TRY(sealing_open(pipeline, shard, &pipeline->current, err));
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

static lethe_result seal_segment(const struct sealing *sealing, uint64_t index,
                                 struct sha256_stream *sha, struct range *range,
                                 struct lethe_error *err)
{
    struct tink_segment segment =
        tink_segment_at(&tink_shard_parameters, sealing->shard->size, index);
    uint8_t *bytes = range->blocks.staging->segment;
    TRY(sealing->input->read(sealing->in, &range->blocks, index, index == range->begin, err));

    if (tink_seal_segment(sealing->stream, &segment, bytes, bytes) != LETHE_OK)
        return error_set(err, LETHE_FAILED, "%s: sealing failed", sealing->shard->file);
    if (index == 0)
        sha256_update(sha, sealing->header, tink_header_bytes(&tink_shard_parameters));
    sha256_update(sha, bytes, segment.cipher_bytes);
    return file_write_at(sealing->out_fd, sealing->shard->file, segment.cipher_offset, bytes,
                         segment.cipher_bytes, err);
}

static lethe_result check_cancelled(const struct pipeline *pipeline, struct lethe_error *err)
{
    const atomic_bool *cancelled = pipeline->work->cancelled;
    return cancelled != NULL && atomic_load(cancelled)
               ? error_set(err, LETHE_CANCELLED, "interrupted")
               : LETHE_OK;
}

static lethe_result seal_range(struct pipeline *pipeline, struct range *range,
                               struct sha256_stream *sha, struct lethe_error *err)
{
    const struct sealing *sealing = range->sealing;
    for (uint64_t i = range->begin; i < range->end; i++) {
        if (turns_stopped(&pipeline->turns))
            return LETHE_OK; /* another's failure is reported by the other */
        TRY(check_cancelled(pipeline, err));
        TRY(seal_segment(sealing, i, sha, range, err));
        staging_write_behind(sealing->out_fd, i);
        progress_add(&pipeline->progress,
                     tink_segment_at(&tink_shard_parameters, sealing->shard->size, i).plain_bytes);
    }
    sha256_finish(sha, range->digest);
    if (range->end == sealing->segments)
        return LETHE_OK;
    return sealing->input->finish_range(sealing->in, &range->blocks, range->end, err);
}

/* ---- handing in, in order -------------------------------------------------------------------- */

static void hand_in(struct pipeline *pipeline, const struct range *range)
{
    struct sealing *sealing = range->sealing;
    struct shard *shard = sealing->shard;
    tree_push(&pipeline->tree, range->blocks.staging->hashes, range->blocks.hashes);
    memcpy(sealing->digests + range->begin / RANGE_SEGMENTS * SHA256_BYTES, range->digest,
           SHA256_BYTES);
    if (range->end < sealing->segments)
        return;
    tree_finish(&pipeline->tree, shard->size, shard->digest);
    pipeline->tree = (struct tree){0};
}

/* All ranges of the shard were handed in. */
static lethe_result finish_shard(struct pipeline *pipeline, const struct sealing *sealing,
                                 struct lethe_error *err)
{
    const struct seal_work *work = pipeline->work;
    const struct sealed_shard sealed = {.index = sealing->index,
                                        .digests = sealing->digests,
                                        .count = seal_range_count(sealing->shard)};
    if (fdatasync(sealing->out_fd) != 0)
        return error_from_errno(err, "syncing %s", sealing->shard->file);
    TRY(sealing->input->finish(sealing->in, sealing->shard, err));
    pthread_mutex_lock(&pipeline->sealed_lock);
    lethe_result result = work->sealed(work->sealed_context, &sealed, err);
    pthread_mutex_unlock(&pipeline->sealed_lock);
    return result;
}

static lethe_result work_on_range(struct pipeline *pipeline, struct range *range,
                                  struct sha256_stream *sha, struct lethe_error *err)
{
    TRY(seal_range(pipeline, range, sha, err));
    if (!turns_enter(&pipeline->turns, range->number))
        return LETHE_OK;
    hand_in(pipeline, range);
    turns_leave(&pipeline->turns);
    return range->end < range->sealing->segments ? LETHE_OK
                                                 : finish_shard(pipeline, range->sealing, err);
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
        range.blocks.staging = staging;
        lethe_result result = work_on_range(pipeline, &range, sha, err);
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
    new_keys_clear(&pipeline->new_keys);
    staging_clear(&pipeline->staging);
    progress_clear(&pipeline->progress);
    turns_clear(&pipeline->turns);
    pthread_mutex_destroy(&pipeline->sealed_lock);
    pthread_mutex_destroy(&pipeline->lock);
    free(pipeline);
}
DEFINE_CLEANUP(pipeline_free, struct pipeline *);

struct amount {
    uint64_t ranges;
    uint64_t bytes;
};

static struct amount amount_of(const struct seal_work *work)
{
    struct amount amount = {0};
    for (size_t i = 0; i < work->manifest->count; i++) {
        if (skips(work, i))
            continue;
        amount.ranges += seal_range_count(&work->manifest->shards[i]);
        amount.bytes += work->manifest->shards[i].size;
    }
    return amount;
}

lethe_result seal_shards(const struct seal_work *work, struct lethe_error *err)
{
    CLEANUP(pipeline_free) struct pipeline *pipeline = calloc(1, sizeof *pipeline);
    if (pipeline == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for the encryption");
    pipeline->work = work;
    pthread_mutex_init(&pipeline->lock, NULL);
    pthread_mutex_init(&pipeline->sealed_lock, NULL);
    turns_init(&pipeline->turns);
    struct amount amount = amount_of(work);
    progress_init(&pipeline->progress, work->progress, amount.bytes);
    TRY(staging_create(work->threads, amount.ranges, work->manifest->tenant, &pipeline->staging,
                       err));
    return threads_run(pipeline->staging.count, worker, pipeline, err);
}

lethe_result seal_list_ranges(struct oms_list *list, const struct shard *shard,
                              const uint8_t *digests, struct lethe_error *err)
{
    for (size_t i = 0; i < seal_range_count(shard); i++) {
        uint64_t start = i * OMS_SHARD_BYTES;
        const struct oms_range range = {.path = shard->file,
                                        .start = start,
                                        .end = MIN(shard->cipher_size, start + OMS_SHARD_BYTES)};
        TRY(oms_list_add(list, &range, digests + i * SHA256_BYTES, err));
    }
    return LETHE_OK;
}
