/* policy/builtin_units.c -- units.* */
#include "policy/builtin.h"

const struct builtin_family builtin_units = {0}; /* none yet */
