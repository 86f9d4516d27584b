#include "service/confine.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/sandbox.h"

/* ---- system calls ---------------------------------------------------------------------------- */

/* Memory, time, what is open, and waiting for it. */
#define CALLS_OF_BOTH                                                                              \
    "read", "write", "readv", "writev", "pread64", "pwrite64", "close", "lseek", "fcntl", "dup",   \
        "fstat", "newfstatat", "stat", "lstat", "statx", "access", "faccessat", "faccessat2",      \
        "open", "openat", "readlink", "brk", "mmap", "munmap", "mremap", "mprotect", "madvise",    \
        "mlock", "mlock2", "munlock", "memfd_secret", "ftruncate", "futex", "set_robust_list",     \
        "rseq", "sched_yield", "sched_getaffinity", "getrlimit", "prlimit64", "uname", "sysinfo",  \
        "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall",        \
        "tgkill", "getpid", "gettid", "getuid", "geteuid", "getgid", "getegid", "getrandom",       \
        "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time",   \
        "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "poll",         \
        "ppoll", "eventfd2", "pipe2", "timerfd_create", "timerfd_settime", "recvmsg", "sendmsg",   \
        "recvfrom", "sendto", "shutdown", "accept4", "getsockopt", "getsockname", "getpeername",   \
        "exit", "exit_group"

static const char *const door_calls[] = {CALLS_OF_BOTH, "setsockopt", NULL};

/* A store and a log on a disk, and the log's thread; ioctl says where a file lies on its disk. */
#define CALLS_OF_KEEPER                                                                            \
    CALLS_OF_BOTH, "fdatasync", "truncate", "fallocate", "fadvise64", "flock", "rename",           \
        "renameat", "renameat2", "unlink", "unlinkat", "link", "linkat", "mkdir", "mkdirat",       \
        "rmdir", "chmod", "fchmod", "fchmodat", "fchown", "utimensat", "umask", "getdents64",      \
        "getcwd", "statfs", "fstatfs", "clone", "clone3", "set_tid_address", "readlinkat",         \
        "pwritev2", "pwritev", "preadv", "preadv2", "sync_file_range", "syncfs", "fsync", "ioctl", \
        "getcpu"

static const char *const keeper_calls[] = {CALLS_OF_KEEPER, NULL};

/* A token's library and a TPM's are others' code, which speaks to devices and daemons. */
static const char *const keeper_device_calls[] = {
    CALLS_OF_KEEPER, "socket",  "connect",  "setsockopt",     "bind",     "prctl", "getppid",
    "select",        "getpgrp", "pselect6", "sched_getparam", "getdents", NULL};

/* Sanitizers make calls of their own at any time: what is built with one is no service. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER 1
#else
#define HAS_SANITIZER 0
#endif

static lethe_result confine_calls(const char *const *allowed, struct lethe_error *err)
{
    return HAS_SANITIZER ? LETHE_OK : sandbox_confine_calls(allowed, err);
}

/* ---- files ----------------------------------------------------------------------------------- */

#define PATHS_MAX 48u

struct paths {
    const char *at[PATHS_MAX];
    size_t count;
};

/* What is not there cannot be allowed, and need not be. */
static void add(struct paths *paths, const char *path)
{
    REQUIRE(paths->count + 1 < PATHS_MAX);
    if (path != NULL && access(path, F_OK) == 0)
        paths->at[paths->count++] = path;
}

static void add_all(struct paths *paths, const char *const *list)
{
    for (; list != NULL && *list != NULL; list++)
        add(paths, *list);
}

/* /proc and /sys say what is locked and what the swap is. Other processes' parts of /proc stay
 * closed: Landlock's domain sees to that. */
static const char *const readable[] = {"/proc",        "/sys",           "/dev/null",
                                       "/dev/urandom", "/etc/localtime", NULL};
static const char *const device_readable[] = {"/usr", "/lib", "/lib64", "/etc", "/opt", NULL};
static const char *const device_writable[] = {"/dev", "/run", "/var/lib", "/tmp", NULL};

/* A file that is replaced is another one: its directory is what stays, and that of what a link
 * leads to. The texts live as long as the process. */
static void add_directory_of(struct paths *paths, const char *path)
{
    char *places[] = {path == NULL ? NULL : strdup(path),
                      path == NULL ? NULL : realpath(path, NULL)};
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        char *slash = places[i] == NULL ? NULL : strrchr(places[i], '/');
        if (slash == NULL)
            continue;
        slash[slash == places[i] ? 1 : 0] = '\0';
        size_t before = paths->count;
        add(paths, places[i]);
        if (paths->count > before)
            places[i] = NULL; /* moved */
    }
    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        free(places[i]);
}

static lethe_result confine_files(const struct paths *read_only, const struct paths *read_write,
                                  struct lethe_error *err)
{
    TRY(sandbox_no_dump(err));
    TRY(sandbox_no_new_privileges(err));
    return sandbox_confine_files(read_only->at, read_write->at, err);
}

static lethe_result confine(const struct paths *read_only, const struct paths *read_write,
                            const char *const *calls, struct lethe_error *err)
{
    TRY(confine_files(read_only, read_write, err));
    return confine_calls(calls, err);
}

lethe_result core_confine(const struct core_sockets *sockets, struct lethe_error *err)
{
    struct paths read_only = {0};
    struct paths read_write = {0};
    if (sockets->writable == NULL)
        return LETHE_OK;
    add_all(&read_only, readable);
    add_all(&read_only, sockets->readable);
    add_all(&read_write, sockets->writable);
    if (sockets->root_is_device) {
        add_all(&read_only, device_readable);
        add_all(&read_write, device_writable);
    }
    return confine(&read_only, &read_write,
                   sockets->root_is_device ? keeper_device_calls : keeper_calls, err);
}

/* ---- a server of one process ----------------------------------------------------------------- */

static const char *const server_calls[] = {CALLS_OF_KEEPER, "setsockopt", NULL};

/* Where a passphrase is asked for. */
static const char *const terminal[] = {"/dev/tty", NULL};

lethe_result server_confine_files(const struct server_files *files, struct lethe_error *err)
{
    struct paths read_only = {0};
    struct paths read_write = {0};
    add_all(&read_only, readable);
    add_all(&read_only, files->readable);
    size_t first_directory = read_only.count;
    for (const char *const *path = files->replaced; path != NULL && *path != NULL; path++)
        add_directory_of(&read_only, *path);
    size_t behind_directories = read_only.count;
    add_all(&read_write, files->writable);
    add_all(&read_write, terminal);
    if (files->root_is_device) {
        add_all(&read_only, device_readable);
        add_all(&read_write, device_writable);
    }
    lethe_result result = confine_files(&read_only, &read_write, err);
    for (size_t i = first_directory; i < behind_directories; i++)
        free((char *)(uintptr_t)read_only.at[i]);
    return result;
}

lethe_result server_confine_calls(bool root_is_device, struct lethe_error *err)
{
    return confine_calls(root_is_device ? keeper_device_calls : server_calls, err);
}

lethe_result door_confine(const struct serve_options *options, struct lethe_error *err)
{
    struct paths read_only = {0};
    struct paths read_write = {0};
    add_all(&read_only, readable);
    add_directory_of(&read_only, options->certificate_path);
    add_directory_of(&read_only, options->key_path);
    add_directory_of(&read_only, options->client_roots_path);
    return confine(&read_only, &read_write, door_calls, err);
}
