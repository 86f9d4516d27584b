/* kms/change.h -- how the rooms above change rows of the keeper's store: never without the record.
 *
 * A change is a function that runs inside a transaction, writes rows (store/store.h), and fills in
 * the record that it owes the log; keeper_change() makes it durable in the order that kms/keeper.h
 * describes. Reading needs no transaction. Thread rule: as kms/keeper.h. */
#ifndef KMS_CHANGE_H
#define KMS_CHANGE_H

#include "kms/keeper.h"
#include "store/store.h"

/* For reading; borrowed. Inside a change, for writing too. */
struct store *keeper_store(struct keeper *keeper);

/* Writes rows and fills in *event, whose field `epoch` is the one given; an event of a kind without
 * that field is given one by the outbox. Texts of the event must live until keeper_change()
 * returns. A failure leaves nothing. */
typedef lethe_result keeper_change_rows(struct store *store, void *context, uint64_t epoch,
                                        struct audit_event *event, struct lethe_error *err);
/* LETHE_NO_SPACE when the log's disk is full: nothing has changed. */
LETHE_MUST_CHECK lethe_result keeper_change(struct keeper *keeper, const char *tenant,
                                            keeper_change_rows *change, void *context,
                                            struct lethe_error *err);

/* As keeper_change(), for a change that owes more records than its own: at most KEEPER_OTHERS_MAX
 * of kinds without the field `epoch`. Store and log have all of them, or neither has any. */
#define KEEPER_OTHERS_MAX 255u
struct keeper_rows_change {
    keeper_change_rows *change;
    void *context;
    const struct audit_event *others; /* with their texts, until keeper_change_many() returns */
    size_t other_count;
};
LETHE_MUST_CHECK lethe_result keeper_change_many(struct keeper *keeper, const char *tenant,
                                                 const struct keeper_rows_change *rows,
                                                 struct lethe_error *err);

/* From now on, records say that `actor` did it (a SPIFFE id, "token:ACCESSOR", "uid:0"), until it
 * is said otherwise; NULL: the keeper's own again. Copied. */
void keeper_act_for(struct keeper *keeper, const char *actor);

/* Whether what was asked last failed because store or log are not as they were left, rather than
 * for what it was asked with. */
bool keeper_is_damaged(const struct keeper *keeper);

/* How long a change waits for another process that holds the home, at most; then it is LETHE_BUSY,
 * and so are those that follow, at once, until the home is free. For a process whose one thread has
 * others to answer; without this call a change waits as long as each lock allows. */
void keeper_set_patience(struct keeper *keeper, unsigned patience_ms);

/* Whether rows changed since the last call, by this process or another: what was remembered of them
 * is to be read again. Cheap enough to ask for every few requests. */
LETHE_MUST_CHECK lethe_result keeper_look(struct keeper *keeper, bool *changed,
                                          struct lethe_error *err);

/* A row that is one number, le64; 0 when there is none. LETHE_INTEGRITY: it is something else. */
LETHE_MUST_CHECK lethe_result row_number_get(struct store *store, const char *path, uint64_t *out,
                                             struct lethe_error *err);

/* Documents larger than one row: cut into pieces "PATH/0", "PATH/1", ... Public content only.
 * Inside a transaction. DOCUMENT_MAX_BYTES at most; LETHE_NOT_FOUND. */
#define DOCUMENT_MAX_BYTES ((size_t)1 << 20)
LETHE_MUST_CHECK lethe_result document_put(struct store *store, const char *path, const void *bytes,
                                           size_t size_bytes, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result document_get(struct store *store, const char *path,
                                           struct buffer *out, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result document_delete(struct store *store, const char *path,
                                              struct lethe_error *err);

#endif
