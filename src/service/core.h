/* service/core.h -- the keeper's loop: frames in, calls answered in groups, frames out.
 *
 * All requests that are there are answered one after another; then what they recorded is made
 * durable in one group; then their answers leave. So one synchronous write serves them all, and
 * while it goes on (core_run), the next requests are answered.
 * The same core answers operators on the admin socket, and tests and fuzzers in process. */
#ifndef SERVICE_CORE_H
#define SERVICE_CORE_H

#include "service/service.h"
#include "service/wire.h"

enum core_origin { CORE_NETWORK, CORE_ADMIN };

/* One peer that sends frames: the door, or a client of the admin socket. Answers are put into
 * `wire`, and leave when the caller flushes it. */
struct core_peer {
    enum core_origin origin;
    struct wire wire;
    char admin_name[32]; /* "uid:0": by the socket's credentials */
};

/* Handles all whole frames that were read; returns with their answers put, but for core_run(),
 * which puts them later. LETHE_MALFORMED: the peer is to be closed. */
LETHE_MUST_CHECK lethe_result core_handle(struct service *service, struct core_peer *peer,
                                          struct lethe_error *err);
/* The peer is gone: its connections and streams are forgotten. */
void core_forget(struct service *service, struct core_peer *peer);

/* The keeper process, until its control descriptor closes: doors come to it as descriptors over
 * the control socket (service/control.h), operators over the listening admin socket. Confines
 * itself first: afterwards it can open only what is named here, and make no socket. */
struct core_sockets {
    int control; /* from the supervisor */
    int admin;   /* listening; -1: none */
    /* Files and directories (ends with NULL); `writable` NULL: it is confined already, or need not
     * be, as in tests. */
    const char *const *readable;
    const char *const *writable;
    bool root_is_device;           /* a token or a TPM, whose libraries make calls of their own */
    const char *const *door_names; /* that the door's certificate is for; ends with NULL */
};
LETHE_MUST_CHECK lethe_result core_run(struct service *service, const struct core_sockets *sockets,
                                       struct lethe_error *err);

#endif
