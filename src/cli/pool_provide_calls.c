#include "cli/pool_provide_calls.h"

#include "base/error.h"
#include "base/sandbox.h"

/* The last lines are for the log, and for closing the home. */
#define CALLS                                                                                      \
    "brk", "mmap", "munmap", "mremap", "mprotect", "madvise", "mlock", "mlock2", "munlock",        \
        "memfd_secret", "clone", "clone3", "set_robust_list", "set_tid_address", "rseq", "futex",  \
        "sched_yield", "sched_getaffinity", "setpriority", "getcpu", "exit", "exit_group",         \
        "restart_syscall", "tgkill", "getpid", "gettid", "getuid", "geteuid", "getgid", "getegid", \
        "getrlimit", "prlimit64", "uname", "sysinfo", "getrandom", "clock_gettime",                \
        "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time", "rt_sigaction",    \
        "rt_sigprocmask", "rt_sigreturn", "rt_sigtimedwait", "sigaltstack", "epoll_create1",       \
        "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll", "eventfd2",     \
        "pipe2", "timerfd_create", "timerfd_settime", "socket", "connect", "accept4", "shutdown",  \
        "recvmsg", "sendmsg", "recvfrom", "sendto", "getsockopt", "setsockopt", "getsockname",     \
        "getpeername", "read", "write", "readv", "writev", "pread64", "pwrite64", "preadv",        \
        "pwritev", "preadv2", "pwritev2", "close", "lseek", "fcntl", "dup", "open", "openat",      \
        "fstat", "newfstatat", "stat", "lstat", "statx", "access", "faccessat", "faccessat2",      \
        "readlink", "readlinkat", "getdents64", "getcwd", "statfs", "fstatfs", "ftruncate",        \
        "truncate", "fdatasync", "fsync", "syncfs", "sync_file_range", "fallocate", "fadvise64",   \
        "flock", "rename", "renameat", "renameat2", "unlink", "unlinkat", "link", "linkat",        \
        "mkdir", "mkdirat", "rmdir", "chmod", "fchmod", "fchmodat", "fchown", "utimensat",         \
        "umask", "ioctl"

static const char *const calls[] = {CALLS, NULL};
/* A token's library and a TPM's, when the home is closed. */
static const char *const device_calls[] = {
    CALLS,    "bind",     "prctl",    "getppid",        "getpgrp",
    "select", "pselect6", "getdents", "sched_getparam", NULL};

/* Sanitizers make calls of their own at any time: what is built with one lends nothing. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER 1
#else
#define HAS_SANITIZER 0
#endif

lethe_result pool_provide_confine_calls(bool root_is_device, struct lethe_error *err)
{
    return HAS_SANITIZER ? LETHE_OK
                         : sandbox_confine_calls(root_is_device ? device_calls : calls, err);
}
