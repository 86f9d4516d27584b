#include "audit/proof.h"

#include <string.h>

#include "base/error.h"

struct proof_tree proof_tree_of(const struct audit_checkpoint *checkpoint)
{
    struct proof_tree tree = {.size = checkpoint->records};
    memcpy(tree.root, checkpoint->root, sizeof tree.root);
    return tree;
}

/* ---- making ---------------------------------------------------------------------------------- */

/* Leaves begin to end - 1. */
struct range {
    uint64_t begin;
    uint64_t end;
};

/* The largest power of two below the range's size, which is at least 2. */
static uint64_t split_of(const struct range *range)
{
    return (uint64_t)1 << (63 - __builtin_clzll(range->end - range->begin - 1));
}

/* The root over a range that begins where a subtree of its size can: each bit of its size is a
 * complete subtree, in the order from left to right. */
static lethe_result range_root(const struct proof_source *source, const struct range *range,
                               uint8_t out[MERKLE_HASH_BYTES], struct lethe_error *err)
{
    struct merkle tree = {.leaves = range->end - range->begin};
    for (unsigned level = 0; level < 63; level++) {
        uint64_t index = (range->begin >> level) + (tree.leaves >> level) - 1;
        if ((tree.leaves >> level & 1) != 0)
            TRY(source->hash(source->context, level, index, tree.edge[level], err));
    }
    merkle_root(&tree, out);
    return LETHE_OK;
}

static lethe_result add_root(const struct proof_source *source, const struct range *range,
                             struct proof *out, struct lethe_error *err)
{
    REQUIRE(out->count < PROOF_HASHES_MAX);
    TRY(range_root(source, range, out->hashes[out->count], err));
    out->count++;
    return LETHE_OK;
}

/* Goes down to the half that holds the leaf, adding the root of the other half. */
static lethe_result descend(const struct proof_source *source, struct range *range, uint64_t leaf,
                            struct proof *out, struct lethe_error *err)
{
    uint64_t middle = range->begin + split_of(range);
    bool left = leaf < middle;
    const struct range other = {left ? middle : range->begin, left ? range->end : middle};
    *range = (struct range){left ? range->begin : middle, left ? middle : range->end};
    return add_root(source, &other, out, err);
}

/* Proofs are made from the top of the tree, and read from the bottom. */
static void reverse(struct proof *proof)
{
    for (size_t i = 0; i < proof->count / 2; i++) {
        uint8_t swapped[MERKLE_HASH_BYTES];
        uint8_t *other = proof->hashes[proof->count - 1 - i];
        memcpy(swapped, proof->hashes[i], sizeof swapped);
        memcpy(proof->hashes[i], other, sizeof swapped);
        memcpy(other, swapped, sizeof swapped);
    }
}

static lethe_result check_size(uint64_t size, struct lethe_error *err)
{
    if (size <= PROOF_SIZE_MAX)
        return LETHE_OK;
    return error_set(err, LETHE_INVALID, "a log of %llu records", (unsigned long long)size);
}

lethe_result proof_inclusion(const struct proof_source *source, uint64_t index, uint64_t size,
                             struct proof *out, struct lethe_error *err)
{
    out->count = 0;
    TRY(check_size(size, err));
    if (index >= size)
        return error_set(err, LETHE_INVALID, "record %llu of a log of %llu",
                         (unsigned long long)index, (unsigned long long)size);
    struct range range = {0, size};
    while (range.end - range.begin > 1)
        TRY(descend(source, &range, index, out, err));
    reverse(out);
    return LETHE_OK;
}

/* RFC 6962 section 2.1.2: down to the subtree that ends where the old tree does. Its root is the
 * old root itself when it begins at 0, which the checker knows. */
lethe_result proof_consistency(const struct proof_source *source, uint64_t old_size, uint64_t size,
                               struct proof *out, struct lethe_error *err)
{
    out->count = 0;
    TRY(check_size(size, err));
    if (old_size > size)
        return error_set(err, LETHE_INVALID, "a log of %llu records cannot begin with %llu",
                         (unsigned long long)size, (unsigned long long)old_size);
    if (old_size == 0)
        return LETHE_OK;
    struct range range = {0, size};
    while (range.end > old_size)
        TRY(descend(source, &range, old_size - 1, out, err));
    if (range.begin > 0)
        TRY(add_root(source, &range, out, err));
    reverse(out);
    return LETHE_OK;
}

/* ---- checking -------------------------------------------------------------------------------- */

/* A node on the way up: its number in its level, and that of the level's last node. */
struct climb {
    uint64_t node;
    uint64_t last;
};

/* The node is the right one of two, or the last of its level, which has moved up until it is. */
static bool is_right(const struct climb *climb)
{
    return (climb->node & 1) != 0 || climb->node == climb->last;
}

/* To the level above. A last node without a neighbour stands there unchanged. */
static void climb_up(struct climb *climb)
{
    while (is_right(climb) && (climb->node & 1) == 0 && climb->node != 0) {
        climb->node >>= 1;
        climb->last >>= 1;
    }
    climb->node >>= 1;
    climb->last >>= 1;
}

static bool same(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, MERKLE_HASH_BYTES) == 0;
}

static lethe_result refuse(struct lethe_error *err, const char *what)
{
    return error_set(err, LETHE_INTEGRITY, "%s", what);
}

/* RFC 9162 section 2.1.3.2. */
lethe_result proof_check_inclusion(const struct proof *proof, const uint8_t leaf[MERKLE_HASH_BYTES],
                                   uint64_t index, const struct proof_tree *tree,
                                   struct lethe_error *err)
{
    if (tree->size > PROOF_SIZE_MAX || index >= tree->size)
        return refuse(err, "the proof is for a record that the log has not");
    struct climb climb = {index, tree->size - 1};
    uint8_t root[MERKLE_HASH_BYTES];
    memcpy(root, leaf, sizeof root);
    for (size_t i = 0; i < proof->count; i++) {
        if (climb.last == 0)
            return refuse(err, "the proof has more hashes than the log has levels");
        if (is_right(&climb))
            merkle_node(proof->hashes[i], root, root);
        else
            merkle_node(root, proof->hashes[i], root);
        climb_up(&climb);
    }
    if (climb.last != 0)
        return refuse(err, "the proof has fewer hashes than the log has levels");
    return same(root, tree->root)
               ? LETHE_OK
               : refuse(err, "the proof does not lead to the checkpoint's root: record, index or "
                             "proof were changed");
}

/* Trees for which there is nothing to prove. */
static lethe_result check_trivial(const struct proof *proof, const struct proof_tree *old,
                                  const struct proof_tree *tree, struct lethe_error *err)
{
    uint8_t empty[MERKLE_HASH_BYTES];
    merkle_root(&(struct merkle){0}, empty);
    if (proof->count != 0)
        return refuse(err, "a consistency proof where none is needed");
    if (old->size == 0 && !same(old->root, empty))
        return refuse(err, "the empty log has another root");
    if (old->size == tree->size && !same(old->root, tree->root))
        return refuse(err, "two roots of one size: one of the two logs was changed");
    return LETHE_OK;
}

/* RFC 9162 section 2.1.4.2. The first hash is a subtree of both trees; from there both roots are
 * made at once. */
static lethe_result check_climb(const struct proof *proof, const struct proof_tree *old,
                                const struct proof_tree *tree, struct lethe_error *err)
{
    struct climb climb = {old->size - 1, tree->size - 1};
    for (; (climb.node & 1) != 0; climb.last >>= 1)
        climb.node >>= 1;
    size_t next = climb.node == 0 ? 0 : 1; /* the old tree is complete: it is its own subtree */
    if (proof->count <= next)
        return refuse(err, "the consistency proof has too few hashes");

    const uint8_t *first = next == 0 ? old->root : proof->hashes[0];
    uint8_t old_root[MERKLE_HASH_BYTES], root[MERKLE_HASH_BYTES];
    memcpy(old_root, first, sizeof old_root);
    memcpy(root, first, sizeof root);
    for (; next < proof->count; next++) {
        const uint8_t *hash = proof->hashes[next];
        if (climb.last == 0)
            return refuse(err, "the consistency proof has too many hashes");
        if (is_right(&climb)) {
            merkle_node(hash, old_root, old_root);
            merkle_node(hash, root, root);
        } else {
            merkle_node(root, hash, root);
        }
        climb_up(&climb);
    }
    if (climb.last != 0)
        return refuse(err, "the consistency proof has too few hashes");
    if (!same(old_root, old->root) || !same(root, tree->root))
        return refuse(err, "the log does not begin with the one of the older checkpoint: records "
                           "were changed, or the proof was");
    return LETHE_OK;
}

lethe_result proof_check_consistency(const struct proof *proof, const struct proof_tree *old,
                                     const struct proof_tree *tree, struct lethe_error *err)
{
    if (tree->size > PROOF_SIZE_MAX || old->size > tree->size)
        return refuse(err, "the log is shorter than the older checkpoint: it was cut");
    if (old->size == 0 || old->size == tree->size)
        return check_trivial(proof, old, tree, err);
    return check_climb(proof, old, tree, err);
}
