/* tests/policy/plan_print.h -- the shape of a plan or query, to compare with.
 *
 * A line for each path: "data.t.p: " and its rules. s0 is slot 0; constants are as Rego prints
 * them; "s1 = input.a[s0]" walks, "[*s0]" goes to all keys and puts each in slot 0, "[*]" nowhere.
 */
#ifndef TESTS_POLICY_PLAN_PRINT_H
#define TESTS_POLICY_PLAN_PRINT_H

#include "policy/plan.h"

void print_plan(const struct plan *plan, struct buffer *out);
/* {steps} x=s0 y=s1 | s2 - : bindings, then the value of each expression. */
void print_query(const struct plan_query *query, struct buffer *out);

#endif
