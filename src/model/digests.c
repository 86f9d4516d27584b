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

#define PIECE_BLOCKS (SEGMENT_BYTES / TREE_BLOCK_BYTES)

struct check { /* of a file */
    const struct model *model;
    const struct model_file *file;
    const uint8_t *content;
    atomic_size_t next; /* shard that nobody has taken */
    atomic_bool failed;
};

struct desk {
    struct lethe_region *region; /* for what lies in several pieces */
    struct tree tree;
    uint8_t hashes[PIECE_BLOCKS * TREE_HASH_BYTES];
};
static void desk_free(struct desk *desk)
{
    if (desk == NULL)
        return;
    lethe_region_free(desk->region);
    free(desk);
}
DEFINE_CLEANUP(desk_free, struct desk *);

static void hash_piece(const struct check *check, const struct shard *shard, uint64_t offset,
                       struct desk *desk)
{
    size_t size_bytes = (size_t)MIN(SEGMENT_BYTES, shard->size - offset);
    struct extent piece = extent_piece(&shard->extents, offset, size_bytes);
    const uint8_t *bytes = check->content + piece.begin;
    if (extent_bytes(&piece) < size_bytes) {
        uint8_t *gathered = lethe_region_bytes(desk->region);
        extent_list_gather(&shard->extents, offset, gathered, size_bytes, check->content);
        bytes = gathered;
    }
    tree_hash_blocks(bytes, size_bytes, desk->hashes);
    tree_push(&desk->tree, desk->hashes, (size_bytes + TREE_BLOCK_BYTES - 1) / TREE_BLOCK_BYTES);
}

static lethe_result check_shards(struct check *check, struct desk *desk, struct lethe_error *err)
{
    while (!atomic_load(&check->failed)) {
        size_t index = atomic_fetch_add(&check->next, 1);
        if (index >= check->file->shard_count)
            return LETHE_OK;
        const struct shard *shard = &check->model->manifest->shards[check->file->shards[index]];
        uint8_t digest[TREE_HASH_BYTES];
        desk->tree = (struct tree){0};
        for (uint64_t offset = 0; offset < shard->size; offset += SEGMENT_BYTES)
            hash_piece(check, shard, offset, desk);
        tree_finish(&desk->tree, shard->size, digest);
        TRY(compare(check->model, shard, digest, err));
    }
    return LETHE_OK;
}

static lethe_result check_with_desk(struct check *check, struct lethe_error *err)
{
    CLEANUP(desk_free) struct desk *desk = calloc(1, sizeof *desk);
    if (desk == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a worker's buffers");
    TRY(staging_region(SEGMENT_BYTES, check->model->manifest->tenant, &desk->region, err));
    return check_shards(check, desk, err);
}

static lethe_result check_worker(void *context, unsigned worker, struct lethe_error *err)
{
    struct check *check = context;
    lethe_result result = check_with_desk(check, err);
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
    return threads_run(workers_for(threads, file->shard_count), check_worker, &check, err);
}
