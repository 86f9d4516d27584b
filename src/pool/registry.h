/* pool/registry.h -- what the control plane knows: providers, leases, and who holds how much.
 *
 * In memory, made from the rows (pool/pool_rows.h) and what providers report. Sums are kept along:
 * what a tenant, a consumer, a provider holds is a lookup. A lease counts from the moment that it
 * is asked for until its memory is free again, so that requests which race cannot get more than
 * quota and provider have. Nothing is decided here and nothing made durable.
 *
 * Pointers stay valid: of a provider for ever, of a lease until registry_lease_remove(), of
 * consumers and tenants while they hold something (tenants also: while they have a quota). Thread
 * rule: one thread. */
#ifndef POOL_REGISTRY_H
#define POOL_REGISTRY_H

#include "pool/placement.h"
#include "pool/pool_rows.h"

#define REGISTRY_PROVIDERS_MAX 1024u
#define REGISTRY_REVOKED_MAX 65536u
#define REGISTRY_QUOTAS_MAX 65536u

struct pool_tenant {
    char name[65];
    bool has_quota;
    uint64_t quota_bytes;
    uint64_t held_bytes;
    uint32_t leases;
};
struct pool_consumer {
    char id[SPIFFE_ID_MAX + 1];
    struct pool_tenant *tenant;
    uint64_t held_bytes;
    uint32_t leases; /* lost ones too */
};

enum provider_state { PROVIDER_JOINED, PROVIDER_UNREACHABLE, PROVIDER_LOST };
struct pool_provider {
    struct provider_row row;
    enum provider_state state;
    bool listed; /* joined, and has reported every lease that it has */
    bool stale;  /* its row does not say yet what is here */
    uint64_t free_bytes, used_bytes, wiping_bytes, unwiped_bytes; /* as reported */
    uint64_t asked_bytes; /* of grants that it has not answered yet */
    uint64_t lent_bytes;
    uint32_t leases;     /* lost ones too */
    uint64_t generation; /* of the newest grant */
    uint64_t heard_ms;   /* loop's clock */
    struct pool_lease *first;
    void *link; /* the owner's; NULL: none */
};

struct pool_lease {
    struct lease_id id;
    struct lease_id group;
    uint8_t boot_id[BOOT_ID_BYTES];
    uint64_t generation;
    uint64_t bytes;
    uint32_t block_bytes;
    uint64_t ttl_ms;
    uint64_t granted_ms; /* wall clock */
    uint64_t expires_ms; /* loop's clock, as last reported; 0: not known */
    uint64_t lost_ms;    /* loop's clock: since when it is LOST */
    enum lease_state state;
    enum lease_cause cause; /* why it ends, once it does */
    bool durable;           /* there is a row */
    bool ending;            /* its end is on its way into row and record */
    bool seen;              /* since its provider joined */
    struct pool_consumer *consumer;
    struct pool_provider *provider;
    struct pool_lease *next, *previous; /* of its provider's */
    void *waiting;                      /* the owner's: who waits for its end; NULL: nobody */
};

struct registry;
LETHE_MUST_CHECK lethe_result registry_create(uint32_t leases_max, struct registry **out,
                                              struct lethe_error *err);
void registry_free(struct registry *registry); /* NULL is fine */
DEFINE_CLEANUP(registry_free, struct registry *);
/* From rows. Providers are unreachable, leases as their rows say. LETHE_INTEGRITY: a lease whose
 * provider has no row. */
LETHE_MUST_CHECK lethe_result registry_load(struct registry *registry, struct store *store,
                                            struct lethe_error *err);

/* ---- providers ------------------------------------------------------------------------------- */

size_t registry_provider_count(const struct registry *registry);
struct pool_provider *registry_provider(const struct registry *registry, size_t index);
struct pool_provider *registry_find_provider(const struct registry *registry, const char *id);
/* LETHE_LIMIT, LETHE_NO_MEMORY. Of one that is known: that. */
LETHE_MUST_CHECK lethe_result registry_add_provider(struct registry *registry, const char *id,
                                                    struct pool_provider **out,
                                                    struct lethe_error *err);
/* What placement sees; `out` has room for every provider. */
void registry_candidates(const struct registry *registry, struct placement_candidate *out);

/* ---- leases ---------------------------------------------------------------------------------- */

struct registry_counts {
    uint32_t leases; /* lost ones too */
    uint32_t lost;
    uint64_t held_bytes;
};
void registry_count(const struct registry *registry, struct registry_counts *out);
struct pool_lease *registry_find_lease(const struct registry *registry, const struct lease_id *id);
/* A lease as its row says, counted from now on. LETHE_LIMIT, LETHE_EXISTS, LETHE_NO_MEMORY;
 * LETHE_NOT_FOUND: no such provider. */
LETHE_MUST_CHECK lethe_result registry_add_lease(struct registry *registry,
                                                 const struct lease_row *row,
                                                 struct pool_lease **out, struct lethe_error *err);
void registry_remove_lease(struct registry *registry, struct pool_lease *lease);
/* As the provider, or its silence, says; keeps the sums. LOST leases hold nothing. */
void registry_set_state(struct registry *registry, struct pool_lease *lease,
                        enum lease_state state);
void registry_lease_row(const struct pool_lease *lease, struct lease_row *out);

/* ---- who holds how much ---------------------------------------------------------------------- */

/* NULL: holds nothing. */
struct pool_consumer *registry_find_consumer(const struct registry *registry, const char *id);
struct pool_tenant *registry_find_tenant(const struct registry *registry, const char *name);
/* UINT64_MAX: none, as from the beginning. LETHE_LIMIT, LETHE_NO_MEMORY. */
#define REGISTRY_NO_QUOTA UINT64_MAX
LETHE_MUST_CHECK lethe_result registry_set_quota(struct registry *registry, const char *tenant,
                                                 uint64_t bytes, struct lethe_error *err);
/* Whether a tenant may hold so much more. LETHE_LIMIT says what it holds and may. */
LETHE_MUST_CHECK lethe_result registry_check_quota(const struct registry *registry,
                                                   const char *tenant, uint64_t bytes,
                                                   uint64_t default_quota_bytes,
                                                   struct lethe_error *err);

/* ---- who gets nothing any more --------------------------------------------------------------- */

const struct revoked_row *registry_find_revoked(const struct registry *registry, const char *id);
/* LETHE_LIMIT, LETHE_NO_MEMORY; of one that is revoked already, nothing. */
LETHE_MUST_CHECK lethe_result registry_revoke(struct registry *registry,
                                              const struct revoked_row *row,
                                              struct lethe_error *err);
void registry_restore(struct registry *registry, const char *id);

/* In order of id or name, each while the callback says true. */
void registry_each_tenant(const struct registry *registry,
                          bool (*visit)(void *context, const struct pool_tenant *tenant),
                          void *context);
void registry_each_revoked(const struct registry *registry,
                           bool (*visit)(void *context, const struct revoked_row *row),
                           void *context);

#endif
