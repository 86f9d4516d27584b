/* audit/writer_core.h -- the inside of a writer, for its own files: writer.c (groups),
 * writer_group.c (what is in one), writer_recover.c (what is in the journal only), writer_open.c.
 * All with the lock of the directory held. */
#ifndef AUDIT_WRITER_CORE_H
#define AUDIT_WRITER_CORE_H

#include "audit/writer.h"

struct group {
    struct chain chain; /* what the log comes to with it */
    struct buffer lines;
    struct buffer leaves; /* their hashes in the tree */
    uint64_t count;
    struct buffer note; /* and the blank line behind it */
};

static inline void group_clear_at_scope_end(struct group *group)
{
    buffer_clear(&group->lines);
    buffer_clear(&group->leaves);
    buffer_clear(&group->note);
}

/* The records of a group, the log's own first, and the checkpoint over them. */
LETHE_MUST_CHECK lethe_result group_make(const struct writer *writer, const struct entry *list,
                                         const struct replay_tail *tail, struct group *group,
                                         struct lethe_error *err);
/* Appends the signed note over the first records of a log, as `chain` knows them. */
LETHE_MUST_CHECK lethe_result writer_sign(const struct writer *writer, const struct chain *chain,
                                          struct buffer *out, struct lethe_error *err);

/* Puts into the files what only the journal has. It is checked there, as all that somebody else
 * wrote. */
LETHE_MUST_CHECK lethe_result writer_recover(struct writer *writer, struct lethe_error *err);
/* Reads and checks what the files have more than before. */
LETHE_MUST_CHECK lethe_result writer_read_on(struct writer *writer, struct replay_tail *tail,
                                             struct lethe_error *err);
/* Both, if there is a reason to. */
LETHE_MUST_CHECK lethe_result writer_catch_up_locked(struct writer *writer,
                                                     struct replay_tail *tail,
                                                     struct lethe_error *err);
/* A group of which the disk did not say whether it has it is erased, unless another process has
 * found it whole meanwhile. */
LETHE_MUST_CHECK lethe_result writer_undo_failed(struct writer *writer, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result writer_group_locked(struct writer *writer, const struct entry *list,
                                                  const struct replay_tail *tail,
                                                  struct lethe_error *err);

LETHE_MUST_CHECK lethe_result writer_open_private(const struct writer *writer, const char *name,
                                                  int flags, int *out, struct lethe_error *err);
/* The file that the next group goes to. */
LETHE_MUST_CHECK lethe_result writer_open_records(struct writer *writer, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result writer_sync_files(struct writer *writer, struct lethe_error *err);
/* Space that was reserved behind the end is given back. */
LETHE_MUST_CHECK lethe_result writer_trim(int fd);

#endif
