/* policy/builtin_semver.c -- semver.* */
#include "policy/builtin.h"

const struct builtin_family builtin_semver = {0}; /* none yet */
