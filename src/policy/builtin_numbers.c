/* policy/builtin_numbers.c -- numbers.*, format_int */
#include "policy/builtin.h"

const struct builtin_family builtin_numbers = {0}; /* none yet */
