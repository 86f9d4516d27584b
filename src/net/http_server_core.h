/* net/http_server_core.h -- what the files of net/http_server.h share.
 *
 *     http_server.c             listeners, limits, deadlines, the end
 *     http_server_connection.c  a connection from its handshake to its end
 *     http_server_answer.c      answers and streams
 *
 * A connection is in one stage at a time. Each stage lasts at most a constant time, so that those
 * in it stand in the order in which they expire, and one sweep looks at the first of each queue. */
#ifndef NET_HTTP_SERVER_CORE_H
#define NET_HTTP_SERVER_CORE_H

#include <sys/queue.h>

#include "net/http_server.h"
#include "net/source_limits.h"

/* X(name, what is said when its time is over; NULL: nothing) */
#define STAGES(X)                                                                                  \
    X(HANDSHAKE, "the handshake took too long")                                                    \
    X(IDLE, NULL)                                                                                  \
    X(HEAD, "the head of a request took too long")                                                 \
    X(BODY, "the body of a request took too long")                                                 \
    X(ANSWERING, NULL) /* no time: the answer is ours */                                           \
    X(WRITING, "an answer was not read in time")                                                   \
    X(STREAMING, NULL) /* no time: what waits is limited */                                        \
    X(LINGERING, NULL)
enum stage {
#define STAGE_ENUM(name, expired) STAGE_##name,
    STAGES(STAGE_ENUM)
#undef STAGE_ENUM
        STAGE_COUNT
};

struct connection {
    TAILQ_ENTRY(connection) in_stage;
    struct http_server *server;
    uint64_t id;
    uint64_t number; /* of the request */
    struct tls_connection *tls;
    struct loop_watch *watch;
    struct limits_source *origin;
    char source[SOURCE_TEXT_SIZE];
    enum stage stage;
    uint64_t expires_ms;

    struct http_parser *parser;
    struct http_request *request; /* while one is read or answered; of server->spare_requests */
    struct buffer chain;

    struct guarded out; /* of the pool */
    size_t sent_bytes;  /* of it */

    uint64_t penalty_ms; /* not 0: the open request failed to prove itself too often */

    bool is_readable : 1;    /* the loop said so, and nothing was read since */
    bool is_running : 1;     /* advance() is on the stack */
    bool is_doomed : 1;      /* to be freed when it is not any more */
    bool closes : 1;         /* behind what is in `out` */
    bool was_asked : 1;      /* it had a request: its end is told */
    bool is_head : 1;        /* the answer has no body */
    bool was_encouraged : 1; /* 100 Continue was sent, or not wanted */
};
TAILQ_HEAD(connection_queue, connection);

struct listener {
    struct http_server *server;
    struct loop_watch *watch;
    int fd;
};

struct http_server {
    struct loop *loop;
    struct tls_context *tls;
    struct http_limits limits;
    struct http_server_events events;
    struct http_server_counts counts;
    struct listener *listeners;
    size_t listener_count;
    uint64_t descriptors; /* that this process may have */
    bool is_full;         /* no descriptor was left: listeners pause until the next sweep */

    struct connection **table; /* by the lower bits of their ids */
    uint32_t *free_places;
    size_t free_count;
    uint64_t serial; /* the upper bits of the next id */
    struct connection_queue stages[STAGE_COUNT];
    uint64_t stage_ms[STAGE_COUNT]; /* 0: for ever */

    struct guarded_pool *pool;
    struct limits *sources;
    struct http_request *spare_requests[64];
    size_t spare_count;

    struct loop_timer *sweep;
    struct loop_timer *drain;
    bool is_draining;
    loop_expired *drained;
    void *drained_context;
    struct {
        int64_t second;
        char text[40];
    } date; /* as of then */
};

/* ---- http_server.c --------------------------------------------------------------------------- */

void server_refused(struct http_server *server, const struct connection *connection,
                    const char *what);
/* Calls what waits for the last connection's end, if this was it. */
void server_check_drained(struct http_server *server);

/* ---- http_server_connection.c ---------------------------------------------------------------- */

/* Takes the socket, whatever happens. */
void connection_open(struct http_server *server, int fd, struct limits_source *origin,
                     const char *source);
void connection_enter(struct connection *connection, enum stage stage);
/* Goes on until there is nothing to do before something comes. */
void connection_run(struct connection *connection);
/* Frees it, now or when it is not running any more. */
void connection_close(struct connection *connection);
void connection_expired(struct connection *connection);
struct connection *connection_find(const struct http_server *server, uint64_t id);

/* ---- http_server_answer.c -------------------------------------------------------------------- */

/* Puts an error of our own as the last answer. */
void answer_refusal(struct connection *connection, unsigned status, const char *sentence,
                    uint64_t retry_after_ms);
void answer_continue(struct connection *connection);
enum flush { FLUSH_DONE, FLUSH_WAITS, FLUSH_BROKEN };
enum flush answer_flush(struct connection *connection);

#endif
