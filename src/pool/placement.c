#include "pool/placement.h"

#include <string.h>

#include "pool/arena.h"
#include "pool/wire.h"

static bool is_better(const struct placement_candidate *one, const struct placement_candidate *than)
{
    if (one->free_bytes != than->free_bytes)
        return one->free_bytes > than->free_bytes;
    if (one->leases != than->leases)
        return one->leases < than->leases;
    return strcmp(one->id, than->id) < 0;
}

size_t placement_best(const struct placement_candidate *candidates, size_t count,
                      uint64_t need_bytes)
{
    size_t best = PLACEMENT_NONE;
    for (size_t i = 0; i < count; i++) {
        if (!candidates[i].usable || candidates[i].free_bytes < need_bytes)
            continue;
        if (best == PLACEMENT_NONE || is_better(&candidates[i], &candidates[best]))
            best = i;
    }
    return best;
}

uint64_t placement_need(uint64_t bytes, uint32_t block_bytes)
{
    uint64_t tags = bytes / block_bytes * WIRE_TAG_BYTES;
    return bytes + (tags + ARENA_PAGE_BYTES - 1) / ARENA_PAGE_BYTES * ARENA_PAGE_BYTES;
}
