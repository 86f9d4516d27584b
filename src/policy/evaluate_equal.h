/* policy/evaluate_equal.h -- equality of values that costs steps.
 *
 * Values share their parts, so that one that takes little memory may be endless to look through. */
#ifndef POLICY_EVALUATE_EQUAL_H
#define POLICY_EVALUATE_EQUAL_H

#include "policy/meter.h"
#include "policy/value.h"

/* LETHE_LIMIT: the meter's. */
LETHE_MUST_CHECK lethe_result metered_equal(struct builtin_meter *meter, const struct value *a,
                                            const struct value *b, bool *equal);

#endif
