/* bench/pool_plain.h -- what loopback alone can do: blocks in memory, over plain TCP, by nobody's
 * leave.
 *
 * A child with two threads, each with its half of the connections. */
#ifndef BENCH_POOL_PLAIN_H
#define BENCH_POOL_PLAIN_H

#include <sys/types.h>

#include "base/base.h"

struct pool_plain {
    pid_t pid;
    uint16_t port;
};
/* `memory_bytes`: key times size of a block stays below it. */
void pool_plain_open(struct pool_plain *server, size_t memory_bytes);
void pool_plain_close(struct pool_plain *server);

#endif
