/* residency/expert_core.h -- the inside of an expert cache: what its files share. Contract:
 * lethe/residency.h.
 *
 * Lock order: `changing`, then `lock`. Who changes what is resident holds `changing` for all of it,
 * decrypting included, so that experts which are there already are acquired and released meanwhile;
 * all fields are read and written under `lock`, but for an expert's shard, which also he may look
 * at who holds `changing` or the expert: nobody changes it then. */
#ifndef RESIDENCY_EXPERT_CORE_H
#define RESIDENCY_EXPERT_CORE_H

#include <pthread.h>

#include "model/handle.h"
#include "residency/expert_score.h"
#include "residency/inside.h"

struct expert {
    struct expert_use use;
    uint64_t size_bytes;
    struct lethe_shard *shard; /* NULL: not resident */
    uint64_t holds;
    uint64_t pins;
};

struct lethe_expert_cache {
    struct lethe_worker *worker;
    struct lethe_model *model;
    char name[NAME_PART_MAX + 1];
    size_t device;
    uint64_t budget_bytes;
    pthread_mutex_t changing;
    pthread_mutex_t lock;
    struct lethe_expert_cache_counters counters;
    size_t count;
    struct expert experts[];
};

static inline const struct manifest *expert_manifest(const struct lethe_model *model)
{
    return model_manifest(model->model);
}

/* Under changing: one that is not resident becomes so. Others go for it, within the budget and
 * beyond if the device has less; where `below` is not NULL, only those who score below it.
 * LETHE_NO_MEMORY says needed and available; LETHE_BUSY: an execution has one that would have to
 * go; LETHE_UNWIPED: one that went could not be wiped, and is gone all the same; otherwise as
 * lethe_shard_seal_model. */
LETHE_MUST_CHECK lethe_result expert_bring_in(struct lethe_expert_cache *cache,
                                              struct expert *expert, const struct expert *below,
                                              struct lethe_error *err);
/* When nobody else uses the cache any more. LETHE_BUSY: an execution has one still, which stays;
 * any other failure is the first one, and all are gone. */
LETHE_MUST_CHECK lethe_result expert_evict_all(struct lethe_expert_cache *cache,
                                               struct lethe_error *err);

#endif
