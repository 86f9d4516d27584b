/* bench/pool_link.h -- a connection that does not block, with mutual TLS 1.3 or plain. */
#ifndef BENCH_POOL_LINK_H
#define BENCH_POOL_LINK_H

#include "net/tls.h"

struct pool_link {
    int fd; /* of the connection, if there is one */
    struct tls_connection *tls;
};
/* To 127.0.0.1; waits until both sides have said who they are. */
void pool_link_open(struct pool_link *link, uint16_t port, struct tls_context *tls);
void pool_link_close(struct pool_link *link);

/* How many bytes went; 0: it must wait, for *want. Anything else ends the program. */
size_t pool_link_write(struct pool_link *link, const void *bytes, size_t size_bytes,
                       enum tls_want *want);
size_t pool_link_read(struct pool_link *link, void *bytes, size_t capacity_bytes,
                      enum tls_want *want);
/* Sends what was written and kept, to be sent at once. */
void pool_link_flush(struct pool_link *link, enum tls_want *want);
/* Whether a read that finds nothing is for free. */
bool pool_link_knows(const struct pool_link *link);

#endif
