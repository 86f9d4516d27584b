/* tests/pool/small_control.h -- as much of a control plane as a consumer needs, over hostile
 * providers (hostile_provider.h): it believes everybody that TLS believes. A thread of its own. */
#ifndef TESTS_POOL_SMALL_CONTROL_H
#define TESTS_POOL_SMALL_CONTROL_H

#include "hostile_provider.h"
#include "pool/token.h"

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

struct small_control_counters {
    uint64_t allocated, tokens, dropped;
};
void small_control_count(struct small_control *control, struct small_control_counters *out);

#endif
