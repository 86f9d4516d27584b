/* policy/builtin_template.c -- internal.template_string: $"..." */
#include "policy/builtin.h"

const struct builtin_family builtin_template = {0}; /* none yet */
