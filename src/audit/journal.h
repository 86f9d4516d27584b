/* audit/journal.h -- where a group becomes durable: one write into space that is there already.
 *
 * `journal` holds groups one behind the other, each a header, the lines and the note. A group is
 * written with one synchronous write; from then on it counts, and may go to the files of the log
 * without a sync. When the journal is full the files are synced, and it is begun anew at its start.
 *
 *   header   "LTHJRNL1", le64 generation, le64 records before the group, le64 offset of its lines,
 *            le64 offset of its note, le32 number of the file of records, le32 count of records,
 *            le32 bytes of lines, le32 bytes of the note (with the blank line), SHA-256 of all this
 *            and of lines and note
 *
 * The generation is the number of records when the journal was last begun: what lies behind the
 * last group of the newest generation is from an older one, and says nothing. Nothing here is
 * secret or trusted: groups that are put into the files are checked there like all else.
 *
 * Used with the log's lock held, by one thread at a time. */
#ifndef AUDIT_JOURNAL_H
#define AUDIT_JOURNAL_H

#include "base/buffer.h"

#define JOURNAL_NAME "journal"
#define JOURNAL_BYTES ((uint64_t)256 << 10) /* a larger group makes it grow, once */

struct journal {
    int fd;
    uint64_t generation;
    uint64_t offset; /* behind the last group; 0: none is known */
    uint64_t size;
};

struct journal_group {
    uint64_t records;  /* in the log before it             */
    uint64_t lines_at; /* where they go in the file ...    */
    uint64_t note_at;  /* ... and the note in `checkpoints` */
    uint32_t number;   /* of the file of records           */
    uint32_t count;    /* of records                       */
    const char *lines; /* borrowed */
    const char *note;  /* borrowed */
    uint32_t lines_bytes;
    uint32_t note_bytes;
};

/* Opens the journal of a log, or makes it, its space written and on disk. */
LETHE_MUST_CHECK lethe_result journal_open(struct journal *journal, int directory,
                                           struct lethe_error *err);
/* Opens one only to look: LETHE_NOT_FOUND when there is none. */
LETHE_MUST_CHECK lethe_result journal_open_to_read(struct journal *journal, int directory,
                                                   struct lethe_error *err);
void journal_close(struct journal *journal); /* closed ones, with fd -1, too */
static inline void journal_close_at_scope_end(struct journal *journal)
{
    journal_close(journal);
}

/* Goes to the start if another process has begun the journal anew, and otherwise stays. */
LETHE_MUST_CHECK lethe_result journal_follow(struct journal *journal, struct lethe_error *err);

/* What is behind the last known group. */
enum journal_found {
    JOURNAL_GROUP,   /* the next group: known from now on                                   */
    JOURNAL_NOTHING, /* free space, or an older generation                                  */
    JOURNAL_TORN,    /* a group whose writing was interrupted: nobody was told that it counts */
};
/* The group's texts lie in `bytes`. */
LETHE_MUST_CHECK lethe_result journal_next(struct journal *journal, struct buffer *bytes,
                                           struct journal_group *out, enum journal_found *found,
                                           struct lethe_error *err);

/* Whether a group has to begin the journal anew: before that, the files of the log are synced. */
bool journal_is_full_for(const struct journal *journal, const struct journal_group *group);
void journal_begin_anew(struct journal *journal);
/* The group is durable when the result is LETHE_OK. Otherwise it does not count, unless *undone is
 * false: journal_undo() has to be called before anyone looks. */
LETHE_MUST_CHECK lethe_result journal_append(struct journal *journal,
                                             const struct journal_group *group, bool *undone,
                                             struct lethe_error *err);
/* Erases what stands behind the last known group: one that could not be undone at its time. */
LETHE_MUST_CHECK lethe_result journal_undo(struct journal *journal, struct lethe_error *err);
/* Forgets all groups: the files are synced, and nothing is to be put back into them. */
LETHE_MUST_CHECK lethe_result journal_clear(struct journal *journal, struct lethe_error *err);

#endif
