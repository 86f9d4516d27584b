/* Many data keys of a model at once: wrapped, opened, or wrapped anew. Records become durable in
 * one group.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "kms/keeper_core.h"
#include "kms/transit.h"

/* The material of one version, kept while item after item needs the same. */
struct material {
    uint64_t version;
    struct lethe_secret *key;
};

static lethe_result need_material(struct keeper *keeper, const char *name, uint64_t version,
                                  struct material *material, struct lethe_error *err)
{
    if (material->key != NULL && material->version == version)
        return LETHE_OK;
    lethe_secret_free(MOVE(material->key));
    material->version = version;
    return keyring_material(keeper->store, name, version, &material->key, err);
}

/* ---- wrapping -------------------------------------------------------------------------------- */

/* Items under one key. Uses are counted and the record is durable before the first is wrapped. */
static lethe_result wrap_run(struct keeper *keeper, const struct key_wrap *items, size_t count,
                             struct lethe_error *err)
{
    uint64_t version;
    const struct key_use *first = &items[0].use;
    CLEANUP(lethe_secret_free) struct lethe_secret *material = NULL;
    TRY(keeper_check_encryption_name(first->key, err));
    TRY(keeper_take_uses(keeper, first->key, count, &version, err));
    TRY(keyring_material(keeper->store, first->key, version, &material, err));
    const struct audit_event event =
        audit_key_used(first->key, version, first->purpose, "allowed", count);
    TRY(keeper_commit_for(keeper, first->key, &event, err));
    for (size_t i = 0; i < count; i++) {
        const struct transit_binding binding = {.key = material,
                                                .version = version,
                                                .aad = items[i].use.aad,
                                                .aad_bytes = items[i].use.aad_bytes};
        TRY(transit_wrap(&binding, keeper->random, items[i].data_key, items[i].wrapped, err));
    }
    return LETHE_OK;
}

static lethe_result wrap_all(struct keeper *keeper, const struct key_wrap *items, size_t count,
                             struct lethe_error *err)
{
    for (size_t begin = 0, end; begin < count; begin = end) {
        for (end = begin + 1; end < count; end++) {
            if (strcmp(items[end].use.key, items[begin].use.key) != 0)
                break;
        }
        TRY(wrap_run(keeper, items + begin, end - begin, err));
    }
    return LETHE_OK;
}

lethe_result keeper_source_wrap_all(void *context, const struct key_wrap *items, size_t count,
                                    struct lethe_error *err)
{
    lethe_result result = wrap_all(context, items, count, err);
    for (size_t i = 0; i < count && result != LETHE_OK; i++)
        buffer_clear(items[i].wrapped);
    return result;
}

/* ---- opening --------------------------------------------------------------------------------- */

struct opening {
    struct keeper *keeper;
    struct material material;
    const struct key_use *checked; /* of the item before, and its version */
    struct audit_event *events;
};

static void opening_clear_at_scope_end(struct opening *opening)
{
    lethe_secret_free(opening->material.key);
    free(opening->events);
}

/* Shards of a model ask for the same: it is looked at once for all that follow one another. */
static bool asks_the_same(const struct key_use *a, const struct key_use *b)
{
    return strcmp(a->key, b->key) == 0 && strcmp(a->purpose, b->purpose) == 0 &&
           a->release == b->release;
}

static lethe_result need_key(struct opening *opening, const struct key_use *use, uint64_t version,
                             struct lethe_error *err)
{
    struct keeper *keeper = opening->keeper;
    bool is_same = opening->checked != NULL && asks_the_same(opening->checked, use);
    if (is_same && opening->material.key != NULL && opening->material.version == version)
        return LETHE_OK;
    if (!is_same)
        lethe_secret_free(MOVE(opening->material.key));
    TRY(keeper_check_encryption_name(use->key, err));
    TRY(keeper_check_use(keeper, use, version, err));
    opening->checked = use;
    return need_material(keeper, use->key, version, &opening->material, err);
}

static lethe_result open_item(struct opening *opening, const struct key_unwrap *item,
                              struct audit_event *event, struct lethe_error *err)
{
    const struct key_use *use = &item->use;
    struct transit_binding binding = {.aad = use->aad, .aad_bytes = use->aad_bytes};
    TRY(transit_version(item->wrapped, &binding.version, err));
    TRY(need_key(opening, use, binding.version, err));
    binding.key = opening->material.key;
    *event = audit_key_released(use->key, binding.version, use->purpose,
                                keeper_actor(opening->keeper), NULL, NULL, use->shard);
    return transit_unwrap(&binding, item->wrapped, item->data_key, err);
}

static lethe_result unwrap_all(struct keeper *keeper, const struct key_unwrap *items, size_t count,
                               struct lethe_error *err)
{
    char tenant[NAME_PART_MAX + 1];
    CLEANUP(opening_clear) struct opening opening = {.keeper = keeper};
    opening.events = calloc(count, sizeof *opening.events);
    if (opening.events == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for the records of %zu keys", count);
    for (size_t i = 0; i < count; i++)
        TRY(error_context(err, open_item(&opening, &items[i], &opening.events[i], err), "shard %s",
                          items[i].use.shard));
    keeper_owner_of(items[0].use.key, tenant); /* they are of one model */
    const struct audit_who who = keeper_who(keeper, tenant);
    TRY(keeper_settle_owed(keeper, err));
    return audit_commit_all(keeper->log, &who, opening.events, count, err);
}

lethe_result keeper_source_unwrap_all(void *context, const struct key_unwrap *items, size_t count,
                                      struct lethe_error *err)
{
    lethe_result result = count > 0 ? unwrap_all(context, items, count, err) : LETHE_OK;
    for (size_t i = 0; i < count && result != LETHE_OK; i++)
        lethe_secret_free(MOVE(*items[i].data_key));
    return result;
}

/* ---- wrapping anew --------------------------------------------------------------------------- */

/* Items under one key. */
struct run {
    struct keeper *keeper;
    const struct key_rewrap *items;
    size_t count;
    struct key_info info;
    uint64_t newest;
    struct material from;
    struct material to;
};

static void run_clear_at_scope_end(struct run *run)
{
    lethe_secret_free(run->from.key);
    lethe_secret_free(run->to.key);
}

/* The data key is in guarded memory, for as long as it takes to wrap it. */
static lethe_result rewrap_item(struct run *run, const struct key_rewrap *item,
                                struct lethe_error *err)
{
    struct transit_binding from = {.aad = item->use.aad, .aad_bytes = item->use.aad_bytes};
    struct transit_binding to = from;
    CLEANUP(lethe_secret_free) struct lethe_secret *data_key = NULL;
    TRY(transit_version(item->wrapped, &from.version, err));
    TRY(key_check_opens(&run->info, from.version, err));
    TRY(need_material(run->keeper, item->use.key, from.version, &run->from, err));
    TRY(need_material(run->keeper, item->use.key, run->newest, &run->to, err));
    from.key = run->from.key;
    to.key = run->to.key;
    to.version = run->newest;
    TRY(transit_unwrap(&from, item->wrapped, &data_key, err));
    return transit_wrap(&to, run->keeper->random, data_key, item->rewrapped, err);
}

/* Uses are counted and the record is durable before the first data key is opened (K-5). */
static lethe_result rewrap_run(struct run *run, struct lethe_error *err)
{
    char purpose[64];
    const char *name = run->items[0].use.key;
    TRY(keeper_check_release(run->keeper, &run->items[0].use, err)); /* they are of one model */
    TRY(keeper_take_uses(run->keeper, name, run->count, &run->newest, err));
    TRY(keyring_info(run->keeper->store, name, &run->info, err));
    snprintf(purpose, sizeof purpose, "rewrap of %zu data keys", run->count);
    const struct audit_event event =
        audit_key_used(name, run->newest, purpose, "allowed", run->count);
    TRY(keeper_commit_for(run->keeper, name, &event, err));
    for (size_t i = 0; i < run->count; i++)
        TRY(error_context(err, rewrap_item(run, &run->items[i], err), "shard %s",
                          run->items[i].use.shard));
    return LETHE_OK;
}

static lethe_result rewrap_all(struct keeper *keeper, const struct key_rewrap *items, size_t count,
                               struct lethe_error *err)
{
    for (size_t begin = 0, end; begin < count; begin = end) {
        for (end = begin + 1; end < count; end++) {
            if (strcmp(items[end].use.key, items[begin].use.key) != 0)
                break;
        }
        CLEANUP(run_clear)
        struct run run = {.keeper = keeper, .items = items + begin, .count = end - begin};
        TRY(rewrap_run(&run, err));
    }
    return LETHE_OK;
}

lethe_result keeper_source_rewrap(void *context, const struct key_rewrap *items, size_t count,
                                  struct lethe_error *err)
{
    lethe_result result = rewrap_all(context, items, count, err);
    for (size_t i = 0; i < count && result != LETHE_OK; i++)
        buffer_clear(items[i].rewrapped);
    return result;
}
