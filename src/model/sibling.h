/* model/sibling.h -- a directory that appears whole or not at all.
 *
 * It is built under a name of its own beside the target (".<name>.lethe-<16 hex>") and then renamed
 * into place, or exchanged with the directory that is there. Whoever builds holds a flock on it:
 * one without holder was left by a process that died, and the next to build for the same target
 * removes it. A target that will be replaced is locked too, so that two who replace it at once do
 * not undo each other.
 *
 * One sibling of a target may be kept for a later run to go on with: it has the name
 * ".<name>.lethe-unfinished", appears and disappears whole, and goes when the target is replaced.
 */
#ifndef MODEL_SIBLING_H
#define MODEL_SIBLING_H

#include <sys/types.h>

#include "base/clock.h"

struct sibling { /* plain storage; clear with sibling_discard() */
    int parent_fd;
    char *path; /* the target as the caller named it, for errors */
    char *name; /* the target's name in the parent */
    char temporary[256];
    int fd;          /* the new directory, locked; -1: none (any more) */
    int replaced_fd; /* the directory to replace, locked; -1: none */
    bool kept;       /* the new directory outlives a failure       */
};
#define SIBLING_NONE                                                                               \
    (struct sibling)                                                                               \
    {                                                                                              \
        .parent_fd = -1, .fd = -1, .replaced_fd = -1                                               \
    }

/* Removes what dead processes left beside `path`. Each is named to `first`, which may be NULL, by
 * the 16 digits of its name, while it is locked and still there. */
void sibling_remove_leftovers(const char *path, void (*first)(void *context, const char *digits),
                              void *context);
/* Finds parent and name of `path`, removes what dead processes left, and looks at what is there.
 * LETHE_EXISTS: something is, and `replace` is false. LETHE_BUSY: someone else is replacing it.
 * LETHE_INVALID: it is not a directory of its own (a symbolic link, "/", ".."). */
LETHE_MUST_CHECK lethe_result sibling_prepare(const char *path, bool replace, struct sibling *out,
                                              struct lethe_error *err);
/* The same, but removes, locks and asks for nothing: for looking. */
LETHE_MUST_CHECK lethe_result sibling_locate(const char *path, struct sibling *out,
                                             struct lethe_error *err);
/* LETHE_NO_SPACE, with the figures, when needed_bytes are more than the file system has free. */
LETHE_MUST_CHECK lethe_result sibling_check_space(const struct sibling *sibling,
                                                  uint64_t needed_bytes, struct lethe_error *err);
/* Makes the new directory (mode less the umask), empty and locked. */
LETHE_MUST_CHECK lethe_result sibling_create(struct sibling *sibling, mode_t mode,
                                             const struct random_source *random,
                                             struct lethe_error *err);
/* The 16 digits of the new directory's name, once it was made. */
const char *sibling_digits(const struct sibling *sibling);
/* Syncs the new directory and puts it into place; what it replaces is removed. On failure the old
 * one is in place (but for a disk that takes the rename, fails the sync of it, and refuses the way
 * back). LETHE_CONFLICT: something has appeared, or gone, meanwhile. */
LETHE_MUST_CHECK lethe_result sibling_publish(struct sibling *sibling, struct lethe_error *err);
/* Syncs `new_fd`, the directory at `new_path` below the parent, and puts it into place; what it
 * replaces is at `new_path` then. Failures as of sibling_publish(). */
LETHE_MUST_CHECK lethe_result sibling_exchange(const struct sibling *sibling, const char *new_path,
                                               int new_fd, struct lethe_error *err);

/* Keeps the directory that sibling_create() made from now on, durable. LETHE_EXISTS: there is one.
 */
LETHE_MUST_CHECK lethe_result sibling_keep(struct sibling *sibling, struct lethe_error *err);
/* Opens the one that was kept; `lock`: for this process alone. LETHE_NOT_FOUND; LETHE_BUSY;
 * LETHE_EXISTS: something else has its name, or it lacks the file KEPT_STATE of its beginning. */
LETHE_MUST_CHECK lethe_result sibling_open_kept(struct sibling *sibling, bool lock,
                                                struct lethe_error *err);
/* Removes it: it is gone at once, its files after that. What of them cannot be removed, an error
 * all the same, is left for the next sibling_prepare(). */
LETHE_MUST_CHECK lethe_result sibling_remove_kept(struct sibling *sibling,
                                                  const struct random_source *random,
                                                  struct lethe_error *err);
/* What a directory that is kept must hold: a file with this name that begins with these bytes. */
#define KEPT_STATE "state"
#define KEPT_MAGIC "LTHREEN1"

/* Removes the new directory unless it was published, or is kept. */
void sibling_discard(struct sibling *sibling);
static inline void sibling_discard_at_scope_end(struct sibling *sibling)
{
    sibling_discard(sibling);
}

#endif
