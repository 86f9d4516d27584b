/* model/blocks.h -- the hashes of a shard's plaintext blocks, while its segments are opened one
 * after another. Segments do not end where blocks do: the beginning of a block is carried over from
 * one segment to the next, in the margin right before the worker's segment. */
#ifndef MODEL_BLOCKS_H
#define MODEL_BLOCKS_H

#include "model/opened.h"
#include "model/staging.h"

/* A worker's place in a range of segments. */
struct block_run {
    struct staging *staging;
    size_t carried; /* bytes of a block whose end is in the next segment */
    size_t hashes;  /* of the blocks that begin in the range, so far */
};

/* Opens segment `index`, whose ciphertext lies in the staging's segment, in place, and hashes the
 * blocks that end in it. `first` of the range: a block that began before is the range before's. */
LETHE_MUST_CHECK lethe_result blocks_open(struct block_run *run, const struct shard_reader *reader,
                                          uint64_t index, bool first, struct lethe_error *err);
/* The block that the range's last segment began, if it did; `behind` is the segment behind it. */
LETHE_MUST_CHECK lethe_result blocks_finish(struct block_run *run,
                                            const struct shard_reader *reader, uint64_t behind,
                                            struct lethe_error *err);

#endif
