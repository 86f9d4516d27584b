/* policy/policy.h -- what is behind a struct lethe_policy, and how modules become a plan. */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include <lethe/policy.h>

#include "policy/compile.h"
#include "policy/evaluate.h"

#define POLICY_MODULES_MAX ((size_t)1 << 16)
#define POLICY_LOAD_MEMORY_DEFAULT ((size_t)1 << 30)

DEFINE_CLEANUP(lethe_policy_free, struct lethe_policy *);

struct lethe_policy {
    struct arena arena; /* sources, modules, data and plan */
    struct plan *plan;
    struct evaluation_limits limits;
    char digest[LETHE_POLICY_DIGEST_SIZE];
};

/* Parses and compiles; names and texts are copied into the arena. Problems of every module that
 * does not parse are noted before it gives up with LETHE_INVALID. */
LETHE_MUST_CHECK lethe_result policy_compile(struct arena *arena,
                                             const struct lethe_policy_options *options,
                                             const struct value *data, struct plan **out,
                                             struct problems *problems);

/* policy_digest.c: of the options' modules in the order of their names, and of the data. */
LETHE_MUST_CHECK lethe_result policy_digest(const struct lethe_policy_options *options,
                                            const struct value *data,
                                            char out[LETHE_POLICY_DIGEST_SIZE],
                                            struct lethe_error *err);

/* policy_path.c: "data.a.b" or data["a"].b as the constants behind `data`, at least one.
 * LETHE_INVALID: it is none; the arena's failures. */
#define POLICY_PATH_MAX 64
struct policy_path {
    const struct value *keys[POLICY_PATH_MAX];
    size_t count;
};
LETHE_MUST_CHECK lethe_result policy_path_parse(struct arena *arena, const char *text,
                                                struct policy_path *out);
/* Whether it leads to a rule that takes no arguments, or to what is below one. */
bool policy_path_is_rule(const struct plan *plan, const struct policy_path *path);

#endif
