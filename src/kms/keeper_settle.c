#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "kms/home_lock.h"
#include "kms/keeper_core.h"
#include "kms/outbox.h"

static lethe_result check_store_age(struct keeper *keeper, const struct audit_head *head,
                                    struct lethe_error *err)
{
    uint64_t epoch = store_epoch(keeper->store);
    if (epoch >= head->epoch)
        return LETHE_OK;
    const struct audit_who who = keeper_who(keeper, "");
    const struct audit_event event =
        audit_integrity_violation("store", "older than the log's newest record of a change");
    (void)!audit_commit(keeper->log, &who, &event, NULL); /* the refusal stands without it */
    error_set(err, LETHE_INTEGRITY,
              "an old store was put back: it is at epoch %" PRIu64 ", the log at %" PRIu64, epoch,
              head->epoch);
    error_hint(err, "put back the newest store.db; keys made since the old one are not in it");
    return LETHE_INTEGRITY;
}

static lethe_result check_log_against_pin(struct keeper *keeper, const struct pin *pin,
                                          const struct audit_head *head, struct lethe_error *err)
{
    uint8_t root[sizeof pin->root];
    if (pin->records == 0)
        return LETHE_OK;
    if (pin->records > head->records) {
        error_set(err, LETHE_INTEGRITY,
                  "the log was cut: it has %" PRIu64 " records, and had %" PRIu64, head->records,
                  pin->records);
        error_hint(err, "put back the files of the log");
        return LETHE_INTEGRITY;
    }
    TRY(audit_root_at(keeper->log, pin->records, root, err));
    if (memcmp(root, pin->root, sizeof root) == 0)
        return LETHE_OK;
    error_set(err, LETHE_INTEGRITY,
              "the log was replaced: its first %" PRIu64
              " records are not those that the store remembers",
              pin->records);
    error_hint(err, "put back the files of the log");
    return LETHE_INTEGRITY;
}

/* One group of the log: all of them are in it, or none. */
static lethe_result record_owed(struct keeper *keeper, const struct owed *owed,
                                struct lethe_error *err)
{
    CLEANUP(owed_others_clear) struct owed_others others = {0};
    TRY(outbox_get_others(keeper->store, audit_event_epoch(&owed->event), &others, err));
    CLEANUP(memory_free) struct audit_event *events = calloc(1 + others.count, sizeof *events);
    if (events == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for records that are owed");
    events[0] = owed->event;
    for (size_t i = 0; i < others.count; i++)
        events[1 + i] = others.items[i].event;
    return audit_commit_all(keeper->log, &owed->who, events, 1 + others.count, err);
}

/* The store is read after the log: nobody else changes it meanwhile, so it cannot be behind. */
static lethe_result settle(struct keeper *keeper, struct lethe_error *err)
{
    struct audit_head head;
    struct pin pin;
    CLEANUP(owed_clear) struct owed owed = {0};
    TRY(audit_sync(keeper->log, err));
    audit_head(keeper->log, &head);
    TRY(pin_get(keeper->store, &pin, err));
    TRY(check_store_age(keeper, &head, err));
    TRY(check_log_against_pin(keeper, &pin, &head, err));
    TRY(outbox_get(keeper->store, &owed, err));
    if (audit_event_epoch(&owed.event) > head.epoch)
        TRY(record_owed(keeper, &owed, err));
    keeper->owes = false;
    return LETHE_OK;
}

lethe_result keeper_settle(struct keeper *keeper, struct lethe_error *err)
{
    lethe_result result = settle(keeper, err);
    keeper->disagrees = result == LETHE_INTEGRITY;
    return result;
}

/* Inside a transaction. A log that others have written to meanwhile is behind the pin: theirs
 * stays. */
lethe_result keeper_pin_in_transaction(struct keeper *keeper, struct lethe_error *err)
{
    struct audit_head head;
    struct pin old;
    audit_head(keeper->log, &head);
    TRY(pin_get(keeper->store, &old, err));
    if (head.records <= old.records)
        return LETHE_OK;
    struct pin pin = {.records = head.records};
    memcpy(pin.root, head.root, sizeof pin.root);
    return pin_put(keeper->store, &pin, err);
}

static lethe_result change_store(struct keeper *keeper, const struct audit_who *who,
                                 keeper_edit *change, void *context, struct lethe_error *err)
{
    TRY(keeper_begin(keeper, err));
    CLEANUP(store_rollback) struct store *transaction = keeper->store;
    struct audit_event event;
    TRY(change(keeper, context, store_epoch(transaction) + 1, &event, err));
    TRY(outbox_put(transaction, who, &event, err));
    TRY(outbox_put_others(transaction, who, keeper->others, keeper->other_count, err));
    TRY(keeper_pin_in_transaction(keeper, err));
    return store_commit(transaction, err);
}

/* The record is written from the outbox, as after a crash: there is no second way. */
lethe_result keeper_make_change(struct keeper *keeper, const char *tenant, keeper_edit *change,
                                void *context, struct lethe_error *err)
{
    const struct audit_who who = keeper_who(keeper, tenant);
    CLEANUP(home_unlock) int lock = -1;
    TRY(keeper_lock(keeper, &lock, err));
    TRY(keeper_settle(keeper, err));
    keeper->owes = true;
    TRY(change_store(keeper, &who, change, context, err));
    return keeper_settle(keeper, err);
}

lethe_result keeper_settle_owed(struct keeper *keeper, struct lethe_error *err)
{
    if (!keeper->owes)
        return LETHE_OK;
    CLEANUP(home_unlock) int lock = -1;
    TRY(keeper_lock(keeper, &lock, err));
    return keeper_settle(keeper, err);
}

lethe_result keeper_pin(struct keeper *keeper, struct lethe_error *err)
{
    struct audit_head head;
    struct pin pin;
    TRY(audit_sync(keeper->log, err));
    audit_head(keeper->log, &head);
    TRY(pin_get(keeper->store, &pin, err));
    if (pin.records == head.records)
        return LETHE_OK;
    TRY(keeper_begin(keeper, err));
    CLEANUP(store_rollback) struct store *transaction = keeper->store;
    TRY(keeper_pin_in_transaction(keeper, err));
    return store_commit(transaction, err);
}
