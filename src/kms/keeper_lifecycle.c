/* Creating, rotating and revoking keys, and the minimum of releases. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "kms/keeper_core.h"

/* ---- changes --------------------------------------------------------------------------------- */

struct key_change {
    const char *name;
    const char *reason;
    struct key_info made;
    char fingerprint[FINGERPRINT_SIZE];
    uint64_t minimum;
};

static lethe_result create(struct keeper *keeper, void *context, uint64_t epoch,
                           struct audit_event *event, struct lethe_error *err)
{
    struct key_change *change = context;
    TRY(keyring_create(keeper->store, change->name, keeper_now_s(keeper), err));
    TRY(keyring_info(keeper->store, change->name, &change->made, err));
    TRY(keeper_fingerprint(keeper, &change->made, change->fingerprint, err));
    *event = audit_key_created(change->name, engine_type_name(change->made.type),
                               change->made.newest_version, change->fingerprint, epoch);
    return LETHE_OK;
}

static lethe_result rotate(struct keeper *keeper, void *context, uint64_t epoch,
                           struct audit_event *event, struct lethe_error *err)
{
    struct key_change *change = context;
    TRY(keyring_rotate(keeper->store, change->name, keeper_now_s(keeper), err));
    TRY(keyring_info(keeper->store, change->name, &change->made, err));
    TRY(keeper_fingerprint(keeper, &change->made, change->fingerprint, err));
    *event =
        audit_key_rotated(change->name, change->made.newest_version, change->fingerprint, epoch);
    return LETHE_OK;
}

static lethe_result revoke(struct keeper *keeper, void *context, uint64_t epoch,
                           struct audit_event *event, struct lethe_error *err)
{
    struct key_change *change = context;
    TRY(keyring_revoke(keeper->store, change->name, err));
    TRY(keyring_info(keeper->store, change->name, &change->made, err));
    *event = audit_key_revoked(change->name, change->made.revoked_through, change->reason, epoch);
    return LETHE_OK;
}

static lethe_result destroy(struct keeper *keeper, void *context, uint64_t epoch,
                            struct audit_event *event, struct lethe_error *err)
{
    const struct key_change *change = context;
    return keyring_destroy(keeper->store, change->name, err);
}

static struct audit_event describe_destroyed(void *context, const char *outcome, uint64_t epoch)
{
    const struct key_change *change = context;
    return audit_key_destroyed(change->name, outcome, epoch);
}

static lethe_result raise_minimum(struct keeper *keeper, void *context, uint64_t epoch,
                                  struct audit_event *event, struct lethe_error *err)
{
    const struct key_change *change = context;
    TRY(release_raise_minimum(keeper->store, change->name, change->minimum, err));
    *event = audit_release_minimum_set(change->name, change->minimum, epoch);
    return LETHE_OK;
}

static lethe_result make_change(struct keeper *keeper, keeper_edit *make, struct key_change *change,
                                struct lethe_error *err)
{
    char tenant[NAME_PART_MAX + 1];
    keeper_owner_of(change->name, tenant);
    return keeper_make_change(keeper, tenant, make, change, err);
}

static lethe_result change_key(struct keeper *keeper, keeper_edit *make, struct key_change *change,
                               struct lethe_error *err)
{
    enum key_kind kind;
    TRY(key_name_check_any(change->name, &kind, err));
    return make_change(keeper, make, change, err);
}

lethe_result keeper_create_key(struct keeper *keeper, const char *name, struct lethe_error *err)
{
    struct key_change change = {.name = name};
    enum key_kind kind;
    TRY(key_name_check(name, &kind, err));
    if (kind == KEY_LOG_SIGNER)
        return error_set(err, LETHE_INVALID, "the key of a log is made with its home");
    return make_change(keeper, create, &change, err);
}

lethe_result keeper_rotate_key(struct keeper *keeper, const char *name, struct key_info *out,
                               struct lethe_error *err)
{
    struct key_change change = {.name = name};
    TRY(change_key(keeper, rotate, &change, err));
    *out = change.made;
    return LETHE_OK;
}

lethe_result keeper_revoke_key(struct keeper *keeper, const char *name, const char *reason,
                               struct key_info *out, struct lethe_error *err)
{
    struct key_change change = {.name = name, .reason = reason};
    TRY(change_key(keeper, revoke, &change, err));
    *out = change.made;
    return LETHE_OK;
}

lethe_result keeper_check_destroyable(struct keeper *keeper, const char *name,
                                      struct lethe_error *err)
{
    struct key_info info;
    TRY(keyring_info(keeper->store, name, &info, err));
    return info.kind == KEY_LOG_SIGNER
               ? error_set(err, LETHE_INVALID, "%s is the key of the log, which stays what it is",
                           name)
               : LETHE_OK;
}

/* One that was destroyed before is gone from the store; what may be left is its seal in older
 * copies, which another root key makes useless as well as ever. */
lethe_result keeper_destroy_key(struct keeper *keeper, const char *name,
                                struct key_outcome *outcome, struct lethe_error *err)
{
    char tenant[NAME_PART_MAX + 1];
    struct key_change change = {.name = name};
    const struct keeper_rotation rotation = {
        .change = destroy, .describe = describe_destroyed, .context = &change};
    struct key_info info;
    TRY(keeper_check_destroyable(keeper, name, err));
    TRY(keyring_info(keeper->store, name, &info, err));
    keeper_keys_forget(keeper, name);
    if (info.destroyed)
        return keeper_rotate_root(keeper, outcome, err);
    keeper_owner_of(name, tenant);
    return keeper_make_rotation(keeper, tenant, &rotation, outcome, err);
}

lethe_result keeper_release_minimum(struct keeper *keeper, const char *model, uint64_t *minimum,
                                    struct lethe_error *err)
{
    return release_minimum(keeper->store, model, minimum, err);
}

lethe_result keeper_raise_release_minimum(struct keeper *keeper, const char *model,
                                          uint64_t minimum, struct lethe_error *err)
{
    struct key_change change = {.name = model, .minimum = minimum};
    uint64_t before;
    TRY(release_minimum(keeper->store, model, &before, err)); /* a name that is none, before all */
    return make_change(keeper, raise_minimum, &change, err);
}

lethe_result keeper_check_usable(struct keeper *keeper, const char *name, uint64_t version,
                                 struct lethe_error *err)
{
    struct key_info info;
    TRY(keyring_info(keeper->store, name, &info, err));
    return key_check_usable(&info, version, err);
}

lethe_result keeper_source_newest(void *context, const char *key, uint64_t *version,
                                  struct lethe_error *err)
{
    const struct keeper *keeper = context;
    struct key_info info;
    TRY(keyring_info(keeper->store, key, &info, err));
    *version = info.newest_version;
    return LETHE_OK;
}
