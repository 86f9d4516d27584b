/* pool/places.h -- how many connections each identity has open, and how many it may have: who
 * has one certificate must not hold every place that a server has.
 *
 * An identity is known for as long as it has a connection. Thread rule: any thread. */
#ifndef POOL_PLACES_H
#define POOL_PLACES_H

#include "base/base.h"

struct places;
LETHE_MUST_CHECK lethe_result places_create(uint64_t connections_per_identity, struct places **out,
                                            struct lethe_error *err);
void places_free(struct places *places); /* NULL is fine */
DEFINE_CLEANUP(places_free, struct places *);

/* One connection more; LETHE_LIMIT: it has as many as it may, and this one is not counted. */
LETHE_MUST_CHECK lethe_result places_enter(struct places *places, const char *id,
                                           struct lethe_error *err);
/* Of one that was counted. */
void places_leave(struct places *places, const char *id);

#endif
