/* service/confine.h -- what keeper and door can no longer do once they run.
 *
 * Both: no core file, no tracing by others, no new privileges, no other file than those named here
 * (Landlock), no other system call than those listed (seccomp: the process is killed). */
#ifndef SERVICE_CONFINE_H
#define SERVICE_CONFINE_H

#include "service/core.h"
#include "service/serve.h"

/* The keeper: what core_sockets names, which is home and root key; no socket can be made, unless
 * the root is a token or a TPM. Nothing is done when `writable` is NULL. core_run() does it. */
LETHE_MUST_CHECK lethe_result core_confine(const struct core_sockets *sockets,
                                           struct lethe_error *err);
/* The door: the files of its certificate and of clients' roots; no socket can be made, nothing
 * written. */
LETHE_MUST_CHECK lethe_result door_confine(const struct serve_options *options,
                                           struct lethe_error *err);

#endif
