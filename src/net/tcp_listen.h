/* net/tcp_listen.h -- a TCP socket that others reach this machine by.
 *
 * Whether an address may be listened on is the caller's to decide (K-12). Thread rule: none. */
#ifndef NET_TCP_LISTEN_H
#define NET_TCP_LISTEN_H

#include "net/url.h"

/* Listens on host (an IP address) and port of the URL: non-blocking, for IPv6 alone where it is
 * that, and answers do not wait for more to be sent. LETHE_INVALID: a name; LETHE_UNAVAILABLE: it
 * is in use; LETHE_FAILED. Texts do not repeat the address. */
LETHE_MUST_CHECK lethe_result tcp_listen(const struct url *url, int *out, struct lethe_error *err);
/* "127.0.0.1:7311" or "[::1]:7311", with the port that the kernel has chosen if it was to. */
#define TCP_ADDRESS_SIZE 272u
LETHE_MUST_CHECK lethe_result tcp_listens_at(int fd, const struct url *url,
                                             char out[TCP_ADDRESS_SIZE], struct lethe_error *err);

#endif
