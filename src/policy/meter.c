#include "policy/meter.h"

/* The clock is looked at when the steps to the next look are used up, or more is spent at once. */
lethe_result meter_look(struct builtin_meter *meter, uint64_t steps)
{
    uint64_t left = meter->steps_left + meter->steps_to_look;
    if (meter->exhausted)
        return LETHE_LIMIT;
    if (steps > left)
        meter->exhausted = true;
    else if (clock_monotonic_ns(meter->clock) >= meter->deadline_ns)
        meter->exhausted = meter->out_of_time = true;
    if (meter->exhausted) {
        meter->steps_left = meter->steps_to_look = 0;
        return LETHE_LIMIT;
    }
    meter->steps_to_look = MIN(left - steps, METER_STEPS_PER_LOOK);
    meter->steps_left = left - steps - meter->steps_to_look;
    return LETHE_OK;
}
