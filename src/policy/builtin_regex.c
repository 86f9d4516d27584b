/* policy/builtin_regex.c -- regex.*, re_match */
#include "policy/builtin.h"

const struct builtin_family builtin_regex = {0}; /* none yet */
