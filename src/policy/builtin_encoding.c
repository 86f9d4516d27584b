/* policy/builtin_encoding.c -- base64, base64url, hex */
#include "policy/builtin.h"

const struct builtin_family builtin_encoding = {0}; /* none yet */
