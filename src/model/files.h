/* model/files.h -- the files of a model, each of one shard or put together from several; and its
 * experts, each of one shard in every file that holds a part of it.
 *
 * Both are found when a manifest is read, and borrow from it. */
#ifndef MODEL_FILES_H
#define MODEL_FILES_H

#include "base/base.h"

struct manifest;

struct model_file {
    const char *name;
    uint64_t size_bytes;
    const size_t *shards; /* their places in the manifest, rising */
    size_t shard_count;
};
struct model_files { /* plain storage; {0} is empty */
    struct model_file *items;
    size_t count; /* in the order of the names' parts (paths.h) */
    size_t *shards;
};
void model_files_clear(struct model_files *files);
/* LETHE_MALFORMED: two files are the same or in each other's way, or the shards of one do not cover
 * it from its beginning, every byte once. */
LETHE_MUST_CHECK lethe_result model_files_find(const struct manifest *manifest,
                                               struct model_files *out, struct lethe_error *err);

struct expert_id {
    uint64_t layer;
    uint64_t index; /* in the layer */
};
/* 0 for the same, otherwise by layer and then by index. */
int expert_order(struct expert_id a, struct expert_id b);
struct model_expert {
    struct expert_id id;
    uint64_t size_bytes;  /* of all its shards */
    const size_t *shards; /* their places in the manifest, rising; nearly always one */
    size_t shard_count;
};
struct model_experts { /* plain storage; {0} is empty */
    struct model_expert *items;
    size_t count; /* by layer, and then by index */
    size_t *shards;
};
void model_experts_clear(struct model_experts *experts);
/* LETHE_MALFORMED: two shards of one file are of the same expert. */
LETHE_MUST_CHECK lethe_result model_experts_find(const struct manifest *manifest,
                                                 struct model_experts *out,
                                                 struct lethe_error *err);
/* NULL: the model has no such expert, or is not split. */
const struct model_expert *model_expert_at(const struct model_experts *experts,
                                           struct expert_id id);

#endif
