/* policy/meter.h -- what is left of an evaluation's steps and time. */
#ifndef POLICY_METER_H
#define POLICY_METER_H

#include "base/clock.h"

#define METER_STEPS_PER_LOOK 4096 /* at the clock: reading it costs tens of nanoseconds */

/* {.steps_left = n, .deadline_ns = ..., .clock = ...} is ready: the first step looks. */
struct builtin_meter {
    uint64_t steps_left;    /* but for those to the next look */
    uint64_t steps_to_look; /* METER_STEPS_PER_LOOK after a look, or what is left */
    uint64_t deadline_ns;   /* of the monotonic clock */
    const struct clock_source *clock;
    bool exhausted;   /* a limit was met: every later call fails too */
    bool out_of_time; /* it was the time; else it was the steps */
};

/* LETHE_LIMIT: used up. */
LETHE_MUST_CHECK lethe_result meter_look(struct builtin_meter *meter, uint64_t steps);
LETHE_MUST_CHECK static inline lethe_result meter_spend(struct builtin_meter *meter, uint64_t steps)
{
    if (steps < meter->steps_to_look) {
        meter->steps_to_look -= steps;
        return LETHE_OK;
    }
    return meter_look(meter, steps);
}

#endif
