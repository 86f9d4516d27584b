/* bench/pool_bare.h -- what TLS leaves of loopback: blocks in memory over mutual TLS 1.3 for bulk
 * (net/tls.h), in the plain server's protocol.
 *
 * With a client that seals its blocks (pool_sealer.h) it does what a pool's data path cannot do
 * without, and nothing else: no leases, no rules, no frames. In this process, on threads of its
 * own, until the program ends: one server a process. */
#ifndef BENCH_POOL_BARE_H
#define BENCH_POOL_BARE_H

#include "net/tls.h"

/* The port on 127.0.0.1. `memory_bytes`: key times size of a block stays below it. The context must
 * outlive the server. */
uint16_t pool_bare_open(struct tls_context *tls, size_t memory_bytes);

#endif
