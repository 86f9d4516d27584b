/* model/split.h -- a file of a mixture of experts, taken apart: what of it is which shard. Pure. */
#ifndef MODEL_SPLIT_H
#define MODEL_SPLIT_H

#include "model/manifest.h"

/* Matrices, or slices of merged ones, of all experts and routers of a file. */
#define SPLIT_CLAIMS_MAX (1u << 20)

struct split_part {
    enum shard_kind kind;
    struct expert_id expert; /* when it is SHARD_EXPERT */
    struct extent_list extents;
    struct tensor_list tensors; /* in the part's plaintext */
};
struct split { /* plain storage; {0} is empty */
    struct split_part *items;
    size_t count;
    size_t capacity;
};
void split_clear(struct split *split);
static inline void split_clear_at_scope_end(struct split *split)
{
    split_clear(split);
}

/* One part for each expert, by layer and index, behind one for the routers, if there are any,
 * behind one for the rest (dense). A part of a merged tensor keeps its name and dimensions, with 1
 * for the outermost. Nothing when the file has no experts. The tensors are those of a reader
 * (tensors.h): in order, and inside file_bytes. LETHE_LIMIT: more parts than a manifest holds
 * shards, or more than SPLIT_CLAIMS_MAX; then *out is empty. */
LETHE_MUST_CHECK lethe_result split_experts(const struct tensor_list *tensors, uint64_t file_bytes,
                                            struct split *out, struct lethe_error *err);

#endif
