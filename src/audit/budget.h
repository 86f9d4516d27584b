/* audit/budget.h -- how many bytes of records each identity may have written in an interval.
 *
 * A token bucket for each of the identities seen lately; it fills steadily. The table is bounded,
 * and forgetting an identity never gives it more: only one whose bucket is full again, and of which
 * nothing is left to be reported, makes room for another. While there is none, newcomers share one
 * bucket. So all identities together get at most BUDGET_IDENTITIES + 1 budgets an interval, however
 * many names somebody makes up.
 *
 * Not locked: the log's mutex guards it. */
#ifndef AUDIT_BUDGET_H
#define AUDIT_BUDGET_H

#include <sys/queue.h>

#include "audit/log.h"

#define BUDGET_IDENTITIES 256u
#define BUDGET_RECORD_BYTES 256u /* what a record takes besides its texts */

TAILQ_HEAD(identities, identity);

/* The bucket as one number: the moment at which it is full again (the generic cell rate algorithm,
 * ITU-T I.371). */
struct identity {
    TAILQ_ENTRY(identity) by_use;
    struct identity *next_of_hash;
    uint64_t full_at_ns;
    uint64_t dropped; /* not yet on record */
    uint32_t hash;
    size_t length;
    char name[AUDIT_TEXT_MAX + 1];
};

struct budget {
    uint64_t bytes; /* per interval; AUDIT_NO_LIMIT */
    uint64_t interval_ns;
    uint64_t dropped; /* of all */
    size_t used;
    struct identity *all; /* BUDGET_IDENTITIES, and the newcomers' */
    struct identity *of_hash[BUDGET_IDENTITIES];
    struct identities by_use; /* the latest first */
};

LETHE_MUST_CHECK lethe_result budget_create(struct budget *budget,
                                            const struct audit_limits *limits,
                                            struct lethe_error *err);
void budget_clear(struct budget *budget);

/* What a record counts for. */
uint64_t budget_weight(const struct audit_who *who, const struct audit_event *event);

/* Takes the bytes from the actor's budget; false when it has not as many. */
bool budget_take(struct budget *budget, const char *actor, uint64_t bytes, uint64_t now_ns);
/* Takes what there is of them. */
void budget_charge(struct budget *budget, const char *actor, uint64_t bytes, uint64_t now_ns);
/* A record of the actor's was dropped: it is to be reported. */
void budget_note_dropped(struct budget *budget, const char *actor, uint64_t now_ns);

/* Whose records were dropped: the next after `identity` (NULL: the first); NULL at the end. */
const struct identity *budget_next_dropped(const struct budget *budget,
                                           const struct identity *identity);
bool budget_is_newcomers(const struct budget *budget, const struct identity *identity);
/* `count` of them are on record. */
void budget_reported(struct budget *budget, const struct identity *identity, uint64_t count);

#endif
