/* policy/builtin_strings.c -- strings */
#include "policy/builtin.h"

const struct builtin_family builtin_strings = {0}; /* none yet */
