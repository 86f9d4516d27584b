/* kms/keeper.h -- the in-process keeper: store, keys and log as one thing that cannot disagree.
 *
 * Store and log watch each other. Every transaction that changes keys carries, in the row "outbox",
 * the record that it owes the log (with the transaction's epoch) and, in the row "pin", how far the
 * log went at that moment. Order: the transaction becomes durable, then the record. Whoever holds
 * the home's lock (flock), on opening and before every change, looks at both:
 *   outbox newer than the log's newest epoch      a crash between the two: the record is written
 * now store older than the log's newest epoch       an old store was put back: LETHE_INTEGRITY log
 * shorter than the pin, or with another     the log was cut or replaced: LETHE_INTEGRITY root at
 * that length Both put back together cannot be seen from here: that takes an anchor outside (audit
 * verify
 * --since). Closing pins the log's head once more. A change holds the lock from begin to record.
 *
 * Root and store key are in memory only while a home is opened or they are changed; of a
 * passphrase, what it was stretched to stays in a closed region until close. Key-encryption keys
 * are there only for a use. A process whose store key another one changed reads the root again and
 * goes on. Signing keys stay in OpenSSL's locked heap from their first use until close.
 *
 * Thread rule: one thread at a time. */
#ifndef KMS_KEEPER_H
#define KMS_KEEPER_H

#include "audit/log.h"
#include "kms/fingerprint.h"
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
    struct audit_limits audit_limits;   /* {0}: the log's own */
};

struct keeper;

/* Makes store, root, log key and log, and records home_created. On failure removes what it made.
 * LETHE_EXISTS when store, log directory or root file are there. A process killed meanwhile may
 * leave parts: callers make a home beside its place and rename it. */
LETHE_MUST_CHECK lethe_result keeper_create(const struct keeper_options *options,
                                            const struct root_spec *root, struct lethe_error *err);
/* The options are copied. LETHE_INTEGRITY as above, LETHE_BUSY, and what root_open and store_open
 * give. */
LETHE_MUST_CHECK lethe_result keeper_open(const struct keeper_options *options, struct keeper **out,
                                          struct lethe_error *err);
/* Writes what was emitted, pins the log's head, and closes whatever the result. NULL is fine. */
LETHE_MUST_CHECK lethe_result keeper_close(struct keeper *keeper, struct lethe_error *err);

/* Where the root of a closed home lies, for whoever must hide it; needs no secret and checks none.
 */
LETHE_MUST_CHECK lethe_result keeper_peek_root(const char *store_path, struct root_spec *out,
                                               struct lethe_error *err);

/* The log, for whoever records; borrowed. And a `who` with this keeper's actor. */
struct audit_log *keeper_log(struct keeper *keeper);
struct audit_who keeper_who(const struct keeper *keeper, const char *tenant);
const struct root_spec *keeper_root(const struct keeper *keeper);

/* The table for the model room; valid until close. What it gives out is on record first, durably:
 * wraps and signatures as key_used, unwrapped keys as key_released; refusals as key_denied. */
const struct key_source *keeper_key_source(struct keeper *keeper);

/* ---- the life of a key: each change is on record (key_created, key_rotated, ...) --------------
 */

/* LETHE_EXISTS, LETHE_INVALID for the name of a log key. */
LETHE_MUST_CHECK lethe_result keeper_create_key(struct keeper *keeper, const char *name,
                                                struct lethe_error *err);
/* New wraps and signatures use the new version; old ones go on opening and verifying (K-8). */
LETHE_MUST_CHECK lethe_result keeper_rotate_key(struct keeper *keeper, const char *name,
                                                struct key_info *out, struct lethe_error *err);
/* How old a version may become, in seconds (at most KEY_ROTATE_EVERY_S_MAX); 0: as old as it will.
 * A key that is due is rotated when something is next encrypted or signed with it (K-7), or by
 * keeper_rotate_due(). */
LETHE_MUST_CHECK lethe_result keeper_schedule_key(struct keeper *keeper, const char *name,
                                                  uint64_t rotate_every_s, struct lethe_error *err);
/* Rotates every key that is due, and shows each as it is then. */
LETHE_MUST_CHECK lethe_result keeper_rotate_due(struct keeper *keeper, key_visit *visit,
                                                void *context, struct lethe_error *err);
/* From now on every version that there is opens, wraps and verifies no more (LETHE_REVOKED), except
 * for rewrapping and re-encrypting; a later version does. `reason` is for the record. */
LETHE_MUST_CHECK lethe_result keeper_revoke_key(struct keeper *keeper, const char *name,
                                                const char *reason, struct key_info *out,
                                                struct lethe_error *err);
/* Irreversible: the material of every version is deleted, the store is sealed under another store
 * key, for a root file the root key is changed too, and what was there is overwritten in the files.
 * `outcome` says what was reached, for people and for the record (docs/security.md has the table):
 * KEY_ERASED when no older copy of store.db opens any more, unless someone copied the root file
 * too; otherwise KEY_ERASED_EXCEPT_COPIES, a colon, and why. LETHE_BUSY when another process keeps
 * an older state in the files: the key is gone for everyone, and the same call again finishes. For
 * a key that was destroyed before, everything but the deletion is done once more. */
#define KEY_ERASED "erased"
#define KEY_ERASED_EXCEPT_COPIES "erased except from copies"
struct key_outcome {
    char text[320];
    bool new_root_key; /* copies of the root file made before no longer open the home */
};
LETHE_MUST_CHECK lethe_result keeper_destroy_key(struct keeper *keeper, const char *name,
                                                 struct key_outcome *outcome,
                                                 struct lethe_error *err);
/* Whether there is such a key and it is of a kind that can be destroyed. LETHE_NOT_FOUND,
 * LETHE_INVALID. */
LETHE_MUST_CHECK lethe_result keeper_check_destroyable(struct keeper *keeper, const char *name,
                                                       struct lethe_error *err);
/* Another store key and, for a root file, another root key; every key stays. `outcome` as above, of
 * the old ones. */
LETHE_MUST_CHECK lethe_result keeper_rotate_root(struct keeper *keeper, struct key_outcome *outcome,
                                                 struct lethe_error *err);
/* Releases of "<tenant>.<model>" below the minimum get no keys from now on (E-8). */
LETHE_MUST_CHECK lethe_result keeper_release_minimum(struct keeper *keeper, const char *model,
                                                     uint64_t *minimum, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result keeper_raise_release_minimum(struct keeper *keeper, const char *model,
                                                           uint64_t minimum,
                                                           struct lethe_error *err);
/* Whether a version of a key may still be used; cheap, and nothing is recorded. LETHE_REVOKED,
 * LETHE_NOT_FOUND. */
LETHE_MUST_CHECK lethe_result keeper_check_usable(struct keeper *keeper, const char *name,
                                                  uint64_t version, struct lethe_error *err);

LETHE_MUST_CHECK lethe_result keeper_list(struct keeper *keeper, key_visit *visit, void *context,
                                          struct lethe_error *err);
/* What the records key_created and key_rotated call the newest version's material. */
LETHE_MUST_CHECK lethe_result keeper_fingerprint(struct keeper *keeper, const struct key_info *info,
                                                 char out[FINGERPRINT_SIZE],
                                                 struct lethe_error *err);
/* Public half of a signature key: PEM for a manifest signer, vkey for the log. LETHE_INVALID for an
 * encryption key, LETHE_NOT_FOUND. */
LETHE_MUST_CHECK lethe_result keeper_export_public(struct keeper *keeper, const char *name,
                                                   struct buffer *out, struct lethe_error *err);
/* What signs the log's checkpoints, for statements of the node that its verifiers should believe
 * too: valid until close, from any thread. */
const struct audit_signer *keeper_log_signer(const struct keeper *keeper);
/* The log's verifier key. */
LETHE_MUST_CHECK lethe_result keeper_log_key(struct keeper *keeper, struct audit_key *out,
                                             struct lethe_error *err);

#endif
