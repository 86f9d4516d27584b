/* pool/consumer.h -- what the program has of a pool beyond lethe/pool.h: leases that outlive it.
 *
 * A handle is what another process needs to go on with a lease that was written once and is only
 * read from then on: every block has version 1, so that no version table is needed (reference: a
 * key is never kept without its versions). The key is wrapped by the home; the rest is no secret. A
 * file of mode 0600: docs/formats.md, "Pool handles". Thread rule: as lethe/pool.h. */
#ifndef POOL_CONSUMER_H
#define POOL_CONSUMER_H

#include <lethe/pool.h>

#include "base/buffer.h"
#include "model/key_source.h"
#include "pool/token.h"

/* Ends the use of a lease here, and lets it be: appends its handle as JSON. Only of a lease in
 * which each block was written at most once: LETHE_CONFLICT otherwise. `size_bytes` is of what is
 * stored. The handle of the lease is freed when the result is LETHE_OK. */
LETHE_MUST_CHECK lethe_result pool_lease_hand_over(struct lethe_pool_lease *lease,
                                                   uint64_t size_bytes,
                                                   const struct key_source *keys,
                                                   const char *tenant, struct buffer *out,
                                                   struct lethe_error *err);
/* For reading only, and releasing. LETHE_MALFORMED, LETHE_DENIED (another identity's),
 * LETHE_REVOKED, LETHE_LOST. */
LETHE_MUST_CHECK lethe_result pool_lease_take_up(struct lethe_pool *pool, const char *handle,
                                                 size_t handle_bytes, const struct key_source *keys,
                                                 struct lethe_pool_lease **out,
                                                 uint64_t *size_bytes, struct lethe_error *err);

#endif
