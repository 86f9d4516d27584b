/* tests/policy/prepared.h -- policies of one module, made ready in one call. */
#ifndef TESTS_POLICY_PREPARED_H
#define TESTS_POLICY_PREPARED_H

#include "check.h"

#include <lethe/policy.h>

DEFINE_CLEANUP(lethe_policy_free, struct lethe_policy *);

static inline struct lethe_policy_module module_of(const char *name, const char *text)
{
    return (struct lethe_policy_module){name, text, strlen(text)};
}

/* `data` is JSON or NULL; `limits` NULL: the defaults. The caller frees it. */
__attribute__((unused)) static struct lethe_policy *
prepared(const char *text, const char *data, const struct lethe_policy_limits *limits)
{
    struct lethe_error err = {0};
    struct lethe_policy *policy = NULL;
    const struct lethe_policy_module module = module_of("test.rego", text);
    struct lethe_policy_options options = {
        .modules = &module,
        .module_count = 1,
        .data = data,
        .data_size_bytes = data != NULL ? strlen(data) : 0,
    };
    if (limits != NULL)
        options.limits = *limits;
    assert_ok(lethe_policy_prepare(&options, &policy, &err), &err);
    return policy;
}

#endif
