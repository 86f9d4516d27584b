/* model/seal.h -- encrypts the sources of a model into its shards, on many threads at once. */
#ifndef MODEL_SEAL_H
#define MODEL_SEAL_H

#include "model/model.h"
#include "model/oms.h"
#include "model/sources.h"

struct seal_work {
    const struct source_list *sources;
    struct manifest *manifest;    /* a shard for every source; gets digests and wrapped keys */
    struct oms_list *signed_list; /* gets the digests of the ciphertext */
    int dir_fd;                   /* of the model; holds an empty SHARD_DIRECTORY */
    const struct key_source *keys;
    const struct encrypt_options *options;
};
/* Every file is durable on success. On failure files are left, for the caller to remove. */
LETHE_MUST_CHECK lethe_result seal_shards(const struct seal_work *work, struct lethe_error *err);

#endif
