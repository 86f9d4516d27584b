/* residency/shard_core.h -- the life of a shard, wherever its bytes come from: created, filled and
 * sealed, emptied, dropped. */
#ifndef RESIDENCY_SHARD_CORE_H
#define RESIDENCY_SHARD_CORE_H

#include "residency/inside.h"

/* Where the bytes of a shard come from. */
struct shard_source {
    /* Puts all of them into the memory, which is zeroed, and as large as they are. */
    lethe_result (*fill)(const struct shard_source *source, struct device_memory *memory,
                         unsigned threads, struct lethe_error *err);
    uint64_t size_bytes;
    const char *expected_digest;    /* 64 hex digits; NULL: whatever is found    */
    const uint8_t *manifest_digest; /* fs-verity; NULL: there is no manifest     */
    /* For `fill`. */
    const void *bytes;
    struct lethe_model *model;
    size_t shard_index;
};

/* Seals what `source` gives. `placement` with an id; results as lethe_shard_seal. */
LETHE_MUST_CHECK lethe_result shard_seal(struct lethe_worker *worker,
                                         const struct lethe_placement *placement,
                                         const struct shard_source *source,
                                         struct lethe_shard **out, struct lethe_error *err);

/* Has its id in the worker's list (LETHE_EXISTS), and nothing in it yet. */
LETHE_MUST_CHECK lethe_result shard_create(struct lethe_worker *worker,
                                           const struct lethe_placement *placement,
                                           struct lethe_shard **out, struct lethe_error *err);
/* From here on nobody begins to use them, and nobody verifies them any more. Of all of them the
 * caller has `own_holds` holds; LETHE_BUSY: somebody else holds one, and nothing was done. At least
 * one, and all of one worker. */
LETHE_MUST_CHECK lethe_result shards_leave(struct lethe_shard *const *shards, size_t count,
                                           unsigned own_holds, struct lethe_error *err);
/* Wipes what it holds, the weights provably; results as device_free. Drop: frees it, too. */
LETHE_MUST_CHECK lethe_result shard_empty(struct lethe_shard *shard, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result shard_drop(struct lethe_shard *shard, struct lethe_error *err);
void shard_count_evicted(struct lethe_worker *worker, lethe_result result);
/* Leaves with all of them and drops them: *wiped is the first failure. LETHE_BUSY as above. */
LETHE_MUST_CHECK lethe_result shards_evict(struct lethe_shard *const *shards, size_t count,
                                           unsigned own_holds, lethe_result *wiped,
                                           struct lethe_error *err);

/* IV-001, IV-003, IV-004, and what else can be said before there is any memory. */
LETHE_MUST_CHECK lethe_result placement_check(const struct lethe_placement *placement,
                                              struct lethe_error *err);
LETHE_MUST_CHECK lethe_result shard_size_check(const struct lethe_worker *worker, const char *id,
                                               uint64_t size_bytes, struct lethe_error *err);

#endif
