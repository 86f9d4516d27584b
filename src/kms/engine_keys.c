/* Creating, rotating and deleting keys; each is on record. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "kms/engine_core.h"
#include "kms/usage.h"

struct key_change {
    const char *name;
    const struct key_options *options;
    struct key_info made;
    char fingerprint[FINGERPRINT_SIZE];
};

lethe_result engine_change(struct engine *engine, const char *name, keeper_edit *change,
                           void *context, struct lethe_error *err)
{
    char tenant[NAME_PART_MAX + 1];
    TRY(engine_check_name(name, err));
    keeper_owner_of(name, tenant);
    lethe_result result = keeper_make_change(engine->keeper, tenant, change, context, err);
    kept_forget(engine, name); /* after a failure, too: it may have been durable */
    return result;
}

/* What was made, for the record. */
static lethe_result look(struct keeper *keeper, struct key_change *change, struct lethe_error *err)
{
    TRY(keyring_info(keeper->store, change->name, &change->made, err));
    return keeper_fingerprint(keeper, &change->made, change->fingerprint, err);
}

/* ---- creating -------------------------------------------------------------------------------- */

static lethe_result create(struct keeper *keeper, void *context, uint64_t epoch,
                           struct audit_event *event, struct lethe_error *err)
{
    struct key_change *change = context;
    TRY(keyring_create_with(keeper->store, change->name, change->options, keeper_now_s(keeper),
                            err));
    TRY(look(keeper, change, err));
    *event = audit_key_created(change->name, engine_type_name(change->made.type),
                               change->made.newest_version, change->fingerprint, epoch);
    return LETHE_OK;
}

lethe_result engine_check_new_name(const char *name, struct lethe_error *err)
{
    enum key_kind kind;
    TRY(key_name_check_any(name, &kind, err));
    return kind != KEY_LOG_SIGNER
               ? LETHE_OK
               : error_set(err, LETHE_INVALID, "NODE.log is what the key of a log is called");
}

static lethe_result check_new(const char *name, const struct engine_create_options *options,
                              struct lethe_error *err)
{
    TRY(engine_check_new_name(name, err));
    return engine_check_auto_rotate(options->auto_rotate_s, err);
}

lethe_result engine_create_key(struct engine *engine, const char *name,
                               const struct engine_create_options *options, bool *existed,
                               struct lethe_error *err)
{
    const struct key_options made = {.type = options->type,
                                     .rotate_every_s = options->auto_rotate_s,
                                     .exportable = options->exportable,
                                     .plaintext_backup = options->plaintext_backup};
    struct key_change change = {.name = name, .options = &made};
    struct kept_key *key;
    *existed = false;
    TRY(check_new(name, options, err));
    lethe_result result = kept_find(engine, name, &key, err);
    if (result == LETHE_NOT_FOUND)
        result = engine_change(engine, name, create, &change, err);
    else if (result == LETHE_OK)
        result = key->info.destroyed ? key_check_usable(&key->info, 1, err) : LETHE_EXISTS;
    *existed = result == LETHE_EXISTS;
    return *existed ? LETHE_OK : result;
}

/* ---- rotating -------------------------------------------------------------------------------- */

static lethe_result rotate(struct keeper *keeper, void *context, uint64_t epoch,
                           struct audit_event *event, struct lethe_error *err)
{
    struct key_change *change = context;
    TRY(keyring_rotate(keeper->store, change->name, keeper_now_s(keeper), err));
    TRY(look(keeper, change, err));
    *event =
        audit_key_rotated(change->name, change->made.newest_version, change->fingerprint, epoch);
    return LETHE_OK;
}

lethe_result engine_rotate(struct engine *engine, const char *name, struct lethe_error *err)
{
    struct key_change change = {.name = name};
    return engine_change(engine, name, rotate, &change, err);
}

static lethe_result count_rotated(void *context, const struct key_info *info,
                                  struct lethe_error *err)
{
    ++*(uint64_t *)context;
    return LETHE_OK;
}

lethe_result engine_rotate_due(struct engine *engine, uint64_t *rotated, struct lethe_error *err)
{
    *rotated = 0;
    lethe_result result = keeper_rotate_due(engine->keeper, count_rotated, rotated, err);
    if (*rotated > 0 || result != LETHE_OK)
        kept_forget(engine, NULL);
    return result;
}

/* ---- deleting -------------------------------------------------------------------------------- */

static lethe_result delete (struct keeper *keeper, void *context, uint64_t epoch,
                            struct audit_event *event, struct lethe_error *err)
{
    struct key_change *change = context;
    TRY(keyring_info(keeper->store, change->name, &change->made, err));
    if (!change->made.deletion_allowed)
        return error_set(err, LETHE_INVALID, "deletion is not allowed for this key");
    TRY(keyring_delete(keeper->store, change->name, err));
    TRY(usage_drop(keeper->store, change->name, err));
    *event = audit_key_deleted(change->name, engine_type_name(change->made.type),
                               change->made.newest_version, epoch);
    return LETHE_OK;
}

/* What another process still looks at can be overwritten only when it has closed: the next change
 * that erases does it too. */
lethe_result engine_delete(struct engine *engine, const char *name, struct lethe_error *err)
{
    struct key_change change = {.name = name};
    TRY(engine_change(engine, name, delete, &change, err));
    (void)!store_forget(engine->keeper->store, NULL);
    return LETHE_OK;
}
