/* pool/listen.h -- a socket that others reach this machine by. */
#ifndef POOL_LISTEN_H
#define POOL_LISTEN_H

#include "pool/wire.h"

/* Listens on "127.0.0.1:7311" or "[::1]:0", and gives the socket (non-blocking) and where it is,
 * with the port that there is. LETHE_DENIED: other machines reach it, and allow_public is not said
 * (K-12); LETHE_INVALID: no IP address; LETHE_UNAVAILABLE: it is in use. */
LETHE_MUST_CHECK lethe_result listen_open(const char *address, bool allow_public, int *out,
                                          char text[WIRE_ADDRESS_MAX + 1], struct lethe_error *err);

#endif
