#include "kms/change.h"

#include <string.h>

#include "base/error.h"
#include "kms/home_lock.h"
#include "kms/keeper_core.h"
#include "kms/outbox.h"

struct store *keeper_store(struct keeper *keeper)
{
    return keeper->store;
}

void keeper_act_for(struct keeper *keeper, const char *actor)
{
    size_t length = actor == NULL ? 0 : strnlen(actor, AUDIT_TEXT_MAX);
    if (length > 0)
        memcpy(keeper->acts_for, actor, length);
    keeper->acts_for[length] = '\0';
}

_Static_assert(KEEPER_OTHERS_MAX == OUTBOX_OTHERS_MAX, "one bound");

bool keeper_is_damaged(const struct keeper *keeper)
{
    return keeper->disagrees || store_is_damaged(keeper->store);
}

/* ---- changes --------------------------------------------------------------------------------- */

static lethe_result change_rows(struct keeper *keeper, void *context, uint64_t epoch,
                                struct audit_event *event, struct lethe_error *err)
{
    const struct keeper_rows_change *rows = context;
    TRY(rows->change(keeper->store, rows->context, epoch, event, err));
    if (!audit_kind_has_epoch(event->kind))
        event->epoch = epoch;
    return LETHE_OK;
}

lethe_result keeper_change(struct keeper *keeper, const char *tenant, keeper_change_rows *change,
                           void *context, struct lethe_error *err)
{
    const struct keeper_rows_change rows = {.change = change, .context = context};
    return keeper_change_many(keeper, tenant, &rows, err);
}

lethe_result keeper_change_many(struct keeper *keeper, const char *tenant,
                                const struct keeper_rows_change *rows, struct lethe_error *err)
{
    struct keeper_rows_change change = *rows;
    REQUIRE(rows->other_count <= KEEPER_OTHERS_MAX);
    keeper->others = rows->others;
    keeper->other_count = rows->other_count;
    lethe_result result = keeper_make_change(keeper, tenant, change_rows, &change, err);
    keeper->others = NULL;
    keeper->other_count = 0;
    return result;
}

/* ---- waiting for others ---------------------------------------------------------------------- */

void keeper_set_patience(struct keeper *keeper, unsigned patience_ms)
{
    keeper->patience_ms = patience_ms;
    store_set_patience(keeper->store, patience_ms);
}

static unsigned patience_of(const struct keeper *keeper, unsigned usual_ms)
{
    if (keeper->patience_ms == 0)
        return usual_ms;
    return keeper->was_busy ? 0 : keeper->patience_ms;
}

/* The locks' own texts name files, which is nothing to who asks over the network. */
static lethe_result note_busy(struct keeper *keeper, lethe_result result, struct lethe_error *err)
{
    keeper->was_busy = result == LETHE_BUSY;
    if (result != LETHE_BUSY || keeper->patience_ms == 0)
        return result;
    return error_set(err, result, "another process holds the store of keys; try again");
}

lethe_result keeper_lock(struct keeper *keeper, int *fd, struct lethe_error *err)
{
    lethe_result result =
        home_lock(keeper->lock_path, patience_of(keeper, HOME_LOCK_TIMEOUT_MS), fd, err);
    return result == LETHE_OK ? result : note_busy(keeper, result, err);
}

lethe_result keeper_begin(struct keeper *keeper, struct lethe_error *err)
{
    store_set_patience(keeper->store, patience_of(keeper, STORE_BUSY_TIMEOUT_MS));
    return note_busy(keeper, store_begin(keeper->store, err), err);
}

/* ---- looking --------------------------------------------------------------------------------- */

static lethe_result stop_here(void *context, const char *path, uint64_t version,
                              struct lethe_error *err)
{
    return LETHE_CANCELLED;
}

/* Reading anything makes the store see its newest head; every transaction moves the epoch. */
lethe_result keeper_look(struct keeper *keeper, bool *changed, struct lethe_error *err)
{
    *changed = true;
    lethe_result result = store_list(keeper->store, "", stop_here, NULL, err);
    if (result != LETHE_CANCELLED)
        TRY(result);
    uint64_t epoch = store_epoch(keeper->store);
    *changed = epoch != keeper->looked_epoch;
    keeper->looked_epoch = epoch;
    return LETHE_OK;
}
