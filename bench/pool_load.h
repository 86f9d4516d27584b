/* bench/pool_load.h -- a client that puts blocks into a server and takes them out again, as fast as
 * it is answered.
 *
 * Two threads, each with an event loop and its half of the connections; `depth` operations are in
 * flight on each connection, and every connection has blocks of its own, which it goes through in
 * turn. What comes back must be what was put there last: the first and the last 64 bytes of a block
 * say whose it is, and of which time. The same for every server that is measured. */
#ifndef BENCH_POOL_LOAD_H
#define BENCH_POOL_LOAD_H

#include "net/tls.h"
#include "pool_block.h"
#include "pool_protocol.h"

#define POOL_THREADS 2u
#define POOL_CONNECTIONS_MAX 64u
#define POOL_DEPTH_MAX 64u

struct pool_load_options {
    enum pool_protocol protocol;
    uint16_t port;           /* on 127.0.0.1 */
    struct tls_context *tls; /* NULL: plain TCP */
    size_t block_bytes;
    size_t sealed_bytes; /* blocks are sealed in such pieces before they are put; 0: as they are */
    uint32_t blocks;     /* of one connection */
    unsigned connections, depth;
};

struct pool_load; /* connections to one server, whose blocks are there */
struct pool_load *pool_load_open(const struct pool_load_options *options);
void pool_load_close(struct pool_load *load);

/* Ends the program at anything but the right answer. */
void pool_load_run(struct pool_load *load, enum pool_operation operation, double seconds,
                   struct pool_result *out);

#endif
