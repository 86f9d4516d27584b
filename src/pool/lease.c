#include "pool/lease.h"
#include "base/error.h"

#define REFUSED 0 /* no state has this number */

/* docs/pool-protocol.md has the same table. */
static const uint8_t next[LEASE_LOST + 1][LEASE_EVENT_COUNT] = {
    [LEASE_GRANTED] =
        {[LEASE_ATTACH] = LEASE_ACTIVE, [LEASE_END] = LEASE_WIPING, [LEASE_LOSE] = LEASE_LOST},
    [LEASE_ACTIVE] = {[LEASE_ATTACH] = LEASE_ACTIVE,
                      [LEASE_DETACH] = LEASE_FROZEN,
                      [LEASE_RENEW] = LEASE_ACTIVE,
                      [LEASE_END] = LEASE_WIPING,
                      [LEASE_LOSE] = LEASE_LOST},
    [LEASE_FROZEN] =
        {[LEASE_ATTACH] = LEASE_ACTIVE, [LEASE_END] = LEASE_WIPING, [LEASE_LOSE] = LEASE_LOST},
    [LEASE_WIPING] = {[LEASE_WIPED] = LEASE_RECLAIMED,
                      [LEASE_NOT_WIPED] = LEASE_UNWIPED,
                      [LEASE_LOSE] = LEASE_LOST},
};

lethe_result lease_step(enum lease_state *state, enum lease_event event)
{
    REQUIRE(*state <= LEASE_LOST && event < LEASE_EVENT_COUNT);
    uint8_t following = next[*state][event];
    if (following == REFUSED)
        return LETHE_CONFLICT;
    *state = following;
    return LETHE_OK;
}

/* ---- what is known of states and causes -------------------------------------------------------
 */

static const struct {
    const char *word;
    bool holds, final;
} states[] = {
#define LEASE_STATE_ROW(name, number, word, holds, final) [number] = {word, holds, final},
    LEASE_STATES(LEASE_STATE_ROW)
#undef LEASE_STATE_ROW
};
static const struct {
    const char *word;
    lethe_result result;
} causes[] = {
#define LEASE_CAUSE_ROW(name, number, word, result) [number] = {word, LETHE_##result},
    LEASE_CAUSES(LEASE_CAUSE_ROW)
#undef LEASE_CAUSE_ROW
};

const char *lease_state_word(enum lease_state state)
{
    return states[state].word;
}

const char *lease_cause_word(enum lease_cause cause)
{
    return causes[cause].word;
}

lethe_result lease_state_read(uint8_t number, enum lease_state *out)
{
    if (number >= ARRAY_LEN(states) || states[number].word == NULL)
        return LETHE_MALFORMED;
    *out = number;
    return LETHE_OK;
}

lethe_result lease_cause_read(uint8_t number, enum lease_cause *out)
{
    if (number >= ARRAY_LEN(causes))
        return LETHE_MALFORMED;
    *out = number;
    return LETHE_OK;
}

bool lease_holds_memory(enum lease_state state)
{
    return states[state].holds;
}

bool lease_is_final(enum lease_state state)
{
    return states[state].final;
}

bool lease_serves(enum lease_state state)
{
    return state == LEASE_ACTIVE;
}

lethe_result lease_cause_result(enum lease_cause cause)
{
    return causes[cause].result;
}
