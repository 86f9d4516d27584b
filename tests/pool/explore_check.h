/* tests/pool/explore_check.h -- what may never be true of a small pool, and what time alone makes
 * of it. Each gives the sentence that was violated, or NULL. */
#ifndef TESTS_POOL_EXPLORE_CHECK_H
#define TESTS_POOL_EXPLORE_CHECK_H

#include "explore_model.h"

/* ---- what may never be ------------------------------------------------------------------------
 */

static inline const char *check_served(const struct model *m, const struct model_rules *rules,
                                       unsigned c, unsigned l)
{
    const struct model_lease *lease = &m->leases[l];
    unsigned consumer = c / 2;
    if (!is_served(m, rules, c, l))
        return NULL;
    if (consumer != lease->consumer)
        return "a lease is served to somebody else";
    if (m->content[lease->page] != 0 && m->content[lease->page] != 1 + consumer)
        return "a consumer can read another's page";
    if (lease->is_over)
        return "a lease that ended is served";
    if (lease->attached != c + 1)
        return "a connection that was overtaken is served";
    if (m->banned[lease->provider] >> consumer & 1)
        return "who was revoked is served";
    return NULL;
}

static inline const char *check_state(const struct model *m, const struct model_rules *rules)
{
    for (unsigned l = 0; l < rules->leases; l++) {
        const struct model_lease *a = &m->leases[l];
        for (unsigned c = 0; c < CONNECTIONS; c++) {
            const char *violation = check_served(m, rules, c, l);
            if (violation != NULL)
                return violation;
        }
        for (unsigned k = 0; k < l; k++) {
            const struct model_lease *b = &m->leases[k];
            if (a->has != 0 && b->has != 0 && a->provider == b->provider && a->page == b->page &&
                lease_holds_memory(a->has) && lease_holds_memory(b->has))
                return "a page belongs to two leases";
        }
    }
    return NULL;
}

/* ---- time alone -------------------------------------------------------------------------------
 */

/* What a provider could not say before it restarted is lost. */
static inline bool ends_agree(const struct model *m, const struct model_lease *lease)
{
    bool restarted = lease->boot != m->boot[lease->provider];
    return lease->row == lease->end || (lease->row == LEASE_LOST && restarted);
}

/* Nobody does anything any more: leases run out, are wiped, and providers say so. */
static inline const char *check_end(const struct model *from, const struct model_rules *rules)
{
    struct model m = *from;
    struct model_step step = {0};
    for (unsigned provider = 0; provider < PROVIDERS; provider++) {
        link_down(&m, provider);
        (void)join(&m, rules, provider);
    }
    for (unsigned l = 0; l < rules->leases; l++) {
        end_lease(&m, rules, l);
        (void)wipe(&m, rules, l, true);
    }
    for (unsigned l = 0; l < rules->leases; l++)
        (void)report(&m, rules, l, true, &step);
    for (unsigned l = 0; l < rules->leases; l++) {
        const struct model_lease *lease = &m.leases[l];
        if (lease->has != 0)
            return "a lease does not end by itself";
        if (lease->row == ROW_PENDING || (lease->row != 0 && !lease_is_final(lease->row)))
            return "the control plane never hears of an end";
        if (lease->row != 0 && !ends_agree(&m, lease))
            return "control plane and provider have different ends of a lease";
    }
    return step.violation;
}

#endif
