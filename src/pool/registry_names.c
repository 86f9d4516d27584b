#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "pool/registry_core.h"

_Static_assert(offsetof(struct pool_tenant, name) == 0 && offsetof(struct pool_consumer, id) == 0 &&
                   offsetof(struct revoked_row, id) == 0,
               "what is looked up by a name begins with it");

int registry_compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void *find(void *const *tree, const char *name)
{
    void *node = tfind(name, tree, registry_compare_names);
    return node == NULL ? NULL : *(void **)node;
}

/* An object of `size_bytes` that begins with its name, zeros behind; it is the tree's. */
static void *add(void **tree, const char *name, size_t name_size, size_t size_bytes)
{
    size_t length = strlen(name);
    REQUIRE(length < name_size);
    char *object = calloc(1, size_bytes);
    if (object == NULL)
        return NULL;
    memcpy(object, name, length + 1);
    if (tsearch(object, tree, registry_compare_names) == NULL) {
        free(object);
        return NULL;
    }
    return object;
}

static void drop(void **tree, void *object)
{
    tdelete(object, tree, registry_compare_names);
    free(object);
}

static lethe_result no_memory(struct lethe_error *err)
{
    return error_set(err, LETHE_NO_MEMORY, "no memory for another name");
}

/* ---- tenants and consumers ------------------------------------------------------------------- */

struct pool_consumer *registry_find_consumer(const struct registry *registry, const char *id)
{
    return find(&registry->consumers, id);
}

struct pool_tenant *registry_find_tenant(const struct registry *registry, const char *name)
{
    return find(&registry->tenants, name);
}

static struct pool_tenant *need_tenant(struct registry *registry, const char *name)
{
    struct pool_tenant *tenant = registry_find_tenant(registry, name);
    return tenant != NULL ? tenant
                          : add(&registry->tenants, name, sizeof tenant->name, sizeof *tenant);
}

static void let_tenant_go(struct registry *registry, struct pool_tenant *tenant)
{
    if (tenant->leases == 0 && !tenant->has_quota)
        drop(&registry->tenants, tenant);
}

static struct pool_consumer *make_consumer(struct registry *registry, const char *id,
                                           const char *tenant)
{
    struct pool_consumer *consumer;
    struct pool_tenant *owner = need_tenant(registry, tenant);
    if (owner == NULL)
        return NULL;
    consumer = add(&registry->consumers, id, sizeof consumer->id, sizeof *consumer);
    if (consumer == NULL)
        let_tenant_go(registry, owner);
    else
        consumer->tenant = owner;
    return consumer;
}

lethe_result registry_hold_consumer(struct registry *registry, const char *id, const char *tenant,
                                    struct pool_consumer **out, struct lethe_error *err)
{
    *out = registry_find_consumer(registry, id);
    if (*out == NULL)
        *out = make_consumer(registry, id, tenant);
    if (*out == NULL)
        return no_memory(err);
    (*out)->leases++;
    (*out)->tenant->leases++;
    return LETHE_OK;
}

void registry_let_consumer_go(struct registry *registry, struct pool_consumer *consumer)
{
    struct pool_tenant *tenant = consumer->tenant;
    tenant->leases--;
    if (--consumer->leases == 0)
        drop(&registry->consumers, consumer);
    let_tenant_go(registry, tenant);
}

/* ---- quotas ---------------------------------------------------------------------------------- */

lethe_result registry_set_quota(struct registry *registry, const char *name, uint64_t bytes,
                                struct lethe_error *err)
{
    struct pool_tenant *tenant = registry_find_tenant(registry, name);
    bool had = tenant != NULL && tenant->has_quota, has = bytes != REGISTRY_NO_QUOTA;
    if (!had && has && registry->quota_count == REGISTRY_QUOTAS_MAX)
        return error_set(err, LETHE_LIMIT, "there are %u quotas already", REGISTRY_QUOTAS_MAX);
    if (tenant == NULL && has)
        tenant = need_tenant(registry, name);
    if (tenant == NULL)
        return has ? no_memory(err) : LETHE_OK;
    registry->quota_count += (uint32_t)has - (uint32_t)had;
    tenant->has_quota = has;
    tenant->quota_bytes = has ? bytes : 0;
    let_tenant_go(registry, tenant);
    return LETHE_OK;
}

lethe_result registry_check_quota(const struct registry *registry, const char *name, uint64_t bytes,
                                  uint64_t default_quota_bytes, struct lethe_error *err)
{
    uint64_t sum;
    const struct pool_tenant *tenant = registry_find_tenant(registry, name);
    uint64_t held = tenant == NULL ? 0 : tenant->held_bytes;
    uint64_t quota = default_quota_bytes == 0 ? UINT64_MAX : default_quota_bytes;
    if (tenant != NULL && tenant->has_quota)
        quota = tenant->quota_bytes;
    if (!__builtin_add_overflow(held, bytes, &sum) && sum <= quota)
        return LETHE_OK;
    error_set(err, LETHE_LIMIT, "tenant %s holds %llu of %llu bytes that it may, and asks for %llu",
              name, (unsigned long long)held, (unsigned long long)quota, (unsigned long long)bytes);
    error_hint(err, "release leases, or have an operator raise it: lethe pool quota");
    return LETHE_LIMIT;
}

/* ---- revoked identities ---------------------------------------------------------------------- */

const struct revoked_row *registry_find_revoked(const struct registry *registry, const char *id)
{
    return find(&registry->revoked, id);
}

lethe_result registry_revoke(struct registry *registry, const struct revoked_row *row,
                             struct lethe_error *err)
{
    struct revoked_row *entry;
    if (registry_find_revoked(registry, row->id) != NULL)
        return LETHE_OK;
    if (registry->revoked_count == REGISTRY_REVOKED_MAX)
        return error_set(err, LETHE_LIMIT, "%u identities are revoked already",
                         REGISTRY_REVOKED_MAX);
    entry = add(&registry->revoked, row->id, sizeof entry->id, sizeof *entry);
    if (entry == NULL)
        return no_memory(err);
    *entry = *row;
    registry->revoked_count++;
    return LETHE_OK;
}

void registry_restore(struct registry *registry, const char *id)
{
    void *entry = find(&registry->revoked, id);
    if (entry == NULL)
        return;
    drop(&registry->revoked, entry);
    registry->revoked_count--;
}

/* ---- all of them ----------------------------------------------------------------------------- */

struct walk {
    bool (*visit)(void *context, const void *object);
    void *context;
    bool over;
};

static void walk_node(const void *node, VISIT which, void *closure)
{
    struct walk *walk = closure;
    if ((which == postorder || which == leaf) && !walk->over)
        walk->over = !walk->visit(walk->context, *(const void *const *)node);
}

struct walk_tenants {
    bool (*visit)(void *context, const struct pool_tenant *tenant);
    void *context;
};
static bool visit_tenant(void *context, const void *object)
{
    const struct walk_tenants *walk = context;
    return walk->visit(walk->context, object);
}

void registry_each_tenant(const struct registry *registry,
                          bool (*visit)(void *context, const struct pool_tenant *tenant),
                          void *context)
{
    struct walk_tenants typed = {visit, context};
    struct walk walk = {visit_tenant, &typed, false};
    twalk_r(registry->tenants, walk_node, &walk);
}

struct walk_revoked {
    bool (*visit)(void *context, const struct revoked_row *row);
    void *context;
};
static bool visit_revoked(void *context, const void *object)
{
    const struct walk_revoked *walk = context;
    return walk->visit(walk->context, object);
}

void registry_each_revoked(const struct registry *registry,
                           bool (*visit)(void *context, const struct revoked_row *row),
                           void *context)
{
    struct walk_revoked typed = {visit, context};
    struct walk walk = {visit_revoked, &typed, false};
    twalk_r(registry->revoked, walk_node, &walk);
}
