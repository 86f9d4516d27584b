/* audit/files.h -- the directory of a log: names, lock, how far each file goes.
 *
 *   000001.jsonl ...  the records, one a line; read in the order of the numbers
 *   000002.boundary   where that file of records begins (audit/boundary.h)
 *   checkpoints       every checkpoint, oldest first, each a note and a blank line
 *   checkpoint        the newest of them, alone; checkpoint.old is the inode it is swapped with
 *   lock              flock: exclusive for a group, shared to look at a state between two groups */
#ifndef AUDIT_FILES_H
#define AUDIT_FILES_H

#include "audit/checkpoint.h"

#define FILES_CHECKPOINTS "checkpoints"
#define FILES_CHECKPOINT "checkpoint"
#define FILES_CHECKPOINT_OLD "checkpoint.old"
#define FILES_LOCK "lock"
#define FILES_NUMBER_MAX 999999u
#define FILES_NAME_SIZE sizeof "000001.jsonl"
#define FILES_MODE 0600
#define FILES_DIRECTORY_MODE 0700

void files_name(unsigned number, char out[FILES_NAME_SIZE]);

/* Waits for the lock; files_unlock gives it back. Shared: LETHE_OK and -1 when there is no lock
 * file, as in a copy of a log that nobody writes to. */
LETHE_MUST_CHECK lethe_result files_lock_exclusive(int directory, int *fd, struct lethe_error *err);
LETHE_MUST_CHECK lethe_result files_lock_shared(int directory, int *fd, struct lethe_error *err);
void files_unlock(int fd);
DEFINE_CLEANUP(files_unlock, int);

/* The files at one moment: taken under the lock, of use after it too, because what was written by
 * then does not change. */
struct files_view {
    unsigned first_number;   /* of the oldest file of records: over 1 when some were trimmed   */
    unsigned first_boundary; /* the smallest number of a boundary; trimming removes it last     */
    unsigned last_number;    /* of the newest file of records; 0: there is none */
    uint64_t last_bytes;     /* its size                                        */
    bool has_notes;          /* `checkpoints` is there                          */
    uint64_t notes_bytes;    /* its size                                        */
    bool has_checkpoint;     /* `checkpoint` is there                           */
    struct buffer checkpoint;
};
/* LETHE_INTEGRITY when a file between the first and the last is missing. The caller clears *out.
 * files_look_shared() takes the lock for it, where there is one. */
LETHE_MUST_CHECK lethe_result files_look_shared(int directory, struct files_view *out,
                                                struct lethe_error *err);
LETHE_MUST_CHECK lethe_result files_look(int directory, struct files_view *out,
                                         struct lethe_error *err);
void files_view_clear(struct files_view *view);
static inline void files_view_clear_at_scope_end(struct files_view *view)
{
    files_view_clear(view);
}

/* The size of a file that must be there. */
LETHE_MUST_CHECK lethe_result files_size(int directory, const char *name, uint64_t *size_bytes,
                                         struct lethe_error *err);

/* Replaces `checkpoint` in one step; readers see the old note or the new one. Not synced: after a
 * power cut it may be one that was replaced before, but always a whole one. */
LETHE_MUST_CHECK lethe_result files_replace_checkpoint(int directory, const char *note,
                                                       size_t size_bytes, struct lethe_error *err);

#endif
