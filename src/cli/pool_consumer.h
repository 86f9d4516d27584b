/* cli/pool_consumer.h -- what lethe pool put, get and release do the same way. */
#ifndef CLI_POOL_CONSUMER_H
#define CLI_POOL_CONSUMER_H

#include "cli/command.h"
#include "pool/consumer.h"

/* What goes through this process at once: guarded memory. */
#define POOL_STAGING_BYTES ((size_t)4 << 20)

void pool_close(struct lethe_pool *pool); /* NULL is fine */
DEFINE_CLEANUP(pool_close, struct lethe_pool *);

/* Who asks whom is said by options, environment and pool.conf. */
LETHE_MUST_CHECK lethe_result pool_consumer_open(const struct invocation *invocation,
                                                 struct lethe_pool **out, struct lethe_error *err);
/* Zeroed, of POOL_STAGING_BYTES. */
LETHE_MUST_CHECK lethe_result pool_consumer_staging(struct lethe_region **out,
                                                    struct lethe_error *err);
/* The caller frees *out. LETHE_UNPROTECTED: others can read the file; LETHE_MALFORMED. */
LETHE_MUST_CHECK lethe_result pool_handle_open(const char *path, struct pool_handle **out,
                                               struct lethe_error *err);

#endif
