/* model/names.h -- are these names all different? By sorting, so that no choice of names makes it
 * slow (a hash without a secret seed could be flooded). */
#ifndef MODEL_NAMES_H
#define MODEL_NAMES_H

#include "base/base.h"

struct name {
    const uint8_t *bytes; /* borrowed */
    size_t size_bytes;
};
struct names { /* plain storage; {0} is empty */
    struct name *items;
    size_t count;
    size_t capacity;
};
void names_clear(struct names *names);
static inline void names_clear_at_scope_end(struct names *names)
{
    names_clear(names);
}

LETHE_MUST_CHECK lethe_result names_add(struct names *names, const void *bytes, size_t size_bytes,
                                        struct lethe_error *err);
/* Sorts them. LETHE_MALFORMED, with `what` in the plural ("keys"), when two are equal. */
LETHE_MUST_CHECK lethe_result names_all_different(struct names *names, const char *what,
                                                  struct lethe_error *err);

#endif
