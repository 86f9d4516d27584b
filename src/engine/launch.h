/* engine/launch.h -- from a forked process to the engine: what it loses on the way. */
#ifndef ENGINE_LAUNCH_H
#define ENGINE_LAUNCH_H

#include <signal.h>
#include <sys/types.h>

#include "engine/storage.h"

struct launch_options {
    const struct storage *storage;
    const sigset_t *signal_mask; /* the engine's */
    pid_t group;                 /* the engine's process group */
    pid_t guardian;              /* this process */
};
struct launch {
    pid_t pid;
    int go;     /* closing it without a byte cancels */
    int status; /* errno of the exec that failed; end of file when it did not */
};
/* Forks a process, which gives up what an engine must not have and then waits for launch_go; what
 * it cannot give up is the failure here. */
LETHE_MUST_CHECK lethe_result launch_fork(const struct launch_options *options, struct launch *out,
                                          struct lethe_error *err);
/* Lets it become the engine; 0, or the errno of what failed. The process then ends with 127 (not
 * found) or 126. */
int launch_go(struct launch *launch);

#endif
