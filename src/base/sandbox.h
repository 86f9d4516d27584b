/* base/sandbox.h -- giving up what a process does not need, and making sure that it is gone.
 *
 * Each call applies to the calling process (or thread, where it says so; then call it before there
 * are others) and everything it starts later; none can be taken back. LETHE_UNPROTECTED, with the
 * remedy, when the kernel refuses. */
#ifndef BASE_SANDBOX_H
#define BASE_SANDBOX_H

#include "base/base.h"

/* PR_SET_DUMPABLE 0, checked: no core file, no ptrace and no /proc/PID/mem for other processes of
 * the same user. Lost on execve. */
LETHE_MUST_CHECK lethe_result sandbox_no_dump(struct lethe_error *err);

/* What survives execve: RLIMIT_CORE 1 (0 would be ignored when cores go to a pipe, 1 aborts the
 * piped dump too) and coredump_filter 0. Where the hard limit is 0 already and cannot be raised, 0
 * will do as long as cores are not piped. Before sandbox_no_dump(), which takes an ordinary user's
 * own /proc/self away. */
LETHE_MUST_CHECK lethe_result sandbox_no_core_across_exec(struct lethe_error *err);

/* PR_SET_CHILD_SUBREAPER, checked: descendants whose parents end become children of this process.
 */
LETHE_MUST_CHECK lethe_result sandbox_adopt_orphans(struct lethe_error *err);

/* PR_SET_PDEATHSIG, checked: SIGKILL when the parent ends (its thread that forked, to be exact).
 * Survives execve of anything that gains no privileges. The caller looks whether the parent is
 * still there. */
LETHE_MUST_CHECK lethe_result sandbox_die_with_parent(struct lethe_error *err);

/* PR_SET_NO_NEW_PRIVS, checked. */
LETHE_MUST_CHECK lethe_result sandbox_no_new_privileges(struct lethe_error *err);

/* Removes a capability (CAP_SYS_ADMIN, ...) from every set of this thread: effective, permitted,
 * inheritable, ambient and bounding, and checks that it is gone. Without CAP_SETPCAP the bounding
 * set stays; then no new privileges must be set already, so that it can give nothing. */
LETHE_MUST_CHECK lethe_result sandbox_drop_capability(int capability, struct lethe_error *err);

/* Landlock, for this thread: from now on only files below `read_only` (reading and executing) and
 * `read_write` (everything) can be opened (NULL-terminated lists of files and directories); what is
 * open stays open. Sets no new privileges. LETHE_UNPROTECTED where the kernel has no Landlock,
 * LETHE_NOT_FOUND names a path that is not there. Linux before 6.2 cannot refuse truncate(2),
 * before 6.10 ioctl(2) on devices. */
LETHE_MUST_CHECK lethe_result sandbox_confine_files(const char *const *read_only,
                                                    const char *const *read_write,
                                                    struct lethe_error *err);

/* Landlock, for this thread: a domain of its own. Processes outside cannot be traced any more, nor
 * entered through /proc/PID/root, whoever this is, and as in every domain nothing can be mounted;
 * apart from that, only block devices can no longer be made. Sets no new privileges.
 * LETHE_UNPROTECTED where the kernel has no Landlock. */
LETHE_MUST_CHECK lethe_result sandbox_stay_apart(struct lethe_error *err);

/* seccomp, for all threads: kills the process on a system call outside `allowed` (names,
 * NULL-terminated; LETHE_INVALID for a name that no architecture has). What free(3) may need, brk
 * and munmap, belongs into the list. Sets no new privileges. */
LETHE_MUST_CHECK lethe_result sandbox_confine_calls(const char *const *allowed,
                                                    struct lethe_error *err);

#endif
