/* audit/writer_core.h -- the inside of a writer, for its own files: writer.c (groups),
 * writer_group.c (what is in one), writer_recover.c (what is in the journal only), writer_rotate.c
 * (the next file), writer_retain.c (trimming the oldest), writer_open.c. All with the lock of the
 * directory held. */
#ifndef AUDIT_WRITER_CORE_H
#define AUDIT_WRITER_CORE_H

#include "audit/writer.h"

/* What the log itself has to say in a group. */
struct own_records {
    const struct replay_tail *tail;
    const char *rotated;        /* why the file of records is new; NULL: it is not      */
    const char *trimmed;        /* why there is something to trim; NULL: there is not   */
    struct replay_trimmed trim; /* what is kept then                                    */
    uint64_t time_ns;           /* of the first two: the time that made the file change */
};

struct group {
    struct chain chain; /* what the log comes to with it */
    uint64_t begun_ns;  /* time of its first record ...  */
    uint64_t time_ns;   /* ... and of its last           */
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
                                         const struct own_records *own, struct group *group,
                                         struct lethe_error *err);
/* Appends a signature by a key of the signer's, under one of its names, behind a text. */
LETHE_MUST_CHECK lethe_result writer_sign_note(const struct writer *writer,
                                               const struct audit_key *key, const char *what,
                                               struct buffer *note, struct lethe_error *err);
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
LETHE_MUST_CHECK lethe_result writer_give_back(int fd);

/* Why the next group goes to a new file; NULL: it does not. `time_ns` is that of its newest record,
 * 0 when it has none but the log's own. */
const char *writer_rotation_due(const struct writer *writer, const struct replay_tail *tail,
                                uint64_t time_ns);
/* Begins the next file of records, its boundary first. An empty last file is no harm, whoever
 * leaves one. */
LETHE_MUST_CHECK lethe_result writer_rotate(struct writer *writer, struct lethe_error *err);
/* Signs the boundary of the newest file and puts it in place. */
LETHE_MUST_CHECK lethe_result writer_write_boundary(const struct writer *writer,
                                                    const struct replay *begun,
                                                    struct lethe_error *err);
/* Goes to a place: what was open before is closed. */
LETHE_MUST_CHECK lethe_result writer_move_to(struct writer *writer, const struct replay *place,
                                             struct lethe_error *err);

/* What the limits do not keep any more: *why is NULL when there is nothing to trim. */
void writer_choose_trim(const struct writer *writer, struct replay_trimmed *trim, const char **why);
/* Puts the tiles on disk, made again from the records where they do not fit: of records that go
 * nothing else will say what they were. What is lost of older ones is no reason to keep records. */
void writer_save_tiles(const struct writer *writer);
/* Removes what was trimmed on record. What cannot be removed now is when the log is next opened or
 * trimmed. */
void writer_remove_trimmed(const struct writer *writer);

#endif
