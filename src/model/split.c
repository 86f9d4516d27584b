#include "model/split.h"

#include <stdlib.h>

#include "base/error.h"
#include "model/array.h"
#include "model/expert_names.h"

/* What a part has a claim on: a tensor, or a slice of one. */
struct claim {
    enum shard_kind kind; /* SHARD_ROUTER or SHARD_EXPERT */
    struct expert_id expert;
    uint64_t begin;
    uint64_t end;
    size_t tensor;
    bool is_slice;
};
struct claims { /* in the order of the file, until they are sorted by part */
    struct claim *items;
    size_t count;
    size_t capacity;
};
static void claims_clear_at_scope_end(struct claims *claims)
{
    free(claims->items);
}

void split_clear(struct split *split)
{
    for (size_t i = 0; i < split->count; i++) {
        extent_list_clear(&split->items[i].extents);
        tensor_list_clear(&split->items[i].tensors);
    }
    free(split->items);
    *split = (struct split){0};
}

/* ---- whose is what --------------------------------------------------------------------------- */

static lethe_result add_claim(struct claims *claims, const struct claim *claim,
                              struct lethe_error *err)
{
    if (claims->count == SPLIT_CLAIMS_MAX)
        return error_set(err, LETHE_LIMIT, "more than %u matrices of experts in one file",
                         SPLIT_CLAIMS_MAX);
    struct claim *items =
        array_grow(claims->items, claims->count, &claims->capacity, sizeof *claims->items);
    if (items == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for %zu matrices", claims->count + 1);
    claims->items = items;
    items[claims->count++] = *claim;
    return LETHE_OK;
}

/* A vector is no matrix for each expert; nor is what does not make equal pieces. */
static bool is_merged(const struct tensor *tensor)
{
    return tensor->dimensions >= 2 && tensor->shape[0] > 0 &&
           tensor->shape[0] <= EXPERT_NUMBER_MAX + 1 &&
           (tensor->end - tensor->begin) % tensor->shape[0] == 0;
}

static lethe_result claim_slices(const struct tensor *tensor, struct claim claim,
                                 struct claims *claims, struct lethe_error *err)
{
    uint64_t slice_bytes = (tensor->end - tensor->begin) / tensor->shape[0];
    claim.is_slice = true;
    for (uint64_t i = 0; i < tensor->shape[0]; i++) {
        claim.expert.index = i;
        claim.begin = tensor->begin + i * slice_bytes;
        claim.end = claim.begin + slice_bytes;
        TRY(add_claim(claims, &claim, err));
    }
    return LETHE_OK;
}

static lethe_result claim_tensor(const struct tensor_list *tensors, size_t index,
                                 struct claims *claims, struct lethe_error *err)
{
    const struct tensor *tensor = &tensors->tensors[index];
    struct claim claim = {.begin = tensor->begin, .end = tensor->end, .tensor = index};
    enum tensor_role role = tensor_role_of(tensors->type, tensor->name, &claim.expert);
    claim.kind = role == TENSOR_ROUTER ? SHARD_ROUTER : SHARD_EXPERT;
    if (role == TENSOR_ROUTER)
        claim.expert = (struct expert_id){0}; /* those of all layers are one part */
    if (role == TENSOR_DENSE || tensor->begin == tensor->end)
        return LETHE_OK;
    if (role != TENSOR_EXPERTS)
        return add_claim(claims, &claim, err);
    return is_merged(tensor) ? claim_slices(tensor, claim, claims, err) : LETHE_OK;
}

/* ---- parts ----------------------------------------------------------------------------------- */

static lethe_result begin_part(struct split *split, const struct split_part *part,
                               struct lethe_error *err)
{
    if (split->count == MANIFEST_SHARDS_MAX)
        return error_set(err, LETHE_LIMIT, "more than %u experts", MANIFEST_SHARDS_MAX - 1);
    struct split_part *items =
        array_grow(split->items, split->count, &split->capacity, sizeof *split->items);
    if (items == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for %zu shards", split->count + 1);
    split->items = items;
    items[split->count++] = *part;
    return LETHE_OK;
}

/* The tensor, or its slice, that begins at `at` in the part. */
static lethe_result add_tensor(struct split_part *part, struct tensor tensor, uint64_t at,
                               struct lethe_error *err)
{
    tensor.end = at + (tensor.end - tensor.begin);
    tensor.begin = at;
    return tensor_list_add(&part->tensors, &tensor, err);
}

/* What nobody has a claim on: the description, padding, and all tensors that are not claimed. */
static lethe_result make_dense(const struct tensor_list *tensors, uint64_t file_bytes,
                               const struct claims *claims, struct split *split,
                               struct lethe_error *err)
{
    const struct split_part empty = {.kind = SHARD_DENSE, .tensors.type = tensors->type};
    TRY(begin_part(split, &empty, err));
    struct split_part *part = &split->items[0];
    uint64_t covered = 0;
    for (size_t i = 0; i <= claims->count; i++) {
        uint64_t next = i < claims->count ? claims->items[i].begin : file_bytes;
        if (covered < next)
            TRY(extent_list_add(&part->extents, covered, next, err));
        covered = i < claims->count ? claims->items[i].end : file_bytes;
    }
    const struct claim *claim = claims->items;
    const struct claim *end = claims->items + claims->count;
    for (size_t i = 0; i < tensors->count; i++) {
        const struct tensor *tensor = &tensors->tensors[i];
        while (claim < end && claim->tensor < i)
            claim++;
        if (claim == end || claim->tensor != i)
            TRY(add_tensor(part, *tensor, extent_list_before(&part->extents, tensor->begin), err));
    }
    return LETHE_OK;
}

static int part_order(const struct claim *a, const struct claim *b)
{
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    return expert_order(a->expert, b->expert);
}

static int claim_order(const void *left, const void *right)
{
    const struct claim *a = left;
    const struct claim *b = right;
    int order = part_order(a, b);
    return order != 0 ? order : a->begin < b->begin ? -1 : a->begin > b->begin;
}

static lethe_result fill_part(const struct tensor_list *tensors, const struct claim *claim,
                              struct split_part *part, struct lethe_error *err)
{
    struct tensor tensor = tensors->tensors[claim->tensor];
    uint64_t at = extent_list_bytes(&part->extents);
    tensor.begin = claim->begin;
    tensor.end = claim->end;
    if (claim->is_slice)
        tensor.shape[0] = 1;
    TRY(extent_list_add(&part->extents, claim->begin, claim->end, err));
    return add_tensor(part, tensor, at, err);
}

static lethe_result make_claimed(const struct tensor_list *tensors, struct claims *claims,
                                 struct split *split, struct lethe_error *err)
{
    REQUIRE(claims->items != NULL);
    qsort(claims->items, claims->count, sizeof *claims->items, claim_order);
    for (size_t i = 0; i < claims->count; i++) {
        const struct claim *claim = &claims->items[i];
        const struct split_part empty = {
            .kind = claim->kind, .expert = claim->expert, .tensors.type = tensors->type};
        if (i == 0 || part_order(claim - 1, claim) != 0)
            TRY(begin_part(split, &empty, err));
        TRY(fill_part(tensors, claim, &split->items[split->count - 1], err));
    }
    return LETHE_OK;
}

static bool has_experts(const struct claims *claims)
{
    for (size_t i = 0; i < claims->count; i++)
        if (claims->items[i].kind == SHARD_EXPERT)
            return true;
    return false;
}

lethe_result split_experts(const struct tensor_list *tensors, uint64_t file_bytes,
                           struct split *out, struct lethe_error *err)
{
    *out = (struct split){0};
    CLEANUP(claims_clear) struct claims claims = {0};
    CLEANUP(split_clear) struct split split = {0};
    for (size_t i = 0; i < tensors->count; i++)
        TRY(claim_tensor(tensors, i, &claims, err));
    if (!has_experts(&claims))
        return LETHE_OK;
    TRY(make_dense(tensors, file_bytes, &claims, &split, err));
    TRY(make_claimed(tensors, &claims, &split, err));
    *out = split;
    split = (struct split){0}; /* moved */
    return LETHE_OK;
}
