/* net/http_client.h -- HTTPS calls, one after another, over a connection that is kept.
 *
 * Blocking, with an absolute deadline for each call. Answers are parsed by the same strict rules as
 * requests are (net/http.h). A call on a kept connection that the server had closed meanwhile is
 * made once more on a new one if nothing of an answer came, and only for GET, HEAD and LIST or when
 * the request says `may_repeat`. Bodies are guarded. Redirects are not followed.
 * Thread rule: one thread at a time. */
#ifndef NET_HTTP_CLIENT_H
#define NET_HTTP_CLIENT_H

#include "net/http.h"
#include "net/tls.h"
#include "net/url.h"

struct http_client;
/* The context is shared. Nothing is connected yet. */
LETHE_MUST_CHECK lethe_result http_client_create(const struct url *url, struct tls_context *tls,
                                                 struct http_client **out, struct lethe_error *err);
void http_client_free(struct http_client *client);
/* From the next call on: over a new connection. The context is shared. */
void http_client_set_tls(struct http_client *client, struct tls_context *tls);
DEFINE_CLEANUP(http_client_free, struct http_client *);
/* How many connections were made so far, and whether the last of them is still there for the next
 * call: for whoever must know with whom a call speaks. */
uint64_t http_client_connections(const struct http_client *client);
bool http_client_is_connected(struct http_client *client);

struct http_call {
    enum http_method method;
    const char *target;               /* path and query, encoded */
    const struct lethe_secret *token; /* X-Vault-Token; NULL: none */
    const void *body;
    size_t body_bytes;
    uint64_t timeout_ms; /* 0: 30,000 */
    bool may_repeat;
};
/* *status and the body, which replaces what was in it. Any whole answer is LETHE_OK, whatever its
 * status. LETHE_UNAVAILABLE: no connection, no answer in time, or a broken one (may be retried);
 * LETHE_DENIED: one side does not believe the other's certificate; LETHE_MALFORMED: the answer is
 * not HTTP. */
LETHE_MUST_CHECK lethe_result http_client_call(struct http_client *client,
                                               const struct http_call *call, unsigned *status,
                                               struct guarded *body, struct lethe_error *err);
/* As above, for an answer without end (server-sent events): `piece` gets the body as it comes until
 * it gives something else than LETHE_OK, the server ends, or `idle_ms` pass without a byte. */
typedef lethe_result http_piece(void *context, const uint8_t *bytes, size_t size_bytes,
                                struct lethe_error *err);
LETHE_MUST_CHECK lethe_result http_client_stream(struct http_client *client,
                                                 const struct http_call *call, uint64_t idle_ms,
                                                 http_piece *piece, void *context, unsigned *status,
                                                 struct lethe_error *err);

#endif
