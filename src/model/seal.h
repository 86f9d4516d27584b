/* model/seal.h -- encrypts the shards of a model, on many threads at once. */
#ifndef MODEL_SEAL_H
#define MODEL_SEAL_H

#include "model/blocks.h"
#include "model/keys_ahead.h"
#include "model/oms.h"
#include "model/sources.h"

/* Where the plaintext of the shards comes from. All but `open` are called for different ranges of a
 * shard from any thread at once. */
struct seal_input {
    /* Gives what the calls below get as `stream`; one shard at a time. */
    lethe_result (*open)(void *context, size_t shard_index, void **stream, struct lethe_error *err);
    /* Reads the plaintext of segment `index` to run->staging->segment, and adds the hashes of
     * blocks to the run: in the end those of all that begin in the range. */
    lethe_result (*read)(void *stream, struct block_run *run, uint64_t index, bool first,
                         struct lethe_error *err);
    /* The range has been read, and others are behind it; `behind` is the first segment there. */
    lethe_result (*finish_range)(void *stream, struct block_run *run, uint64_t behind,
                                 struct lethe_error *err);
    /* All has been read and sealed; `shard` has the digest of what was. */
    lethe_result (*finish)(void *stream, const struct shard *shard, struct lethe_error *err);
    void (*close)(void *stream); /* NULL is fine */
};
/* What the shards of a struct seal_sources (the context) hold of its files, as they were found. */
extern const struct seal_input seal_from_sources;
struct seal_sources {
    const struct source_list *sources;
    const struct manifest *manifest;
    const size_t *source_of; /* of each shard: the place of its file in `sources` */
};
/* The shards of a struct seal_renewed (the context), which must have the digests of its manifest.
 */
extern const struct seal_input seal_from_shards;
struct seal_renewed {
    const struct model *model; /* its signature was checked */
    const struct key_source *keys;
    const bool *skip;        /* as in struct seal_work */
    struct keys_ahead ahead; /* empty before; the caller's to clear */
    size_t ahead_until;      /* 0 before; keys of the shards before have been asked for */
};

/* A shard whose file is complete and durable, but for the entry in its directory. */
struct sealed_shard {
    size_t index;
    const uint8_t *digests; /* SHA-256 of the file's ranges of OMS_SHARD_BYTES, SHA256_BYTES each */
    size_t count;
};
struct seal_work {
    const struct seal_input *input;
    void *input_context;
    struct manifest *manifest; /* gets digests and wrapped keys; all else is there */
    const bool *skip;          /* shards that are not to be sealed; NULL: none is */
    int shards_fd;             /* the directory for the files, which are not there yet */
    const struct key_source *keys;
    const char *purpose; /* of the new data keys' wrapping: for the record */
    const struct random_source *random;
    const struct model_progress *progress; /* NULL: none */
    unsigned threads;
    const atomic_bool *cancelled; /* sealing ends soon after it is set: LETHE_CANCELLED; NULL: no */
    /* Never called by two threads at once. */
    lethe_result (*sealed)(void *context, const struct sealed_shard *shard,
                           struct lethe_error *err);
    void *sealed_context;
};
/* On failure files are left, for the caller to remove. */
LETHE_MUST_CHECK lethe_result seal_shards(const struct seal_work *work, struct lethe_error *err);

/* What the signature says of a shard's file. */
LETHE_MUST_CHECK lethe_result seal_list_ranges(struct oms_list *list, const struct shard *shard,
                                               const uint8_t *digests, struct lethe_error *err);
static inline size_t seal_range_count(const struct shard *shard)
{
    return (size_t)((shard->cipher_size + OMS_SHARD_BYTES - 1) / OMS_SHARD_BYTES);
}

#endif
