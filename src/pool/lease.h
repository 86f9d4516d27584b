/* pool/lease.h -- the states of a lease, as one table; docs/pool-protocol.md, "States of a lease".
 *
 * Provider and control plane drive their leases by it, and nothing else changes a state. Pure: no
 * clock, no memory. Thread rule: none. */
#ifndef POOL_LEASE_H
#define POOL_LEASE_H

#include "base/base.h"

/* X(NAME, number on the wire, word for people and records, memory is held, final) */
#define LEASE_STATES(X)                                                                            \
    X(GRANTED, 1, "granted", true, false)                                                          \
    X(ACTIVE, 2, "active", true, false)                                                            \
    X(FROZEN, 3, "frozen", true, false)                                                            \
    X(WIPING, 4, "wiping", true, false)                                                            \
    X(RECLAIMED, 5, "reclaimed", false, true)                                                      \
    X(UNWIPED, 6, "unwiped", true, true)                                                           \
    X(LOST, 7, "lost", false, true) /* the control plane's alone */

/* X(NAME, number on the wire, word, result that a consumer gets for what it asks afterwards) */
#define LEASE_CAUSES(X)                                                                            \
    X(NONE, 0, "none", OK)                                                                         \
    X(RELEASED, 1, "released", NOT_FOUND)                                                          \
    X(EXPIRED, 2, "expired", LOST)                                                                 \
    X(REVOKED, 3, "revoked", REVOKED)                                                              \
    X(FORCE_STOPPED, 4, "force_stopped", LOST)                                                     \
    X(DRAINED, 5, "drained", LOST)                                                                 \
    X(PROVIDER_LOST, 6, "provider_lost", LOST)

enum lease_state {
#define LEASE_STATE_ENUM(name, number, word, holds, final) LEASE_##name = number,
    LEASE_STATES(LEASE_STATE_ENUM)
#undef LEASE_STATE_ENUM
};
enum lease_cause {
#define LEASE_CAUSE_ENUM(name, number, word, result) LEASE_CAUSE_##name = number,
    LEASE_CAUSES(LEASE_CAUSE_ENUM)
#undef LEASE_CAUSE_ENUM
};
enum lease_event {
    LEASE_ATTACH,
    LEASE_DETACH,
    LEASE_RENEW,
    LEASE_END, /* with a cause */
    LEASE_WIPED,
    LEASE_NOT_WIPED,
    LEASE_LOSE, /* the control plane's: the provider is gone */
    LEASE_EVENT_COUNT
};

const char *lease_state_word(enum lease_state state);
const char *lease_cause_word(enum lease_cause cause);
/* From the wire: LETHE_MALFORMED. */
LETHE_MUST_CHECK lethe_result lease_state_read(uint8_t number, enum lease_state *out);
LETHE_MUST_CHECK lethe_result lease_cause_read(uint8_t number, enum lease_cause *out);
bool lease_holds_memory(enum lease_state state);
bool lease_is_final(enum lease_state state);
/* Whether data may be read and written: active alone. */
bool lease_serves(enum lease_state state);
lethe_result lease_cause_result(enum lease_cause cause);

/* The state that follows, or LETHE_CONFLICT: the event is refused there, and *state stays. */
LETHE_MUST_CHECK lethe_result lease_step(enum lease_state *state, enum lease_event event);

#endif
