/* policy/builtin_urlquery.c -- urlquery.* */
#include "policy/builtin.h"

const struct builtin_family builtin_urlquery = {0}; /* none yet */
