/* audit/losses.h -- records that were dropped, and how that gets on record itself.
 *
 * A loss is counted where it happens, reported with the next group that may be written, and settled
 * when that group is durable. Not locked: the log's mutex guards all but a report that was made. */
#ifndef AUDIT_LOSSES_H
#define AUDIT_LOSSES_H

#include "audit/budget.h"
#include "audit/queue.h"

enum loss { LOSS_QUEUE, LOSS_SPACE, LOSSES };

/* Those of a budget are counted there, by identity. */
struct losses {
    uint64_t counts[LOSSES]; /* not yet on record */
};

#define LOSS_REPORT_MAX                                                                            \
    8u /* records about losses in one group; what is left waits for the next                       \
        */

struct loss_report {
    size_t count;
    struct loss_row {
        enum loss loss;                  /* LOSSES: of a budget */
        const struct identity *identity; /* whose */
        uint64_t count;
        char source[AUDIT_TEXT_MAX + 1];
        struct audit_event event;
        struct entry entry;
    } rows[LOSS_REPORT_MAX];
};

bool losses_any(const struct losses *losses, const struct budget *budget);
void losses_report(const struct losses *losses, const struct budget *budget, uint64_t time_ns,
                   struct loss_report *out);
void losses_settle(struct losses *losses, struct budget *budget, const struct loss_report *report);

#endif
