/* policy/builtin_comparison.c -- equal, neq, lt, lte, gt, gte, internal.member_2 and _3 */
#include "policy/builtin.h"

const struct builtin_family builtin_comparison = {0}; /* none yet */
