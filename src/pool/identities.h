/* pool/identities.h -- how many connections each identity has open, and how many it may have: who
 * has one certificate must not hold every place that a server has.
 *
 * An identity is known for as long as it has a connection. Thread rule: any thread. */
#ifndef POOL_IDENTITIES_H
#define POOL_IDENTITIES_H

#include "base/base.h"

struct identities;
LETHE_MUST_CHECK lethe_result identities_create(uint64_t connections_per_identity,
                                                struct identities **out, struct lethe_error *err);
void identities_free(struct identities *identities); /* NULL is fine */
DEFINE_CLEANUP(identities_free, struct identities *);

/* One connection more; LETHE_LIMIT: it has as many as it may, and this one is not counted. */
LETHE_MUST_CHECK lethe_result identities_enter(struct identities *identities, const char *id,
                                               struct lethe_error *err);
/* Of one that was counted. */
void identities_leave(struct identities *identities, const char *id);

#endif
