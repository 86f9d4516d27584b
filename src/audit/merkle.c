#include "audit/merkle.h"

#include <string.h>

#include "crypto/hash.h"

void merkle_leaf(const void *entry, size_t size_bytes, uint8_t out[MERKLE_HASH_BYTES])
{
    uint8_t hashed[1 + MERKLE_ENTRY_MAX];
    REQUIRE(size_bytes <= MERKLE_ENTRY_MAX);
    hashed[0] = 0x00;
    memcpy(hashed + 1, entry, size_bytes);
    sha256(hashed, 1 + size_bytes, out);
}

void merkle_node(const uint8_t *left, const uint8_t *right, uint8_t *out)
{
    uint8_t hashed[1 + 2 * MERKLE_HASH_BYTES];
    hashed[0] = 0x01;
    memcpy(hashed + 1, left, MERKLE_HASH_BYTES);
    memcpy(hashed + 1 + MERKLE_HASH_BYTES, right, MERKLE_HASH_BYTES);
    sha256(hashed, sizeof hashed, out);
}

/* As adding one to a binary number: every subtree that the carry passes joins the new leaf. */
void merkle_append(struct merkle *tree, const uint8_t leaf[MERKLE_HASH_BYTES])
{
    uint8_t hash[MERKLE_HASH_BYTES];
    memcpy(hash, leaf, sizeof hash);
    unsigned level = 0;
    for (; (tree->leaves >> level & 1) != 0; level++)
        merkle_node(tree->edge[level], hash, hash);
    memcpy(tree->edge[level], hash, sizeof hash);
    tree->leaves++;
}

void merkle_root(const struct merkle *tree, uint8_t out[MERKLE_HASH_BYTES])
{
    if (tree->leaves == 0) {
        sha256("", 0, out);
        return;
    }
    unsigned level = (unsigned)__builtin_ctzll(tree->leaves);
    memcpy(out, tree->edge[level], MERKLE_HASH_BYTES);
    for (level++; level < 64; level++) {
        if ((tree->leaves >> level & 1) != 0)
            merkle_node(tree->edge[level], out, out);
    }
}
