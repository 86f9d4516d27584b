/* tests/pool/small_control.h -- as much of a control plane as a consumer needs, over hostile
 * providers (hostile_provider.h): it believes everybody that TLS believes. A thread of its own. */
#ifndef TESTS_POOL_SMALL_CONTROL_H
#define TESTS_POOL_SMALL_CONTROL_H

#include "hostile_provider.h"
#include "pool/token.h"
#include "pool/wire.h"

struct small_control;
/* The first providers get the copies. `tls` and the providers stay the caller's. */
struct small_control *small_control_start(struct tls_context *tls, struct hostile **providers,
                                          size_t count);
void small_control_stop(struct small_control *control);
const char *small_control_address(const struct small_control *control);

/* It takes no connections, or takes them again. */
void small_control_unplug(struct small_control *control, bool unplugged);
/* What the next questions are answered with; LETHE_OK: as they should be. */
void small_control_refuse(struct small_control *control, lethe_result result);
/* It lies: all copies are on one provider. */
void small_control_bunch(struct small_control *control, bool bunched);
/* Of tokens that it gives from now on. 0: an hour. */
void small_control_life(struct small_control *control, uint64_t life_ms);

/* How it answers, X(name). */
#define SMALL_CONTROL_WAYS(X)                                                                      \
    X(HONESTLY)                                                                                    \
    X(NEVER)                                                                                       \
    X(TWICE)                                                                                       \
    X(OTHER_NUMBER) /* a question that was not asked */                                            \
    X(OTHER_TYPE)                                                                                  \
    X(CUT)      /* the end of the connection in its place */                                       \
    X(SHORTER)  /* a part of it, another each time */                                              \
    X(LONGER)   /* and something behind it */                                                      \
    X(NOISE)    /* bytes at random in its place */                                                 \
    X(ORDER)    /* an order, as to a provider, in its place */                                     \
    X(NOTICE)   /* the same without a number */                                                    \
    X(NONSENSE) /* a refusal with a number that does not exist */
enum small_control_way {
#define SMALL_CONTROL_WAY_ENUM(name) ANSWER_##name,
    SMALL_CONTROL_WAYS(SMALL_CONTROL_WAY_ENUM)
#undef SMALL_CONTROL_WAY_ENUM
        ANSWER_WAY_COUNT
};
const char *small_control_way_name(enum small_control_way way);
void small_control_answer(struct small_control *control, enum small_control_way way);
/* It lies: about terms, before they are signed (not to the provider), and where copies are. Either
 * may be NULL; both on its thread. `signer` NULL: its own. */
struct small_control_lie {
    void (*terms)(void *context, struct lease_terms *terms);
    void (*placed)(void *context, struct wire_allocated *allocated);
    void *context;
    const struct audit_signer *signer;
};
void small_control_lie(struct small_control *control, const struct small_control_lie *lie);

struct small_control_counters {
    uint64_t asked; /* but for HELLO */
    uint64_t allocated, tokens, dropped;
};
void small_control_count(struct small_control *control, struct small_control_counters *out);

#endif
