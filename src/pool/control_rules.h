/* pool/control_rules.h -- the policy of the pool, out of files: policies/pool.rego, which is built
 * in, or another one, and its data. Thread rule: none. */
#ifndef POOL_CONTROL_RULES_H
#define POOL_CONTROL_RULES_H

#include <lethe/policy.h>

#include "base/base.h"

struct control_rules {
    const char *policy; /* a Rego module; NULL: the built-in one */
    const char *data;   /* JSON: {"pool": {"providers": ...}}; NULL: {}, with which nobody may */
};
/* Read anew each time. LETHE_NOT_FOUND, LETHE_MALFORMED, LETHE_INVALID, with file and line. What
 * one decision may use is bounded: a request is not worth more. */
LETHE_MUST_CHECK lethe_result control_rules_load(const struct control_rules *rules,
                                                 struct lethe_policy **out,
                                                 struct lethe_error *err);

/* Made of policies/pool.rego by the build. */
extern const unsigned char builtin_pool_policy[];
extern const size_t builtin_pool_policy_bytes;

#endif
