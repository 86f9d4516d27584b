/* policy/builtin_arrays.c -- array.* */
#include "policy/builtin.h"

const struct builtin_family builtin_arrays = {0}; /* none yet */
