/* model/describe.h -- the manifest of what is about to be encrypted, but for what sealing gives. */
#ifndef MODEL_DESCRIBE_H
#define MODEL_DESCRIBE_H

#include "model/model.h"
#include "model/sources.h"

struct description {
    struct manifest *manifest; /* release 1 */
    size_t *source_of;         /* of each shard: the place of its file in the list of sources */
    size_t source_capacity;
    size_t shard_capacity;
    uint64_t split_files;
};
void description_clear(struct description *description);

/* A shard of each source, or several where it is to be split. The sources' tensors are moved. */
LETHE_MUST_CHECK lethe_result describe_sources(const struct encrypt_options *options,
                                               struct source_list *sources, struct description *out,
                                               struct lethe_error *err);

#endif
