/* policy/builtin_cidr.c -- net.cidr_* */
#include "policy/builtin.h"

const struct builtin_family builtin_cidr = {0}; /* none yet */
