/* cli/pool_place.h -- a home, as a server of the pool is confined to it. */
#ifndef CLI_POOL_PLACE_H
#define CLI_POOL_PLACE_H

#include "home/home.h"

#define POOL_DIRECTORY_SIZE 1024u

struct pool_place {
    struct home_paths paths;
    struct root_spec root;
    struct root_places places;
    char root_directory[POOL_DIRECTORY_SIZE];
    bool root_is_device;
};
/* LETHE_NOT_FOUND with a hint when there is no home. */
LETHE_MUST_CHECK lethe_result pool_place_find(struct pool_place *out, struct lethe_error *err);
void pool_place_clear(struct pool_place *place);
static inline void pool_place_clear_at_scope_end(struct pool_place *place)
{
    pool_place_clear(place);
}
/* The process's files, before it has threads: the home, its root, and those named in `replaced`
 * (ends with NULL), which are read again when they are replaced. */
LETHE_MUST_CHECK lethe_result pool_place_confine(const struct pool_place *place,
                                                 const char *const *replaced,
                                                 struct lethe_error *err);
/* Its system calls, once all sockets are made. */
LETHE_MUST_CHECK lethe_result pool_place_confine_calls(const struct pool_place *place,
                                                       struct lethe_error *err);

#endif
