#include "residency/spill_index.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
    const struct spill_entry *one = a, *other = b;
    int order = memcmp(one->id.space, other->id.space, sizeof one->id.space);
    if (order != 0)
        return order;
    return (one->id.block > other->id.block) - (one->id.block < other->id.block);
}

struct spill_entry *spill_index_find(void *const *map, const struct lethe_spill_id *id)
{
    const struct spill_entry like = {.id = *id};
    struct spill_entry *const *found = tfind(&like, map, compare);
    return found != NULL ? *found : NULL;
}

struct spill_entry *spill_index_add(void **map, const struct lethe_spill_id *id, bool *is_new)
{
    struct spill_entry *entry = spill_index_find(map, id);
    *is_new = entry == NULL;
    if (entry != NULL)
        return entry;
    entry = calloc(1, sizeof *entry);
    if (entry == NULL)
        return NULL;
    entry->id = *id;
    if (tsearch(entry, map, compare) == NULL)
        memory_free(MOVE(entry));
    return entry;
}

void spill_index_remove(void **map, struct spill_entry *entry)
{
    (void)tdelete(entry, map, compare);
    free(entry);
}

/* The root of the tree: what a map points to begins with the pointer to its entry (tsearch(3)). */
struct spill_entry *spill_index_any(void *const *map)
{
    return *map != NULL ? **(struct spill_entry * *const *)map : NULL;
}
