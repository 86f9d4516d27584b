/* policy/builtin_time.c -- time.* */
#include "policy/builtin.h"

const struct builtin_family builtin_time = {0}; /* none yet */
