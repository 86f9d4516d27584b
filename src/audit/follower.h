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

/* Visits the records up to the newest checkpoint that were not visited yet. What was shown is true
 * when the result is LETHE_OK; otherwise the next call begins where this one did. LETHE_INTEGRITY
 * as audit_verify(). */
LETHE_MUST_CHECK lethe_result follower_next(struct follower *follower, audit_record_visit *visit,
                                            void *context, struct lethe_error *err);

#endif
