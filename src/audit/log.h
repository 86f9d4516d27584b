/* audit/log.h -- the tamper-evident log: append, chain, sign.
 *
 * One record is one line of canonical JSON; each carries the SHA-256 of the line before it, and all
 * lines are leaves of an RFC 6962 tree whose root is signed in a checkpoint at the end of every
 * durable group. Formats: docs/formats.md, "Log". Several processes may share one log: a group is
 * written under a file lock after re-reading what others appended.
 *
 * Determinism: with clock and node injected and `without_thread`, the same calls give the same
 * bytes. With the log's own thread, records and their order are the same, but where a group ends is
 * a matter of time.
 * Thread rule: commit and emit from any thread; open and close from one. Commits of several threads
 * become durable together, in one group: one signature and one synchronous write (audit/writer.h).
 * Fork rule: a log belongs to the process that opened it. In a forked child emit does nothing, and
 * all else is LETHE_UNAVAILABLE; audit_close() there only gives back memory and descriptors.
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
#define AUDIT_NO_LIMIT UINT64_MAX
struct audit_limits {
    uint64_t rotate_bytes; /* a file of records that is larger is followed by the next (16 MiB) */
    uint64_t rotate_s; /* so is one begun in an earlier period of so many seconds (86400: one UTC
                          day) */
    /* The oldest files are removed, on record, for good. The newest one always stays. */
    uint64_t keep_bytes; /* while all together are larger (no limit)                         */
    uint64_t keep_s;     /* when their records are older, counted back from the last record before
                            the newest file (no limit)                                         */

    /* Emitted records are written when so many wait (1024), or when the first of them has waited
     * for so long (one second). */
    uint64_t flush_records;
    uint64_t flush_ms;
    /* Memory for those that wait; what does not fit is dropped, and counted (2 MiB). */
    uint64_t queue_bytes;

    /* With less than this free on the log's file system, only essential records are written (the
     * smaller of 64 MiB and a hundredth of the file system; AUDIT_NO_LIMIT: always all). */
    uint64_t free_floor_bytes;

    /* What one actor may have written in an interval, and the interval (64 MiB, one hour). The
     * budget comes back steadily. AUDIT_NO_LIMIT: any amount. */
    uint64_t identity_bytes;
    uint64_t identity_interval_s;
};

/* How much room a file system has; a table, so that a test can replace it. */
struct audit_space {
    lethe_result (*look)(void *context, int directory, uint64_t *free_bytes, uint64_t *total_bytes,
                         struct lethe_error *err);
    void *context;
};

struct audit_options {
    const char *directory;            /* made with mode 0700 when it is not there */
    const char *node;                 /* [A-Za-z0-9_-]{1,64} */
    const struct clock_source *clock; /* NULL: the system's */
    struct audit_signer signer;
    struct audit_limits limits;
    struct audit_space space; /* {NULL}: statvfs(3) */
    bool without_thread;      /* emitted records go out with commit, sync, tick and close only */
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

/* Checks the newest file of the log (its signed boundary; chain, sequence, canonical form, tree
 * against every checkpoint, the newest signature) and continues it; begins one where there is none.
 * Without boundaries everything is read; audit_verify() always does. What no checkpoint covers was
 * never acknowledged: it is cut, with a record saying so (log_repaired). What the limits do not
 * keep is trimmed, with a record saying so before (log_trimmed).
 *
 * LETHE_INTEGRITY names file, line and reason. LETHE_UNPROTECTED: others may read the directory or
 * a file in it. LETHE_INVALID: node and key name do not fit. LETHE_UNAVAILABLE: no thread can be
 * started. *out is NULL unless LETHE_OK. */
LETHE_MUST_CHECK lethe_result audit_open(const struct audit_options *options,
                                         struct audit_log **out, struct lethe_error *err);
/* Writes what was emitted, then closes; the log is gone whatever the result. */
LETHE_MUST_CHECK lethe_result audit_close(struct audit_log *log, struct lethe_error *err);

/* Essential records are those of a critical kind, and those with an `epoch`, which the store's last
 * transaction owes the log. They are written while there is any room, whatever an identity has
 * used of its budget (which they count against). */

/* Durable, checkpoint included, when it returns LETHE_OK. Otherwise the record is not in the log,
 * unless the disk failed in a way that could not be undone (then nothing more is written until the
 * log is opened anew, and only that shows). Blocks while another process writes.
 * LETHE_INTEGRITY: somebody changed the files while the log was open. LETHE_IO, or what the signer
 * gave. LETHE_NO_SPACE: the disk is full, or, for what is not essential, nearly. LETHE_UNAVAILABLE:
 * not essential, and the actor is over its budget: later there is some again. */
LETHE_MUST_CHECK lethe_result audit_commit(struct audit_log *log, const struct audit_who *who,
                                           const struct audit_event *event,
                                           struct lethe_error *err);
/* The same for many records, which follow one another in the log: up to 512 of them are in one
 * group, and all are when the result is LETHE_OK. Over its budget, an actor has all of them refused
 * unless one is essential. */
LETHE_MUST_CHECK lethe_result audit_commit_all(struct audit_log *log, const struct audit_who *who,
                                               const struct audit_event *events, size_t count,
                                               struct lethe_error *err);
/* Never blocks on the disk: the log's thread writes it within limits.flush_ms, or a commit or sync
 * before, in the order of the calls. Texts are copied. A record is dropped when too many wait, when
 * the disk is nearly full, or when its actor is over budget. How many were is on record too
 * (events_dropped), in the next group that may be written. A critical kind is a broken
 * precondition. */
void audit_emit(struct audit_log *log, const struct audit_who *who,
                const struct audit_event *event);

/* What the log's thread does, now and by the log's clock: writes what was emitted if it is time.
 * For whoever has no thread: it is how A-2 is shown by the log's own clock. */
LETHE_MUST_CHECK lethe_result audit_tick(struct audit_log *log, struct lethe_error *err);

/* Writes what was emitted, and reads what other processes appended: audit_head() is then the log as
 * its files are now. */
LETHE_MUST_CHECK lethe_result audit_sync(struct audit_log *log, struct lethe_error *err);

/* The state after the last durable group, and the root that the log had at `records` records
 * (LETHE_NOT_FOUND when it never was that long): for comparing with a pinned head. It comes from
 * the tiles, checked against the head, or else from the records; LETHE_INTEGRITY when these were
 * trimmed. */
void audit_head(struct audit_log *log, struct audit_head *out);
LETHE_MUST_CHECK lethe_result audit_root_at(struct audit_log *log, uint64_t records,
                                            uint8_t root[32], struct lethe_error *err);

#endif
