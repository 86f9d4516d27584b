/* policy/compile.h -- modules into a plan: names are resolved, bodies ordered, mistakes found.
 *
 * Mistakes that are found here, each with its place: unsafe variables, variables that are declared
 * twice or for nothing, names that hide input, data or each other, functions and built-ins that do
 * not exist or get a wrong number of operands, rules that contradict each other or a package,
 * recursion, `with` on what cannot be replaced. */
#ifndef POLICY_COMPILE_H
#define POLICY_COMPILE_H

#include "policy/plan.h"

/* `data` is an object; it, the modules and their sources must live as long as the plan. */
LETHE_MUST_CHECK lethe_result compile_policy(struct arena *arena,
                                             const struct module *const *modules, size_t count,
                                             const struct value *data, struct plan **out,
                                             struct problems *problems);
/* A rule whose value a base document has already is a mistake: one of both would count for nothing.
 * (What runs a plan gives the rule's.) */
LETHE_MUST_CHECK lethe_result compile_check_data(struct arena *arena, const struct plan *plan,
                                                 struct problems *problems);
/* Frees what built-ins prepared (regular expressions), which is in no arena. */
void compile_release(struct plan *plan);

/* A query against a plan; what it prepares is not kept (its regular expressions are made at every
 * call). Its names are data, input, built-ins and its own variables; with `package` (data.a.b,
 * NULL: none) also the rules and imports of that package, as in `opa eval --package`. */
LETHE_MUST_CHECK lethe_result compile_query(struct arena *arena, const struct plan *plan,
                                            const struct body *body, const struct term *package,
                                            struct plan_query **out, struct problems *problems);

#endif
