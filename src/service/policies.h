/* service/policies.h -- the policy in force: modules in Rego, and Vault's path policies as its
 * data.
 *
 * Rows: "policies/<name>/..." path policies, as text; "modules/<name>/..." Rego that operators
 * uploaded, beside the built-in authz module; "policy_data/..." data (roles, bindings). Any change
 * is checked (and modules' tests run) before it is made, and takes effect with the call's answer.
 */
#ifndef SERVICE_POLICIES_H
#define SERVICE_POLICIES_H

#include <lethe/policy.h>

#include "service/service.h"

LETHE_MUST_CHECK lethe_result policies_open(struct service *service, struct policies **out,
                                            struct lethe_error *err);
void policies_free(struct policies *policies);
/* Rows have changed: reads them again. On failure the policy in force stays. */
LETHE_MUST_CHECK lethe_result policies_refresh(struct policies *policies, struct lethe_error *err);
void policies_decide(struct policies *policies, const char *rule, const char *input,
                     size_t input_bytes, struct lethe_decision *out);
const char *policies_digest(const struct policies *policies);
bool policies_has(const struct policies *policies, const char *name);

/* One path policy: HCL or JSON, as Vault reads it. LETHE_MALFORMED with line and column. Appends
 * its JSON for the policy's data. */
LETHE_MUST_CHECK lethe_result path_policy_parse(const char *text, size_t length,
                                                struct buffer *json, struct lethe_error *err);

#endif
