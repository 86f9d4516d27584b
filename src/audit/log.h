/* audit/log.h -- the tamper-evident log: append, chain, sign.
 *
 * One record is one line of canonical JSON; each carries the SHA-256 of the line before it, and all
 * lines are leaves of an RFC 6962 tree whose root is signed in a checkpoint at the end of every
 * durable group. Formats: docs/formats.md, "Log". Several processes may share one log: a group is
 * written under a file lock after re-reading what others appended.
 *
 * Determinism: with clock and node injected, the same calls give the same bytes.
 * Thread rule: commit and emit from any thread; open and close from one. Commits of several threads
 * become durable together, in one group: one signature and one synchronous write (audit/writer.h).
 */
#ifndef AUDIT_LOG_H
#define AUDIT_LOG_H

#include "audit/checkpoint.h"
#include "audit/event.h"
#include "base/clock.h"

/* Who signs: filled in by the key service. */
struct audit_signer {
    lethe_result (*sign)(void *context, const void *bytes, size_t size_bytes, uint8_t signature[64],
                         struct lethe_error *err);
    void *context;
    struct audit_key key; /* name ("lethe/<node>") and Ed25519 public key */
};

/* How much a log may take; 0 stands for the value in brackets. */
struct audit_limits {
    uint64_t rotate_bytes; /* a file of records that is larger is followed by the next (16 MiB) */
};

struct audit_options {
    const char *directory;            /* made with mode 0700 when it is not there */
    const char *node;                 /* [A-Za-z0-9_-]{1,64} */
    const struct clock_source *clock; /* NULL: the system's */
    struct audit_signer signer;
    struct audit_limits limits;
};

/* For whom: "" where it does not apply. */
struct audit_who {
    const char *actor; /* "uid:1000", or a SPIFFE id */
    const char *tenant;
    const char *session;
};

/* How far a log goes. */
struct audit_head {
    uint64_t records;
    uint8_t root[32];
    uint64_t epoch; /* the largest `epoch` that a record carries; 0 when none does */
};

struct audit_log;

/* Checks the whole log (chain, sequence, canonical form, tree against every checkpoint, the newest
 * signature) and continues it; begins one where there is none. What no checkpoint covers was never
 * acknowledged: it is cut, with a record saying so (log_repaired).
 *
 * LETHE_INTEGRITY names file, line and reason. LETHE_UNPROTECTED: others may read the directory or
 * a file in it. LETHE_INVALID: node and key name do not fit. *out is NULL unless LETHE_OK. */
LETHE_MUST_CHECK lethe_result audit_open(const struct audit_options *options,
                                         struct audit_log **out, struct lethe_error *err);
/* Writes what was emitted, then closes; the log is gone whatever the result. */
LETHE_MUST_CHECK lethe_result audit_close(struct audit_log *log, struct lethe_error *err);

/* Durable, checkpoint included, when it returns LETHE_OK. Otherwise the record is not in the log,
 * unless the disk failed in a way that could not be undone (then nothing more is written until the
 * log is opened anew, and only that shows). Blocks while another process writes.
 * LETHE_INTEGRITY: somebody changed the files while the log was open. LETHE_NO_SPACE, LETHE_IO, or
 * what the signer gave. */
LETHE_MUST_CHECK lethe_result audit_commit(struct audit_log *log, const struct audit_who *who,
                                           const struct audit_event *event,
                                           struct lethe_error *err);
/* The same for many records, which follow one another in the log: up to 512 of them are in one
 * group, and all are when the result is LETHE_OK. */
LETHE_MUST_CHECK lethe_result audit_commit_all(struct audit_log *log, const struct audit_who *who,
                                               const struct audit_event *events, size_t count,
                                               struct lethe_error *err);
/* Never blocks on the disk: the record goes out with the next commit, sync or close, in the order
 * of the calls. Texts are copied. When 4096 are waiting it is dropped and counted (events_dropped).
 * A critical kind is a broken precondition. */
void audit_emit(struct audit_log *log, const struct audit_who *who,
                const struct audit_event *event);

/* Writes what was emitted, and reads what other processes appended: audit_head() is then the log as
 * its files are now. */
LETHE_MUST_CHECK lethe_result audit_sync(struct audit_log *log, struct lethe_error *err);

/* The state after the last durable group, and the root that the log had at `records` records
 * (LETHE_NOT_FOUND when it never was that long): for comparing with a pinned head. */
void audit_head(struct audit_log *log, struct audit_head *out);
LETHE_MUST_CHECK lethe_result audit_root_at(struct audit_log *log, uint64_t records,
                                            uint8_t root[32], struct lethe_error *err);

#endif
