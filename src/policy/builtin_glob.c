/* policy/builtin_glob.c -- glob.* */
#include "policy/builtin.h"

const struct builtin_family builtin_glob = {0}; /* none yet */
