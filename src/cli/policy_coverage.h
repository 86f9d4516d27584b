/* cli/policy_coverage.h -- which lines of a policy were of use in evaluations.
 *
 * A line counts when a rule or an expression begins there; it is covered once any of them had a
 * solution. */
#ifndef CLI_POLICY_COVERAGE_H
#define CLI_POLICY_COVERAGE_H

#include "policy/plan.h"

/* The report in OPA's shape, as a value: {"files": {NAME: {"covered": [RANGE, ...],
 * "not_covered": [...], "covered_lines": n, "not_covered_lines": n, "coverage": percent}, ...},
 * "covered_lines": ..., "not_covered_lines": ..., "coverage": ...}, where a range is {"start":
 * {"row": n}, "end": {"row": n}}. `covered` is what evaluations have noted. */
LETHE_MUST_CHECK lethe_result policy_coverage(const struct plan *plan, const uint8_t *covered,
                                              struct arena *arena, const struct value **out,
                                              struct lethe_error *err);
/* The same for people: a line for each file. */
void policy_coverage_print(const struct value *report, struct buffer *out);

#endif
