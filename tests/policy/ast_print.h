/* tests/policy/ast_print.h -- the shape of what was parsed, in one line, to compare with. */
#ifndef TESTS_POLICY_AST_PRINT_H
#define TESTS_POLICY_AST_PRINT_H

#include "policy/ast.h"

/* Variables are names, constants as Rego prints them; (ref a "b" x), (plus 1 x), (array 1 x),
 * (set ..), (object k v ..), (array| x {..}), (template ..). */
void print_term(const struct term *term, struct buffer *out);
/* {a; not b; (some x); (some-in k v xs); (every v xs {..}); (not {..}); a with input as 1} */
void print_body(const struct body *body, struct buffer *out);
/* default complete p = 1 {true}; set p contains x {..}; function f(x) = y {..} else 1 {..} */
void print_rule(const struct rule *rule, struct buffer *out);
/* package, imports and rules, a line each. */
void print_module(const struct module *module, struct buffer *out);

#endif
