/* pool/tenancy.h -- a provider's leases: whose they are, in which state, and until when.
 *
 * The decisions of a provider without its sockets: who may attach, read, write, renew; what expires
 * when; what the control plane is to hear. Time comes in as milliseconds of CLOCK_BOOTTIME. Memory
 * comes from the tenancy's own arena, and goes back to it the moment that a lease ends.
 *
 * A connection that attached a lease has an attachment, which it gives back when it ends, whatever
 * became of the lease. Of several attachments of one lease only the newest is good. While a frame's
 * data go in or out, the attachment is held: an ended lease's pages go back to the arena with the
 * last such hold, and no new one is given. Who holds on for too long is to be cut off, so that
 * nobody keeps memory by reading or writing slowly.
 *
 * Thread rule: any thread; one lock, held for lookups and changes of state only. Events are
 * recorded outside of it: critical ones durably, by a thread of the tenancy's own. */
#ifndef POOL_TENANCY_H
#define POOL_TENANCY_H

#include "audit/recorder.h"
#include "pool/arena.h"
#include "pool/wire.h"

#define TENANCY_LEASES_MAX 65536u
#define TENANCY_BANS_MAX 65536u
#define TENANCY_GRACE_MS 1000u /* for what is held of a lease that is over */

struct tenancy;
struct attachment;

struct tenancy_options {
    struct pool_arena_options arena; /* but for `wiped` and `context` */
    const struct lethe_log *log;     /* NULL: nothing is recorded */
    const char *provider;            /* SPIFFE id; copied, as the boot id is */
    uint8_t boot_id[BOOT_ID_BYTES];
    uint32_t leases_max; /* 0: TENANCY_LEASES_MAX */
    /* An attachment is over: its lease has ended, or another connection has taken it (NONE). Within
     * the lock: only hands it on. */
    void (*over)(void *context, void *owner, uint32_t channel, enum lease_cause cause);
    /* The lease has been over for TENANCY_GRACE_MS, and the owner holds it still: its connection
     * is to end. Within the lock. */
    void (*cut)(void *context, void *owner);
    /* There is something to report. Any thread, without the lock. */
    void (*changed)(void *context);
    void *context;
};
/* As pool_arena_create(). */
LETHE_MUST_CHECK lethe_result tenancy_create(const struct tenancy_options *options,
                                             struct tenancy **out, struct lethe_error *err);
/* Ends every lease, waits for wiping and records. Nobody has an attachment any more. */
void tenancy_free(struct tenancy *tenancy);
DEFINE_CLEANUP(tenancy_free, struct tenancy *);

/* ---- the control plane's wishes -------------------------------------------------------------- */

/* LETHE_NO_SPACE as pool_arena_take(); LETHE_REVOKED: the consumer is banned; LETHE_UNAVAILABLE:
 * the provider drains; LETHE_EXISTS, LETHE_LIMIT; LETHE_INVALID: another provider's, or another
 * boot's. */
LETHE_MUST_CHECK lethe_result tenancy_grant(struct tenancy *tenancy,
                                            const struct lease_terms *terms, uint64_t now_ms,
                                            struct lethe_error *err);
/* False: there is none. */
bool tenancy_stop(struct tenancy *tenancy, const struct lease_id *lease, enum lease_cause cause,
                  uint64_t now_ms);
/* All of them. */
void tenancy_stop_all(struct tenancy *tenancy, enum lease_cause cause, uint64_t now_ms);
/* Ends every lease of a consumer, and lets it attach no more, or again. LETHE_LIMIT,
 * LETHE_NO_MEMORY: it cannot be remembered; its leases are ended all the same. */
LETHE_MUST_CHECK lethe_result tenancy_ban(struct tenancy *tenancy, const char *consumer, bool on,
                                          uint64_t now_ms, struct lethe_error *err);
bool tenancy_is_banned(struct tenancy *tenancy, const char *consumer);
/* Draining: nothing is granted. */
void tenancy_drain(struct tenancy *tenancy, bool on);
/* The token key that ATTACH is checked with. */
void tenancy_trust(struct tenancy *tenancy, const struct audit_key *key);
/* Changes that were not acknowledged yet, at most WIRE_CHANGES_MAX; out->last when there are no
 * others. With `all`: every lease that there is counts as changed. Only the report that was made
 * last can be acknowledged. */
void tenancy_report(struct tenancy *tenancy, bool all, uint64_t now_ms, struct wire_report *out);
void tenancy_reported(struct tenancy *tenancy, const struct wire_report *report);
uint32_t tenancy_leases(struct tenancy *tenancy); /* that a full report lists */

/* ---- consumers ------------------------------------------------------------------------------- */

/* Who asks: proven by TLS. */
struct tenancy_who {
    const char *consumer;
    void *owner;      /* the connection */
    uint32_t channel; /* that the owner will know it by */
};
struct tenancy_attached {
    struct attachment *attachment;
    struct wire_attached told;
    uint64_t left_ms;
};
/* P-4. LETHE_DENIED: the token is not this control plane's, not for this consumer, this machine or
 * this boot; LETHE_NOT_FOUND: no such lease any more; LETHE_REVOKED. An attachment that there was
 * is over; while data are still written by it, LETHE_BUSY: once more in a moment. */
LETHE_MUST_CHECK lethe_result tenancy_attach(struct tenancy *tenancy, const struct tenancy_who *who,
                                             const void *token, size_t token_bytes, uint64_t now_ms,
                                             struct tenancy_attached *out, struct lethe_error *err);
/* The connection has ended, or closes the channel; nothing is held. A lease that it had freezes. */
void tenancy_detach(struct tenancy *tenancy, struct attachment *attachment);
/* Results of the following when the attachment is over: by the cause; LETHE_CONFLICT when another
 * connection has the lease now. */
LETHE_MUST_CHECK lethe_result tenancy_renew(struct tenancy *tenancy, struct attachment *attachment,
                                            uint64_t now_ms, uint64_t *left_ms,
                                            struct lethe_error *err);
/* `done(context)` when it is wiped, or cannot be: on the wiping thread. */
typedef void tenancy_done(void *context, lethe_result result);
LETHE_MUST_CHECK lethe_result tenancy_release(struct tenancy *tenancy,
                                              struct attachment *attachment, uint64_t now_ms,
                                              tenancy_done *done, void *context,
                                              struct lethe_error *err);

/* For a frame's data: while it is held the blocks stay the lease's. */
LETHE_MUST_CHECK lethe_result tenancy_hold(struct tenancy *tenancy, struct attachment *attachment,
                                           bool writes, struct lethe_error *err);
void tenancy_let_go(struct tenancy *tenancy, struct attachment *attachment, bool wrote);
/* Of one that is held, without the lock. LETHE_INVALID: a block number past the end. */
LETHE_MUST_CHECK lethe_result tenancy_block(struct tenancy *tenancy,
                                            const struct attachment *attachment, uint64_t block,
                                            uint8_t **data, uint8_t **tag, struct lethe_error *err);
uint32_t attachment_block_bytes(const struct attachment *attachment);

/* ---- time ------------------------------------------------------------------------------------ */

/* Ends what has run out; gives the moment of the next, UINT64_MAX for none. */
uint64_t tenancy_expire(struct tenancy *tenancy, uint64_t now_ms);

void tenancy_counters(struct tenancy *tenancy, struct pool_arena_counters *out);

#endif
