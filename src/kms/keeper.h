/* kms/keeper.h -- the in-process keeper: store, keys and log as one thing that cannot disagree.
 *
 * Store and log watch each other. Every transaction that changes keys carries, in the row "outbox",
 * the record that it owes the log (with the transaction's epoch) and, in the row "pin", the log's
 * head at that moment. Order: the transaction becomes durable, then the record. On opening, with
 * the home's lock held: outbox newer than the log's newest epoch   a crash between the two: the
 * record is written now store epoch below the log's newest epoch   an old store was put back:
 * LETHE_INTEGRITY log shorter than the pin, or another root  the log was cut or replaced:
 * LETHE_INTEGRITY Both put back together cannot be seen from here: that takes an anchor outside
 * (audit verify --since). Closing pins the log's head once more. Mutations hold the home's lock
 * (flock) from begin to record.
 *
 * Thread rule: one thread at a time. */
#ifndef KMS_KEEPER_H
#define KMS_KEEPER_H

#include "audit/log.h"
#include "kms/keyring.h"
#include "kms/root.h"
#include "model/key_source.h"

struct keeper_options {
    const char *store_path;             /* store.db */
    const char *audit_directory;        /* audit/ */
    const char *lock_path;              /* an empty file for flock */
    const char *node;                   /* [A-Za-z0-9_-]{1,64} */
    const char *actor;                  /* "uid:N" */
    int passphrase_fd;                  /* -1: ask on the terminal */
    const struct clock_source *clock;   /* NULL: the system's */
    const struct random_source *random; /* NULL: the system's */
};

struct keeper;

/* Makes store, root, log key and log, and records home_created. On failure removes what it made.
 * LETHE_EXISTS when the store is there. */
LETHE_MUST_CHECK lethe_result keeper_create(const struct keeper_options *options,
                                            const struct root_spec *root, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result keeper_open(const struct keeper_options *options, struct keeper **out,
                                          struct lethe_error *err);
LETHE_MUST_CHECK lethe_result keeper_close(struct keeper *keeper, struct lethe_error *err);

/* The log, for whoever records; borrowed. And a `who` with this keeper's actor. */
struct audit_log *keeper_log(struct keeper *keeper);
struct audit_who keeper_who(const struct keeper *keeper, const char *tenant);
const struct root_spec *keeper_root(const struct keeper *keeper);

/* The table for the model room; valid until close. Unwraps are committed as key_released, wraps as
 * key_used, before they happen; refusals as key_denied. */
const struct key_source *keeper_key_source(struct keeper *keeper);

LETHE_MUST_CHECK lethe_result keeper_list(struct keeper *keeper,
                                          lethe_result (*visit)(void *context,
                                                                const struct key_info *info,
                                                                struct lethe_error *err),
                                          void *context, struct lethe_error *err);
/* Public half of a signature key: PEM for a manifest signer, vkey for the log. LETHE_INVALID for an
 * encryption key. */
LETHE_MUST_CHECK lethe_result keeper_export_public(struct keeper *keeper, const char *name,
                                                   struct buffer *out, struct lethe_error *err);
/* The log's verifier key. */
LETHE_MUST_CHECK lethe_result keeper_log_key(struct keeper *keeper, struct audit_key *out,
                                             struct lethe_error *err);

#endif
