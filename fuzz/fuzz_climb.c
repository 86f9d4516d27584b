/* Proofs between trees of any size, against RFC 6962 as its definition reads: from the root down,
 * by recursion. A proof leads to a root there exactly when the checker takes it for that root. */
#include <string.h>

#include "audit/proof.h"
#include "base/cursor.h"
#include "crypto/hash.h"

#include "fuzz.h"

struct hash {
    uint8_t bytes[MERKLE_HASH_BYTES];
};

static struct hash node_of(const struct hash *left, const struct hash *right)
{
    struct hash out;
    uint8_t joined[1 + 2 * MERKLE_HASH_BYTES] = {1};
    memcpy(joined + 1, left, MERKLE_HASH_BYTES);
    memcpy(joined + 1 + MERKLE_HASH_BYTES, right, MERKLE_HASH_BYTES);
    sha256(joined, sizeof joined, out.bytes);
    return out;
}

/* The largest power of two below n, which is at least 2. */
static uint64_t split_of(uint64_t n)
{
    uint64_t k = 1;
    while (k < n - k)
        k *= 2;
    return k;
}

/* The hashes of a proof, taken from its end: the one next to the root comes last. */
struct path {
    const struct proof *proof;
    size_t left;
};

static bool take(struct path *path, struct hash *out)
{
    if (path->left == 0)
        return false;
    memcpy(out, path->proof->hashes[--path->left], sizeof *out);
    return true;
}

/* Section 2.1.1. */
static bool included(struct path *path, const struct hash *leaf, uint64_t index, uint64_t size,
                     struct hash *root)
{
    struct hash below, other;
    if (size == 1) {
        *root = *leaf;
        return path->left == 0;
    }
    uint64_t k = split_of(size);
    bool left = index < k;
    if (!take(path, &other) ||
        !included(path, leaf, left ? index : index - k, left ? k : size - k, &below))
        return false;
    *root = left ? node_of(&below, &other) : node_of(&other, &below);
    return true;
}

/* Both roots that a proof leads to. */
struct roots {
    struct hash old;
    struct hash now;
};

/* Section 2.1.2; `whole` while the older tree lies at the left edge, where its root is known. */
static bool consistent(struct path *path, uint64_t old_size, uint64_t size, bool whole,
                       struct roots *roots)
{
    struct hash other;
    if (old_size == size) {
        bool good = whole || take(path, &roots->old);
        roots->now = roots->old;
        return good && path->left == 0;
    }
    uint64_t k = split_of(size);
    bool left = old_size <= k;
    if (!take(path, &other) || !consistent(path, left ? old_size : old_size - k,
                                           left ? k : size - k, left && whole, roots))
        return false;
    if (!left)
        roots->old = node_of(&other, &roots->old);
    roots->now = left ? node_of(&roots->now, &other) : node_of(&other, &roots->now);
    return true;
}

/* A checker that says yes says no as soon as a bit of a root is another. */
static void check_inclusion(const struct proof *proof, uint64_t index, uint64_t size)
{
    const struct hash leaf = {{1, 2, 3}};
    struct hash root = {{0}};
    struct proof_tree tree = {.size = size};
    struct path path = {proof, proof->count};
    bool good = size > 0 && size <= PROOF_SIZE_MAX && index < size &&
                included(&path, &leaf, index, size, &root);
    memcpy(tree.root, root.bytes, sizeof tree.root);
    FUZZ_PROPERTY((proof_check_inclusion(proof, leaf.bytes, index, &tree, NULL) == LETHE_OK) ==
                  good);
    tree.root[index % MERKLE_HASH_BYTES] ^= 1;
    FUZZ_PROPERTY(proof_check_inclusion(proof, leaf.bytes, index, &tree, NULL) != LETHE_OK);
}

static void check_growth(const struct proof *proof, uint64_t old_size, uint64_t size)
{
    struct roots roots = {.old = {{4, 5, 6}}};
    struct path path = {proof, proof->count};
    if (old_size == 0 || old_size > PROOF_SIZE_MAX || size > PROOF_SIZE_MAX)
        return;
    bool good = old_size <= size && consistent(&path, old_size, size, true, &roots);
    struct proof_tree old = {.size = old_size}, tree = {.size = size};
    memcpy(old.root, roots.old.bytes, sizeof old.root);
    memcpy(tree.root, roots.now.bytes, sizeof tree.root);
    FUZZ_PROPERTY((proof_check_consistency(proof, &old, &tree, NULL) == LETHE_OK) == good);
    tree.root[size % MERKLE_HASH_BYTES] ^= 1;
    FUZZ_PROPERTY(proof_check_consistency(proof, &old, &tree, NULL) != LETHE_OK);
    tree.root[size % MERKLE_HASH_BYTES] ^= 1;
    old.root[size % MERKLE_HASH_BYTES] ^= 1;
    FUZZ_PROPERTY(proof_check_consistency(proof, &old, &tree, NULL) != LETHE_OK);
}

/* One byte makes a hash: which ones they are does not matter. Large sizes are a shift away. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    struct cursor input = cursor_over(data, size_bytes);
    static struct proof proof; /* 2 KiB; every part that counts is written */
    uint64_t index, size;
    uint8_t shift, byte;
    if (cursor_u8(&input, &shift) != LETHE_OK || cursor_le64(&input, &index) != LETHE_OK ||
        cursor_le64(&input, &size) != LETHE_OK)
        return 0;
    for (proof.count = 0; proof.count < PROOF_HASHES_MAX && cursor_u8(&input, &byte) == LETHE_OK;)
        memset(proof.hashes[proof.count++], byte, MERKLE_HASH_BYTES);
    check_inclusion(&proof, index >> shift % 64, size >> shift % 64);
    check_growth(&proof, index >> shift % 64, size >> shift % 64);
    return 0;
}
