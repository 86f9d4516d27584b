/* bench/pool_peers.h -- Redis and memcached of Debian beside the pool, with mutual TLS 1.3, each as
 * is best for it here: Redis has one thread for TLS (its other threads cannot), memcached two. */
#ifndef BENCH_POOL_PEERS_H
#define BENCH_POOL_PEERS_H

#include "pool_certificates.h"
#include "pool_protocol.h"
#include "program.h"

enum pool_peer { POOL_PEER_REDIS, POOL_PEER_MEMCACHED, POOL_PEER_COUNT };

const char *pool_peer_name(enum pool_peer peer);

struct pool_peer_server {
    const char *name;
    enum pool_protocol protocol;
    uint16_t port;
    struct program program;
};
/* False: its program is not here. Starts it, and shows that it serves who has a certificate of the
 * authority, with TLS_AES_256_GCM_SHA384, and nobody who has none. */
bool pool_peer_open(enum pool_peer peer, const struct pool_authority *authority,
                    const struct pool_identity *identity, struct pool_peer_server *out);
void pool_peer_close(struct pool_peer_server *server);

#endif
