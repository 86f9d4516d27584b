/* pool/registry_core.h -- the inside of the registry, for its own files:
 *   registry.c          its life, and providers
 *   registry_leases.c   leases and their sums
 *   registry_names.c    tenants, consumers, and identities that were revoked
 *
 * Leases, tenants, consumers and revoked identities are in balanced trees (tsearch(3)), whose
 * depth nobody outside can choose. */
#ifndef POOL_REGISTRY_CORE_H
#define POOL_REGISTRY_CORE_H

#include "pool/registry.h"

struct registry {
    struct pool_provider *providers[REGISTRY_PROVIDERS_MAX];
    size_t provider_count;
    void *leases, *consumers, *tenants, *revoked; /* roots of trees */
    uint32_t leases_max, quota_count, revoked_count;
    struct registry_counts counts;
};

int registry_compare_leases(const void *a, const void *b);
int registry_compare_names(const void *a, const void *b);

/* The consumer, made when it is not there. Each lease holds it once: LETHE_NO_MEMORY. */
LETHE_MUST_CHECK lethe_result registry_hold_consumer(struct registry *registry, const char *id,
                                                     const char *tenant, struct pool_consumer **out,
                                                     struct lethe_error *err);
void registry_let_consumer_go(struct registry *registry, struct pool_consumer *consumer);

#endif
