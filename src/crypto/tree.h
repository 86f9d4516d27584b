/* crypto/tree.h -- the fs-verity digest: SHA-256 over a Merkle tree of 4096-byte blocks, no salt.
 *
 * Source: Linux fs-verity (struct fsverity_descriptor); `fsverity digest` computes the same. Blocks
 * are independent, so the work spreads over SIMD lanes (intel-ipsec-mb) and threads. A caller that
 * sees data out of order hashes blocks with tree_hash_blocks() on any thread and pushes the hashes
 * in order; memory is one block per level, whatever the size. */
#ifndef CRYPTO_TREE_H
#define CRYPTO_TREE_H

#include "crypto/hash.h"

#define TREE_BLOCK_BYTES 4096u
#define TREE_HASH_BYTES 32u
#define TREE_FANOUT (TREE_BLOCK_BYTES / TREE_HASH_BYTES)
#define TREE_LEVELS_MAX 8u /* 4096 * 128^8 bytes: far beyond 2^64 */
#define TREE_DIGEST_TEXT_SIZE (sizeof "fsverity-sha256:" + 64) /* NUL included */

/* Hashes of the blocks of `bytes`, TREE_HASH_BYTES each; a short last block counts as padded with
 * zeros. Writes ceil(size_bytes / 4096) hashes. Pure: any thread. */
void tree_hash_blocks(const void *bytes, size_t size_bytes, uint8_t *hashes);

/* Plain storage; struct tree t = {0}; is an empty tree. */
struct tree {
    uint64_t pushed;              /* hashes of data blocks so far      */
    size_t fill[TREE_LEVELS_MAX]; /* bytes in the open block per level */
    uint8_t block[TREE_LEVELS_MAX][TREE_BLOCK_BYTES];
};
/* Adds hashes of the next data blocks, in order. */
void tree_push(struct tree *tree, const uint8_t *hashes, size_t count);
/* The same with hashes of `level`, for who has joined some itself: 1 takes hashes of full blocks of
 * TREE_FANOUT hashes, and so on. All lower levels must be empty. */
void tree_push_at(struct tree *tree, unsigned level, const uint8_t *hashes, size_t count);
/* The digest of a file of size_bytes bytes, whose blocks have all been pushed. Ends the tree. */
void tree_finish(struct tree *tree, uint64_t size_bytes, uint8_t digest[TREE_HASH_BYTES]);

/* All of it, for memory and for a file of known size, on up to `threads` threads (at least 1).
 * Memory grows with the threads only. A file is read into guarded memory: LETHE_UNPROTECTED when
 * there is none; LETHE_INTEGRITY when it is shorter than size_bytes. */
LETHE_MUST_CHECK lethe_result tree_digest(const void *bytes, size_t size_bytes, unsigned threads,
                                          uint8_t digest[TREE_HASH_BYTES], struct lethe_error *err);
struct tree_file {
    int fd;
    const char *path; /* for errors */
    uint64_t size_bytes;
};
LETHE_MUST_CHECK lethe_result tree_digest_file(const struct tree_file *file, unsigned threads,
                                               uint8_t digest[TREE_HASH_BYTES],
                                               struct lethe_error *err);

/* "fsverity-sha256:<64 hex>", and back (LETHE_MALFORMED). */
void tree_digest_text(const uint8_t digest[TREE_HASH_BYTES], char out[TREE_DIGEST_TEXT_SIZE]);
LETHE_MUST_CHECK lethe_result tree_digest_parse(const char *text, uint8_t digest[TREE_HASH_BYTES]);

#endif
