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
/* A server of one process that has a home open and its sockets made, in two steps: its files,
 * before it has threads, and its calls, before it takes the first connection. It makes no socket.
 */
struct server_files {
    const char *const *readable; /* each list ends with NULL, or is NULL */
    const char *const *replaced; /* read, and others may put new ones in their place */
    const char *const *writable;
    bool root_is_device; /* a token or a TPM */
};
LETHE_MUST_CHECK lethe_result server_confine_files(const struct server_files *files,
                                                   struct lethe_error *err);
LETHE_MUST_CHECK lethe_result server_confine_calls(bool root_is_device, struct lethe_error *err);
/* The door: the files of its certificate and of clients' roots; no socket can be made, nothing
 * written. */
LETHE_MUST_CHECK lethe_result door_confine(const struct serve_options *options,
                                           struct lethe_error *err);

#endif
