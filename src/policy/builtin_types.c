/* policy/builtin_types.c -- is_*, type_name */
#include "policy/builtin.h"

const struct builtin_family builtin_types = {0}; /* none yet */
