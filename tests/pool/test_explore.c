/* Every state that a small pool can get into, one after another: what may never happen does not,
 * and time alone ends every lease (P-5 to P-10, P-15). Then rules are taken away, one at a time,
 * and the same search must find what that leads to. */
#include "check.h"

#include <stdlib.h>

#include "explore_check.h"

#define STATES_MAX (1u << 21)
#define SLOTS (STATES_MAX * 2)

static struct found {
    struct model model;
    uint32_t from; /* the state that led here */
    uint16_t action;
} * states;
static uint32_t *slots; /* 1 + index of a state */
static uint32_t count;

/* ---- what can happen --------------------------------------------------------------------------
 */

static bool stop(struct model *m, const struct model_rules *rules, unsigned l)
{
    if ((m->leases[l].sent & STOP_SENT) == 0)
        return false;
    m->leases[l].sent &= (uint8_t)~STOP_SENT;
    end_lease(m, rules, l);
    return true;
}

static bool force_stop(struct model *m, unsigned l)
{
    struct model_lease *lease = &m->leases[l];
    if (lease->row == ROW_PENDING || !model_is_live(lease->row) || !m->linked[lease->provider] ||
        (lease->sent & STOP_SENT) != 0)
        return false;
    lease->sent |= STOP_SENT;
    return true;
}

static bool lose(struct model *m, const struct model_rules *rules, unsigned l)
{
    struct model_lease *lease = &m->leases[l];
    return !m->linked[lease->provider] && lease->row != 0 && lease->row != ROW_PENDING &&
           model_do(rules, &lease->row, LEASE_LOSE);
}

static bool expire(struct model *m, const struct model_rules *rules, unsigned l)
{
    if (!model_is_live(m->leases[l].has))
        return false;
    end_lease(m, rules, l);
    return true;
}

static bool revoke(struct model *m, unsigned consumer)
{
    if (m->revoked >> consumer & 1)
        return false;
    m->revoked |= (uint8_t)(1u << consumer);
    for (unsigned provider = 0; provider < PROVIDERS; provider++)
        if (m->linked[provider])
            m->ban_sent[provider] |= (uint8_t)(1u << consumer);
    return true;
}

static bool disconnect(struct model *m, const struct model_rules *rules, unsigned c)
{
    if (m->connection[c] == 0)
        return false;
    hang_up(m, rules, c);
    return true;
}

static bool write_block(struct model *m, const struct model_rules *rules, unsigned c, unsigned l)
{
    uint8_t *content = &m->content[m->leases[l].page];
    if (!is_served(m, rules, c, l) || *content == 1 + c / 2)
        return false;
    *content = (uint8_t)(1 + c / 2);
    return true;
}

static bool release(struct model *m, const struct model_rules *rules, unsigned c, unsigned l)
{
    if (!is_served(m, rules, c, l))
        return false;
    end_lease(m, rules, l);
    return true;
}

#define STEPS(X)                                                                                   \
    X(allocate, CONSUMERS, PROVIDERS, allocate(m, rules, a, b))                                    \
    X(grant, LEASES_MAX, 1, grant(m, rules, a, step))                                              \
    X(commit, LEASES_MAX, 1, commit(m, a))                                                         \
    X(disconnect, CONNECTIONS, 1, disconnect(m, rules, a))                                         \
    X(attach, CONNECTIONS, LEASES_MAX, attach(m, rules, a, b, step))                               \
    X(write, CONNECTIONS, LEASES_MAX, write_block(m, rules, a, b))                                 \
    X(release, CONNECTIONS, LEASES_MAX, release(m, rules, a, b))                                   \
    X(expire, LEASES_MAX, 1, expire(m, rules, a))                                                  \
    X(wipe, LEASES_MAX, 1, wipe(m, rules, a, true))                                                \
    X(fail_to_wipe, LEASES_MAX, 1, wipe(m, rules, a, false))                                       \
    X(report, LEASES_MAX, 1, report(m, rules, a, true, step))                                      \
    X(report_and_break, LEASES_MAX, 1, report(m, rules, a, false, step))                           \
    X(force_stop, LEASES_MAX, 1, force_stop(m, a))                                                 \
    X(stop, LEASES_MAX, 1, stop(m, rules, a))                                                      \
    X(lose, LEASES_MAX, 1, lose(m, rules, a))                                                      \
    X(revoke, 1, 1, revoke(m, a))                                                                  \
    X(ban, PROVIDERS, CONSUMERS, ban(m, rules, a, b))                                              \
    X(join, 1, 1, join(m, rules, a))                                                               \
    X(cut, 1, 1, m->linked[a] ? (link_down(m, a), true) : false)                                   \
    X(restart, 1, 1, restart(m, rules, a))

#define STEP_FUNCTION(name, as, bs, call)                                                          \
    static bool do_##name(struct model *m, const struct model_rules *rules, unsigned a,            \
                          unsigned b, struct model_step *step)                                     \
    {                                                                                              \
        return call;                                                                               \
    }
STEPS(STEP_FUNCTION)
static const struct {
    const char *name;
    unsigned as, bs;
    bool (*run)(struct model *m, const struct model_rules *rules, unsigned a, unsigned b,
                struct model_step *step);
} steps[] = {
#define STEP_ROW(name, as, bs, call) {#name, as, bs, do_##name},
    STEPS(STEP_ROW)};

/* ---- searching --------------------------------------------------------------------------------
 */

static uint64_t hash(const struct model *m)
{
    uint64_t words[(sizeof *m + 7) / 8] = {0}, h = 0;
    memcpy(words, m, sizeof *m);
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        h = (h ^ words[i]) * 0x9e3779b97f4a7c15u;
        h ^= h >> 32;
    }
    return h;
}

static bool keep(const struct model *m, uint32_t from, unsigned action)
{
    size_t slot = hash(m) % SLOTS;
    for (; slots[slot] != 0; slot = (slot + 1) % SLOTS)
        if (memcmp(&states[slots[slot] - 1].model, m, sizeof *m) == 0)
            return false;
    if (count == STATES_MAX)
        fail_msg("more than %u states: the world is too large to be looked through", STATES_MAX);
    states[count] = (struct found){*m, from, (uint16_t)action};
    slots[slot] = ++count;
    return true;
}

static void print_path(uint32_t at, unsigned last)
{
    char path[2048] = "";
    unsigned actions[64], length = 0;
    for (actions[length++] = last; at != 0 && length < ARRAY_LEN(actions); at = states[at].from)
        actions[length++] = states[at].action;
    while (length-- > 0) {
        unsigned action = actions[length], at_end = (unsigned)strlen(path);
        snprintf(path + at_end, sizeof path - at_end, " %s(%u,%u)", steps[action >> 8].name,
                 action >> 4 & 15, action & 15);
    }
    printf("    by%s\n", path);
}

/* One way on; what it violates. */
static const char *go(uint32_t from, const struct model_rules *rules, unsigned action)
{
    struct model m = states[from].model;
    struct model_step step = {0};
    if (!steps[action >> 8].run(&m, rules, action >> 4 & 15, action & 15, &step))
        return NULL;
    if (!rules->ignores_takeover && !rules->serves_any_state)
        forget_idle(&m);
    for (unsigned l = 0; l < rules->leases; l++)
        forget_over(&m, &m.leases[l]);
    const char *violation = step.violation;
    if (violation == NULL && keep(&m, from, action)) {
        violation = check_state(&m, rules);
        if (violation == NULL)
            violation = check_end(&m, rules);
    }
    if (violation != NULL)
        print_path(from, action);
    return violation;
}

static const char *go_on(uint32_t from, const struct model_rules *rules)
{
    for (unsigned s = 0; s < ARRAY_LEN(steps); s++)
        for (unsigned a = 0; a < steps[s].as; a++)
            for (unsigned b = 0; b < steps[s].bs; b++) {
                const char *violation = go(from, rules, s << 8 | a << 4 | b);
                if (violation != NULL)
                    return violation;
            }
    return NULL;
}

/* Breadth first, so that what is found is found by the shortest way. NULL: nothing is. */
static const char *explore(struct model_rules *rules)
{
    struct model begin;
    const char *violation = NULL;
    model_find_reach(rules);
    memset(&begin, 0, sizeof begin);
    memset(slots, 0, SLOTS * sizeof *slots);
    count = 0;
    begin.linked[0] = begin.linked[1] = 1;
    keep(&begin, 0, 0);
    for (uint32_t at = 0; at < count && violation == NULL; at++)
        violation = go_on(at, rules);
    return violation;
}

static int make_room(void **state)
{
    states = malloc(STATES_MAX * sizeof *states);
    slots = malloc(SLOTS * sizeof *slots);
    return states != NULL && slots != NULL ? 0 : -1;
}

static int give_room_back(void **state)
{
    free(states);
    free(slots);
    return 0;
}

/* ---- tests ------------------------------------------------------------------------------------
 */

static void nothing_that_may_never_happen_happens(void **state)
{
    struct model_rules rules = {.leases = 2 / (unsigned)table_stride(2)};
    const char *violation = explore(&rules);
    if (violation != NULL)
        fail_msg("%s", violation);
    printf("    %u states\n", (unsigned)count);
    assert_true(count > (rules.leases == 2 ? 100000 : 100));
}

/* ---- ... and each rule is needed --------------------------------------------------------------
 */

static lethe_result attach_what_ended(enum lease_state *state, enum lease_event event)
{
    if (*state != LEASE_WIPING || event != LEASE_ATTACH)
        return lease_step(state, event);
    *state = LEASE_ACTIVE;
    return LETHE_OK;
}

static lethe_result frozen_for_ever(enum lease_state *state, enum lease_event event)
{
    return *state == LEASE_FROZEN && event == LEASE_END ? LETHE_CONFLICT : lease_step(state, event);
}

static lethe_result granted_for_ever(enum lease_state *state, enum lease_event event)
{
    return *state == LEASE_GRANTED && event == LEASE_END ? LETHE_CONFLICT
                                                         : lease_step(state, event);
}

static lethe_result reclaimed_at_once(enum lease_state *state, enum lease_event event)
{
    TRY(lease_step(state, event));
    if (event == LEASE_END)
        *state = LEASE_RECLAIMED; /* before anything was wiped */
    return LETHE_OK;
}

static lethe_result lost_is_not_final(enum lease_state *state, enum lease_event event)
{
    if (event == LEASE_LOSE && *state == LEASE_FROZEN)
        return LETHE_CONFLICT;
    return lease_step(state, event);
}

static void taking_a_rule_away_is_found(void **state)
{
    static const struct {
        const char *what;
        struct model_rules rules;
        const char *leads_to; /* NULL: whatever is found first */
    } cases[] = {
        {"a page is granted while it is being wiped", {.grants_unwiped = true}, NULL},
        {"a page that could not be wiped is granted", {.reuses_bad_pages = true}, NULL},
        {"no boot id in tokens", {.ignores_boot = true}, "a token opened another lease"},
        {"a borrowed token is taken", {.ignores_identity = true}, "served to somebody else"},
        {"a takeover cuts nobody off", {.ignores_takeover = true}, "was overtaken"},
        {"a ban leaves leases alone", {.ignores_ban = true}, "who was revoked is served"},
        {"leases are served in any state", {.serves_any_state = true}, NULL},
        {"ends are forgotten before they were heard", {.forgets_unacknowledged = true}, NULL},
        {"another boot id means nothing", {.forgets_restarts = true}, "never hears"},
        {"a lease that ended is attached", {.step = attach_what_ended}, NULL},
        {"a frozen lease does not expire", {.step = frozen_for_ever}, "does not end by itself"},
        {"a grant that nobody wants stays", {.step = granted_for_ever}, "does not end by itself"},
        {"nothing is wiped", {.step = reclaimed_at_once}, "before it was wiped"},
        {"a frozen lease is never lost", {.step = lost_is_not_final}, "never hears"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct model_rules rules = cases[i].rules;
        rules.leases = 2;
        printf("  %s:\n", cases[i].what);
        const char *violation = explore(&rules);
        if (violation == NULL)
            fail_msg("%s: not found in %u states", cases[i].what, (unsigned)count);
        if (cases[i].leads_to != NULL && strstr(violation, cases[i].leads_to) == NULL)
            fail_msg("%s: %s", cases[i].what, violation);
        printf("    %s, after %u states\n", violation, (unsigned)count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_that_may_never_happen_happens),
        cmocka_unit_test(taking_a_rule_away_is_found),
    };
    return cmocka_run_group_tests(tests, make_room, give_room_back);
}
