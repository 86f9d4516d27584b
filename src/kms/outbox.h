/* kms/outbox.h -- rows by which store and log watch each other.
 *
 * "outbox" holds the record that the newest transaction owes the log, "outbox/000", "outbox/001",
 * ... those that it owes beside it; "pin" holds how far the log went. What they are for:
 * kms/keeper.h. Formats: docs/formats.md, "Outbox and pin". */
#ifndef KMS_OUTBOX_H
#define KMS_OUTBOX_H

#include "audit/log.h"
#include "store/store.h"

/* A record and for whom; its texts lie in `row`. struct owed o = {0}; is empty. */
struct owed {
    struct lethe_secret *row;
    struct audit_who who;
    struct audit_event event;
};
void owed_clear(struct owed *owed);
static inline void owed_clear_at_scope_end(struct owed *owed)
{
    owed_clear(owed);
}

/* The bytes of the row, and what owed->row says. LETHE_MALFORMED. */
void owed_append(const struct audit_who *who, const struct audit_event *event, struct buffer *row);
LETHE_MUST_CHECK lethe_result owed_parse(struct owed *owed);

/* Inside a transaction. The event carries the epoch that the transaction will have. What was owed
 * before, by another transaction, goes. */
LETHE_MUST_CHECK lethe_result outbox_put(struct store *store, const struct audit_who *who,
                                         const struct audit_event *event, struct lethe_error *err);
/* LETHE_INTEGRITY: missing, or of a form that we do not know. */
LETHE_MUST_CHECK lethe_result outbox_get(struct store *store, struct owed *out,
                                         struct lethe_error *err);

/* Records that one transaction may owe beside its own. All have its epoch; they are in the log
 * together or not at all, as one group has them (audit/log.h: 512), with room for what others emit.
 */
#define OUTBOX_OTHERS_MAX 255u
struct owed_others {
    struct owed *items;
    size_t count;
};
void owed_others_clear(struct owed_others *others);
static inline void owed_others_clear_at_scope_end(struct owed_others *others)
{
    owed_others_clear(others);
}
/* Inside a transaction, behind outbox_put(). The events are given the transaction's epoch. */
LETHE_MUST_CHECK lethe_result outbox_put_others(struct store *store, const struct audit_who *who,
                                                const struct audit_event *events, size_t count,
                                                struct lethe_error *err);
/* What is owed beside the record of this epoch. LETHE_INTEGRITY as above. */
LETHE_MUST_CHECK lethe_result outbox_get_others(struct store *store, uint64_t epoch,
                                                struct owed_others *out, struct lethe_error *err);

struct pin {
    uint64_t records;
    uint8_t root[32]; /* of the tree over them */
};
LETHE_MUST_CHECK lethe_result pin_parse(const struct lethe_secret *row, struct pin *out);
/* Inside a transaction. */
LETHE_MUST_CHECK lethe_result pin_put(struct store *store, const struct pin *pin,
                                      struct lethe_error *err);
/* LETHE_INTEGRITY as above. */
LETHE_MUST_CHECK lethe_result pin_get(struct store *store, struct pin *out,
                                      struct lethe_error *err);

#endif
