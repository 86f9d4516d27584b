/* base/sandbox.h -- giving up what a process does not need, and making sure that it is gone.
 *
 * Each call applies to the calling process (or thread, where the kernel does it so) and everything
 * it starts later; none can be taken back. LETHE_UNPROTECTED, with the remedy, when the kernel
 * refuses. */
#ifndef BASE_SANDBOX_H
#define BASE_SANDBOX_H

#include "base/base.h"

/* PR_SET_DUMPABLE 0, checked: no core file, no ptrace and no /proc/PID/mem for other processes of
 * the same user. Lost on execve. */
LETHE_MUST_CHECK lethe_result sandbox_no_dump(struct lethe_error *err);

/* What survives execve: RLIMIT_CORE 1 (0 would be ignored when cores go to a pipe, 1 aborts the
 * piped dump too) and coredump_filter 0. */
LETHE_MUST_CHECK lethe_result sandbox_no_core_across_exec(struct lethe_error *err);

/* PR_SET_NO_NEW_PRIVS, checked. */
LETHE_MUST_CHECK lethe_result sandbox_no_new_privileges(struct lethe_error *err);

/* Removes a capability (CAP_SYS_ADMIN, ...) from every set of this process: effective, permitted,
 * inheritable, ambient and bounding, and checks that it is gone. */
LETHE_MUST_CHECK lethe_result sandbox_drop_capability(int capability, struct lethe_error *err);

/* Landlock: from now on files below `read_only` and `read_write` (NULL-terminated lists) and
 * nothing else. LETHE_UNPROTECTED where the kernel has no Landlock. */
LETHE_MUST_CHECK lethe_result sandbox_confine_files(const char *const *read_only,
                                                    const char *const *read_write,
                                                    struct lethe_error *err);

/* seccomp: kills the process on a system call outside `allowed` (names, NULL-terminated). */
LETHE_MUST_CHECK lethe_result sandbox_confine_calls(const char *const *allowed,
                                                    struct lethe_error *err);

#endif
