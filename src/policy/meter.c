#include "policy/meter.h"

/* The clock is looked at when the steps to the next look are used up, or more is spent at once. */
lethe_result meter_look(struct builtin_meter *meter, uint64_t steps)
{
    uint64_t since_look = METER_STEPS_PER_LOOK - meter->steps_to_look;
    uint64_t spent;
    if (__builtin_add_overflow(since_look, steps, &spent) || spent > meter->steps_left)
        meter->exhausted = true;
    else if (clock_monotonic_ns(meter->clock) >= meter->deadline_ns)
        meter->exhausted = meter->out_of_time = true;
    if (meter->exhausted) {
        meter->steps_to_look = 0;
        return LETHE_LIMIT;
    }
    meter->steps_left -= spent;
    meter->steps_to_look = METER_STEPS_PER_LOOK;
    return LETHE_OK;
}
