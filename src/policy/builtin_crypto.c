/* policy/builtin_crypto.c -- crypto.*: digests and MACs */
#include "policy/builtin.h"

const struct builtin_family builtin_crypto = {0}; /* none yet */
