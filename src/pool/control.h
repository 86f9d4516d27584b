/* pool/control.h -- the control plane: `lethe pool control`.
 *
 *     registry   (pool/registry.h)   which providers there are, what each has; which leases; in
 * memory, from rows placement  (pool/placement.h)  which providers get the copies: a pure function
 *     rows       (pool/pool_rows.h)  "pool/providers/...", "pool/leases/...", "pool/quotas/...",
 * "pool/revoked/..." control    links, turns, and the transaction that ends each
 *
 * One thread. All that was asked for in one turn of the loop, and is ready, becomes durable in one
 * transaction; then the answers leave. Nothing is in rows that changes with every renewal: how long
 * a lease still has is the provider's to say. */
#ifndef POOL_CONTROL_H
#define POOL_CONTROL_H

#include <lethe/policy.h>

#include "kms/keeper.h"
#include "net/source_limits.h"
#include "net/tls.h"

struct control_limits {      /* 0: the value in brackets */
    uint64_t tenant_bytes;   /* quota of a tenant that none was set for (no limit) */
    uint64_t ttl_max_ms;     /* (24 h) */
    uint64_t life_ms;        /* how long RENEW goes on without a fresh token (24 h) */
    uint64_t report_ms;      /* (1 s) */
    uint64_t lost_after_ms;  /* without a word from a provider its leases count as lost (10 min) */
    uint64_t unreachable_ms; /* ... and nothing new is placed on it (5 reports) */
    uint64_t answer_ms;      /* a provider that leaves an order unanswered is cut off (30 s) */
    uint64_t leases_max;     /* (262,144) */
    uint64_t leases_per_consumer;      /* (1,024) */
    uint64_t connections_max;          /* (4,096) */
    uint64_t connections_per_source;   /* (connections_max) */
    uint64_t connections_per_identity; /* (64) */
};
struct control;
struct control_options {
    struct keeper *keeper; /* store, log and signing key: the home's */
    const char *listen;    /* "127.0.0.1:7310" */
    bool allow_public;
    struct tls_context *tls; /* TLS_CLIENT_MUST */
    /* data.lethe.pool.allow, data.lethe.pool.operate; replaced while it runs. */
    struct lethe_policy_holder *policy;
    struct control_limits limits;
    const struct clock_source *clock; /* NULL: the system's */
    void (*ready)(void *context, const char *address);
    /* Called with everything open, before the first connection is taken. NULL: not. */
    lethe_result (*confine)(void *context, struct lethe_error *err);
    /* SIGTERM and SIGINT end control_run(), SIGHUP calls `reload` on its thread. */
    bool signals;
    void (*reload)(void *context, struct control *control);
    void *context;
};
/* Listens, and has read every row; nobody is answered yet. LETHE_DENIED: the address is public, and
 * allow_public is not said; LETHE_UNAVAILABLE: it is in use; LETHE_INTEGRITY: a row is malformed.
 */
LETHE_MUST_CHECK lethe_result control_create(const struct control_options *options,
                                             struct control **out, struct lethe_error *err);
/* Until control_stop(). LETHE_INTEGRITY: store and log are not as they were left. */
LETHE_MUST_CHECK lethe_result control_run(struct control *control, struct lethe_error *err);
void control_stop(struct control *control);                 /* any thread */
const char *control_address(const struct control *control); /* that it listens on */
/* For connections that come from now on; takes a share. */
void control_renew(struct control *control, struct tls_context *tls);
void control_free(struct control *control); /* NULL is fine */
DEFINE_CLEANUP(control_free, struct control *);

#endif
