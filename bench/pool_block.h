/* bench/pool_block.h -- blocks that say whose they are, and of which time, and what a run is summed
 * up to. The same for every client here. */
#ifndef BENCH_POOL_BLOCK_H
#define BENCH_POOL_BLOCK_H

#include "bench.h"

#define POOL_STAMP_BYTES 64u
#define POOL_SAMPLES_MAX 500000u /* of one thread in one run */

/* Ends the program where there is none. Zeroed. */
void *pool_allocate(size_t count, size_t size_bytes);
void pool_block_fill(uint8_t *block, size_t size_bytes);
/* At its beginning and its end, which must not meet. */
void pool_block_stamp(uint8_t *block, size_t size_bytes, uint32_t key, uint32_t version);
/* Ends the program at any other block. */
void pool_block_check(const uint8_t *block, size_t size_bytes, uint32_t key, uint32_t version);

/* What one thread did in a run. */
struct pool_tally {
    double *samples_s; /* POOL_SAMPLES_MAX */
    size_t done;       /* operations until the end of the run */
    double ends_s, started_s;
    double elapsed_s;     /* 0 while it runs */
    uint64_t moved_bytes; /* all of the run, also behind its end */
};
void pool_tally_begin(struct pool_tally *tally, double ends_s);
/* An operation that was asked at asked_s is answered. `ends_s` 0: the run has no end of its own. */
void pool_tally_count(struct pool_tally *tally, double asked_s, size_t block_bytes);

struct pool_result {
    double bytes_per_s;
    double p50_s, p99_s;
    uint64_t moved_bytes;
};
void pool_tally_sum(const struct pool_tally *tallies, size_t count, size_t block_bytes,
                    struct pool_result *out);

#endif
