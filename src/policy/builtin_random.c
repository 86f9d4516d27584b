/* policy/builtin_random.c -- rand.* */
#include "policy/builtin.h"

const struct builtin_family builtin_random = {0}; /* none yet */
