/* store/seal.h -- what the store key does: seals rows, sums them, and seals the head over them.
 *
 * Three keys are derived from the store key, so that no key has two uses. A sealed value is nonce
 * (12 random bytes), ciphertext and tag (16). Formats: docs/formats.md, "Store". */
#ifndef STORE_SEAL_H
#define STORE_SEAL_H

#include "crypto/aead.h"
#include "crypto/hash.h"
#include "store/backend.h"
#include "store/store.h"

#define SEAL_OVERHEAD_BYTES (AEAD_NONCE_BYTES + AEAD_TAG_BYTES)
#define SEALED_MAX (STORE_VALUE_MAX + SEAL_OVERHEAD_BYTES)
/* Values sealed under one store key: half of what random nonces allow (2^32, NIST SP 800-38D 8.3);
 * the other half is for transactions that were rolled back and not counted. */
#define SEALS_MAX ((uint64_t)1 << 31)

struct seal_keys {
    struct aead_key *row;
    struct aead_key *head;
    struct lethe_secret *sum;
};
LETHE_MUST_CHECK lethe_result seal_keys_derive(const struct lethe_secret *store_key,
                                               struct seal_keys *out, struct lethe_error *err);
void seal_keys_clear(struct seal_keys *keys);

struct sealed { /* ciphertext: no secret */
    size_t size_bytes;
    uint8_t bytes[SEALED_MAX];
};

/* Fills `out` with `value` sealed for the path, version and lease of `row`, and lets row->sealed
 * point to it. */
LETHE_MUST_CHECK lethe_result seal_row(const struct seal_keys *keys, struct store_row *row,
                                       const void *value, size_t size_bytes, struct sealed *out,
                                       struct lethe_error *err);
/* LETHE_INTEGRITY when the row was changed. */
LETHE_MUST_CHECK lethe_result seal_row_open(const struct seal_keys *keys,
                                            const struct store_row *row,
                                            struct lethe_secret **value, struct lethe_error *err);

/* MSet-Add-Hash (Clarke, Devadas, van Dijk, Gassend, Suh: Incremental Multiset Hash Functions,
 * ASIACRYPT 2003): the sum modulo 2^256 of a keyed digest of each row. Whoever sees many sums can
 * search for other rows with the same one; so the sum is never written in plain: the head is
 * encrypted, which hides it as the paper's random term does. */
#define ROW_DIGEST_BYTES SHA256_BYTES
LETHE_MUST_CHECK lethe_result seal_row_digest(const struct seal_keys *keys,
                                              const struct store_row *row,
                                              uint8_t digest[ROW_DIGEST_BYTES],
                                              struct lethe_error *err);

struct head {
    uint64_t epoch; /* transactions since the store was made, that one included */
    uint64_t rows;
    uint64_t seals; /* values sealed so far: at most SEALS_MAX */
    uint8_t sum[ROW_DIGEST_BYTES];
};
void head_add(struct head *head, const uint8_t digest[ROW_DIGEST_BYTES]);
void head_remove(struct head *head, const uint8_t digest[ROW_DIGEST_BYTES]);

#define HEAD_PLAIN_BYTES (3 * sizeof(uint64_t) + ROW_DIGEST_BYTES)
#define HEAD_SEALED_BYTES (HEAD_PLAIN_BYTES + SEAL_OVERHEAD_BYTES)
LETHE_MUST_CHECK lethe_result head_seal(const struct seal_keys *keys, const struct head *head,
                                        uint8_t out[HEAD_SEALED_BYTES], struct lethe_error *err);
/* LETHE_INTEGRITY: changed, or sealed under another store key. */
LETHE_MUST_CHECK lethe_result head_open(const struct seal_keys *keys, const void *sealed,
                                        size_t sealed_bytes, struct head *out,
                                        struct lethe_error *err);

#endif
