#include "base/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

#define PROC_FILE_MAX 4096

lethe_result sandbox_no_dump(struct lethe_error *err)
{
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
        return error_set(err, LETHE_UNPROTECTED,
                         "this process cannot be made non-dumpable (PR_SET_DUMPABLE: %s)",
                         strerrordesc_np(errno));
    return LETHE_OK;
}

lethe_result sandbox_adopt_orphans(struct lethe_error *err)
{
    int adopts = 0;
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0 || prctl(PR_GET_CHILD_SUBREAPER, &adopts) != 0 ||
        adopts == 0)
        return error_set(err, LETHE_UNPROTECTED,
                         "processes that an engine leaves behind could not be ended "
                         "(PR_SET_CHILD_SUBREAPER: %s)",
                         strerrordesc_np(errno));
    return LETHE_OK;
}

lethe_result sandbox_die_with_parent(struct lethe_error *err)
{
    int signal_number = 0;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || prctl(PR_GET_PDEATHSIG, &signal_number) != 0 ||
        signal_number != SIGKILL)
        return error_set(err, LETHE_UNPROTECTED,
                         "this process would outlive its parent (PR_SET_PDEATHSIG: %s)",
                         strerrordesc_np(errno));
    return LETHE_OK;
}

lethe_result sandbox_no_new_privileges(struct lethe_error *err)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
        return error_set(err, LETHE_UNPROTECTED, "PR_SET_NO_NEW_PRIVS: %s", strerrordesc_np(errno));
    return LETHE_OK;
}

static bool core_limit_is(rlim_t limit)
{
    struct rlimit now;
    return getrlimit(RLIMIT_CORE, &now) == 0 && now.rlim_cur == limit && now.rlim_max == limit;
}

static lethe_result cores_are_piped(bool *piped, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer pattern = {0};
    TRY(file_read_all(AT_FDCWD, "/proc/sys/kernel/core_pattern", PROC_FILE_MAX, &pattern, err));
    *piped = pattern.size_bytes > 0 && pattern.bytes[0] == '|';
    return LETHE_OK;
}

/* core(5): a limit of 1 stops a core to a file and a core to a pipe, 0 only one to a file. A hard
 * limit of 0 cannot be raised to 1 without privilege; it does while cores are not piped. */
static lethe_result limit_cores(struct lethe_error *err)
{
    const struct rlimit one = {1, 1};
    if (setrlimit(RLIMIT_CORE, &one) == 0 && core_limit_is(1))
        return LETHE_OK;
    const struct rlimit none = {0, 0};
    bool piped = true;
    TRY(cores_are_piped(&piped, err));
    if (!piped && setrlimit(RLIMIT_CORE, &none) == 0 && core_limit_is(0))
        return LETHE_OK;
    error_set(err, LETHE_UNPROTECTED, "the core limit cannot be set to 1 byte");
    error_hint(err, "raise the hard limit to at least 1 (LimitCORE=1, or ulimit -Hc 1)");
    return LETHE_UNPROTECTED;
}

static lethe_result filter_cores(struct lethe_error *err)
{
    static const char path[] = "/proc/self/coredump_filter";
    CLEANUP(fd_close) int fd = open(path, O_WRONLY | O_CLOEXEC);
    CLEANUP(buffer_clear) struct buffer filter = {0};
    if (fd < 0 || file_write(fd, path, "0", 1, err) != LETHE_OK ||
        file_read_all(AT_FDCWD, path, PROC_FILE_MAX, &filter, err) != LETHE_OK ||
        strtoul(filter.bytes, NULL, 16) != 0) {
        error_set(err, LETHE_UNPROTECTED, "%s cannot be set to 0", path);
        error_hint(err, "mount /proc, and set it before the process is made non-dumpable");
        return LETHE_UNPROTECTED;
    }
    return LETHE_OK;
}

lethe_result sandbox_no_core_across_exec(struct lethe_error *err)
{
    TRY(limit_cores(err));
    return filter_cores(err);
}

/* The kernel's two words of 32 capabilities per set. */
struct capability_sets {
    struct __user_cap_data_struct words[_LINUX_CAPABILITY_U32S_3];
};

static bool capability_sets_get(struct capability_sets *sets)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    return syscall(SYS_capget, &header, sets->words) == 0;
}

static bool capability_sets_put(const struct capability_sets *sets)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    return syscall(SYS_capset, &header, sets->words) == 0;
}

/* True when the bounding set does not have it, or can no longer give it: with no new privileges no
 * file that is executed adds a capability. */
static bool is_out_of_reach(int capability)
{
    return prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 0 ||
           prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
}

static bool is_gone(int capability)
{
    struct capability_sets sets;
    if (!capability_sets_get(&sets) || !is_out_of_reach(capability))
        return false;
    const struct __user_cap_data_struct *word = &sets.words[CAP_TO_INDEX(capability)];
    __u32 held = word->effective | word->permitted | word->inheritable;
    return (held & CAP_TO_MASK(capability)) == 0 &&
           prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, capability, 0, 0) == 0;
}

lethe_result sandbox_drop_capability(int capability, struct lethe_error *err)
{
    if (capability < 0 || prctl(PR_CAPBSET_READ, capability, 0, 0, 0) < 0)
        return error_set(err, LETHE_INVALID, "this kernel has no capability %d", capability);

    /* The bounding set first: CAP_SETPCAP itself may be the one to go. The ambient set follows the
     * others by itself. What fails here shows in is_gone(). */
    prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    struct capability_sets sets;
    if (capability_sets_get(&sets)) {
        struct __user_cap_data_struct *word = &sets.words[CAP_TO_INDEX(capability)];
        word->effective &= ~CAP_TO_MASK(capability);
        word->permitted &= ~CAP_TO_MASK(capability);
        word->inheritable &= ~CAP_TO_MASK(capability);
        capability_sets_put(&sets);
    }
    if (is_gone(capability))
        return LETHE_OK;
    error_set(err, LETHE_UNPROTECTED, "capability %d cannot be given up for good", capability);
    error_hint(err, "without CAP_SETPCAP, set no new privileges first");
    return LETHE_UNPROTECTED;
}
