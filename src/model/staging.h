/* model/staging.h -- what a worker needs to work on one segment at a time: guarded memory in which
 * the segment is sealed or opened in place (so that it all stays in the cache), and room for block
 * hashes. */
#ifndef MODEL_STAGING_H
#define MODEL_STAGING_H

#include "crypto/tree.h"
#include "mem/slab.h"
#include "model/tink.h"

/* Workers take this many segments at once: their ciphertext is one range of the signature. */
#define RANGE_SEGMENTS 64u
#define SEGMENT_BYTES ((size_t)1 << 20) /* tink_shard_parameters.segment_bytes */
/* Before and behind the segment: a block may begin in one and end in the next. */
#define STAGING_MARGIN_BYTES ((size_t)TREE_BLOCK_BYTES)
#define STAGING_HASHES (RANGE_SEGMENTS * (SEGMENT_BYTES / TREE_BLOCK_BYTES + 1))

struct staging {
    struct lethe_region *region;
    uint8_t *segment; /* SEGMENT_BYTES, a margin before and behind; guarded, wiped when freed */
    uint8_t *hashes;  /* of STAGING_HASHES blocks */
};
struct staging_set { /* plain storage; {0} is empty */
    struct staging *items;
    unsigned count;
};

/* For up to `threads` workers (0: as many as there are CPUs), but for no more than there is work
 * for (`jobs`), and no more than this process may have guarded memory for: at least one, or the
 * error of the first. */
LETHE_MUST_CHECK lethe_result staging_create(unsigned threads, uint64_t jobs, const char *tenant,
                                             struct staging_set *out, struct lethe_error *err);
void staging_clear(struct staging_set *set);
static inline void staging_clear_at_scope_end(struct staging_set *set)
{
    staging_clear(set);
}

/* For a worker that has written segment `index` of a file: now and then, what was written starts on
 * its way to the disk, while work goes on. Only a hint: what counts is a sync at the end. */
void staging_write_behind(int fd, uint64_t index);

/* How many workers to start. */
unsigned workers_for(unsigned threads, uint64_t jobs);

#endif
