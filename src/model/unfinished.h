/* model/unfinished.h -- what an unfinished re-encryption has done so far: the file KEPT_STATE of
 * the directory that is kept. docs/formats.md, "Unfinished re-encryption".
 *
 * Whoever can write the disk can write this file. Its header holds a random key, wrapped by the key
 * service with what is being re-encrypted as associated data; each record ends in a MAC under that
 * key over itself and all before it. So records can be cut off, which only costs work, and nothing
 * else. Reading is pure: bytes in, records out. */
#ifndef MODEL_UNFINISHED_H
#define MODEL_UNFINISHED_H

#include "base/buffer.h"
#include "base/cursor.h"
#include "crypto/hash.h"
#include "model/sibling.h"

#define UNFINISHED_BYTES_MAX ((size_t)128 << 20) /* of 100,000 shards and 2^18 ranges: 60 MiB */
#define UNFINISHED_ID_MAX 64u
#define UNFINISHED_WRAPPED_MAX 1024u
#define UNFINISHED_DIGESTS_MAX ((size_t)1 << 18)
#define UNFINISHED_KEY_BYTES 32u

struct unfinished_header {
    uint8_t manifest_digest[SHA256_BYTES]; /* SHA-256 of the manifest that is re-encrypted */
    char wrapped[UNFINISHED_WRAPPED_MAX + 1];
};
enum unfinished_kind { UNFINISHED_SHARD = 1, UNFINISHED_MANIFEST = 2 };
struct unfinished_record {
    enum unfinished_kind kind;
    char id[UNFINISHED_ID_MAX + 1]; /* of a shard that is complete */
    char wrapped[UNFINISHED_WRAPPED_MAX + 1];
    const uint8_t *digests; /* of its file's ranges; borrowed from what is read */
    size_t digest_count;
    uint8_t manifest_digest[SHA256_BYTES]; /* of the new manifest, about to be put into place */
};

/* The key, and the MAC of the last record. */
struct unfinished_chain {
    const struct lethe_secret *key;
    uint8_t last[SHA256_BYTES];
};

void unfinished_header_write(const struct unfinished_header *header, struct buffer *out);
/* LETHE_INTEGRITY: not a header. */
LETHE_MUST_CHECK lethe_result unfinished_header_read(struct cursor *cursor,
                                                     struct unfinished_header *out,
                                                     struct lethe_error *err);
/* The chain before the first record. */
void unfinished_chain_begin(const struct unfinished_header *header, const struct lethe_secret *key,
                            struct unfinished_chain *out);

/* Appends a record to `out`, and moves the chain on. */
LETHE_MUST_CHECK lethe_result unfinished_record_write(const struct unfinished_record *record,
                                                      struct unfinished_chain *chain,
                                                      struct buffer *out, struct lethe_error *err);
/* *found is false at the end, and at a record that was never finished (the file ends in it, or in
 * zeros): the cursor then stays where it would begin. LETHE_INTEGRITY: its MAC is wrong. */
LETHE_MUST_CHECK lethe_result unfinished_record_read(struct cursor *cursor,
                                                     struct unfinished_chain *chain,
                                                     struct unfinished_record *out, bool *found,
                                                     struct lethe_error *err);

#endif
