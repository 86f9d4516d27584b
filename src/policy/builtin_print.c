/* policy/builtin_print.c -- print */
#include "policy/builtin.h"

const struct builtin_family builtin_print = {0}; /* none yet */
