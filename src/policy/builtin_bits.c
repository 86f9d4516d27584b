/* policy/builtin_bits.c -- bits.* */
#include "policy/builtin.h"

const struct builtin_family builtin_bits = {0}; /* none yet */
