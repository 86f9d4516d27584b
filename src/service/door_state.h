/* service/door_state.h -- inside of the door. */
#ifndef SERVICE_DOOR_STATE_H
#define SERVICE_DOOR_STATE_H

#include "crypto/sign.h"
#include "service/door.h"
#include "service/wire.h"

#define DOOR_IN_FLIGHT_MAX 4096u
#define DOOR_WAITING_BYTES_MAX ((size_t)96 << 20) /* that the keeper has not taken yet */
#define DOOR_BUCKETS 4096u
#define DOOR_DRAIN_MS 10000u
#define DOOR_COUNTS_MS 1000u

/* A connection that has asked something. One request at a time is open on each. */
struct door_connection {
    uint64_t id;
    uint64_t number;     /* of the open request */
    uint64_t introduced; /* to which keeper: its generation */
    bool is_open;        /* a request waits for its answer */
    bool is_head;        /* and wants none of its body */
    bool is_stream;      /* the answer has begun */
    struct door_connection *next;
};

struct door_counts {
    uint64_t forwarded, answered, unavailable, overloaded, malformed;
};

struct door {
    const struct serve_options *options;
    const struct serve_ends *ends;
    struct loop *loop;
    struct loop_watch *control;
    lethe_result result; /* why the loop ended */

    /* outside */
    struct http_server *server; /* NULL until there is a certificate */
    struct sign_pair *key;      /* NULL: certificate and key are files */
    struct buffer request;      /* PKCS#10 of that key */
    struct buffer chain_pem;    /* issued for it */
    struct buffer roots_pem, crls_pem;

    /* inside */
    struct wire wire;
    struct loop_watch *keeper; /* NULL: there is none */
    uint64_t generation;       /* of keepers */
    bool keeper_spoke;         /* READY has come */
    bool sealed;
    bool told_ready;
    struct loop_timer *flush; /* set while something waits for the end of this turn */
    struct loop_timer *counts_timer;
    struct loop_timer *look_timer;

    /* a keeper that says nothing */
    size_t waiting; /* requests whose answer has not begun */
    uint64_t silent_ms;
    bool keeper_is_silent;

    bool wants_keeper; /* a socket to one was sent, and no descriptor was left for it */

    struct door_connection *buckets[DOOR_BUCKETS];
    size_t in_flight;
    struct guarded scratch;
    struct door_counts counts;
};

/* ---- connections ------------------------------------------------------------------------------
 */
struct door_connection *door_connection_find(struct door *door, uint64_t id);
/* Made when it is not there; NULL: no memory. */
struct door_connection *door_connection_get(struct door *door, uint64_t id);
void door_connection_drop(struct door *door, uint64_t id);
void door_connections_each(struct door *door,
                           void (*visit)(struct door *door, struct door_connection *connection));
void door_connections_clear(struct door *door);

/* ---- requests and answers ---------------------------------------------------------------------
 */
extern const struct http_server_events door_events_template; /* without its context */
void door_answer_text(struct door *door, struct http_exchange exchange, unsigned status,
                      const char *error);
/* The keeper is gone: what was open is answered with 503, or ended. */
void door_fail_open(struct door *door);
/* It says nothing: only what waits is answered. */
void door_fail_waiting(struct door *door);

/* ---- keeper -----------------------------------------------------------------------------------
 */
/* A new socket to a keeper, which becomes the door's. */
LETHE_MUST_CHECK lethe_result door_keeper_meet(struct door *door, int fd, struct lethe_error *err);
void door_keeper_leave(struct door *door);
/* Puts a frame; it leaves at the end of this turn, with all others. */
void door_keeper_tell(struct door *door, const struct wire_frame *frame);
void door_keeper_flush(void *context);
void door_tell_counts(void *context);
void door_ask_for_keeper(struct door *door);

/* ---- silence ----------------------------------------------------------------------------------
 */
void door_keeper_heard(struct door *door);
/* Whether a request is refused without asking. */
bool door_keeper_is_away(const struct door *door);
void door_look_at_keeper(struct door *door, uint64_t passed_ms);

/* ---- certificates -----------------------------------------------------------------------------
 */
/* Files are there already: serves with them; otherwise makes key and request. */
LETHE_MUST_CHECK lethe_result door_tls_start(struct door *door, struct lethe_error *err);
/* Serves with what there is now: files are read again. What does not work is not put in force. */
LETHE_MUST_CHECK lethe_result door_tls_renew(struct door *door, struct lethe_error *err);
void door_tell_ready(struct door *door);

#endif
