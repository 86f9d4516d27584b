/* crypto/tree_blocks.h -- the two ways to hash blocks, and the tree's levels. Not for other rooms.
 */
#ifndef CRYPTO_TREE_BLOCKS_H
#define CRYPTO_TREE_BLOCKS_H

#include "crypto/tree.h"

#define TREE_FANOUT (TREE_BLOCK_BYTES / TREE_HASH_BYTES)

/* Whole blocks: one after another with OpenSSL, or many at once with intel-ipsec-mb (false, and
 * nothing written, where that cannot be had). */
void tree_hash_singly(const uint8_t *blocks, size_t count, uint8_t *hashes);
LETHE_MUST_CHECK bool tree_hash_in_lanes(const uint8_t *blocks, size_t count, uint8_t *hashes);

/* As tree_push, with hashes of `level`: 1 takes hashes of full blocks of TREE_FANOUT hashes, and so
 * on. All lower levels must be empty. */
void tree_push_at(struct tree *tree, unsigned level, const uint8_t *hashes, size_t count);

#endif
