#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "pool/registry_core.h"

#define LEASES_MAX 262144u

/* ---- its life -------------------------------------------------------------------------------- */

lethe_result registry_create(uint32_t leases_max, struct registry **out, struct lethe_error *err)
{
    struct registry *registry = calloc(1, sizeof *registry);
    if (registry == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for the registry of leases");
    registry->leases_max = leases_max == 0 ? LEASES_MAX : leases_max;
    *out = registry;
    return LETHE_OK;
}

void registry_free(struct registry *registry)
{
    if (registry == NULL)
        return;
    tdestroy(registry->leases, free);
    tdestroy(registry->consumers, free);
    tdestroy(registry->tenants, free);
    tdestroy(registry->revoked, free);
    for (size_t i = 0; i < registry->provider_count; i++)
        free(registry->providers[i]);
    free(registry);
}

/* ---- from rows ------------------------------------------------------------------------------- */

static lethe_result load_provider(void *context, const struct provider_row *row,
                                  struct lethe_error *err)
{
    struct pool_provider *provider;
    TRY(registry_add_provider(context, row->id, &provider, err));
    provider->row = *row;
    provider->state = row->lost ? PROVIDER_LOST : PROVIDER_UNREACHABLE;
    return LETHE_OK;
}

static lethe_result load_lease(void *context, const struct lease_row *row, struct lethe_error *err)
{
    struct pool_lease *lease;
    lethe_result result = registry_add_lease(context, row, &lease, err);
    if (result == LETHE_NOT_FOUND)
        return error_set(err, LETHE_INTEGRITY, "the store has a lease of a provider that it lacks");
    TRY(result);
    lease->durable = true;
    return LETHE_OK;
}

static lethe_result load_quota(void *context, const struct quota_row *row, struct lethe_error *err)
{
    return registry_set_quota(context, row->tenant, row->bytes, err);
}

static lethe_result load_revoked(void *context, const struct revoked_row *row,
                                 struct lethe_error *err)
{
    return registry_revoke(context, row, err);
}

lethe_result registry_load(struct registry *registry, struct store *store, struct lethe_error *err)
{
    const struct pool_rows_visit visit = {.provider = load_provider,
                                          .lease = load_lease,
                                          .quota = load_quota,
                                          .revoked = load_revoked,
                                          .context = registry};
    return pool_rows_load(store, &visit, err);
}

/* ---- providers ------------------------------------------------------------------------------- */

size_t registry_provider_count(const struct registry *registry)
{
    return registry->provider_count;
}

struct pool_provider *registry_provider(const struct registry *registry, size_t index)
{
    REQUIRE(index < registry->provider_count);
    return registry->providers[index];
}

struct pool_provider *registry_find_provider(const struct registry *registry, const char *id)
{
    for (size_t i = 0; i < registry->provider_count; i++) {
        if (strcmp(registry->providers[i]->row.id, id) == 0)
            return registry->providers[i];
    }
    return NULL;
}

lethe_result registry_add_provider(struct registry *registry, const char *id,
                                   struct pool_provider **out, struct lethe_error *err)
{
    *out = registry_find_provider(registry, id);
    if (*out != NULL)
        return LETHE_OK;
    if (registry->provider_count == REGISTRY_PROVIDERS_MAX)
        return error_set(err, LETHE_LIMIT, "there are %u providers already",
                         REGISTRY_PROVIDERS_MAX);
    struct pool_provider *provider = calloc(1, sizeof *provider);
    if (provider == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for another provider");
    size_t length = strlen(id);
    REQUIRE(length < sizeof provider->row.id);
    memcpy(provider->row.id, id, length + 1);
    provider->state = PROVIDER_UNREACHABLE;
    registry->providers[registry->provider_count++] = provider;
    *out = provider;
    return LETHE_OK;
}

void registry_candidates(const struct registry *registry, struct placement_candidate *out)
{
    for (size_t i = 0; i < registry->provider_count; i++) {
        const struct pool_provider *provider = registry->providers[i];
        uint64_t asked = MIN(provider->asked_bytes, provider->free_bytes);
        out[i] = (struct placement_candidate){.id = provider->row.id,
                                              .free_bytes = provider->free_bytes - asked,
                                              .leases = provider->leases,
                                              .usable = provider->state == PROVIDER_JOINED &&
                                                        provider->listed &&
                                                        provider->row.wish == PROVIDER_OPEN};
    }
}
