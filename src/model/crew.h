/* model/crew.h -- the shards of a model on many threads: all work on a large one together; of small
 * ones each takes one after another, so that they need not wait for one another, nor for keys. */
#ifndef MODEL_CREW_H
#define MODEL_CREW_H

#include "model/opened.h"

struct crew {
    const struct model *model;
    const struct shard_access *access; /* asked for keys by one thread at a time, in order */
    const size_t *shards;              /* places in the manifest; NULL: all of it */
    size_t count;
    unsigned threads;
    /* A shard of fewer is worked on alone, as is one that is little of the whole. */
    uint64_t large_segments;
    /* A large shard, on the calling thread, which starts others. */
    lethe_result (*together)(void *context, const struct shard_reader *reader,
                             struct lethe_error *err);
    /* A small one, on one thread of several; `worker` is below `threads`. */
    lethe_result (*alone)(void *context, const struct shard_reader *reader, unsigned worker,
                          struct lethe_error *err);
    void *context;
};
/* Opens each shard, has it worked on, and closes it. After a failure no other is begun. */
LETHE_MUST_CHECK lethe_result crew_run(const struct crew *crew, struct lethe_error *err);

#endif
