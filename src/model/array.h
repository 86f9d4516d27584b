/* model/array.h -- arrays that grow by doubling, so that memory follows what was read and never
 * what was declared. */
#ifndef MODEL_ARRAY_H
#define MODEL_ARRAY_H

#include <stdlib.h>

#include "base/base.h"

/* Room for one more item behind `count`: the array, perhaps moved, or NULL when memory is out, and
 * then the old one is still there. */
static inline void *array_grow(void *items, size_t count, size_t *capacity, size_t item_bytes)
{
    if (count < *capacity)
        return items;
    size_t larger = *capacity == 0 ? 16 : *capacity * 2;
    void *moved = reallocarray(items, larger, item_bytes);
    if (moved != NULL)
        *capacity = larger;
    return moved;
}

#endif
