/* bench/pool_lethe.h -- our own pool: `lethe pool control` and `lethe pool provide`, and a client
 * of them by lethe/pool.h, with end-to-end encryption as there always is. */
#ifndef BENCH_POOL_LETHE_H
#define BENCH_POOL_LETHE_H

#include <lethe/pool.h>

#include "pool_block.h"
#include "pool_certificates.h"
#include "pool_protocol.h"
#include "program.h"

struct pool_lethe {
    struct program control, provider;
    char control_address[64];
    uint16_t provider_port;
    struct lethe_pool *pool; /* the client's */
};
struct pool_lethe_identities {
    const struct pool_authority *authority;
    const struct pool_identity *control, *provider, *client;
};
/* Starts both, and opens a pool with 2 threads and `connections`. */
void pool_lethe_open(struct pool_lethe *lethe, const struct pool_lethe_identities *identities,
                     unsigned connections, uint64_t memory_bytes);
void pool_lethe_close(struct pool_lethe *lethe);

/* Leases on one connection each, with `depth` operations in flight each. */
struct pool_lethe_load_options {
    size_t block_bytes;   /* of an operation */
    uint32_t lease_block; /* what is sealed in one piece; at most that */
    uint32_t blocks;      /* of one lease */
    unsigned leases, depth;
};
struct pool_lethe_load;
struct pool_lethe_load *pool_lethe_load_open(struct pool_lethe *lethe,
                                             const struct pool_lethe_load_options *options);
void pool_lethe_load_close(struct pool_lethe_load *load);
void pool_lethe_load_run(struct pool_lethe_load *load, enum pool_operation operation,
                         double seconds, struct pool_result *out);

#endif
