/* base/clock.h -- time and randomness as tables of functions, so that a test can replace them. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/base.h"

struct clock_source {
    uint64_t (*wall_ns)(void *context);      /* nanoseconds since 1970-01-01 UTC              */
    uint64_t (*monotonic_ns)(void *context); /* never steps back; for durations               */
    void *context;
};
extern const struct clock_source clock_system;

static inline uint64_t clock_wall_ns(const struct clock_source *clock)
{
    return clock->wall_ns(clock->context);
}

static inline uint64_t clock_monotonic_ns(const struct clock_source *clock)
{
    return clock->monotonic_ns(clock->context);
}

struct random_source {
    /* Fills `out`; LETHE_FAILED when the system has no randomness to give. */
    lethe_result (*fill)(void *context, void *out, size_t size_bytes);
    void *context;
};
extern const struct random_source random_system; /* getrandom(2) */

LETHE_MUST_CHECK static inline lethe_result random_fill(const struct random_source *random,
                                                        void *out, size_t size_bytes)
{
    return random->fill(random->context, out, size_bytes);
}

#endif
