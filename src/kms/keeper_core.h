/* kms/keeper_core.h -- the inside of a keeper, for its own files: keeper.c (opening, closing,
 * changes and their records) and keeper_keys.c and keeper_sign.c (what is done with keys). */
#ifndef KMS_KEEPER_CORE_H
#define KMS_KEEPER_CORE_H

#include "base/validate.h"
#include "kms/keeper.h"

#define LOG_ORIGIN_PREFIX "lethe/"

/* A key that was used since the home was opened: an encryption key, or one version of a signer. */
struct working_key {
    struct working_key *next;
    char name[KEY_NAME_MAX + 1];
    uint64_t version;       /* encryption: of which uses are reserved */
    uint64_t uses_reserved; /* and how many are left */
    struct sign_pair *pair; /* signature keys; kept until close, as callers borrow of it */
};

struct keeper {
    struct store *store;
    struct audit_log *log;
    struct sign_pair *log_pair;
    struct audit_signer log_signer;
    struct root_spec root;
    struct root *opened; /* NULL while the home is made */
    char *lock_path;
    char *actor;                       /* the keeper's own */
    char acts_for[AUDIT_TEXT_MAX + 1]; /* instead, when not empty */
    uint64_t looked_epoch;             /* the store's, when keeper_look() was last asked */
    const struct clock_source *clock;
    const struct random_source *random;
    struct key_source source;
    unsigned patience_ms; /* 0: as long as each lock allows, every time */
    bool was_busy;        /* another process held the home when a change was last tried */
    bool owes;            /* a change of ours is durable, its record may not be */
    struct working_key *working;
    bool disagrees;                   /* store and log, when they were last compared */
    const struct audit_event *others; /* that the change being made owes beside its own */
    size_t other_count;
};

static inline const char *keeper_actor(const struct keeper *keeper)
{
    return keeper->acts_for[0] != '\0' ? keeper->acts_for : keeper->actor;
}

static inline uint64_t keeper_now_s(const struct keeper *keeper)
{
    return clock_wall_ns(keeper->clock) / 1000000000u;
}

/* Fills the table of keeper->source. */
void keeper_keys_init(struct keeper *keeper);
void keeper_keys_clear(struct keeper *keeper);

/* Wipes what is kept of one key. */
void keeper_keys_forget(struct keeper *keeper, const char *name);

/* The home's lock, and a transaction, as kms/home_lock.h and store/store.h have them, but waited
 * for no longer than keeper_set_patience() says, and not at all while others go on holding them. */
LETHE_MUST_CHECK lethe_result keeper_lock(struct keeper *keeper, int *fd, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result keeper_begin(struct keeper *keeper, struct lethe_error *err);

/* With the home's lock held: checks store and log against each other, and writes the record that is
 * owed, if one is. */
LETHE_MUST_CHECK lethe_result keeper_settle(struct keeper *keeper, struct lethe_error *err);
/* With the home's lock held: writes what was emitted, and pins how far the log goes. */
LETHE_MUST_CHECK lethe_result keeper_pin(struct keeper *keeper, struct lethe_error *err);

/* The store's meta record of its root. LETHE_INTEGRITY when it is missing. */
LETHE_MUST_CHECK lethe_result keeper_root_record(struct keeper *keeper, struct buffer *record,
                                                 struct lethe_error *err);
/* Inside a transaction: pins how far the log goes. */
LETHE_MUST_CHECK lethe_result keeper_pin_in_transaction(struct keeper *keeper,
                                                        struct lethe_error *err);

/* Inside a transaction: writes rows, and fills in the record that it owes, which carries `epoch`.
 */
typedef lethe_result keeper_edit(struct keeper *keeper, void *context, uint64_t epoch,
                                 struct audit_event *event, struct lethe_error *err);
/* Makes one change with its record, under the home's lock. Texts of the event must live until it
 * returns. A failure after the change is durable (the log cannot be written) is a failure too; the
 * record is then made up for by whoever looks next. */
LETHE_MUST_CHECK lethe_result keeper_make_change(struct keeper *keeper, const char *tenant,
                                                 keeper_edit *change, void *context,
                                                 struct lethe_error *err);

/* As keeper_make_change, and with it another store key and, for a root file, another root key.
 * `describe` makes the record from the outcome's text. */
typedef struct audit_event keeper_describe(void *context, const char *outcome, uint64_t epoch);
struct keeper_rotation {
    keeper_edit *change; /* NULL: nothing but the keys changes; its event does not count */
    keeper_describe *describe;
    void *context;
};
LETHE_MUST_CHECK lethe_result keeper_make_rotation(struct keeper *keeper, const char *tenant,
                                                   const struct keeper_rotation *rotation,
                                                   struct key_outcome *outcome,
                                                   struct lethe_error *err);

/* Writes the record that this keeper owes, if it does: before any other that follows from it. */
LETHE_MUST_CHECK lethe_result keeper_settle_owed(struct keeper *keeper, struct lethe_error *err);

/* Counts uses of a version ahead, in a transaction of its own. LETHE_LIMIT, LETHE_NOT_FOUND. */
LETHE_MUST_CHECK lethe_result keeper_reserve(struct keeper *keeper, const char *name,
                                             uint64_t version, uint64_t uses,
                                             struct lethe_error *err);
/* So many uses of the newest version of an encryption key, counted before they happen.
 * LETHE_REVOKED. */
LETHE_MUST_CHECK lethe_result keeper_take_uses(struct keeper *keeper, const char *name,
                                               uint64_t count, uint64_t *version,
                                               struct lethe_error *err);
/* Rotates a key that is due, and leaves any other. */
LETHE_MUST_CHECK lethe_result keeper_rotate_if_due(struct keeper *keeper,
                                                   const struct key_info *info,
                                                   struct lethe_error *err);
/* LETHE_INVALID: the name of no encryption key. */
LETHE_MUST_CHECK lethe_result keeper_check_encryption_name(const char *name,
                                                           struct lethe_error *err);
/* Whether a version may open something for this use. */
LETHE_MUST_CHECK lethe_result keeper_check_use(struct keeper *keeper, const struct key_use *use,
                                               uint64_t version, struct lethe_error *err);
/* E-8: an old manifest is signed as well as a new one. LETHE_DENIED. */
LETHE_MUST_CHECK lethe_result keeper_check_release(struct keeper *keeper, const struct key_use *use,
                                                   struct lethe_error *err);
/* Records something done with a key, for the tenant (or node) that its name begins with. */
LETHE_MUST_CHECK lethe_result keeper_commit_for(struct keeper *keeper, const char *name,
                                                const struct audit_event *event,
                                                struct lethe_error *err);
/* The first part of a key's name; empty for a name that has one only. */
void keeper_owner_of(const char *name, char out[NAME_PART_MAX + 1]);
lethe_result keeper_source_rewrap(void *context, const struct key_rewrap *items, size_t count,
                                  struct lethe_error *err);
lethe_result keeper_source_wrap_all(void *context, const struct key_wrap *items, size_t count,
                                    struct lethe_error *err);
lethe_result keeper_source_unwrap_all(void *context, const struct key_unwrap *items, size_t count,
                                      struct lethe_error *err);
lethe_result keeper_source_newest(void *context, const char *key, uint64_t *version,
                                  struct lethe_error *err);

/* keeper_sign.c */
lethe_result keeper_source_sign(void *context, const char *tenant, const void *bytes,
                                size_t size_bytes, struct signature *out, struct lethe_error *err);
lethe_result keeper_source_signer(void *context, const char *tenant, const char *hint,
                                  const struct sign_public **out, struct lethe_error *err);
/* Makes the key unless it is there and usable, and rotates one that is due. */
LETHE_MUST_CHECK lethe_result keeper_ensure_key(struct keeper *keeper, const char *name,
                                                struct lethe_error *err);
/* A key that is kept until keeper_keys_forget(): empty but for its name. */
LETHE_MUST_CHECK lethe_result keeper_add_working_key(struct keeper *keeper, const char *name,
                                                     struct working_key **out,
                                                     struct lethe_error *err);

/* "<node>.log" */
void keeper_log_key_name(const char *node, char out[KEY_NAME_MAX + 1]);
/* A version of a signature key; 0: the newest. */
LETHE_MUST_CHECK lethe_result keeper_load_pair(struct store *store, const char *name,
                                               uint64_t version, struct sign_pair **out,
                                               struct lethe_error *err);

#endif
