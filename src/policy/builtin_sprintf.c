/* policy/builtin_sprintf.c -- sprintf */
#include "policy/builtin.h"

const struct builtin_family builtin_sprintf = {0}; /* none yet */
