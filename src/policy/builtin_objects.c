/* policy/builtin_objects.c -- object.* */
#include "policy/builtin.h"

const struct builtin_family builtin_objects = {0}; /* none yet */
