/* audit/writer.h -- one group of records after another, each durable with its checkpoint.
 *
 * A group, under the lock of the directory:
 *   1  read what other processes appended, and check it
 *   2  write the lines behind the last signed one, sync             (fdatasync 1)
 *   3  write the checkpoint behind the last one in `checkpoints`, sync   (fdatasync 2)
 *   4  replace `checkpoint`, unsynced
 * The order matters: a checkpoint on disk says that its records are there, so a log that is shorter
 * was cut by someone. Records without their checkpoint (a crash between 2 and 3) were promised to
 * nobody. They are overwritten by the next group, which begins with a record that says so; taking
 * them over instead would sign what anyone without the key can have added.
 *
 * Used by one thread at a time. */
#ifndef AUDIT_WRITER_H
#define AUDIT_WRITER_H

#include "audit/queue.h"
#include "audit/replay.h"

#define WRITER_GROUP_MAX 512 /* records in a group, apart from the log's own two */

struct writer {
    int directory;
    int records; /* the newest file of records */
    int notes;   /* `checkpoints`              */
    const struct clock_source *clock;
    struct audit_signer signer;
    struct replay replay;
    bool checkpoint_lags;
    bool broken; /* a group could be neither finished nor undone */
};

/* Reads and checks the log, or begins a new one. `directory` is moved on success. */
LETHE_MUST_CHECK lethe_result writer_open(struct writer *writer, int directory,
                                          const struct audit_options *options,
                                          struct lethe_error *err);
/* Brings `checkpoint` up to date if that had failed, and closes, whatever the result. */
LETHE_MUST_CHECK lethe_result writer_close(struct writer *writer, struct lethe_error *err);

/* Writes the entries of a list as one group: all of them are in the log, or none. */
LETHE_MUST_CHECK lethe_result writer_group(struct writer *writer, const struct entry *list,
                                           struct lethe_error *err);

/* Reads and checks what other processes appended. */
LETHE_MUST_CHECK lethe_result writer_catch_up(struct writer *writer, struct lethe_error *err);

static inline const char *writer_node(const struct writer *writer)
{
    return writer->signer.key.name + sizeof RECORD_ORIGIN_PREFIX - 1;
}

#endif
