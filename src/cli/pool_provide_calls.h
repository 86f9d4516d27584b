/* cli/pool_provide_calls.h -- the system calls that a provider has a use for. */
#ifndef CLI_POOL_PROVIDE_CALLS_H
#define CLI_POOL_PROVIDE_CALLS_H

#include "base/base.h"

/* From now on any other kills the process. It can make memory, threads and connections, write its
 * log, read certificates, and wait for signals; it cannot start a program, nor listen. */
LETHE_MUST_CHECK lethe_result pool_provide_confine_calls(bool root_is_device,
                                                         struct lethe_error *err);

#endif
