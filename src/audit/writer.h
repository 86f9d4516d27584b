/* audit/writer.h -- one group of records after another, each durable with its checkpoint.
 *
 * A group, under the lock of the directory:
 *   1  put into the files what another process had in the journal only, read what others
 *      appended, and check it
 *   2  make sure that the files have room, then write lines and checkpoint into the journal: one
 *      synchronous write, after which the group counts
 *   3  write the lines behind the last signed one, the checkpoint behind the last one in
 *      `checkpoints`, and replace `checkpoint`, all without a sync
 * When the journal is full, and when the log is closed, the files are synced and the journal begins
 * anew. So a file of the log may be short or torn after a power cut, but never by more than the
 * journal holds, and a log that is shorter than that was cut by someone.
 *
 * Records without a checkpoint were promised to nobody. They are overwritten by the next group,
 * which begins with a record that says so; taking them over instead would sign what anyone without
 * the key can have added.
 *
 * Used by one thread at a time. */
#ifndef AUDIT_WRITER_H
#define AUDIT_WRITER_H

#include "audit/journal.h"
#include "audit/queue.h"
#include "audit/replay.h"
#include "audit/tiles.h"

#define WRITER_GROUP_MAX 512 /* records in a group, apart from the log's own */
#define WRITER_OWN_MAX 3     /* log_rotated, log_trimmed, log_repaired       */

/* What a writer calls when a group is durable. */
typedef void writer_durable(void *context);

struct writer {
    int directory;
    int records; /* the newest file of records */
    int notes;   /* `checkpoints`              */
    const struct clock_source *clock;
    struct audit_signer signer;
    struct replay replay;
    struct replay begun; /* the beginning of the newest file; number 0 where it is not known */
    struct audit_limits limits;
    struct journal journal;
    struct tiles *tiles;
    uint64_t reserved;       /* the file of records has room up to here ... */
    uint64_t notes_reserved; /* ... and `checkpoints`                       */
    bool torn;               /* the journal has a group that was never finished */
    bool sync_failed;        /* what is in the files may be on its way to nowhere */
    bool files_lag;          /* the last group is in the journal only           */
    bool checkpoint_lags;
    bool broken;             /* a group that failed is still to be undone           */
    writer_durable *durable; /* of the group that is being written; NULL: nobody waits for it */
    void *durable_context;
};

/* Reads and checks the log, or begins a new one. `directory` is moved on success. */
LETHE_MUST_CHECK lethe_result writer_open(struct writer *writer, int directory,
                                          const struct audit_options *options,
                                          struct lethe_error *err);
/* Brings `checkpoint` up to date if that had failed, and closes, whatever the result. */
LETHE_MUST_CHECK lethe_result writer_close(struct writer *writer, struct lethe_error *err);

/* Closes its descriptors, and does nothing else. */
void writer_abandon(struct writer *writer);

/* Writes the entries of a list as one group: all of them are in the log, or none. `durable` is
 * called once they are, before the files have them too: those who look into the files wait for the
 * lock until they do. */
LETHE_MUST_CHECK lethe_result writer_group(struct writer *writer, const struct entry *list,
                                           writer_durable *durable, void *context,
                                           struct lethe_error *err);

/* Reads and checks what other processes appended. */
LETHE_MUST_CHECK lethe_result writer_catch_up(struct writer *writer, struct lethe_error *err);

static inline const char *writer_node(const struct writer *writer)
{
    return writer->signer.key.name + sizeof RECORD_ORIGIN_PREFIX - 1;
}

#endif
