/* model/manifest.h -- manifest.json: what a model consists of. docs/formats.md, "Model".
 *
 * A struct manifest owns all its text. Reading refuses unknown, missing and duplicate fields,
 * unknown formats, tiers, kinds and ciphers, ids and file names that do not belong together, sizes
 * that do not fit the cipher, tensors outside their shard, and shards that do not make whole files.
 */
#ifndef MODEL_MANIFEST_H
#define MODEL_MANIFEST_H

#include "base/validate.h"
#include "crypto/tree.h"
#include "model/extents.h"
#include "model/files.h"
#include "model/tensors.h"

#define MANIFEST_SHARDS_MAX 100000u
#define MANIFEST_BYTES_MAX ((size_t)256 << 20)
#define EXPERT_NUMBER_MAX 65535u /* of layers, and of experts in one: models have hundreds */

#define MANIFEST_FILE "manifest.json"
#define MANIFEST_FORMAT "lethe-model/1"
#define SIGNATURE_FILE "model.sig"
#define SHARD_DIRECTORY "shards"

enum tier { TIER_HOT, TIER_WARM, TIER_COLD, TIER_ARCHIVE };
#define TIER_COUNT 4
const char *tier_name(enum tier tier);
/* LETHE_INVALID for any other word. */
LETHE_MUST_CHECK lethe_result tier_parse(const char *text, enum tier *out);

enum shard_kind {
    SHARD_WEIGHTS,
    SHARD_ROUTER,
    SHARD_DENSE,
    SHARD_EXPERT,
    SHARD_OPTIMIZER,
    SHARD_OTHER
};
const char *shard_kind_name(enum shard_kind kind);
LETHE_MUST_CHECK lethe_result shard_kind_parse(const char *text, enum shard_kind *out);

struct shard {
    char *id;                   /* "0000" */
    char *file;                 /* "shards/0000.tink" */
    char *name;                 /* the source's relative name */
    struct extent_list extents; /* what of the source it holds */
    enum shard_kind kind;
    struct expert_id expert; /* whose it is, when the kind is SHARD_EXPERT */
    enum tier tier;
    uint64_t size;
    uint64_t cipher_size;
    uint8_t digest[TREE_HASH_BYTES]; /* of the plaintext */
    char *key;
    uint64_t key_version;
    char *wrapped_key;
    /* Whole, or in slices, and where in the plaintext. Its type is the shard's "type". */
    struct tensor_list tensors;
};
struct manifest {
    char *tenant;
    char *model;
    uint64_t release;
    char *created; /* RFC 3339 */
    struct shard *shards;
    size_t count;
    /* Of a manifest that was read. */
    struct model_files files;
    struct model_experts experts;
};
void manifest_free(struct manifest *manifest);
DEFINE_CLEANUP(manifest_free, struct manifest *);

/* LETHE_MALFORMED says which shard and field. */
LETHE_MUST_CHECK lethe_result manifest_parse(const void *json, size_t size_bytes,
                                             struct manifest **out, struct lethe_error *err);
/* Canonical JSON and a final newline. */
LETHE_MUST_CHECK lethe_result manifest_write(const struct manifest *manifest, struct buffer *out,
                                             struct lethe_error *err);
/* The same model as `json`, which was read and checked, one release on, made at `created`. */
LETHE_MUST_CHECK lethe_result manifest_next_release(const void *json, size_t size_bytes,
                                                    const char *created, struct manifest **out,
                                                    struct lethe_error *err);
/* The N of "vault:v<N>:..."; 0 when it is none. */
uint64_t wrapped_key_version(const char *wrapped);
/* The associated data of a shard: le32-prefixed list of "lethe-shard/1", tenant, model, id, tier
 * and plaintext size in decimal. */
void manifest_shard_aad(const struct manifest *manifest, const struct shard *shard,
                        struct buffer *out);

#endif
