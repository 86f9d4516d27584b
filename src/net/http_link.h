/* net/http_link.h -- one TLS connection to a server, made and used with deadlines: it blocks. */
#ifndef NET_HTTP_LINK_H
#define NET_HTTP_LINK_H

#include "net/tls.h"
#include "net/url.h"

/* Moments are nanoseconds of CLOCK_MONOTONIC. Everywhere LETHE_UNAVAILABLE: not in time, or the
 * connection is broken. */
struct http_deadline {
    uint64_t at_ns;
    uint64_t after_ms; /* for texts */
};
struct http_deadline http_deadline_in(uint64_t ms);

/* Name resolution is the system's, and has the system's own limits in place of the deadline. */
LETHE_MUST_CHECK lethe_result http_link_open(const struct url *url, struct tls_context *tls,
                                             const struct http_deadline *deadline,
                                             struct tls_connection **out, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result http_link_write(struct tls_connection *link, const void *bytes,
                                              size_t size_bytes,
                                              const struct http_deadline *deadline,
                                              struct lethe_error *err);
/* At least one byte, or *closed: the peer's orderly end. */
LETHE_MUST_CHECK lethe_result http_link_read(struct tls_connection *link, void *bytes,
                                             size_t capacity_bytes, size_t *read_bytes,
                                             bool *closed, const struct http_deadline *deadline,
                                             struct lethe_error *err);
/* Whether a connection over which nothing is due can be used: the peer has neither ended it, nor
 * refused this side (LETHE_DENIED: in TLS 1.3 it says so behind the handshake), nor sent anything
 * that nobody asked for. Behind a failure it cannot be used any more, as behind all others. */
LETHE_MUST_CHECK lethe_result http_link_look(struct tls_connection *link, struct lethe_error *err);

#endif
