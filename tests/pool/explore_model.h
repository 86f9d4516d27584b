/* tests/pool/explore_model.h -- a pool small enough that all that can happen to it can be tried.
 *
 * Two consumers, one with two connections, which may be revoked; two providers, of which one
 * may be cut off and restart; three pages; a control plane that may die between a grant and its
 * commit (to a provider that is a connection which breaks, and all that was not durable is
 * forgotten); and everything that is said between them, which may be late or lost. Consumers do
 * what they like, when they like: whatever of theirs is still on its way is something that they
 * could as well say later, so that it needs no queue. Leases are driven by the real lease_step();
 * the rest are the rules of docs/pool-protocol.md, each of which can be taken away, to show that it
 * is needed.
 *
 * Ids of leases are random and never come twice; in so small a world a provider knows its leases by
 * their generation alone, so that every other check of a token has to hold by itself. */
#ifndef TESTS_POOL_EXPLORE_MODEL_H
#define TESTS_POOL_EXPLORE_MODEL_H

#include <string.h>

#include "pool/lease.h"

#define CONSUMERS 2u
#define CONNECTIONS 3u /* two of the first consumer, one of the other: that is / 2 */
#define PROVIDERS 2u
#define PAGES 3u /* the first provider has two */
#define LEASES_MAX 3u
#define ROW_PENDING 8u /* a grant was asked for, and nothing is durable yet */
enum { GRANT_SENT = 1, GRANTED_SENT = 2, STOP_SENT = 4 };

struct model_lease {
    uint8_t is_used, consumer, provider, boot, generation, page;
    uint8_t row;      /* the control plane's: 0, ROW_PENDING, or a state */
    uint8_t token;    /* was given out */
    uint8_t has;      /* the provider's state; 0: it has no such lease */
    uint8_t attached; /* 1 + connection */
    uint8_t sent;     /* what is on its way; reports are heard when they are made, or never: who
                         hears one later knows as much as who heard it then */
    /* For looking on, not for deciding: */
    uint8_t was_attached; /* by which connections */
    uint8_t is_over;      /* it ended, or its provider restarted */
    uint8_t end;          /* how it ended there */
};
struct model {
    struct model_lease leases[LEASES_MAX];
    uint8_t content[PAGES]; /* 0: zero; 1 + consumer: that one's bytes */
    uint8_t boot[PROVIDERS], generation[PROVIDERS], linked[PROVIDERS];
    uint8_t banned[PROVIDERS], ban_sent[PROVIDERS];
    uint8_t connection[CONNECTIONS]; /* 1 + provider */
    uint8_t revoked;
};

/* Rules that can be taken away. Zero: all are there. */
struct model_rules {
    bool grants_unwiped, reuses_bad_pages;
    bool ignores_boot, ignores_identity, ignores_takeover, ignores_ban, serves_any_state;
    bool forgets_unacknowledged, forgets_restarts;
    lethe_result (*step)(enum lease_state *state, enum lease_event event); /* NULL: lease_step */
    unsigned leases; /* how many are ever asked for */
    uint16_t reach[LEASE_LOST + 1];
};

/* What a step was about; and, when something that may never happen did, what. */
struct model_step {
    const char *name;
    unsigned a, b;
    const char *violation;
};

static inline bool model_do(const struct model_rules *rules, uint8_t *state, enum lease_event event)
{
    enum lease_state now = *state;
    lethe_result result = rules->step != NULL ? rules->step(&now, event) : lease_step(&now, event);
    *state = (uint8_t)now;
    return result == LETHE_OK;
}

static inline bool model_is_live(uint8_t state)
{
    return state != 0 && state != LEASE_WIPING && !lease_is_final(state);
}

static inline unsigned first_page(unsigned provider)
{
    return provider == 0 ? 0 : 2;
}

/* ---- a provider -------------------------------------------------------------------------------
 */

static inline bool page_is_free(const struct model *m, const struct model_rules *rules,
                                unsigned provider, unsigned page)
{
    for (unsigned l = 0; l < LEASES_MAX; l++) {
        const struct model_lease *lease = &m->leases[l];
        bool excused = (rules->grants_unwiped && lease->has == LEASE_WIPING) ||
                       (rules->reuses_bad_pages && lease->has == LEASE_UNWIPED);
        if (lease->has != 0 && lease->provider == provider && lease->page == page &&
            lease_holds_memory(lease->has) && !excused)
            return false;
        /* What could not be wiped is never free again in that boot. */
        if (lease->has == 0 && lease->end == LEASE_UNWIPED && lease->provider == provider &&
            lease->boot == m->boot[provider] && lease->page == page && !rules->reuses_bad_pages)
            return false;
    }
    return true;
}

static inline void end_lease(struct model *m, const struct model_rules *rules, unsigned l)
{
    struct model_lease *lease = &m->leases[l];
    if (lease->has == 0 || !model_do(rules, &lease->has, LEASE_END))
        return;
    lease->attached = 0;
    lease->is_over = 1;
    if (lease_is_final(lease->has))
        lease->end = lease->has;
}

static inline bool grant(struct model *m, const struct model_rules *rules, unsigned l,
                         struct model_step *step)
{
    struct model_lease *lease = &m->leases[l];
    unsigned provider = lease->provider;
    if ((lease->sent & GRANT_SENT) == 0)
        return false;
    lease->sent &= (uint8_t)~GRANT_SENT;
    for (unsigned page = first_page(provider); page < (provider == 0 ? 2 : PAGES); page++) {
        if (!page_is_free(m, rules, provider, page) || (m->banned[provider] >> lease->consumer & 1))
            continue;
        if (m->content[page] != 0)
            step->violation = "a page was granted before it was wiped";
        lease->page = (uint8_t)page;
        lease->has = LEASE_GRANTED;
        lease->generation = ++m->generation[provider];
        lease->sent |= GRANTED_SENT;
        return true;
    }
    lease->row = 0; /* refused: NO_SPACE */
    lease->is_over = 1;
    return true;
}

static inline bool wipe(struct model *m, const struct model_rules *rules, unsigned l, bool succeeds)
{
    struct model_lease *lease = &m->leases[l];
    if (lease->has != LEASE_WIPING)
        return false;
    if (succeeds)
        m->content[lease->page] = 0;
    bool done = model_do(rules, &lease->has, succeeds ? LEASE_WIPED : LEASE_NOT_WIPED);
    lease->end = lease->has;
    if (rules->forgets_unacknowledged)
        lease->has = 0;
    return done;
}

static inline void hang_up(struct model *m, const struct model_rules *rules, unsigned c)
{
    m->connection[c] = 0;
    for (unsigned l = 0; l < LEASES_MAX; l++)
        if (m->leases[l].attached == c + 1 && model_do(rules, &m->leases[l].has, LEASE_DETACH))
            m->leases[l].attached = 0;
}

static inline bool ban(struct model *m, const struct model_rules *rules, unsigned provider,
                       unsigned consumer)
{
    if ((m->ban_sent[provider] >> consumer & 1) == 0)
        return false;
    m->ban_sent[provider] &= (uint8_t) ~(1u << consumer);
    m->banned[provider] |= (uint8_t)(1u << consumer);
    for (unsigned l = 0; l < LEASES_MAX && !rules->ignores_ban; l++)
        if (m->leases[l].consumer == consumer && m->leases[l].provider == provider)
            end_lease(m, rules, l);
    return true;
}

static inline void link_down(struct model *m, unsigned provider)
{
    m->linked[provider] = 0;
    m->ban_sent[provider] = 0;
    for (unsigned l = 0; l < LEASES_MAX; l++) {
        struct model_lease *lease = &m->leases[l];
        if (!lease->is_used || lease->provider != provider)
            continue;
        if ((lease->sent & GRANT_SENT) != 0)
            lease->is_over = 1; /* never granted */
        lease->sent = 0;
        if (lease->row == ROW_PENDING)
            lease->row = 0;
    }
}

static inline bool restart(struct model *m, const struct model_rules *rules, unsigned provider)
{
    if (m->boot[provider] > 0)
        return false;
    m->boot[provider]++;
    m->generation[provider] = m->banned[provider] = 0;
    link_down(m, provider);
    for (unsigned c = 0; c < CONNECTIONS; c++)
        if (m->connection[c] == provider + 1)
            m->connection[c] = 0;
    for (unsigned page = first_page(provider); page < (provider == 0 ? 2 : PAGES); page++)
        m->content[page] = 0;
    for (unsigned l = 0; l < LEASES_MAX; l++) {
        struct model_lease *lease = &m->leases[l];
        if (!lease->is_used || lease->provider != provider)
            continue;
        if (lease->has != 0 && lease->end == 0)
            lease->end = LEASE_LOST;
        lease->has = lease->attached = lease->was_attached = 0;
        lease->is_over = 1;
    }
    return true;
}

/* ---- consumers --------------------------------------------------------------------------------
 */

static inline bool is_served(const struct model *m, const struct model_rules *rules, unsigned c,
                             unsigned l)
{
    const struct model_lease *lease = &m->leases[l];
    bool attached =
        rules->ignores_takeover ? (lease->was_attached >> c & 1) : lease->attached == c + 1;
    if (rules->serves_any_state)
        attached = lease->was_attached >> c & 1;
    return lease->has != 0 && m->connection[c] == lease->provider + 1 && attached &&
           (lease_serves(lease->has) || rules->serves_any_state);
}

/* With the token of lease `l`, whoever it was given to; dials for it. Of two connections that are
 * free it is the first. */
static inline bool attach(struct model *m, const struct model_rules *rules, unsigned c, unsigned l,
                          struct model_step *step)
{
    const struct model_lease *token = &m->leases[l];
    unsigned provider = token->provider, consumer = c / 2;
    if (!token->token || (m->connection[c] != 0 && m->connection[c] != provider + 1) ||
        (c % 2 == 1 && m->connection[c - 1] == 0))
        return false;
    if ((token->consumer != consumer && !rules->ignores_identity) ||
        (token->boot != m->boot[provider] && !rules->ignores_boot) ||
        (m->banned[provider] >> consumer & 1 && !rules->ignores_ban))
        return false;
    for (unsigned t = 0; t < LEASES_MAX; t++) {
        struct model_lease *lease = &m->leases[t];
        if (lease->has == 0 || lease->provider != provider ||
            lease->generation != token->generation || lease->consumer != token->consumer)
            continue;
        if (!model_do(rules, &lease->has, LEASE_ATTACH))
            return false;
        if (t != l)
            step->violation = "a token opened another lease than its own";
        m->connection[c] = (uint8_t)(provider + 1);
        lease->attached = (uint8_t)(c + 1);
        lease->was_attached |= (uint8_t)(1u << c);
        return true;
    }
    return false;
}

/* Of a lease that is over for all, its token is left, and a page that could not be wiped. */
static inline void forget_over(struct model *m, struct model_lease *lease)
{
    bool is_bad = lease->end == LEASE_UNWIPED && lease->boot == m->boot[lease->provider];
    bool is_lost = lease->row == LEASE_LOST && lease->boot != m->boot[lease->provider];
    if (lease->has != 0 || !lease->is_over || lease->sent != 0 ||
        (lease->row != 0 && lease->row != lease->end && !is_lost))
        return;
    lease->row = lease->was_attached = 0;
    if (!is_bad)
        lease->end = lease->page = 0;
    if (!lease->token)
        lease->boot = lease->generation = lease->consumer = 0;
}

/* A connection over which nothing can be had is as good as none. */
static inline void forget_idle(struct model *m)
{
    uint8_t used = 0;
    for (unsigned l = 0; l < LEASES_MAX; l++) {
        if (m->leases[l].attached != 0)
            used |= (uint8_t)(1u << (m->leases[l].attached - 1));
        m->leases[l].was_attached = 0;
    }
    for (unsigned c = 0; c < CONNECTIONS; c++)
        if ((used >> c & 1) == 0)
            m->connection[c] = 0;
}

/* ---- the control plane ------------------------------------------------------------------------
 */

static inline bool allocate(struct model *m, const struct model_rules *rules, unsigned consumer,
                            unsigned provider)
{
    if (!m->linked[provider] || (m->revoked >> consumer & 1))
        return false;
    for (unsigned l = 0; l < rules->leases; l++) {
        if (m->leases[l].is_used)
            continue;
        if (l == 0 && consumer != 0)
            return false; /* one of the two is the first, whatever it is called */
        m->leases[l] = (struct model_lease){.is_used = 1,
                                            .consumer = (uint8_t)consumer,
                                            .provider = (uint8_t)provider,
                                            .boot = m->boot[provider],
                                            .row = ROW_PENDING,
                                            .sent = GRANT_SENT};
        return true;
    }
    return false;
}

/* The row becomes durable, and the token goes out. */
static inline bool commit(struct model *m, unsigned l)
{
    struct model_lease *lease = &m->leases[l];
    if ((lease->sent & GRANTED_SENT) == 0)
        return false;
    lease->sent &= (uint8_t)~GRANTED_SENT;
    if (lease->row != ROW_PENDING)
        return true; /* it died in between: nobody knows of it but the provider */
    lease->row = LEASE_GRANTED;
    lease->token = 1;
    return true;
}

/* Which states a row may become, by steps of the table: a bit each. */
static inline void model_find_reach(struct model_rules *rules)
{
    for (uint8_t from = LEASE_GRANTED; from <= LEASE_LOST; from++) {
        unsigned reached = 1u << from, before;
        do {
            before = reached;
            for (uint8_t at = LEASE_GRANTED; at <= LEASE_LOST; at++)
                for (unsigned event = 0; event < LEASE_LOSE && (before >> at & 1) != 0; event++) {
                    uint8_t now = at;
                    if (model_do(rules, &now, event))
                        reached |= 1u << now;
                }
        } while (reached != before);
        rules->reach[from] = (uint16_t)reached;
    }
}

static inline void hear_report(struct model *m, const struct model_rules *rules, unsigned l,
                               struct model_step *step)
{
    struct model_lease *lease = &m->leases[l];
    uint8_t said = lease->has;
    bool is_unknown = lease->row == 0 || lease->row == LEASE_LOST;
    if (is_unknown && model_is_live(said))
        lease->sent |= STOP_SENT;
    if (lease->row == LEASE_LOST && lease_is_final(said))
        lease->row = said; /* makes up for it */
    if (is_unknown || lease->row == ROW_PENDING)
        return;
    if ((rules->reach[lease->row] >> said & 1) == 0)
        step->violation = "a provider reports what cannot have become of a lease";
    lease->row = said;
}

static inline bool report(struct model *m, const struct model_rules *rules, unsigned l,
                          bool is_acknowledged, struct model_step *step)
{
    struct model_lease *lease = &m->leases[l];
    if (!m->linked[lease->provider] || lease->has == 0 || (lease->sent & GRANTED_SENT) != 0)
        return false; /* what was said before comes before */
    hear_report(m, rules, l, step);
    if (!is_acknowledged)
        link_down(m, lease->provider); /* the connection ends before the answer */
    else if (lease_is_final(lease->has))
        lease->has = 0; /* and is forgotten */
    return true;
}

/* A provider joins: everything is reported anew, and leases of an earlier boot are lost. */
static inline bool join(struct model *m, const struct model_rules *rules, unsigned provider)
{
    if (m->linked[provider])
        return false;
    m->linked[provider] = 1;
    m->ban_sent[provider] = m->revoked & (uint8_t)~m->banned[provider];
    for (unsigned l = 0; l < LEASES_MAX; l++) {
        struct model_lease *lease = &m->leases[l];
        if (!lease->is_used || lease->provider != provider)
            continue;
        if (lease->row != 0 && lease->boot != m->boot[provider] && !rules->forgets_restarts)
            (void)model_do(rules, &lease->row, LEASE_LOSE);
    }
    return true;
}

#endif
