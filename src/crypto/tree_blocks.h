/* crypto/tree_blocks.h -- the two ways to hash blocks. Not for other rooms. */
#ifndef CRYPTO_TREE_BLOCKS_H
#define CRYPTO_TREE_BLOCKS_H

#include "crypto/tree.h"

/* Whole blocks: one after another with OpenSSL, or many at once with intel-ipsec-mb (false, and
 * nothing written, where that cannot be had). */
void tree_hash_singly(const uint8_t *blocks, size_t count, uint8_t *hashes);
LETHE_MUST_CHECK bool tree_hash_in_lanes(const uint8_t *blocks, size_t count, uint8_t *hashes);

#endif
