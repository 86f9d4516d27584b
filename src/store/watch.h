/* store/watch.h -- what changed under a prefix since an epoch.
 *
 * History is kept for prefixes that someone asked for, so that other transactions cost nothing
 * more. Of each transaction that changes rows under them it has the paths and new versions, in rows
 * of the store itself, written by the same transaction: a change that is in the head cannot be
 * missing in the history, whoever made it.
 *
 * How to follow a prefix: store_list it; store_epoch is then the epoch of what was seen; watch from
 * there. A watch shows each change once, in order of epochs and, within one, of paths; more than
 * one write of a row in a transaction is one change. When the history does not reach back far
 * enough (LETHE_CONFLICT), changes were missed: list again and watch from there. */
#ifndef STORE_WATCH_H
#define STORE_WATCH_H

#include "store/store.h"

#define STORE_HISTORY_PREFIXES_MAX 8u
/* Rows of history, each with the changes of one transaction, or 4096 bytes of them (9 bytes and
 * the path each). The oldest transactions are forgotten, but the newest is kept whatever its size.
 */
#define STORE_HISTORY_ROWS_MAX 1024u

/* Outside a transaction: from here on, and for good, changes under `prefix` (as in store_list) are
 * kept. Fine when they are already. LETHE_INVALID (prefix), LETHE_LIMIT. */
LETHE_MUST_CHECK lethe_result store_history_keep(struct store *store, const char *prefix,
                                                 struct lethe_error *err);

struct store_event {
    uint64_t epoch;
    const char *path; /* borrowed, for the call            */
    uint64_t version; /* STORE_ABSENT: the row was deleted */
};
typedef lethe_result store_event_visit(void *context, const struct store_event *event,
                                       struct lethe_error *err);

struct store_watch;
/* Of the changes after `epoch` under `prefix`. The store outlives the watch. LETHE_INVALID (prefix,
 * or no history is kept for it), LETHE_CONFLICT as store_watch_next. */
LETHE_MUST_CHECK lethe_result store_watch_open(struct store *store, const char *prefix,
                                               uint64_t epoch, struct store_watch **out,
                                               struct lethe_error *err);
void store_watch_close(struct store_watch *watch);
DEFINE_CLEANUP(store_watch_close, struct store_watch *);

/* Shows what is new, which may be nothing; does not wait. Outside a transaction. Calls see one
 * state, the newest, and so does what they read with store_get, which may be newer than the change;
 * they must not write. When one gives something else than LETHE_OK, that is the result, and the
 * next call begins with the same change. LETHE_CONFLICT: changes were forgotten before they were
 * shown, or `epoch` was of another history; stays so. */
LETHE_MUST_CHECK lethe_result store_watch_next(struct store_watch *watch, store_event_visit *visit,
                                               void *context, struct lethe_error *err);
/* All changes up to this epoch have been shown: where another watch may go on. */
uint64_t store_watch_epoch(const struct store_watch *watch);

#endif
