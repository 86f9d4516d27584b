/* policy/builtin_graph.c -- graph.* */
#include "policy/builtin.h"

const struct builtin_family builtin_graph = {0}; /* none yet */
