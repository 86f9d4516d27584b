/* policy/builtin_uuid.c -- uuid.* */
#include "policy/builtin.h"

const struct builtin_family builtin_uuid = {0}; /* none yet */
