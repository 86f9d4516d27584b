/* A tenancy is made, does what the control plane wishes, and ends. */
#include "pool/tenancy.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "pool/tenancy_core.h"

/* ---- create and free ------------------------------------------------------------------------- */

static lethe_result start(struct tenancy *tenancy, struct lethe_error *err)
{
    struct pool_arena_options arena = tenancy->options.arena;
    arena.wiped = tenancy_wiped;
    arena.context = tenancy;
    TRY(tenancy_tables_create(tenancy, err));
    TRY(pool_arena_create(&arena, &tenancy->arena, err));
    return tenancy_recorder_start(tenancy, err);
}

lethe_result tenancy_create(const struct tenancy_options *options, struct tenancy **out,
                            struct lethe_error *err)
{
    *out = NULL;
    REQUIRE(strlen(options->provider) <= SPIFFE_ID_MAX);
    CLEANUP(tenancy_free) struct tenancy *tenancy = calloc(1, sizeof *tenancy);
    if (tenancy == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for leases");
    pthread_mutex_init(&tenancy->lock, NULL);
    pthread_cond_init(&tenancy->to_record, NULL);
    TAILQ_INIT(&tenancy->changes);
    STAILQ_INIT(&tenancy->unrecorded);
    tenancy->options = *options;
    strcpy(tenancy->provider, options->provider);
    if (tenancy->options.leases_max == 0)
        tenancy->options.leases_max = TENANCY_LEASES_MAX;
    TRY(start(tenancy, err));
    *out = MOVE(tenancy);
    return LETHE_OK;
}

/* Nobody acknowledges any more. */
static void forget_all(struct tenancy *tenancy)
{
    struct tenant_lease *lease;
    while ((lease = TAILQ_FIRST(&tenancy->changes)) != NULL) {
        TAILQ_REMOVE(&tenancy->changes, lease, change_link);
        lease->is_changed = false;
        tenancy_forget_if_done(tenancy, lease);
    }
    REQUIRE(tenancy->lease_count == 0);
}

void tenancy_free(struct tenancy *tenancy)
{
    if (tenancy == NULL)
        return;
    pthread_mutex_lock(&tenancy->lock);
    tenancy->options.over = NULL;
    tenancy->options.changed = NULL;
    pthread_mutex_unlock(&tenancy->lock);
    if (tenancy->lease_buckets != NULL)
        tenancy_stop_all(tenancy, LEASE_CAUSE_DRAINED, 0);
    pool_arena_free(tenancy->arena);
    tenancy_recorder_stop(tenancy);
    forget_all(tenancy);
    tenancy_tables_clear(tenancy);
    pthread_cond_destroy(&tenancy->to_record);
    pthread_mutex_destroy(&tenancy->lock);
    free(tenancy);
}

/* ---- grant ----------------------------------------------------------------------------------- */

static lethe_result check_grant(const struct tenancy *tenancy, const struct lease_terms *terms,
                                struct lethe_error *err)
{
    const struct tenant *tenant = tenant_find(tenancy, terms->consumer);
    if (strcmp(terms->provider, tenancy->provider) != 0 ||
        memcmp(terms->boot_id, tenancy->options.boot_id, BOOT_ID_BYTES) != 0)
        return error_set(err, LETHE_INVALID, "the lease is for another provider, or another boot");
    if (tenancy->is_draining)
        return error_set(err, LETHE_UNAVAILABLE, "the provider drains");
    if (tenant != NULL && tenant->is_banned)
        return error_set(err, LETHE_REVOKED, "%s is revoked", terms->consumer);
    if (tenancy_find(tenancy, &terms->lease) != NULL)
        return error_set(err, LETHE_EXISTS, "there is such a lease already");
    if (tenancy->lease_count == tenancy->options.leases_max)
        return error_set(err, LETHE_LIMIT, "there are %" PRIu32 " leases already",
                         tenancy->lease_count);
    return LETHE_OK;
}

static void fill(struct tenant_lease *lease, const struct lease_terms *terms, uint64_t now_ms)
{
    lease->id = terms->lease;
    lease->generation = terms->generation;
    lease->ttl_ms = terms->ttl_ms;
    lease->granted_ms = now_ms;
    lease->issued_ms = terms->issued_ms;
    lease->state = LEASE_GRANTED;
    lease->heap_index = HEAP_NONE;
    LIST_INIT(&lease->attachments);
}

static lethe_result grant(struct tenancy *tenancy, const struct lease_terms *terms, uint64_t now_ms,
                          struct lethe_error *err)
{
    uint64_t due_ms;
    TRY(check_grant(tenancy, terms, err));
    if (terms->block_bytes == 0 || __builtin_add_overflow(now_ms, terms->ttl_ms, &due_ms))
        return error_set(err, LETHE_INVALID, "a lease without blocks, or without end");
    CLEANUP(memory_free) struct tenant_lease *lease = calloc(1, sizeof *lease);
    if (lease == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a lease");
    fill(lease, terms, now_ms);
    lease->tenant = tenant_find_or_add(tenancy, terms->consumer);
    if (lease->tenant == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a lease");
    lethe_result result = pool_arena_take(tenancy->arena, terms->bytes / terms->block_bytes,
                                          terms->block_bytes, &lease->extents, err);
    if (result != LETHE_OK) {
        tenant_drop_if_unused(lease->tenant);
        return result;
    }
    tenancy_insert(tenancy, lease);
    due_set(tenancy, lease, due_ms);
    tenancy_mark_changed(tenancy, MOVE(lease));
    return LETHE_OK;
}

lethe_result tenancy_grant(struct tenancy *tenancy, const struct lease_terms *terms,
                           uint64_t now_ms, struct lethe_error *err)
{
    pthread_mutex_lock(&tenancy->lock);
    lethe_result result = grant(tenancy, terms, now_ms, err);
    pthread_mutex_unlock(&tenancy->lock);
    return result;
}

/* ---- stop ------------------------------------------------------------------------------------ */

bool tenancy_stop(struct tenancy *tenancy, const struct lease_id *id, enum lease_cause cause,
                  uint64_t now_ms)
{
    pthread_mutex_lock(&tenancy->lock);
    struct tenant_lease *lease = tenancy_find(tenancy, id);
    if (lease != NULL)
        tenancy_end(tenancy, lease, cause, now_ms);
    pthread_mutex_unlock(&tenancy->lock);
    if (lease != NULL)
        tenancy_tell_changed(tenancy);
    return lease != NULL;
}

void tenancy_stop_all(struct tenancy *tenancy, enum lease_cause cause, uint64_t now_ms)
{
    struct tenant_lease *lease;
    pthread_mutex_lock(&tenancy->lock);
    for (uint32_t i = 0; i < tenancy->bucket_count; i++)
        LIST_FOREACH(lease, &tenancy->lease_buckets[i], bucket_link)
    tenancy_end(tenancy, lease, cause, now_ms);
    pthread_mutex_unlock(&tenancy->lock);
    tenancy_tell_changed(tenancy);
}

void tenancy_drain(struct tenancy *tenancy, bool on)
{
    pthread_mutex_lock(&tenancy->lock);
    tenancy->is_draining = on;
    pthread_mutex_unlock(&tenancy->lock);
}

void tenancy_trust(struct tenancy *tenancy, const struct audit_key *key)
{
    pthread_mutex_lock(&tenancy->lock);
    tenancy->key = *key;
    tenancy->has_key = true;
    pthread_mutex_unlock(&tenancy->lock);
}

/* ---- ban ------------------------------------------------------------------------------------- */

static lethe_result ban(struct tenancy *tenancy, const char *consumer, uint64_t now_ms,
                        struct lethe_error *err)
{
    struct tenant_lease *lease;
    struct tenant *tenant = tenant_find(tenancy, consumer);
    if (tenant != NULL && tenant->is_banned)
        return LETHE_OK;
    if (tenant != NULL)
        LIST_FOREACH(lease, &tenant->leases, tenant_link)
    tenancy_end(tenancy, lease, LEASE_CAUSE_REVOKED, now_ms);
    if (tenancy->ban_count == TENANCY_BANS_MAX)
        return error_set(err, LETHE_LIMIT, "%u identities are revoked already", TENANCY_BANS_MAX);
    tenant = tenant_find_or_add(tenancy, consumer);
    if (tenant == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a revoked identity");
    tenant->is_banned = true;
    tenancy->ban_count++;
    return LETHE_OK;
}

static void forgive(struct tenancy *tenancy, const char *consumer)
{
    struct tenant *tenant = tenant_find(tenancy, consumer);
    if (tenant == NULL || !tenant->is_banned)
        return;
    tenant->is_banned = false;
    tenancy->ban_count--;
    tenant_drop_if_unused(tenant);
}

lethe_result tenancy_ban(struct tenancy *tenancy, const char *consumer, bool on, uint64_t now_ms,
                         struct lethe_error *err)
{
    lethe_result result = LETHE_OK;
    REQUIRE(strlen(consumer) <= SPIFFE_ID_MAX);
    pthread_mutex_lock(&tenancy->lock);
    if (on)
        result = ban(tenancy, consumer, now_ms, err);
    else
        forgive(tenancy, consumer);
    pthread_mutex_unlock(&tenancy->lock);
    tenancy_tell_changed(tenancy);
    return result;
}

bool tenancy_is_banned(struct tenancy *tenancy, const char *consumer)
{
    pthread_mutex_lock(&tenancy->lock);
    const struct tenant *tenant = tenant_find(tenancy, consumer);
    bool is_banned = tenant != NULL && tenant->is_banned;
    pthread_mutex_unlock(&tenancy->lock);
    return is_banned;
}
