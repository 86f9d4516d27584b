/* audit/merkle.h -- the RFC 6962 tree over the log's lines, kept as its right edge.
 *
 * Plain storage: struct merkle m = {0}; is the empty tree. Pure functions. */
#ifndef AUDIT_MERKLE_H
#define AUDIT_MERKLE_H

#include "base/base.h"

#define MERKLE_HASH_BYTES 32u
#define MERKLE_ENTRY_MAX 65535u /* what a C2SP entry bundle can hold */

struct merkle {
    uint64_t leaves;
    uint8_t edge[64][MERKLE_HASH_BYTES]; /* roots of the full subtrees, by bit of `leaves` */
};
/* SHA-256(0x00 || entry); at most MERKLE_ENTRY_MAX bytes. */
void merkle_leaf(const void *entry, size_t size_bytes, uint8_t out[MERKLE_HASH_BYTES]);
/* SHA-256(0x01 || left || right); `out` may be one of the two. */
void merkle_node(const uint8_t *left, const uint8_t *right, uint8_t *out);
void merkle_append(struct merkle *tree, const uint8_t leaf[MERKLE_HASH_BYTES]);
void merkle_root(const struct merkle *tree, uint8_t out[MERKLE_HASH_BYTES]);

#endif
