/* policy/builtin_arithmetic.c -- plus, minus, mul, div, rem, abs, round, ceil, floor */
#include "policy/builtin.h"

const struct builtin_family builtin_arithmetic = {0}; /* none yet */
