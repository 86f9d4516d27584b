/* pool/tenancy_core.h -- what the files of the tenancy share.
 *
 * Lock order: tenancy's lock, then the arena's (giving back), or a loop's (`over`, `cut`). */
#ifndef POOL_TENANCY_CORE_H
#define POOL_TENANCY_CORE_H

#include <pthread.h>
#include <sys/queue.h>

#include "pool/tenancy.h"

struct tenant_lease;

/* Who has leases here, or is banned. */
struct tenant {
    LIST_ENTRY(tenant) link; /* in its bucket */
    LIST_HEAD(, tenant_lease) leases;
    bool is_banned;
    char name[]; /* SPIFFE id */
};

struct attachment {
    LIST_ENTRY(attachment) link; /* in its lease */
    struct tenant_lease *lease;
    void *owner;
    uint32_t channel;
    uint32_t holds;
    bool writes;   /* data of a WRITE are coming in */
    bool is_over;  /* it was told so, or asked for it */
    bool is_taken; /* over because another connection has the lease */
};

struct tenant_lease {
    struct lease_id id;
    struct tenant *tenant;
    LIST_ENTRY(tenant_lease) bucket_link;
    LIST_ENTRY(tenant_lease) tenant_link;
    TAILQ_ENTRY(tenant_lease) change_link;
    STAILQ_ENTRY(tenant_lease) record_link;
    LIST_HEAD(, attachment) attachments; /* the good one, if there is one, is the first */

    uint64_t generation;
    uint64_t ttl_ms;
    uint64_t due_ms;      /* when it expires; of one that is over: when who holds it is cut off */
    uint64_t renew_to_ms; /* not renewed beyond; 0: no token was shown */
    uint64_t granted_ms;  /* here, and by the control plane's clock */
    uint64_t issued_ms;
    uint32_t heap_index; /* HEAP_NONE: not in it */
    uint32_t holds;      /* of all attachments */
    uint8_t state;       /* enum lease_state */
    uint8_t cause;       /* enum lease_cause */
    bool is_changed;     /* in the list of changes */
    bool is_in_report;   /* and unchanged since that report was made */
    bool is_given_back;  /* to the arena */
    bool is_recording;   /* its end is not on record yet */
    tenancy_done *done;
    void *done_context;
    struct arena_extents extents;
};
#define HEAP_NONE UINT32_MAX

/* What a lease costs besides its pages: this, its bucket, its place in the heap, and at most one
 * tenant of its own. */
_Static_assert(sizeof(struct tenant_lease) + sizeof(struct attachment) + sizeof(struct tenant) +
                       SPIFFE_ID_MAX + 1 + 2 * sizeof(void *) + sizeof(uint32_t) <
                   1024,
               "bookkeeping stays under 1 KiB a lease");

LIST_HEAD(tenant_bucket, tenant);
LIST_HEAD(lease_bucket, tenant_lease);

struct tenancy {
    pthread_mutex_t lock;
    struct tenancy_options options;
    char provider[SPIFFE_ID_MAX + 1];
    struct pool_arena *arena;

    /* lock, as all below */
    struct lease_bucket *lease_buckets; /* bucket_count of each */
    struct tenant_bucket *tenant_buckets;
    uint32_t bucket_count; /* a power of two */
    uint32_t lease_count;
    uint32_t ban_count;
    struct tenant_lease **heap; /* the next that is due first */
    uint32_t heap_count;
    TAILQ_HEAD(, tenant_lease) changes;
    struct audit_key key;
    bool has_key;
    bool is_draining;

    /* tenancy_record.c */
    STAILQ_HEAD(, tenant_lease) unrecorded;
    pthread_cond_t to_record;
    pthread_t recorder;
    bool has_recorder;
    bool is_ending;
};

/* ---- tenancy_table.c: finding leases and tenants; what is due next -----------------------------
 */

LETHE_MUST_CHECK lethe_result tenancy_tables_create(struct tenancy *tenancy,
                                                    struct lethe_error *err);
void tenancy_tables_clear(struct tenancy *tenancy);
struct tenant_lease *tenancy_find(const struct tenancy *tenancy, const struct lease_id *id);
void tenancy_insert(struct tenancy *tenancy, struct tenant_lease *lease);
void tenancy_remove(struct tenancy *tenancy, struct tenant_lease *lease);
struct tenant *tenant_find(const struct tenancy *tenancy, const char *name);
struct tenant *tenant_find_or_add(struct tenancy *tenancy, const char *name); /* NULL: no memory */
void tenant_drop_if_unused(struct tenant *tenant);
/* Puts it where its due_ms belongs, whether it is in the heap or not; takes it out. */
void due_set(struct tenancy *tenancy, struct tenant_lease *lease, uint64_t due_ms);
void due_clear(struct tenancy *tenancy, struct tenant_lease *lease);

/* ---- tenancy_end.c: the ways to the end. All within the lock -----------------------------------
 */

/* Does nothing to one that is over already. */
void tenancy_end(struct tenancy *tenancy, struct tenant_lease *lease, enum lease_cause cause,
                 uint64_t now_ms);
/* An attachment is over, and its owner is told. */
void attachment_over(struct tenancy *tenancy, struct attachment *attachment,
                     enum lease_cause cause);
/* Gives the pages of an ended lease back, once nobody holds them. */
void tenancy_give_back(struct tenancy *tenancy, struct tenant_lease *lease);
/* Forgets one that is final, reported, recorded, and that nobody refers to. */
void tenancy_forget_if_done(struct tenancy *tenancy, struct tenant_lease *lease);
/* The arena's call. */
void tenancy_wiped(void *context, void *cookie, bool verified);

/* ---- tenancy_report.c --------------------------------------------------------------------------
 */

void tenancy_mark_changed(struct tenancy *tenancy, struct tenant_lease *lease);
void tenancy_tell_changed(struct tenancy *tenancy); /* without the lock */

/* ---- tenancy_record.c --------------------------------------------------------------------------
 */

/* What a record says, so that it can be written without the lock. */
struct lease_record {
    struct lease_id id;
    char consumer[SPIFFE_ID_MAX + 1];
    uint64_t bytes;
    enum lease_state state;
    enum lease_cause cause;
};
void lease_record_fill(const struct tenant_lease *lease, struct lease_record *out);
enum lease_record_kind { RECORD_ATTACHED, RECORD_FROZEN, RECORD_RESUMED };
void tenancy_record(struct tenancy *tenancy, enum lease_record_kind kind,
                    const struct lease_record *record);
/* A token that was forged, or is another's: counted against who showed it. */
void tenancy_record_refused(struct tenancy *tenancy, const char *consumer, const char *why);
/* Within the lock: that it was wiped, or not, goes on record soon. */
void tenancy_record_end(struct tenancy *tenancy, struct tenant_lease *lease);
LETHE_MUST_CHECK lethe_result tenancy_recorder_start(struct tenancy *tenancy,
                                                     struct lethe_error *err);
/* Once nothing can be recorded any more: waits for the last of them. */
void tenancy_recorder_stop(struct tenancy *tenancy);

#endif
