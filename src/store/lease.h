/* store/lease.h -- rows that vanish together when their time is over.
 *
 * A lease is granted for a time to live, may be kept alive, and ends when it is revoked or overdue.
 * Rows are attached to it by the transaction that writes them, and removed with it by one
 * transaction, which moves the head and is seen by watches as any other. Leases are rows of the
 * store itself: who changes the file cannot make one, end one or let it last.
 *
 * Nothing ends by itself. An overdue lease is over for those who ask for it (LETHE_NOT_FOUND to
 * keep alive, attach or get it, from every process), but its rows stay until some process calls
 * store_leases_expire: so whoever reads rows sees them vanish by a transaction and never by looking
 * at a clock. It never happens early; how late is up to how often that is called.
 *
 * Time is milliseconds since this machine was started (CLOCK_BOOTTIME): it goes on while the
 * machine sleeps or the process is not there, and setting the date does not touch it. It does not
 * last over a restart of the machine: what is left of a lease then is not known, and it gets its
 * whole time to live anew, from the first store_leases_expire (or keep-alive) on, as in etcd after
 * its leader changed. So a machine that restarts in ever less than that time keeps its leases.
 * Processes that share a store share a kernel.
 *
 * Not in a backup: who copies rows by store_list copies them without their leases. */
#ifndef STORE_LEASE_H
#define STORE_LEASE_H

#include "store/store.h"

#define STORE_LEASE_TTL_MIN_S 1u
#define STORE_LEASE_TTL_MAX_S (366u * 24 * 3600)
/* Each is one row, read again whenever one is due. Many things that end together share one. */
#define STORE_LEASES_MAX 4096u
#define STORE_NO_LEASE ((uint64_t)0)

/* ---- the clock ------------------------------------------------------------------------------- */

#define STORE_BOOT_BYTES 16u
struct store_clock {
    uint64_t (*now_ms)(void *context); /* never steps back, below UINT64_MAX / 2             */
    void *context;
    uint8_t boot[STORE_BOOT_BYTES]; /* differs when the clock began to count anew         */
};
/* CLOCK_BOOTTIME of the machine, also from within a time namespace, and the kernel's boot id. Reads
 * /proc: LETHE_IO when it cannot. Without store_set_clock, a store takes it when it first needs a
 * clock: a process that is to be locked in sets it before. */
LETHE_MUST_CHECK lethe_result store_clock_system(struct store_clock *out, struct lethe_error *err);
void store_set_clock(struct store *store, const struct store_clock *clock);

/* ---- leases: outside a transaction, each call that changes something is one of its own ------- */

/* The id is random, never 0, below 2^63. LETHE_INVALID (time to live), LETHE_LIMIT
 * (STORE_LEASES_MAX; overdue ones count until they are expired). */
LETHE_MUST_CHECK lethe_result store_lease_grant(struct store *store, uint32_t ttl_s, uint64_t *id,
                                                struct lethe_error *err);
/* Its whole time to live from now on. LETHE_NOT_FOUND when it is over. */
LETHE_MUST_CHECK lethe_result store_lease_keep_alive(struct store *store, uint64_t id,
                                                     struct lethe_error *err);
/* Ends it and removes its rows, overdue or not. LETHE_NOT_FOUND. */
LETHE_MUST_CHECK lethe_result store_lease_revoke(struct store *store, uint64_t id,
                                                 struct lethe_error *err);

struct store_expiry {
    size_t leases;    /* ended now                                              */
    size_t rows;      /* removed with them                                      */
    uint64_t next_ms; /* until the next one is due, UINT64_MAX: there is none   */
};
/* Ends all that are overdue, in one transaction; without any it only looks, which is cheap. */
LETHE_MUST_CHECK lethe_result store_leases_expire(struct store *store, struct store_expiry *out,
                                                  struct lethe_error *err);

/* ---- looking: inside a transaction or outside ------------------------------------------------ */

struct store_lease {
    uint64_t id;
    uint32_t ttl_s;
    uint64_t left_ms; /* 1 to ttl_s * 1000 */
};
/* LETHE_NOT_FOUND when it is over. */
LETHE_MUST_CHECK lethe_result store_lease_get(struct store *store, uint64_t id,
                                              struct store_lease *out, struct lethe_error *err);
/* The lease that a row is attached to, or STORE_NO_LEASE. LETHE_NOT_FOUND: no such row. */
LETHE_MUST_CHECK lethe_result store_lease_of(struct store *store, const char *path, uint64_t *id,
                                             struct lethe_error *err);

/* ---- attaching: inside a transaction --------------------------------------------------------- */

/* The rows that are put from here on, until the transaction ends or this is called again, are
 * attached to the lease; as it begins, and after STORE_NO_LEASE, to none: every put says anew where
 * a row belongs. LETHE_NOT_FOUND when it is over: nothing was written and the transaction goes on.
 */
LETHE_MUST_CHECK lethe_result store_lease_attach(struct store *store, uint64_t id,
                                                 struct lethe_error *err);

#endif
