/* service/core_core.h -- the inside of the core, for its own files: core.c (frames and turns),
 * core_call.c (one request), core_allow.c (whether it may be), core_turn.c (records and answers),
 * core_connections.c (who is there), core_settings.c (what doors are told), core_run.c (the
 * process), events.c, metrics.c. */
#ifndef SERVICE_CORE_CORE_H
#define SERVICE_CORE_CORE_H

#include "audit/batch.h"
#include "audit/failures.h"
#include "service/call_core.h"
#include "service/core.h"

#define CORE_PEERS_MAX 64u
#define CORE_CONNECTIONS_MAX 65536u /* of all peers; the door's own limit is lower */
#define CORE_CALLERS_KEPT 8u        /* of one connection, the latest */
#define CORE_STREAMS_MAX 256u
#define CORE_STREAM_S 3600u    /* then the client comes again, and proves itself again */
#define CORE_HEARTBEAT_S 15u   /* between two signs of life on a stream */
#define CORE_COUNTS_MAX 65536u /* of the door's text for /metrics */

/* ---- who is there ---------------------------------------------------------------------------- */

struct connection {
    struct connection *next;
    struct core_peer *peer;
    uint64_t id;
    char source[64];
    uint8_t *chain; /* certificates; public */
    size_t chain_bytes;
    uint64_t callers[CORE_CALLERS_KEPT]; /* names, hashed */
    unsigned next_caller;
    bool cut_off; /* to be ended behind this turn */
};

/* Policies change while a stream is open: whoever asked for it is asked about at each event. */
struct event_stream {
    struct core_peer *peer;
    uint64_t connection;
    uint64_t number;
    uint64_t ends_s;
    bool is_open; /* its answer is on its way */
    char source[64];
    struct caller caller;
};

/* What the core knows of a peer. */
struct peer_state {
    struct core_peer *peer; /* NULL: free */
    struct buffer request;  /* of a door for its certificate */
    bool has_said_hello;
    struct buffer counts; /* of a door, for /metrics */
    uint64_t from_s;      /* when its certificate begins to be good */
    uint64_t renew_s;     /* when its certificate is to be renewed; 0: it has none of us */
    uint8_t told[32];     /* digest of roots and CRLs that it was told */
};

/* ---- turns ----------------------------------------------------------------------------------- */

#define TURN_CALLS_MAX 256u
#define TURN_ANSWERS_BYTES ((size_t)16 << 20) /* of answers: then they leave */
#define TURN_RECORDS_MAX 32768u
#define TURNS_MAX 4u /* in work, or waiting for the disk */

struct turn_answer {
    uint64_t connection, number;
    unsigned status;
    bool stream;
    const char *content_type; /* NULL: none, and no body */
    size_t start, size_bytes;
};
/* What calls leave that came together. Each record is given to the log at the moment of decision,
 * which fixes its place: a use can never stand behind a revocation that came later. */
struct turn {
    struct core_peer *peer; /* NULL: it has gone meanwhile */
    struct guarded answers; /* bodies, one behind the other */
    struct turn_answer calls[TURN_CALLS_MAX];
    size_t call_count;
    struct audit_batch *records; /* NULL: sealed */
    uint64_t waits_from_ns;
};

/* ---- all of it ------------------------------------------------------------------------------- */

#define CORE_RANDOM_BYTES 4096u

struct core_counts {
    uint64_t turns, calls, denied, unproven;
    uint64_t committed, commit_failures, commit_ns;
};
struct core {
    struct service *service;
    struct router *router;
    struct peer_state peers[CORE_PEERS_MAX];
    struct connection **connections; /* a table of hashes */
    size_t connection_count;
    struct event_stream streams[CORE_STREAMS_MAX];
    size_t stream_count;
    uint64_t heartbeat_s; /* of the last one */
    struct turn turns[TURNS_MAX];
    size_t first_turn, waiting_turns; /* the oldest, and how many follow one another from there */
    struct turn *turn;                /* behind them: in work */
    int durable_fd;                   /* readable when a turn that waits may leave */
    bool may_wait;                    /* somebody watches that */
    struct call call;
    bool in_turn, any_cut_off;
    bool seal_wanted; /* behind this turn */
    bool settings_stale;
    bool rows_stale; /* what is remembered of rows: until it could be read again */
    bool unreadable; /* rows have changed, and cannot be read: nothing is answered from old ones */
    struct audit_failures *failures; /* NULL: sealed */
    char acting_for[CALLER_NAME_MAX + 1];
    uint8_t random[CORE_RANDOM_BYTES];
    size_t random_left;
    struct core_counts counts;
    const char *const *door_names;
    uint64_t tick_s;
    unsigned unseal_failures; /* passphrases that were wrong, since one was right */
    uint64_t unseal_from_s;   /* when the next one over the network is heard */
    uint64_t tidy_s;          /* expired certificates are not looked for before */
};

LETHE_MUST_CHECK lethe_result core_create(struct service *service, struct core **out,
                                          struct lethe_error *err);
void core_free(struct core *core); /* NULL is fine */
/* The keeper is there now, or goes. */
LETHE_MUST_CHECK lethe_result core_unsealed(struct core *core, struct lethe_error *err);
void core_sealing(struct core *core);
/* Rows that were changed, by whomever, are read again. */
LETHE_MUST_CHECK lethe_result core_look(struct core *core, struct lethe_error *err);
uint64_t core_now_s(const struct core *core);
/* Whether a wait until `until_s`, for at most `most_s`, is over. It is, too, when the clock was set
 * back behind its beginning: a wait of a minute never becomes one of a year. */
static inline bool core_wait_is_over(uint64_t now_s, uint64_t until_s, uint64_t most_s)
{
    return now_s >= until_s || until_s - now_s > most_s;
}
/* "xxxxxxxx-xxxx-4xxx-xxxx-xxxxxxxxxxxx" */
#define CORE_UUID_SIZE 37
void core_uuid(struct core *core, char out[CORE_UUID_SIZE]);

/* core_connections.c. NULL: there are too many peers. */
struct peer_state *core_peer_of(struct core *core, struct core_peer *peer);
struct connection *core_connection_find(struct core *core, struct core_peer *peer, uint64_t id);
LETHE_MUST_CHECK lethe_result core_connection_open(struct core *core, struct core_peer *peer,
                                                   const struct wire_frame *frame);
void core_connection_close(struct core *core, struct core_peer *peer, uint64_t id);
void connections_forget(struct core *core, struct core_peer *peer);
void connection_note_caller(struct connection *connection, const struct caller *caller);
void connections_free(struct core *core);
/* Behind the answers of a turn. */
void connections_end_cut_off(struct core *core);

/* core_call.c: one request, answered into the turn. LETHE_MALFORMED: the frame is none of ours. */
LETHE_MUST_CHECK lethe_result core_call(struct core *core, struct core_peer *peer,
                                        const struct wire_frame *frame);

/* core_allow.c: asks whether the call may be, and puts the answer on record. LETHE_DENIED with the
 * one text "permission denied"; LETHE_INVALID: its purpose cannot be read. */
LETHE_MUST_CHECK lethe_result core_allow(struct call *call, struct lethe_error *err);
/* The same for a path that no route has. */
bool core_allows_asking(struct call *call);

/* core_turn.c */
LETHE_MUST_CHECK lethe_result turns_create(struct core *core, struct lethe_error *err);
void turns_free(struct core *core);
LETHE_MUST_CHECK lethe_result turns_unsealed(struct core *core, struct lethe_error *err);
void turns_sealing(struct core *core); /* all have left then */
bool turn_is_full(const struct turn *turn);
LETHE_MUST_CHECK lethe_result turn_record(struct turn *turn, const struct caller *caller,
                                          const struct audit_event *event);
/* The answers leave when the records are durable, behind those of earlier turns. */
void turn_finish(struct core *core, struct core_peer *peer);
/* Puts the answers of turns whose records are durable on their way; or waits until all are. */
void turns_send(struct core *core);
void turns_wait(struct core *core);
void turns_forget(struct core *core, const struct core_peer *peer);

/* core_settings.c */
void settings_tell(struct core *core, struct peer_state *state);
void settings_tell_all(struct core *core, bool only_if_changed);
void settings_ready(struct core *core, struct core_peer *peer);

/* events.c */
/* A call's answer is to be a stream, which opens behind that answer. False: there is no room. */
bool events_expect(struct call *call);
void events_open(struct core *core, struct core_peer *peer, const struct wire_frame *frame);
void events_forget(struct core *core, const struct core_peer *peer, uint64_t connection, bool all);
void events_tick(struct core *core, uint64_t now_s);

/* metrics.c: appends. */
void metrics_write(struct core *core, struct guarded *out);

/* service.c: what it remembers of rows is read again. */
LETHE_MUST_CHECK lethe_result service_refresh(struct service *service, struct lethe_error *err);

#endif
