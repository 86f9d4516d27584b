#include "residency/expert_score.h"

uint64_t expert_tie(uint64_t seed, uint64_t index)
{
    uint64_t mixed = seed + (index + 1) * UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

/* Both sides of a.accesses / (1 + a.age) < b.accesses / (1 + b.age), multiplied out: 64 by 64 bits
 * always fit. */
static int compare_scores(const struct expert_use *a, const struct expert_use *b, uint64_t now)
{
    unsigned __int128 left = (unsigned __int128)a->accesses * (1 + now - b->last_access);
    unsigned __int128 right = (unsigned __int128)b->accesses * (1 + now - a->last_access);
    return left < right ? -1 : left > right;
}

bool expert_scores_below(const struct expert_use *a, const struct expert_use *b, uint64_t now)
{
    return compare_scores(a, b, now) < 0;
}

bool expert_goes_before(const struct expert_use *a, const struct expert_use *b, uint64_t now)
{
    int order = compare_scores(a, b, now);
    if (order != 0)
        return order < 0;
    return a->tie != b->tie ? a->tie < b->tie : a->index < b->index;
}
