/* audit/history.h -- earlier sizes of a log, from its tiles alone.
 *
 * Tiles are trusted by nobody: all that is said here was shown by a consistency proof to be the
 * beginning of a tree whose root the caller trusts. LETHE_NOT_FOUND when tiles are missing,
 * LETHE_INTEGRITY when they, or the old tree, do not fit. */
#ifndef AUDIT_HISTORY_H
#define AUDIT_HISTORY_H

#include "audit/proof.h"
#include "audit/tiles.h"

struct proof_source history_source(struct tiles *tiles);

/* That a log which has come to `now` began as `old`. */
LETHE_MUST_CHECK lethe_result history_check(struct tiles *tiles, const struct proof_tree *old,
                                            const struct proof_tree *now, struct lethe_error *err);
/* The root that it had at `records` records, which are not more than now. */
LETHE_MUST_CHECK lethe_result history_root(struct tiles *tiles, uint64_t records,
                                           const struct proof_tree *now,
                                           uint8_t root[MERKLE_HASH_BYTES],
                                           struct lethe_error *err);

#endif
