/* What the control plane is to hear: each lease that changed, until it was acknowledged. */
#include "pool/tenancy_core.h"

void tenancy_mark_changed(struct tenancy *tenancy, struct tenant_lease *lease)
{
    if (lease->is_changed)
        TAILQ_REMOVE(&tenancy->changes, lease, change_link);
    TAILQ_INSERT_TAIL(&tenancy->changes, lease, change_link);
    lease->is_changed = true;
    lease->is_in_report = false;
}

void tenancy_tell_changed(struct tenancy *tenancy)
{
    pthread_mutex_lock(&tenancy->lock);
    void (*changed)(void *) = tenancy->options.changed;
    pthread_mutex_unlock(&tenancy->lock);
    if (changed != NULL)
        changed(tenancy->options.context);
}

static void mark_all(struct tenancy *tenancy)
{
    struct tenant_lease *lease;
    for (uint32_t i = 0; i < tenancy->bucket_count; i++)
        LIST_FOREACH(lease, &tenancy->lease_buckets[i], bucket_link)
    tenancy_mark_changed(tenancy, lease);
}

static struct wire_change change_of(const struct tenant_lease *lease, uint64_t now_ms)
{
    bool runs = lease_holds_memory(lease->state) && lease->state < LEASE_WIPING;
    return (struct wire_change){.lease = lease->id,
                                .generation = lease->generation,
                                .state = lease->state,
                                .cause = lease->cause,
                                .left_ms =
                                    runs && lease->due_ms > now_ms ? lease->due_ms - now_ms : 0};
}

static void report_memory(struct tenancy *tenancy, struct wire_report *out)
{
    struct pool_arena_counters now;
    pool_arena_counters(tenancy->arena, &now);
    out->free_bytes = now.free_bytes;
    out->used_bytes = now.used_bytes;
    out->wiping_bytes = now.wiping_bytes;
    out->unwiped_bytes = now.unwiped_bytes;
}

void tenancy_report(struct tenancy *tenancy, bool all, uint64_t now_ms, struct wire_report *out)
{
    struct tenant_lease *lease;
    pthread_mutex_lock(&tenancy->lock);
    if (all)
        mark_all(tenancy);
    report_memory(tenancy, out);
    out->count = 0;
    TAILQ_FOREACH(lease, &tenancy->changes, change_link)
    {
        if (out->count == WIRE_CHANGES_MAX)
            break;
        out->changes[out->count++] = change_of(lease, now_ms);
        lease->is_in_report = true;
    }
    out->last = lease == NULL;
    pthread_mutex_unlock(&tenancy->lock);
}

void tenancy_reported(struct tenancy *tenancy, const struct wire_report *report)
{
    pthread_mutex_lock(&tenancy->lock);
    for (size_t i = 0; i < report->count; i++) {
        struct tenant_lease *lease = tenancy_find(tenancy, &report->changes[i].lease);
        if (lease == NULL || !lease->is_in_report)
            continue;
        TAILQ_REMOVE(&tenancy->changes, lease, change_link);
        lease->is_changed = lease->is_in_report = false;
        tenancy_forget_if_done(tenancy, lease);
    }
    pthread_mutex_unlock(&tenancy->lock);
}

uint32_t tenancy_leases(struct tenancy *tenancy)
{
    pthread_mutex_lock(&tenancy->lock);
    uint32_t count = tenancy->lease_count;
    pthread_mutex_unlock(&tenancy->lock);
    return count;
}

void tenancy_counters(struct tenancy *tenancy, struct pool_arena_counters *out)
{
    pool_arena_counters(tenancy->arena, out);
}
