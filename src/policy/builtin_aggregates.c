/* policy/builtin_aggregates.c -- count, sum, product, max, min, sort, all, any */
#include "policy/builtin.h"

const struct builtin_family builtin_aggregates = {0}; /* none yet */
