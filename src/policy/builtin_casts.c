/* policy/builtin_casts.c -- to_number, and the older cast_* */
#include "policy/builtin.h"

const struct builtin_family builtin_casts = {0}; /* none yet */
