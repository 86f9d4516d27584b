/* policy/builtin_sets.c -- and, or, intersection, union, set_diff */
#include "policy/builtin.h"

const struct builtin_family builtin_sets = {0}; /* none yet */
