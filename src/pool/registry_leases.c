#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "pool/registry_core.h"

int registry_compare_leases(const void *a, const void *b)
{
    return memcmp(a, b, LEASE_ID_BYTES); /* both begin with it */
}

void registry_count(const struct registry *registry, struct registry_counts *out)
{
    *out = registry->counts;
}

struct pool_lease *registry_find_lease(const struct registry *registry, const struct lease_id *id)
{
    void *node = tfind(id, &registry->leases, registry_compare_leases);
    return node == NULL ? NULL : *(struct pool_lease **)node;
}

/* ---- sums ------------------------------------------------------------------------------------ */

static void count(struct registry *registry, struct pool_lease *lease)
{
    if (lease->state == LEASE_LOST)
        registry->counts.lost++;
    if (!lease_holds_memory(lease->state))
        return;
    registry->counts.held_bytes += lease->bytes;
    lease->consumer->held_bytes += lease->bytes;
    lease->consumer->tenant->held_bytes += lease->bytes;
    lease->provider->lent_bytes += lease->bytes;
}

static void discount(struct registry *registry, struct pool_lease *lease)
{
    if (lease->state == LEASE_LOST)
        registry->counts.lost--;
    if (!lease_holds_memory(lease->state))
        return;
    registry->counts.held_bytes -= lease->bytes;
    lease->consumer->held_bytes -= lease->bytes;
    lease->consumer->tenant->held_bytes -= lease->bytes;
    lease->provider->lent_bytes -= lease->bytes;
}

void registry_set_state(struct registry *registry, struct pool_lease *lease, enum lease_state state)
{
    discount(registry, lease);
    lease->state = state;
    count(registry, lease);
}

/* ---- coming and going ------------------------------------------------------------------------ */

static void list_add(struct pool_lease *lease)
{
    struct pool_provider *provider = lease->provider;
    lease->next = provider->first;
    if (lease->next != NULL)
        lease->next->previous = lease;
    provider->first = lease;
    provider->leases++;
}

static void list_remove(struct pool_lease *lease)
{
    struct pool_lease **from =
        lease->previous != NULL ? &lease->previous->next : &lease->provider->first;
    *from = lease->next;
    if (lease->next != NULL)
        lease->next->previous = lease->previous;
    lease->provider->leases--;
}

static void fill(struct pool_lease *lease, const struct lease_row *row)
{
    *lease = (struct pool_lease){.id = row->lease,
                                 .group = row->group,
                                 .generation = row->generation,
                                 .bytes = row->bytes,
                                 .block_bytes = row->block_bytes,
                                 .ttl_ms = row->ttl_ms,
                                 .granted_ms = row->granted_ms,
                                 .state = row->state,
                                 .cause = row->cause};
    memcpy(lease->boot_id, row->boot_id, sizeof lease->boot_id);
}

static lethe_result check_room(const struct registry *registry, const struct lease_row *row,
                               struct lethe_error *err)
{
    uint64_t sum;
    if (registry->counts.leases >= registry->leases_max)
        return error_set(err, LETHE_LIMIT, "there are %u leases already", registry->leases_max);
    if (__builtin_add_overflow(registry->counts.held_bytes, row->bytes, &sum))
        return error_set(err, LETHE_LIMIT, "all leases together are too large to be counted");
    if (registry_find_lease(registry, &row->lease) != NULL)
        return error_set(err, LETHE_EXISTS, "there is such a lease already");
    return LETHE_OK;
}

static lethe_result insert(struct registry *registry, struct pool_lease *lease,
                           struct lethe_error *err)
{
    if (tsearch(lease, &registry->leases, registry_compare_leases) == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for another lease");
    return LETHE_OK;
}

lethe_result registry_add_lease(struct registry *registry, const struct lease_row *row,
                                struct pool_lease **out, struct lethe_error *err)
{
    struct pool_provider *provider = registry_find_provider(registry, row->provider);
    if (provider == NULL)
        return error_set(err, LETHE_NOT_FOUND, "there is no such provider");
    TRY(check_room(registry, row, err));
    CLEANUP(memory_free) struct pool_lease *lease = malloc(sizeof *lease);
    if (lease == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for another lease");
    fill(lease, row);
    lease->provider = provider;
    TRY(registry_hold_consumer(registry, row->consumer, row->tenant, &lease->consumer, err));
    lethe_result result = insert(registry, lease, err);
    if (result != LETHE_OK) {
        registry_let_consumer_go(registry, lease->consumer);
        return result;
    }
    registry->counts.leases++;
    list_add(lease);
    count(registry, lease);
    provider->generation = MAX(provider->generation, row->generation);
    *out = MOVE(lease);
    return LETHE_OK;
}

void registry_remove_lease(struct registry *registry, struct pool_lease *lease)
{
    discount(registry, lease);
    list_remove(lease);
    tdelete(lease, &registry->leases, registry_compare_leases);
    registry_let_consumer_go(registry, lease->consumer);
    registry->counts.leases--;
    free(lease);
}

/* In rows a lease is running or lost: what it is in between, its provider knows. */
void registry_lease_row(const struct pool_lease *lease, struct lease_row *out)
{
    *out = (struct lease_row){.lease = lease->id,
                              .group = lease->group,
                              .generation = lease->generation,
                              .bytes = lease->bytes,
                              .block_bytes = lease->block_bytes,
                              .ttl_ms = lease->ttl_ms,
                              .granted_ms = lease->granted_ms,
                              .state = lease->state == LEASE_LOST ? LEASE_LOST : LEASE_GRANTED,
                              .cause = lease->cause};
    memcpy(out->boot_id, lease->boot_id, sizeof out->boot_id);
    strcpy(out->consumer, lease->consumer->id);
    strcpy(out->tenant, lease->consumer->tenant->name);
    strcpy(out->provider, lease->provider->row.id);
}
