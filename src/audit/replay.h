/* audit/replay.h -- going through a log's files and checking all that they say.
 *
 * Records are read up to each checkpoint in turn, and the tree compared with its root. What lies
 * behind the newest checkpoint is never read: nobody was told that it is in the log. A crash leaves
 * such a tail; so would someone who adds records without the key. */
#ifndef AUDIT_REPLAY_H
#define AUDIT_REPLAY_H

#include "audit/chain.h"
#include "audit/files.h"
#include "audit/verify.h"

/* What the newest log_trimmed says is kept: from this file on, which begins with record `records`.
 * {0}: nothing was trimmed. */
struct replay_trimmed {
    unsigned file;
    uint64_t records;
};

/* The end of what is signed. Plain storage: {0} is before the first byte. */
struct replay {
    struct chain chain;
    unsigned number;      /* file of records, 0 before the first  */
    uint64_t offset;      /* in it, behind the last signed record */
    uint64_t line;        /* lines of that file before the offset */
    uint64_t notes;       /* checkpoints                          */
    uint64_t note_at;     /* in `checkpoints`, where the last one begins ... */
    uint64_t note_offset; /* ... and behind it                    */
    uint64_t begun_ns;    /* time of the first record in that file */
    uint64_t time_ns;     /* of the last record                   */
    struct replay_trimmed trimmed;
};

struct replay_options {
    int directory;
    const struct files_view *view; /* how far to go */
    const struct audit_key *key;
    bool every_signature; /* not only the newest, which covers what the others do; and boundaries */
    /* Gets the beginning of the file that is read last, if it is the second or a later one and a
     * checkpoint ends before it; and how many records a checkpoint was compared for, whatever the
     * result. Both may be NULL. */
    struct replay *begun;
    uint64_t *compared;
    struct audit_checkpoint since; /* compared when `anchored`                                 */
    bool anchored;
    audit_record_visit *visit; /* may be NULL */
    void *context;
};

/* What lies behind. */
struct replay_tail {
    uint64_t record_bytes; /* in the files of records */
    uint64_t note_bytes;   /* in `checkpoints`        */
    bool checkpoint_lags;  /* `checkpoint` is missing, or is an older one */
};

/* Goes on from *replay to the newest checkpoint. LETHE_INTEGRITY names file, line and reason;
 * *replay is then of no use. LETHE_NOT_FOUND: there is no log, or one whose making was interrupted.
 */
LETHE_MUST_CHECK lethe_result replay_run(struct replay *replay,
                                         const struct replay_options *options,
                                         struct replay_tail *tail, struct lethe_error *err);

/* The root that the first `records` records have, without checking anything, from a place that is
 * not behind them. LETHE_NOT_FOUND when there are fewer. */
LETHE_MUST_CHECK lethe_result replay_root_at(const struct replay *from, int directory,
                                             const struct files_view *view, uint64_t records,
                                             uint8_t root[32], struct lethe_error *err);

#endif
