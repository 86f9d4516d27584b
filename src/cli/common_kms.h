/* cli/common_kms.h -- what the commands of the key service do the same way. */
#ifndef CLI_COMMON_KMS_H
#define CLI_COMMON_KMS_H

#include "cli/common.h"
#include "service/serve_configuration.h"

/* Of --config, else of the home's kms.conf, which need not be there. */
LETHE_MUST_CHECK lethe_result common_kms_configuration(const struct invocation *invocation,
                                                       struct serve_configuration *out,
                                                       struct lethe_error *err);

#endif
