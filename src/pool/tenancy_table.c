#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "pool/tenancy_core.h"

/* ---- create ---------------------------------------------------------------------------------- */

lethe_result tenancy_tables_create(struct tenancy *tenancy, struct lethe_error *err)
{
    tenancy->bucket_count = 1;
    while (tenancy->bucket_count < tenancy->options.leases_max)
        tenancy->bucket_count *= 2;
    tenancy->lease_buckets = calloc(tenancy->bucket_count, sizeof *tenancy->lease_buckets);
    tenancy->tenant_buckets = calloc(tenancy->bucket_count, sizeof *tenancy->tenant_buckets);
    tenancy->heap = calloc(tenancy->options.leases_max, sizeof(struct tenant_lease *));
    if (tenancy->lease_buckets == NULL || tenancy->tenant_buckets == NULL || tenancy->heap == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a list of leases");
    return LETHE_OK;
}

static void clear_tenants(struct tenant_bucket *bucket)
{
    struct tenant *tenant;
    while ((tenant = LIST_FIRST(bucket)) != NULL) {
        LIST_REMOVE(tenant, link);
        free(tenant);
    }
}

void tenancy_tables_clear(struct tenancy *tenancy)
{
    for (uint32_t i = 0; i < tenancy->bucket_count && tenancy->tenant_buckets != NULL; i++)
        clear_tenants(&tenancy->tenant_buckets[i]);
    free(tenancy->lease_buckets);
    free(tenancy->tenant_buckets);
    free(tenancy->heap);
}

/* ---- leases by id ---------------------------------------------------------------------------- */

/* The control plane makes ids of random bytes. */
static struct lease_bucket *lease_bucket(const struct tenancy *tenancy, const struct lease_id *id)
{
    uint32_t hash;
    memcpy(&hash, id->bytes, sizeof hash);
    return &tenancy->lease_buckets[hash & (tenancy->bucket_count - 1)];
}

struct tenant_lease *tenancy_find(const struct tenancy *tenancy, const struct lease_id *id)
{
    struct tenant_lease *lease;
    LIST_FOREACH(lease, lease_bucket(tenancy, id), bucket_link)
    if (memcmp(lease->id.bytes, id->bytes, sizeof id->bytes) == 0)
        return lease;
    return NULL;
}

void tenancy_insert(struct tenancy *tenancy, struct tenant_lease *lease)
{
    LIST_INSERT_HEAD(lease_bucket(tenancy, &lease->id), lease, bucket_link);
    LIST_INSERT_HEAD(&lease->tenant->leases, lease, tenant_link);
    tenancy->lease_count++;
}

void tenancy_remove(struct tenancy *tenancy, struct tenant_lease *lease)
{
    LIST_REMOVE(lease, bucket_link);
    LIST_REMOVE(lease, tenant_link);
    tenancy->lease_count--;
    tenant_drop_if_unused(lease->tenant);
}

/* ---- tenants by name ------------------------------------------------------------------------- */

static struct tenant_bucket *tenant_bucket(const struct tenancy *tenancy, const char *name)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (; *name != '\0'; name++)
        hash = (hash ^ (uint8_t)*name) * 16777619u;
    return &tenancy->tenant_buckets[hash & (tenancy->bucket_count - 1)];
}

struct tenant *tenant_find(const struct tenancy *tenancy, const char *name)
{
    struct tenant *tenant;
    LIST_FOREACH(tenant, tenant_bucket(tenancy, name), link)
    if (strcmp(tenant->name, name) == 0)
        return tenant;
    return NULL;
}

struct tenant *tenant_find_or_add(struct tenancy *tenancy, const char *name)
{
    struct tenant *tenant = tenant_find(tenancy, name);
    if (tenant != NULL)
        return tenant;
    tenant = calloc(1, sizeof *tenant + strlen(name) + 1);
    if (tenant == NULL)
        return NULL;
    strcpy(tenant->name, name);
    LIST_INIT(&tenant->leases);
    LIST_INSERT_HEAD(tenant_bucket(tenancy, name), tenant, link);
    return tenant;
}

void tenant_drop_if_unused(struct tenant *tenant)
{
    if (tenant->is_banned || !LIST_EMPTY(&tenant->leases))
        return;
    LIST_REMOVE(tenant, link);
    free(tenant);
}

/* ---- what is due next: a binary heap --------------------------------------------------------- */

static void put(struct tenancy *tenancy, uint32_t at, struct tenant_lease *lease)
{
    tenancy->heap[at] = lease;
    lease->heap_index = at;
}

static void sift_up(struct tenancy *tenancy, uint32_t at, struct tenant_lease *lease)
{
    for (uint32_t parent; at > 0; at = parent) {
        parent = (at - 1) / 2;
        if (tenancy->heap[parent]->due_ms <= lease->due_ms)
            break;
        put(tenancy, at, tenancy->heap[parent]);
    }
    put(tenancy, at, lease);
}

static void sift_down(struct tenancy *tenancy, uint32_t at, struct tenant_lease *lease)
{
    for (uint32_t child; (child = 2 * at + 1) < tenancy->heap_count; at = child) {
        if (child + 1 < tenancy->heap_count &&
            tenancy->heap[child + 1]->due_ms < tenancy->heap[child]->due_ms)
            child++;
        if (tenancy->heap[child]->due_ms >= lease->due_ms)
            break;
        put(tenancy, at, tenancy->heap[child]);
    }
    put(tenancy, at, lease);
}

void due_clear(struct tenancy *tenancy, struct tenant_lease *lease)
{
    uint32_t at = lease->heap_index;
    if (at == HEAP_NONE)
        return;
    struct tenant_lease *last = tenancy->heap[--tenancy->heap_count];
    lease->heap_index = HEAP_NONE;
    if (last == lease)
        return;
    sift_up(tenancy, at, last);
    sift_down(tenancy, last->heap_index, last);
}

void due_set(struct tenancy *tenancy, struct tenant_lease *lease, uint64_t due_ms)
{
    due_clear(tenancy, lease);
    REQUIRE(tenancy->heap_count < tenancy->options.leases_max);
    lease->due_ms = due_ms;
    sift_up(tenancy, tenancy->heap_count++, lease);
}
