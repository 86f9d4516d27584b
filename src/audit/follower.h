/* audit/follower.h -- reading a log as it grows, each record once and in order.
 *
 * A follower remembers where it is, so that what comes later costs what it is long; rotation does
 * not matter to it. Thread rule: one thread at a time. */
#ifndef AUDIT_FOLLOWER_H
#define AUDIT_FOLLOWER_H

#include "audit/replay.h"

struct follower {
    int directory; /* borrowed */
    struct audit_key key;
    struct replay replay; /* {0}: before the first record */
};

/* Goes to a place from which record `records`, if it is kept, will be visited: not far before it,
 * where there are boundaries. */
LETHE_MUST_CHECK lethe_result follower_begin(struct follower *follower, uint64_t records,
                                             struct lethe_error *err);

/* Visits the records up to the newest checkpoint that were not visited yet. What was shown is true
 * when the result is LETHE_OK; otherwise the next call begins where this one did. A record whose
 * number is not the next was trimmed before it could be visited. LETHE_INTEGRITY as audit_verify(),
 * but what was signed before the first record that was visited is not looked at. */
LETHE_MUST_CHECK lethe_result follower_next(struct follower *follower, audit_record_visit *visit,
                                            void *context, struct lethe_error *err);

#endif
