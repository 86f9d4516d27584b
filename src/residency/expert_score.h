/* residency/expert_score.h -- which expert goes first. Pure. */
#ifndef RESIDENCY_EXPERT_SCORE_H
#define RESIDENCY_EXPERT_SCORE_H

#include "base/base.h"

/* What is known of one expert, resident or not. */
struct expert_use {
    uint64_t accesses;
    uint64_t last_access; /* the cache's count of accesses at that time; 0: never */
    uint64_t tie;         /* decides among equals: expert_tie of the seed and the index */
    uint64_t index;
};

/* A number for each index that depends on nothing but the seed (SplitMix64's mixing function). */
uint64_t expert_tie(uint64_t seed, uint64_t index);

/* Whether `a` is worth less than `b` when the cache has counted `now` accesses: its score
 * accesses / (1 + now - last_access) is lower, compared without rounding, or as low and its tie
 * number lower. A strict order of all experts of one cache. */
bool expert_goes_before(const struct expert_use *a, const struct expert_use *b, uint64_t now);

/* The same by the score alone. */
bool expert_scores_below(const struct expert_use *a, const struct expert_use *b, uint64_t now);

#endif
