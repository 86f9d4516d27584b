/* pool/consumer.h -- what the program has of a pool beyond lethe/pool.h: leases that outlive it.
 *
 * A handle is what another process needs to go on with a lease that is only read from then on: its
 * key, wrapped by the home, and with it the versions (pool/handle.h). A file of mode 0600. Thread
 * rule: as lethe/pool.h. */
#ifndef POOL_CONSUMER_H
#define POOL_CONSUMER_H

#include <lethe/pool.h>

#include "base/buffer.h"
#include "model/key_source.h"
#include "pool/handle.h"

/* Ends the use of a lease here, and lets it be: renews it and appends its handle as JSON.
 * `size_bytes` is of what is stored. LETHE_CONFLICT: a write was not finished, or more than
 * POOL_HANDLE_VERSIONS_MAX blocks were written more than once. The lease is freed when the result
 * is LETHE_OK. */
struct pool_hand_over {
    uint64_t size_bytes;
    const struct key_source *keys;
    const char *tenant;
};
LETHE_MUST_CHECK lethe_result pool_lease_hand_over(struct lethe_pool_lease *lease,
                                                   const struct pool_hand_over *terms,
                                                   struct buffer *out, struct lethe_error *err);
/* For reading only, and releasing. LETHE_INTEGRITY: the handle was changed; LETHE_LOST: no copy is
 * there any more, or none of this identity's; LETHE_REVOKED, LETHE_UNAVAILABLE. */
LETHE_MUST_CHECK lethe_result pool_lease_take_up(struct lethe_pool *pool,
                                                 const struct pool_handle *handle,
                                                 const struct key_source *keys,
                                                 struct lethe_pool_lease **out,
                                                 struct lethe_error *err);
/* Ends the lease, which nobody has taken up: the control plane has its providers wipe it. Needs no
 * key. LETHE_NOT_FOUND: no copy is there any more; LETHE_UNWIPED, LETHE_UNAVAILABLE. */
LETHE_MUST_CHECK lethe_result pool_handle_release(struct lethe_pool *pool,
                                                  const struct pool_handle *handle,
                                                  struct lethe_error *err);

#endif
