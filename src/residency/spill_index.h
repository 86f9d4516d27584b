/* residency/spill_index.h -- where a spill store keeps which block: an ordered map.
 *
 * Entries are the caller's, allocated with malloc(3). No lock: the store has its own. */
#ifndef RESIDENCY_SPILL_INDEX_H
#define RESIDENCY_SPILL_INDEX_H

#include <lethe/kv.h>

#include "base/base.h"

struct spill_entry {
    struct lethe_spill_id id;
    size_t size_bytes;
    uint8_t *bytes; /* a store in memory: of its own */
    uint64_t slot;  /* a store in a file             */
};

/* The map is a pointer that is NULL at first. */
struct spill_entry *spill_index_find(void *const *map, const struct lethe_spill_id *id);
/* The entry of that id, new (and zeroed) if there was none; NULL when memory is out. */
struct spill_entry *spill_index_add(void **map, const struct lethe_spill_id *id, bool *is_new);
/* Frees the entry, and nothing that it names. */
void spill_index_remove(void **map, struct spill_entry *entry);
/* Any one; NULL when there is none. */
struct spill_entry *spill_index_any(void *const *map);

#endif
