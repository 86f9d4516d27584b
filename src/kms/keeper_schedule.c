/* Rotation on a schedule. Nothing here waits for a moment: a key is due when its newest version is
 * older than it may be, and that is looked at when something is about to be made with it. */
#include <stdlib.h>

#include "base/error.h"
#include "kms/keeper_core.h"

struct schedule_change {
    const char *name;
    uint64_t rotate_every_s;
    struct key_info made;
    char fingerprint[FINGERPRINT_SIZE];
};

static lethe_result set(struct keeper *keeper, void *context, uint64_t epoch,
                        struct audit_event *event, struct lethe_error *err)
{
    const struct schedule_change *change = context;
    TRY(keyring_schedule(keeper->store, change->name, change->rotate_every_s, err));
    *event = audit_key_scheduled(change->name, change->rotate_every_s, epoch);
    return LETHE_OK;
}

lethe_result keeper_schedule_key(struct keeper *keeper, const char *name, uint64_t rotate_every_s,
                                 struct lethe_error *err)
{
    struct schedule_change change = {.name = name, .rotate_every_s = rotate_every_s};
    enum key_kind kind;
    char tenant[NAME_PART_MAX + 1];
    TRY(key_name_check_any(name, &kind, err));
    keeper_owner_of(name, tenant);
    return keeper_make_change(keeper, tenant, set, &change, err);
}

/* LETHE_EXISTS when another process was faster: under the lock the key is no longer due. */
static lethe_result rotate_due(struct keeper *keeper, void *context, uint64_t epoch,
                               struct audit_event *event, struct lethe_error *err)
{
    struct schedule_change *change = context;
    TRY(keyring_info(keeper->store, change->name, &change->made, err));
    if (!key_is_due(&change->made, keeper_now_s(keeper)))
        return LETHE_EXISTS;
    TRY(keyring_rotate(keeper->store, change->name, keeper_now_s(keeper), err));
    TRY(keyring_info(keeper->store, change->name, &change->made, err));
    TRY(keeper_fingerprint(keeper, &change->made, change->fingerprint, err));
    *event =
        audit_key_rotated(change->name, change->made.newest_version, change->fingerprint, epoch);
    return LETHE_OK;
}

lethe_result keeper_rotate_if_due(struct keeper *keeper, const struct key_info *info,
                                  struct lethe_error *err)
{
    struct schedule_change change = {.name = info->name};
    char tenant[NAME_PART_MAX + 1];
    if (!key_is_due(info, keeper_now_s(keeper)))
        return LETHE_OK;
    keeper_owner_of(info->name, tenant);
    lethe_result result = keeper_make_change(keeper, tenant, rotate_due, &change, err);
    return result == LETHE_EXISTS ? LETHE_OK : result;
}

/* ---- all of them ----------------------------------------------------------------------------- */

/* Found first and rotated then: a list is not changed while it is read. */
struct due_keys {
    uint64_t now_s;
    struct key_info *keys;
    size_t count;
};

static void due_keys_clear_at_scope_end(struct due_keys *due)
{
    free(due->keys);
}

static lethe_result note_due(void *context, const struct key_info *info, struct lethe_error *err)
{
    struct due_keys *due = context;
    if (!key_is_due(info, due->now_s))
        return LETHE_OK;
    struct key_info *grown = reallocarray(due->keys, due->count + 1, sizeof *grown);
    if (grown == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for the keys that are due");
    due->keys = grown;
    due->keys[due->count++] = *info;
    return LETHE_OK;
}

lethe_result keeper_rotate_due(struct keeper *keeper, key_visit *visit, void *context,
                               struct lethe_error *err)
{
    CLEANUP(due_keys_clear) struct due_keys due = {.now_s = keeper_now_s(keeper)};
    TRY(keyring_list(keeper->store, note_due, &due, err));
    for (size_t i = 0; i < due.count; i++) {
        struct key_info after;
        TRY(keeper_rotate_if_due(keeper, &due.keys[i], err));
        TRY(keyring_info(keeper->store, due.keys[i].name, &after, err));
        TRY(visit(context, &after, err));
    }
    return LETHE_OK;
}
