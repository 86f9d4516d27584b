#include "model/names.h"

#include <string.h>

#include "base/error.h"
#include "model/array.h"

void names_clear(struct names *names)
{
    free(names->items);
    *names = (struct names){0};
}

lethe_result names_add(struct names *names, const void *bytes, size_t size_bytes,
                       struct lethe_error *err)
{
    struct name *items =
        array_grow(names->items, names->count, &names->capacity, sizeof *names->items);
    if (items == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for %zu names", names->count + 1);
    names->items = items;
    items[names->count++] = (struct name){bytes, size_bytes};
    return LETHE_OK;
}

/* By length first: names of different lengths need no look at their bytes. */
static int name_compare(const void *left, const void *right)
{
    const struct name *a = left;
    const struct name *b = right;
    if (a->size_bytes != b->size_bytes)
        return a->size_bytes < b->size_bytes ? -1 : 1;
    return memcmp(a->bytes, b->bytes, a->size_bytes);
}

lethe_result names_all_different(struct names *names, const char *what, struct lethe_error *err)
{
    if (names->count > 1)
        qsort(names->items, names->count, sizeof *names->items, name_compare);
    for (size_t i = 1; i < names->count; i++)
        if (name_compare(&names->items[i - 1], &names->items[i]) == 0)
            return error_set(err, LETHE_MALFORMED, "two %s have the same name", what);
    return LETHE_OK;
}
