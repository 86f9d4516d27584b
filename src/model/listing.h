/* model/listing.h -- the names in a directory, sorted by their bytes, so that what is done with
 * them is done in the same order every time. */
#ifndef MODEL_LISTING_H
#define MODEL_LISTING_H

#include "base/base.h"

struct listing { /* plain storage; {0} is empty */
    char **names;
    size_t count;
    size_t capacity;
};
void listing_clear(struct listing *listing);
static inline void listing_clear_at_scope_end(struct listing *listing)
{
    listing_clear(listing);
}

/* All names but "." and "..". A symbolic link in place of the directory is not followed.
 * LETHE_LIMIT: more than max_count. */
LETHE_MUST_CHECK lethe_result listing_read(int dir_fd, const char *path, size_t max_count,
                                           struct listing *out, struct lethe_error *err);

#endif
