/* tests/policy/rego_case.h -- one case of OPA's conformance suite, run and compared as OPA's own
 * runner does.
 *
 * Modules are named test-0.rego, test-1.rego, ...; `input_term` (a Rego term) wins over `input`;
 * data that is null or absent is {}; the solutions are compared as a set of objects, each binding
 * first made JSON. An undefined query has no solution. */
#ifndef TESTS_POLICY_REGO_CASE_H
#define TESTS_POLICY_REGO_CASE_H

#include "policy/value.h"

struct rego_settings {
    bool v0;
    uint64_t seed; /* not 0: modules and keys of input and data in an order drawn from it */
};

/* Whether the case, an object as it stands in the file, comes out as it says; `why` tells how it
 * did not. */
bool rego_case_passes(const struct value *fields, const struct rego_settings *settings,
                      struct buffer *why);
/* The text of a field, or "". */
const char *rego_case_text(const struct value *fields, const char *name);

#endif
