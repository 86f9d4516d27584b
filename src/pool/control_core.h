/* pool/control_core.h -- the inside of the control plane, for its own files:
 *   control.c            its life, its loop
 *   control_listen.c     the socket, and new connections
 *   control_peers.c      connections: who they are, and which function a frame goes to
 *   control_asks.c       what providers are asked and have not answered yet
 *   control_turn.c       jobs: what becomes durable together, and then is answered
 *   control_changes.c    the rows and records of jobs
 *   control_allocate.c   ALLOCATE
 *   control_leases.c     TOKEN, DROP; leases end
 *   control_join.c       JOIN; providers come and go
 *   control_report.c     REPORT; what a provider has is compared with what it should have
 *   control_sweep.c      what time brings about
 *   control_operate.c    REVOKE, RESTORE, FORCE_STOP, DRAIN, QUOTA
 *   control_status.c     STATUS
 *   control_policy.c     questions to the policy
 *
 * A turn: frames are handled as they come. What changes nothing durable (a GRANT) leaves at once;
 * everything else is a job. When nothing more is ready the jobs of the turn become durable, as many
 * as can in one transaction, and then each is told how it went, in the order in which they were
 * made: so answers come in the order of the requests, none ahead of its record. */
#ifndef POOL_CONTROL_CORE_H
#define POOL_CONTROL_CORE_H

#include "base/buffer.h"
#include "kms/change.h"
#include "pool/control.h"
#include "pool/link.h"
#include "pool/pending.h"
#include "pool/places.h"
#include "pool/registry.h"

/* ---- connections ----------------------------------------------------------------------------- */

struct control;

struct control_peer {
    struct control *control;
    struct link *link; /* NULL: it has ended */
    struct limits_source *source;
    struct spiffe_id id;
    bool is_counted;                /* among its identity's connections */
    struct pool_provider *provider; /* that joined by it */
    struct pending asks;
    size_t holders; /* jobs and others that answer it later, and the link */
    struct control_peer *next, *previous;
};
void peer_hold(struct control_peer *peer);
void peer_let_go(struct control_peer *peer); /* NULL is fine */
/* A reply, unless the connection has ended. `index` may be NULL. */
struct peer_reply {
    const struct wire_head *request;
    uint64_t value;
    const struct buffer *index;
};
void peer_answer(struct control_peer *peer, const struct peer_reply *reply);
void peer_refuse(struct control_peer *peer, const struct wire_head *request,
                 const struct lethe_error *why);
/* Whoever proves this identity is cut off. */
void peers_drop(struct control *control, const char *id, const char *why);
void peers_close(struct control *control); /* all of them */
/* Takes over `fd` and the source, unless it fails. */
LETHE_MUST_CHECK lethe_result peer_accept(struct control *control, int fd,
                                          struct limits_source *source, struct lethe_error *err);

/* ---- asks ------------------------------------------------------------------------------------ */

/* How an ask went: the reply, or why there is none. */
typedef void ask_answered(struct control *control, void *context, lethe_result result,
                          uint64_t value, const struct lethe_error *why);
/* `answered` is called once, later: with LETHE_UNAVAILABLE when the provider is not there. On
 * failure it is not called. */
struct ask_question {
    enum wire_type type;
    const struct buffer *index;
    ask_answered *answered;
    void *context;
};
LETHE_MUST_CHECK lethe_result provider_ask(struct control *control, struct pool_provider *provider,
                                           const struct ask_question *question,
                                           struct lethe_error *err);
/* Without anybody who waits; a provider that cannot be asked learns it when it joins again. */
void provider_stop_lease(struct control *control, struct pool_provider *provider,
                         const struct lease_id *lease, enum lease_cause cause);
/* A reply came. Anything but LETHE_OK ends the link. */
LETHE_MUST_CHECK lethe_result peer_take_reply(struct control_peer *peer,
                                              const struct link_frame *frame,
                                              struct lethe_error *err);
/* Since when the oldest ask waits for its reply; false: none does. */
bool peer_owes_since(const struct control_peer *peer, uint64_t *since_ms);
/* The connection has ended. */
void peer_forget_asks(struct control_peer *peer, const struct lethe_error *why);

/* ---- jobs ------------------------------------------------------------------------------------ */

/* One row and its record. Texts are the change's own. */
struct control_change {
    char path[POOL_PATH_SIZE];
    struct buffer row; /* empty: the row goes */
    struct audit_event event;
    char lease[LEASE_ID_HEX_SIZE];
    char name[SPIFFE_ID_MAX + 1], other[SPIFFE_ID_MAX + 1];
    char text[WIRE_REASON_MAX + 1];
};

struct control_job;
/* How it went. The job is the function's to free (job_free()), and everything around it. */
typedef void job_done(struct control *control, struct control_job *job, lethe_result result,
                      const struct lethe_error *why);
#define JOB_CHANGES_MAX WIRE_COPIES_MAX
struct control_job {
    struct control_job *next;
    struct control_peer *peer; /* held; NULL: nobody is answered */
    struct wire_head request;
    char tenant[65];               /* for the record */
    char actor[SPIFFE_ID_MAX + 1]; /* "": the control plane's own */
    struct control_change *changes;
    size_t change_count;
    bool is_durable;
    lethe_result result; /* of its transaction */
    struct lethe_error why;
    job_done *done;
    void *subject;            /* what it is about: done()'s */
    struct wire_order *order; /* an operator's; NULL: another's job */
    struct buffer index;      /* of the answer: done()'s */
    uint64_t number;
};
/* A job with room for so many changes, which are zero. `peer` and `request` may be NULL. */
LETHE_MUST_CHECK lethe_result job_create(struct control_peer *peer, const struct wire_head *request,
                                         size_t change_count, struct control_job **out,
                                         struct lethe_error *err);
void job_free(struct control_job *job); /* NULL is fine */
DEFINE_CLEANUP(job_free, struct control_job *);
/* It is the turn's from here on. */
void job_queue(struct control *control, struct control_job *job);
/* The answer of a request that was refused, in its place among the others. */
LETHE_MUST_CHECK lethe_result job_queue_refusal(struct control_peer *peer,
                                                const struct wire_head *request,
                                                const struct lethe_error *why,
                                                struct lethe_error *err);
/* A done() for jobs with nothing to do but answer: index and value are empty. */
job_done job_answer;
/* Everything that is queued. */
void control_turn_finish(struct control *control);

/* ---- changes --------------------------------------------------------------------------------- */

void change_clear(struct control_change *change);
LETHE_MUST_CHECK lethe_result change_write(struct store *store, const struct control_change *change,
                                           struct lethe_error *err);
/* Each fills in a change: row and record. */
void change_grant(const struct pool_lease *lease, struct control_change *out);
void change_return(const struct pool_lease *lease, enum lease_state state,
                   struct control_change *out);
/* `state` is final: wiped, not wiped, or LOST for a lease whose row goes. */
void change_end(const struct pool_lease *lease, enum lease_state state, enum lease_cause cause,
                struct control_change *out);
void change_lose(const struct pool_lease *lease, struct control_change *out);   /* the row stays */
void change_forget(const struct pool_lease *lease, struct control_change *out); /* of a lost one */
void change_stop(const struct pool_lease *lease, const char *reason, struct control_change *out);
void change_join(const struct provider_row *row, struct control_change *out);
void change_provider_lost(const struct provider_row *row, uint32_t leases, const char *cause,
                          struct control_change *out);
void change_wish(const struct provider_row *row, const char *change, struct control_change *out);
void change_stop_provider(const struct provider_row *row, const char *reason,
                          struct control_change *out);
void change_revoke(const struct revoked_row *row, struct control_change *out);
void change_restore(const char *id, struct control_change *out);
void change_quota(const char *tenant, uint64_t bytes, struct control_change *out);

/* ---- waiting for something to end ------------------------------------------------------------ */

/* An answer that waits for several things at once. */
struct control_waiter {
    struct control_peer *peer; /* held */
    struct wire_head request;
    size_t outstanding;
    lethe_result result; /* the first that was not LETHE_OK */
    struct lethe_error why;
};
LETHE_MUST_CHECK lethe_result waiter_create(struct control_peer *peer,
                                            const struct wire_head *request,
                                            struct control_waiter **out, struct lethe_error *err);
/* One thing less; the last one answers, and frees it. */
void waiter_step(struct control_waiter *waiter, lethe_result result, const struct lethe_error *why);
/* `waiter` hears of the lease's end. */
LETHE_MUST_CHECK lethe_result lease_await(struct pool_lease *lease, struct control_waiter *waiter,
                                          struct lethe_error *err);
void lease_tell_waiting(struct pool_lease *lease, lethe_result result,
                        const struct lethe_error *why);

/* ---- requests: one function a type ----------------------------------------------------------- */

/* What it gives but LETHE_OK is the answer, unless it is LETHE_MALFORMED: that ends the link. */
typedef lethe_result control_request(struct control_peer *peer, const struct link_frame *frame,
                                     struct lethe_error *err);
control_request control_allocate, control_token, control_drop, control_status, control_operate,
    control_join, control_report;

/* A fresh token for a lease. */
LETHE_MUST_CHECK lethe_result lease_sign(struct control *control, const struct pool_lease *lease,
                                         struct buffer *out, struct lethe_error *err);
/* A lease is over, as a provider says. */
void lease_end(struct control *control, struct pool_lease *lease, enum lease_state state,
               enum lease_cause cause);
/* A lease of a provider that is gone: its row stays while it may come back. */
void lease_lose(struct control *control, struct pool_lease *lease, bool row_stays);
/* It came back with its provider. */
void lease_return(struct control *control, struct pool_lease *lease, enum lease_state state);
/* The row of a lost lease that cannot come back any more. */
void lease_forget(struct control *control, struct pool_lease *lease);
void lease_remove(struct control *control, struct pool_lease *lease); /* here alone */

/* Its connection has ended. */
void provider_gone(struct control *control, struct control_peer *peer);
/* Gives it up: a record, and every lease on it is lost. */
void provider_lose(struct control *control, struct pool_provider *provider, const char *cause);
void provider_record_lost(struct control *control, struct pool_provider *provider,
                          const char *cause);
/* What operators want of it, told it. */
LETHE_MUST_CHECK lethe_result provider_maintain(struct control *control,
                                                struct pool_provider *provider,
                                                struct control_waiter *waiter,
                                                struct lethe_error *err);
LETHE_MUST_CHECK lethe_result provider_ban(struct control *control, struct pool_provider *provider,
                                           const char *id, bool on, struct control_waiter *waiter,
                                           struct lethe_error *err);
bool provider_is_here(const struct pool_provider *provider);

void control_sweep(struct control *control);

/* ---- policy ---------------------------------------------------------------------------------- */

/* LETHE_DENIED with what the policy says; on record. */
struct policy_lease {
    const char *provider;
    uint64_t lent_bytes;
    const char *consumer, *tenant;
    uint64_t held_bytes;
    uint64_t bytes;
};
LETHE_MUST_CHECK lethe_result policy_allows_lease(struct control *control,
                                                  const struct policy_lease *question,
                                                  struct lethe_error *err);
LETHE_MUST_CHECK lethe_result policy_allows_join(struct control *control, const char *provider,
                                                 uint64_t capacity_bytes, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result policy_allows_operator(struct control *control,
                                                     const char *operator_id, const char *action,
                                                     const char *target, struct lethe_error *err);
void policy_record_denial(struct control *control, const char *who, const char *action,
                          const char *resource, const struct lethe_error *why);

/* ---- all of it ------------------------------------------------------------------------------- */

#define CONTROL_COUNTERS(X)                                                                        \
    X(accepted)                                                                                    \
    X(turned_away)                                                                                 \
    X(allocations)                                                                                 \
    X(leases_granted)                                                                              \
    X(leases_ended)                                                                                \
    X(leases_lost)                                                                                 \
    X(tokens)                                                                                      \
    X(refused)                                                                                     \
    X(denied)                                                                                      \
    X(turns)                                                                                       \
    X(transactions)                                                                                \
    X(transactions_failed)                                                                         \
    X(records)
struct control_counters {
#define CONTROL_COUNTER(name) uint64_t name;
    CONTROL_COUNTERS(CONTROL_COUNTER)
#undef CONTROL_COUNTER
};

struct control {
    struct control_options options;
    struct control_limits limits; /* with defaults filled in */
    const struct clock_source *clock;
    struct loop *loop;
    struct loop_watch *listening;
    struct loop_timer *turn, *sweep;
    int listen_fd;
    char address[WIRE_ADDRESS_MAX + 1];
    struct tls_context *tls;
    struct limits *sources;
    struct places *places;
    struct registry *registry;
    struct control_peer *peers;
    size_t peer_count;
    struct control_job *first_job, *last_job;
    struct buffer scratch; /* indexes and the policy's input */
    struct placement_candidate candidates[REGISTRY_PROVIDERS_MAX];
    struct wire_report report;
    struct wire_allocated allocated;
    struct control_counters counters;
    lethe_result failure; /* why it ends by itself */
    struct lethe_error why;
};
LETHE_MUST_CHECK lethe_result control_listen(struct control *control, struct lethe_error *err);
void control_listen_again(struct control *control); /* where there was no room for a connection */
uint64_t control_wall_ms(const struct control *control);
lethe_result control_random(struct control *control, void *out, size_t size_bytes,
                            struct lethe_error *err);

#endif
