#include "audit/losses.h"

#include <string.h>

static const char *const reasons[LOSSES] = {
    [LOSS_QUEUE] = "too many were waiting",
    [LOSS_SPACE] = "the log's file system is nearly full",
};
#define REASON_BUDGET "over the budget of the source"
#define REASON_NEWCOMERS "over the budget that sources beyond the first 256 share"
_Static_assert(BUDGET_IDENTITIES == 256, "the reason says so");

bool losses_any(const struct losses *losses, const struct budget *budget)
{
    return losses->counts[LOSS_QUEUE] > 0 || losses->counts[LOSS_SPACE] > 0 || budget->dropped > 0;
}

static struct loss_row *add_row(struct loss_report *out, enum loss loss, uint64_t count,
                                uint64_t time_ns)
{
    struct loss_row *row = &out->rows[out->count++];
    row->loss = loss;
    row->count = count;
    row->identity = NULL;
    row->entry = (struct entry){.event = &row->event, .time_ns = time_ns};
    return row;
}

static void add_identity(const struct budget *budget, const struct identity *identity,
                         uint64_t time_ns, struct loss_report *out)
{
    struct loss_row *row = add_row(out, LOSSES, identity->dropped, time_ns);
    bool many = budget_is_newcomers(budget, identity);
    row->identity = identity;
    memcpy(row->source, identity->name, sizeof row->source);
    row->event = audit_events_dropped(row->count, many ? REASON_NEWCOMERS : REASON_BUDGET,
                                      many ? NULL : row->source);
}

void losses_report(const struct losses *losses, const struct budget *budget, uint64_t time_ns,
                   struct loss_report *out)
{
    out->count = 0;
    for (enum loss loss = 0; loss < LOSSES; loss++) {
        if (losses->counts[loss] == 0)
            continue;
        struct loss_row *row = add_row(out, loss, losses->counts[loss], time_ns);
        row->event = audit_events_dropped(row->count, reasons[loss], NULL);
    }
    if (budget->dropped == 0)
        return;
    const struct identity *identity = budget_next_dropped(budget, NULL);
    for (; identity != NULL && out->count < LOSS_REPORT_MAX;
         identity = budget_next_dropped(budget, identity))
        add_identity(budget, identity, time_ns, out);
}

void losses_settle(struct losses *losses, struct budget *budget, const struct loss_report *report)
{
    for (size_t i = 0; i < report->count; i++) {
        const struct loss_row *row = &report->rows[i];
        if (row->loss == LOSSES)
            budget_reported(budget, row->identity, row->count);
        else
            losses->counts[row->loss] -= row->count;
    }
}
