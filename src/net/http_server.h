/* net/http_server.h -- a strict HTTPS server on a loop: connections in, whole requests out.
 *
 * Each connection is: accepted (or refused: limits), TLS handshake, then requests one after
 * another; while one is being answered the next waits unread. Absolute deadlines hold for the
 * handshake, the head and the body of each request, and an idle time between them: a byte a second
 * keeps nothing alive. What is refused is answered as the API does, {"errors":["..."]}, and is the
 * connection's last. All buffers together hold 512 MiB at most: beyond, 503. Buffers are guarded
 * and wiped with each request and answer; idle connections hold none. Thread rule: the loop's
 * thread. */
#ifndef NET_HTTP_SERVER_H
#define NET_HTTP_SERVER_H

#include "net/http.h"
#include "net/loop.h"
#include "net/tls.h"

#define HTTP_CONNECTIONS_MAX ((uint64_t)1 << 20)

struct http_limits {                 /* 0: the default in brackets */
    uint64_t connections;            /* 10,000, all together                   */
    uint64_t connections_per_source; /* 256: an IPv4 address, or an IPv6 /64   */
    uint64_t handshakes_per_second;  /* 50 from one source                     */
    uint64_t requests_per_second;    /* no limit (0), from one source          */
    uint64_t penalty_ms;             /* 1,000: how long a source is told to wait behind its sixth
                                        failed proof within a minute, doubled each time, to 60 s */
    uint64_t handshake_ms;           /* 10,000                                 */
    uint64_t head_ms;                /* 10,000                                 */
    uint64_t body_ms;                /* 60,000                                 */
    uint64_t idle_ms;                /* 120,000                                */
    uint64_t write_ms;               /* 60,000 for an answer                   */
    size_t body_bytes;               /* HTTP_BODY_MAX                          */
};

/* Names a request until it is answered: stays unique, also when the connection is gone. */
struct http_exchange {
    uint64_t connection; /* never used twice */
    uint64_t number;     /* of the request on it */
};

struct http_peer {
    const char *source;   /* "127.0.0.1", "::1", or "unix" */
    const uint8_t *chain; /* as tls_peer_chain() gives it; NULL without a certificate */
    size_t chain_bytes;
};

struct http_server_events {
    /* A whole request. It is valid until the exchange is answered, and so is the peer. */
    void (*request)(void *context, struct http_exchange exchange, const struct http_peer *peer,
                    const struct http_request *request);
    /* A connection that had at least one request is gone; open exchanges of it are void. */
    void (*closed)(void *context, uint64_t connection);
    /* A request that was refused before it was whole, a handshake that failed, a limit that was
     * reached: for counting and for the log. `what` is a constant text. May be NULL. */
    void (*refused)(void *context, const char *source, const char *what);
    void *context;
};

struct http_server;
/* `listeners` are bound and listening, and stay the caller's. The context is shared. */
LETHE_MUST_CHECK lethe_result http_server_create(struct loop *loop, struct tls_context *tls,
                                                 const int *listeners, size_t listener_count,
                                                 const struct http_limits *limits,
                                                 const struct http_server_events *events,
                                                 struct http_server **out, struct lethe_error *err);
/* Closes everything; not from within an event. NULL is fine. */
void http_server_free(struct http_server *server);

/* New connections use this context; open ones keep theirs. */
void http_server_set_tls(struct http_server *server, struct tls_context *tls);

struct http_answer {
    unsigned status;
    const char *content_type; /* NULL: no body and no type */
    const void *body;         /* copied */
    size_t body_bytes;
    const char *headers; /* further lines, each ending in CR LF; NULL: none */
    bool close;          /* end the connection behind it */
    bool stream;         /* more follows by http_server_stream(), until http_server_finish(), which
                          * ends the connection too */
};
/* Void when the exchange is gone. One write for head and body. */
void http_server_answer(struct http_server *server, struct http_exchange exchange,
                        const struct http_answer *answer);
/* A piece of a streamed answer (chunked). False when the exchange is gone, or its peer so slow that
 * more than 1 MiB waits: then it was ended. */
bool http_server_stream(struct http_server *server, struct http_exchange exchange,
                        const void *bytes, size_t size_bytes);
void http_server_finish(struct http_server *server, struct http_exchange exchange);
/* Ends a connection now. */
void http_server_close(struct http_server *server, uint64_t connection);
/* The connection's open request, of this source, was a failed proof: to be said before it is
 * answered. The first five of a source within a minute cost nothing: a typo, or a neighbour behind
 * the same address. From the sixth on whatever it is answered becomes 429, with Retry-After (a
 * second, doubled each time, up to a minute), and is the connection's last. Who proves itself is
 * heard all the while, from the same source too. What a flood costs whoever looks at proofs is
 * bounded all the same: each further failure takes a handshake, and of those a source has no more
 * than handshakes_per_second. */
void http_server_penalise(struct http_server *server, uint64_t connection, const char *source);

/* No new connections; those that are idle end, those that are answered end behind their answer, and
 * `drained` is called when none is left or after `limit_ms`. */
void http_server_drain(struct http_server *server, uint64_t limit_ms, loop_expired *drained,
                       void *context);

struct http_server_counts {
    uint64_t accepted;
    uint64_t open;
    uint64_t handshakes_failed;
    uint64_t requests;
    uint64_t refused; /* faults, limits, deadlines */
    uint64_t received_bytes;
    uint64_t sent_bytes;
};
void http_server_count(const struct http_server *server, struct http_server_counts *out);

#endif
