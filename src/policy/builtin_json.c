/* policy/builtin_json.c -- json.* */
#include "policy/builtin.h"

const struct builtin_family builtin_json = {0}; /* none yet */
