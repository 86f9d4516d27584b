/* policy/parse.h -- text of Rego into policy/ast.h.
 *
 * Bytes from outside: they may be anything. Depth and size are limited (PARSE_DEPTH_MAX,
 * SOURCE_SIZE_MAX); every problem has its place. Thread rule: pure functions. */
#ifndef POLICY_PARSE_H
#define POLICY_PARSE_H

#include "policy/ast.h"

#define PARSE_DEPTH_MAX 256 /* brackets, bodies and operators in each other */

struct parse_options {
    bool v0; /* the older syntax: bodies without `if`, p[x] { } is a set; `import rego.v1` and
                `import future.keywords...` give a module the newer words */
};

/* `source` must outlive the module. LETHE_INVALID: problems were noted; LETHE_LIMIT and
 * LETHE_NO_MEMORY are the arena's. */
LETHE_MUST_CHECK lethe_result parse_module(struct arena *arena, const struct source *source,
                                           const struct parse_options *options, struct module **out,
                                           struct problems *problems);
/* A query: expressions separated by ; or newlines. *wildcards: how many $n are in it. */
LETHE_MUST_CHECK lethe_result parse_query(struct arena *arena, const struct source *source,
                                          const struct parse_options *options, struct body *out,
                                          unsigned *wildcards, struct problems *problems);
/* One constant term, as a value: sets too, which JSON has not, and inputs of the conformance suite
 * have. */
LETHE_MUST_CHECK lethe_result parse_value(struct arena *arena, const struct source *source,
                                          const struct value **out, struct problems *problems);

#endif
