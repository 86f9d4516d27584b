/* pool/placement.h -- which provider gets the next copy: a pure function.
 *
 * A caller asks for the best candidate, tries it, and when that one refuses, or got a copy, takes
 * it out (`usable`) and asks again: so no two copies of an allocation are on one provider. Thread
 * rule: none. */
#ifndef POOL_PLACEMENT_H
#define POOL_PLACEMENT_H

#include "base/base.h"

struct placement_candidate {
    const char *id;
    uint64_t free_bytes; /* by its last report, less what was asked of it since */
    uint32_t leases;
    bool usable; /* joined, not draining, not tried yet */
};
#define PLACEMENT_NONE SIZE_MAX
/* Of those that are usable and have room the one with the most; of equal ones the one with the
 * fewest leases, then the first by id. PLACEMENT_NONE. */
size_t placement_best(const struct placement_candidate *candidates, size_t count,
                      uint64_t need_bytes);

/* What a lease takes of a provider's memory: its blocks in whole pages, and a tag for each block.
 */
uint64_t placement_need(uint64_t bytes, uint32_t block_bytes);

#endif
