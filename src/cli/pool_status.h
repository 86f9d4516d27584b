/* cli/pool_status.h -- what a control plane says of itself ("lethe-pool-status/1", docs/pool.md),
 * for people and for Prometheus. Texts in it come from others: they are shown without control
 * characters. */
#ifndef CLI_POOL_STATUS_H
#define CLI_POOL_STATUS_H

#include "base/json.h"

/* Each appends. LETHE_MALFORMED: a part is not there, or of another type. */
LETHE_MUST_CHECK lethe_result pool_table(const json_t *status, struct buffer *out,
                                         struct lethe_error *err);
LETHE_MUST_CHECK lethe_result pool_metrics(const json_t *status, struct buffer *out,
                                           struct lethe_error *err);

#endif
