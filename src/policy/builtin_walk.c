/* policy/builtin_walk.c -- walk */
#include "policy/builtin.h"

const struct builtin_family builtin_walk = {0}; /* none yet */
