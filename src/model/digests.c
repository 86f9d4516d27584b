/* Is what was loaded what was encrypted? */
#include <stdatomic.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/thread.h"
#include "model/opened.h"
#include "model/staging.h"

static lethe_result compare(const struct model *model, const struct shard *shard,
                            const uint8_t digest[TREE_HASH_BYTES], struct lethe_error *err)
{
    if (bytes_equal(digest, shard->digest, TREE_HASH_BYTES))
        return LETHE_OK;
    return error_set(err, LETHE_INTEGRITY, "model %s: %s is not what its digest says", model->path,
                     shard->file);
}

lethe_result model_check_digest(const struct model *model, size_t shard_index,
                                const void *plaintext, unsigned threads, struct lethe_error *err)
{
    REQUIRE(shard_index < model->manifest->count);
    const struct shard *shard = &model->manifest->shards[shard_index];
    uint8_t digest[TREE_HASH_BYTES];
    TRY(tree_digest(plaintext, shard->size, workers_for(threads, UINT64_MAX), digest, err));
    return compare(model, shard, digest, err);
}

/* ---- files of several shards: each worker takes one after another ---------------------------- */

struct check { /* of a file */
    const struct model *model;
    const struct model_file *file;
    const uint8_t *content;
    atomic_size_t next; /* shard that nobody has taken */
    atomic_bool failed;
    struct staging_set staging;
};

/* What lies in several pieces is gathered first. */
static void hash_piece(const struct check *check, const struct shard *shard, uint64_t offset,
                       const struct staging *staging, struct tree *tree)
{
    size_t size_bytes = (size_t)MIN(SEGMENT_BYTES, shard->size - offset);
    struct extent piece = extent_piece(&shard->extents, offset, size_bytes);
    const uint8_t *bytes = check->content + piece.begin;
    if (extent_bytes(&piece) < size_bytes) {
        bytes = staging->segment;
        extent_list_gather(&shard->extents, offset, staging->segment, size_bytes, check->content);
    }
    tree_hash_blocks(bytes, size_bytes, staging->hashes);
    tree_push(tree, staging->hashes, (size_bytes + TREE_BLOCK_BYTES - 1) / TREE_BLOCK_BYTES);
}

static lethe_result check_shards(struct check *check, const struct staging *staging,
                                 struct lethe_error *err)
{
    CLEANUP(memory_free) struct tree *tree = malloc(sizeof *tree);
    if (tree == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a digest");
    while (!atomic_load(&check->failed)) {
        size_t index = atomic_fetch_add(&check->next, 1);
        if (index >= check->file->shard_count)
            return LETHE_OK;
        const struct shard *shard = &check->model->manifest->shards[check->file->shards[index]];
        uint8_t digest[TREE_HASH_BYTES];
        *tree = (struct tree){0};
        for (uint64_t offset = 0; offset < shard->size; offset += SEGMENT_BYTES)
            hash_piece(check, shard, offset, staging, tree);
        tree_finish(tree, shard->size, digest);
        TRY(compare(check->model, shard, digest, err));
    }
    return LETHE_OK;
}

static lethe_result check_worker(void *context, unsigned worker, struct lethe_error *err)
{
    struct check *check = context;
    lethe_result result = check_shards(check, &check->staging.items[worker], err);
    if (result != LETHE_OK)
        atomic_store(&check->failed, true);
    return result;
}

lethe_result model_check_file_digests(const struct model *model, size_t file_index,
                                      const void *content, unsigned threads,
                                      struct lethe_error *err)
{
    REQUIRE(file_index < model->manifest->files.count);
    const struct model_file *file = &model->manifest->files.items[file_index];
    if (file->shard_count == 1)
        return model_check_digest(model, file->shards[0], content, threads, err);
    struct check check = {.model = model, .file = file, .content = content};
    TRY(staging_create(threads, file->shard_count, model->manifest->tenant, &check.staging, err));
    lethe_result result = threads_run(check.staging.count, check_worker, &check, err);
    staging_clear(&check.staging);
    return result;
}
