/* seccomp: system calls that this process may still make. */
#include <seccomp.h>
#include <string.h>

#include "base/error.h"
#include "base/sandbox.h"

static void filter_free(scmp_filter_ctx filter)
{
    if (filter != NULL)
        seccomp_release(filter);
}
DEFINE_CLEANUP(filter_free, scmp_filter_ctx);

static lethe_result unprotected(const char *step, int negative_errno, struct lethe_error *err)
{
    error_set(err, LETHE_UNPROTECTED, "seccomp: %s: %s", step, strerrordesc_np(-negative_errno));
    error_hint(err, "use a kernel with CONFIG_SECCOMP_FILTER");
    return LETHE_UNPROTECTED;
}

static lethe_result allow(scmp_filter_ctx filter, const char *name, struct lethe_error *err)
{
    int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR)
        return error_set(err, LETHE_INVALID, "seccomp: there is no system call %s", name);
    /* A call that only other architectures have adds nothing here. */
    int failed = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
    return failed == 0 ? LETHE_OK : unprotected(name, failed, err);
}

lethe_result sandbox_confine_calls(const char *const *allowed, struct lethe_error *err)
{
    CLEANUP(filter_free) scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (filter == NULL)
        return error_set(err, LETHE_NO_MEMORY, "seccomp: no memory for a filter");
    /* Every thread, and no way around through the calls of another architecture. */
    int failed = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (failed == 0)
        failed = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (failed != 0)
        return unprotected("setting up the filter", failed, err);
    for (; *allowed != NULL; allowed++)
        TRY(allow(filter, *allowed, err));
    failed = seccomp_load(filter);
    return failed == 0 ? LETHE_OK : unprotected("loading the filter", failed, err);
}
