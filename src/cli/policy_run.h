/* cli/policy_run.h -- evaluating policies for somebody at a terminal. */
#ifndef CLI_POLICY_RUN_H
#define CLI_POLICY_RUN_H

#include "policy/evaluate.h"

/* Now, and print() to stderr. */
void policy_run_options(struct evaluation_options *out);

/* "file:line:column: code: text", or the limit that was met. `result` is not LETHE_OK. Gives
 * LETHE_LIMIT, LETHE_NO_MEMORY, or LETHE_FAILED. */
lethe_result policy_run_failed(lethe_result result, const struct evaluation_failure *failure,
                               struct lethe_error *err);

#endif
