/* service/admin_client.h -- calls over the admin socket of a key service on this machine.
 *
 * The other end knows by the socket whose process this is; no token is shown. Blocking, one call
 * after another. Thread rule: one thread at a time. */
#ifndef SERVICE_ADMIN_CLIENT_H
#define SERVICE_ADMIN_CLIENT_H

#include "mem/guarded.h"

struct admin_client;
/* LETHE_UNAVAILABLE: nobody listens there. */
LETHE_MUST_CHECK lethe_result admin_client_open(const char *path, struct admin_client **out,
                                                struct lethe_error *err);
void admin_client_close(struct admin_client *client); /* wipes; NULL is fine */
DEFINE_CLEANUP(admin_client_close, struct admin_client *);

struct admin_request {
    unsigned method;   /* enum call_method */
    const char *path;  /* below /v1/, decoded */
    const char *query; /* as in an address; "" */
    const void *body;
    size_t body_bytes;
    uint64_t timeout_ms; /* 0: 30,000; of a stream: without a byte */
};
/* Gets the body of a streamed answer as it comes. */
typedef lethe_result admin_piece(void *context, const uint8_t *bytes, size_t size_bytes,
                                 struct lethe_error *err);
/* *status and the body, which replaces what was in it; a streamed answer goes to `piece`, until
 * that gives something else than LETHE_OK. LETHE_UNAVAILABLE: no answer in time, or the other end
 * is gone; LETHE_MALFORMED: it is no key service. */
LETHE_MUST_CHECK lethe_result admin_client_call(struct admin_client *client,
                                                const struct admin_request *request,
                                                admin_piece *piece, void *context, unsigned *status,
                                                struct guarded *body, struct lethe_error *err);

#endif
