/* Another store key and, for a root file, another root key, in one change with its record.
 *
 * What the record says was reached is only known when the old root key is overwritten, and that can
 * only happen when the store no longer needs it. So the transaction owes a record that claims the
 * least; when all is done and looked at, a second transaction puts the better one in its place; and
 * only then is it written. A crash in between leaves the claim too small, never too large. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "kms/home_lock.h"
#include "kms/keeper_core.h"
#include "kms/outbox.h"
#include "kms/root_record.h"

/* One rotation, and what it has to show for itself. */
struct attempt {
    const struct keeper_rotation *rotation;
    struct audit_who who;
    struct root_rotation root;
    uint8_t old_sealed[ROOT_SEALED_BYTES]; /* the store key of before, as it was wrapped */
    struct key_outcome *outcome;
};

static void attempt_clear_at_scope_end(struct attempt *attempt)
{
    root_rotation_clear(&attempt->root);
}

/* ---- the transaction ------------------------------------------------------------------------- */

/* Inside a transaction. */
static lethe_result owe_record(struct keeper *keeper, const struct attempt *attempt,
                               struct lethe_error *err)
{
    const struct audit_event event = attempt->rotation->describe(
        attempt->rotation->context, attempt->outcome->text, store_epoch(keeper->store) + 1);
    TRY(outbox_put(keeper->store, &attempt->who, &event, err));
    return keeper_pin_in_transaction(keeper, err);
}

/* The meta records go with the old pages: the root's is the only one. */
static lethe_result change_all(struct keeper *keeper, const struct attempt *attempt,
                               struct lethe_error *err)
{
    const struct buffer *record = &attempt->root.record;
    struct audit_event unused;
    TRY(keeper_begin(keeper, err));
    CLEANUP(store_rollback) struct store *transaction = keeper->store;
    if (attempt->rotation->change != NULL)
        TRY(attempt->rotation->change(keeper, attempt->rotation->context,
                                      store_epoch(transaction) + 1, &unused, err));
    TRY(owe_record(keeper, attempt, err));
    TRY(store_rekey(transaction, attempt->root.store_key, err));
    TRY(store_meta_put(transaction, ROOT_META, record->bytes, record->size_bytes, err));
    return store_commit(transaction, err);
}

static lethe_result change_record(struct keeper *keeper, const struct attempt *attempt,
                                  struct lethe_error *err)
{
    TRY(keeper_begin(keeper, err));
    CLEANUP(store_rollback) struct store *transaction = keeper->store;
    TRY(owe_record(keeper, attempt, err));
    return store_commit(transaction, err);
}

/* ---- the root -------------------------------------------------------------------------------- */

/* The root file opens the record that the store has now, with its first line and no other. */
static lethe_result settle_root(struct keeper *keeper, struct root_record *record,
                                struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer bytes = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *store_key = NULL;
    TRY(keeper_root_record(keeper, &bytes, err));
    TRY(root_record_parse(bytes.bytes, bytes.size_bytes, record, err));
    TRY(root_unwrap(keeper->opened, &bytes, &store_key, err));
    return root_settle(keeper->opened, err);
}

/* Until the old root key is overwritten it opens older copies. */
static void claim_least(struct attempt *attempt)
{
    const char *kept = attempt->root.kept;
    snprintf(attempt->outcome->text, sizeof attempt->outcome->text, KEY_ERASED_EXCEPT_COPIES ": %s",
             kept[0] != '\0' ? kept : "what was there before may not be overwritten yet");
}

static lethe_result prepare(struct keeper *keeper, struct attempt *attempt, struct lethe_error *err)
{
    struct root_record record;
    TRY(keeper_settle(keeper, err));
    TRY(settle_root(keeper, &record, err));
    memcpy(attempt->old_sealed, record.sealed, sizeof record.sealed);
    lethe_result result = root_rotate(keeper->opened, keeper->random, &attempt->root, err);
    claim_least(attempt);
    return result;
}

/* ---- afterwards ------------------------------------------------------------------------------ */

/* Everything that the old store key could open is gone from the files, and so is the key itself:
 * that is looked at. */
static lethe_result forget(struct keeper *keeper, struct attempt *attempt, struct lethe_error *err)
{
    bool found = true;
    TRY(store_forget(keeper->store, err));
    TRY(store_holds(keeper->store, attempt->old_sealed, sizeof attempt->old_sealed, &found, err));
    return found ? error_set(err, LETHE_FAILED, "the old store key is still in the store's files")
                 : LETHE_OK;
}

/* The change is durable: what fails now makes the claim smaller, and is an error after the record.
 */
static lethe_result finish(struct keeper *keeper, struct attempt *attempt, struct lethe_error *err)
{
    struct root_record record;
    TRY(settle_root(keeper, &record, err));
    TRY(forget(keeper, attempt, err));
    if (attempt->root.kept[0] != '\0')
        return LETHE_OK;
    snprintf(attempt->outcome->text, sizeof attempt->outcome->text, KEY_ERASED);
    return change_record(keeper, attempt, err);
}

/* Nothing of the next root key stays in a file whose store does not need it. */
static lethe_result undo(struct keeper *keeper, lethe_result result)
{
    struct root_record record;
    (void)!settle_root(keeper, &record, NULL);
    return result;
}

static lethe_result rotate(struct keeper *keeper, struct attempt *attempt, struct lethe_error *err)
{
    lethe_result result = prepare(keeper, attempt, err);
    if (result != LETHE_OK)
        return undo(keeper, result);
    keeper->owes = true;
    result = change_all(keeper, attempt, err);
    if (result != LETHE_OK)
        return undo(keeper, result);
    attempt->outcome->new_root_key = attempt->root.new_root_key;
    result = finish(keeper, attempt, err);
    if (result != LETHE_OK)
        claim_least(attempt);
    lethe_result settled = keeper_settle(keeper, result == LETHE_OK ? err : NULL);
    return result != LETHE_OK ? result : settled;
}

lethe_result keeper_make_rotation(struct keeper *keeper, const char *tenant,
                                  const struct keeper_rotation *rotation,
                                  struct key_outcome *outcome, struct lethe_error *err)
{
    CLEANUP(attempt_clear)
    struct attempt attempt = {
        .rotation = rotation, .who = keeper_who(keeper, tenant), .outcome = outcome};
    CLEANUP(home_unlock) int lock = -1;
    *outcome = (struct key_outcome){0};
    TRY(keeper_lock(keeper, &lock, err));
    return rotate(keeper, &attempt, err);
}

/* ---- nothing but the keys -------------------------------------------------------------------- */

static struct audit_event describe_root(void *context, const char *outcome, uint64_t epoch)
{
    const struct keeper *keeper = context;
    return audit_root_rotated(root_kind_name(keeper->root.kind), outcome, epoch);
}

lethe_result keeper_rotate_root(struct keeper *keeper, struct key_outcome *outcome,
                                struct lethe_error *err)
{
    const struct keeper_rotation rotation = {.describe = describe_root, .context = keeper};
    return keeper_make_rotation(keeper, "", &rotation, outcome, err);
}
