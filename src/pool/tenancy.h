/* pool/tenancy.h -- a provider's leases: whose they are, in which state, and until when.
 *
 * The decisions of a provider without its sockets: who may attach, read, write, renew; what expires
 * when; what the control plane is to hear. Time comes in as milliseconds of CLOCK_BOOTTIME. Memory
 * comes from the arena, and goes back to it the moment that a lease ends.
 *
 * Who serves a lease holds it (tenancy_hold) while a frame's data go in or out: an ended lease's
 * pages go back to the arena when the last such hold is released, and no new one is given.
 *
 * Thread rule: any thread; one lock, held for lookups and changes of state only. Events are
 * recorded outside of it. */
#ifndef POOL_TENANCY_H
#define POOL_TENANCY_H

#include "audit/recorder.h"
#include "pool/arena.h"
#include "pool/wire.h"

struct tenancy;
struct tenant_lease; /* under 1 KiB, and 16 bytes a block in the arena */

struct tenancy_options {
    struct pool_arena *arena;
    const struct lethe_log *log;
    const char *provider; /* SPIFFE id */
    uint8_t boot_id[BOOT_ID_BYTES];
    uint32_t leases_max; /* 0: 65,536 */
    /* A lease that was attached is over: `owner` is what tenancy_attach() was given. On the thread
     * that ended it, without the lock. */
    void (*over)(void *context, void *owner, uint32_t channel, enum lease_cause cause);
    /* There is something to report. Any thread. */
    void (*changed)(void *context);
    void *context;
};
LETHE_MUST_CHECK lethe_result tenancy_create(const struct tenancy_options *options,
                                             struct tenancy **out, struct lethe_error *err);
void tenancy_free(struct tenancy *tenancy); /* ends every lease, waits for the wiping */
DEFINE_CLEANUP(tenancy_free, struct tenancy *);

/* ---- control plane's wishes ------------------------------------------------------------------ */

LETHE_MUST_CHECK lethe_result tenancy_grant(struct tenancy *tenancy,
                                            const struct lease_terms *terms, uint64_t now_ms,
                                            struct lethe_error *err);
/* False: there is none. */
bool tenancy_stop(struct tenancy *tenancy, const struct lease_id *lease, enum lease_cause cause);
/* Ends every lease of a consumer, and lets it attach no more, or again. */
void tenancy_ban(struct tenancy *tenancy, const char *consumer, bool on);
bool tenancy_is_banned(struct tenancy *tenancy, const char *consumer);
/* The token key that ATTACH is checked with. */
void tenancy_trust(struct tenancy *tenancy, const struct audit_key *key);
/* Changes since the last acknowledged report, at most WIRE_CHANGES_MAX; `more` when there are
 * others. With `all`: begins with every lease that there is. */
void tenancy_report(struct tenancy *tenancy, bool all, uint64_t now_ms, struct wire_report *out,
                    bool *more);
void tenancy_reported(struct tenancy *tenancy, const struct wire_report *report);

/* ---- consumers ------------------------------------------------------------------------------- */

/* Who asks: proven by TLS. */
struct tenancy_who {
    const char *consumer;
    void *owner;      /* the connection */
    uint32_t channel; /* that the owner will know it by */
};
/* P-4. LETHE_DENIED: the token is not this control plane's, not for this consumer, this machine or
 * this boot; LETHE_NOT_FOUND: no such lease any more; LETHE_REVOKED. An attachment that there was
 * is over. */
LETHE_MUST_CHECK lethe_result tenancy_attach(struct tenancy *tenancy, const struct tenancy_who *who,
                                             const void *token, size_t token_bytes, uint64_t now_ms,
                                             struct tenant_lease **out,
                                             struct wire_attached *attached, uint64_t *left_ms,
                                             struct lethe_error *err);
/* The connection has ended: freezes what it had. */
void tenancy_detach(struct tenancy *tenancy, struct tenant_lease *lease, const void *owner);
LETHE_MUST_CHECK lethe_result tenancy_renew(struct tenancy *tenancy, struct tenant_lease *lease,
                                            const void *owner, uint64_t now_ms, uint64_t *left_ms,
                                            struct lethe_error *err);
/* `done(context)` when it is wiped, or cannot be: on the wiping thread. */
typedef void tenancy_done(void *context, lethe_result result);
LETHE_MUST_CHECK lethe_result tenancy_release(struct tenancy *tenancy, struct tenant_lease *lease,
                                              const void *owner, tenancy_done *done, void *context,
                                              struct lethe_error *err);

/* For a frame's data: while it is held the blocks stay the lease's. LETHE_LOST and others, by the
 * cause, when it is over or taken over; LETHE_INVALID: a block number past the end. */
LETHE_MUST_CHECK lethe_result tenancy_hold(struct tenancy *tenancy, struct tenant_lease *lease,
                                           const void *owner, struct lethe_error *err);
void tenancy_let_go(struct tenancy *tenancy, struct tenant_lease *lease);
LETHE_MUST_CHECK lethe_result tenancy_block(struct tenancy *tenancy, struct tenant_lease *lease,
                                            uint64_t block, uint8_t **data, uint8_t **tag,
                                            struct lethe_error *err);
uint32_t tenant_lease_block_bytes(const struct tenant_lease *lease);

/* ---- time ------------------------------------------------------------------------------------ */

/* Ends what has run out; gives the moment of the next, UINT64_MAX for none. */
uint64_t tenancy_expire(struct tenancy *tenancy, uint64_t now_ms);

#endif
