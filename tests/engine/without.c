/* Runs a command on a kernel that lacks something, as older ones do.
 *
 *     without FEATURE[,FEATURE]... COMMAND ARGUMENT...      without --list
 *
 * A seccomp filter answers in the kernel's place: with the error that a kernel gives which does not
 * know the call, or the flag. Mount options stand in memory, where a filter cannot look: there the
 * parent is asked. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "without: not %s: %s\n", #condition, strerror(errno));                 \
            exit(125);                                                                             \
        }                                                                                          \
    } while (0)

/* A call, or only those of it whose argument has these bits under that mask. */
struct absence {
    const char *feature;
    const char *call;
    int error;
    unsigned argument; /* counted from 1; 0: whatever they are */
    uint64_t mask;
    uint64_t bits;
    unsigned argument2;
    uint64_t mask2;
    uint64_t bits2;
};
#define ALL (~(uint64_t)0)
#define VALUE(argument, value) argument, ALL, value
#define FLAG(argument, flag) argument, flag, flag

static const struct absence absences[] = {
    /* what newer kernels have, or sandboxes take away */
    {"memfd_secret", "memfd_secret", ENOSYS},
    {"memfd_create", "memfd_create", ENOSYS},
    {"memfd_noexec", "memfd_create", EINVAL, FLAG(2, 8)},
    {"seals", "fcntl", EINVAL, VALUE(2, 1033)},
    {"future_write", "fcntl", EINVAL, VALUE(2, 1033), FLAG(3, 0x10)},
    {"mlock", "mlock", EPERM},
    {"mlock2", "mlock2", ENOSYS},
    {"mlock2_refused", "mlock2", EPERM},
    {"landlock", "landlock_create_ruleset", ENOSYS},
    {"landlock_off", "landlock_create_ruleset", EOPNOTSUPP},
    {"landlock_restrict", "landlock_restrict_self", EPERM},
    {"renameat2", "renameat2", ENOSYS},
    {"rename_exchange", "renameat2", EINVAL, FLAG(5, 2)},
    {"rename_noreplace", "renameat2", EINVAL, FLAG(5, 1)},
    {"fallocate", "fallocate", EOPNOTSUPP},
    {"fallocate_call", "fallocate", ENOSYS},
    {"copy_file_range", "copy_file_range", ENOSYS},
    {"statx", "statx", ENOSYS},
    {"openat2", "openat2", ENOSYS},
    {"close_range", "close_range", ENOSYS},
    {"pidfd_open", "pidfd_open", ENOSYS},
    {"pidfd_getfd", "pidfd_getfd", ENOSYS},
    {"pidfd_signal", "pidfd_send_signal", ENOSYS},
    {"clone3", "clone3", ENOSYS},
    {"faccessat2", "faccessat2", ENOSYS},
    {"fchmodat2", "fchmodat2", ENOSYS},
    {"fsopen", "fsopen", ENOSYS},
    {"fsmount", "fsmount", ENOSYS},
    {"move_mount", "move_mount", ENOSYS},
    {"open_tree", "open_tree", ENOSYS},
    {"mount_setattr", "mount_setattr", ENOSYS},
    {"userfaultfd", "userfaultfd", ENOSYS},
    {"io_uring", "io_uring_setup", ENOSYS},
    {"rseq", "rseq", ENOSYS},
    {"membarrier", "membarrier", ENOSYS},
    {"pwritev2", "pwritev2", ENOSYS},
    {"pwritev2_flags", "pwritev2", EOPNOTSUPP},
    {"getrandom", "getrandom", ENOSYS},
    {"seek_data", "lseek", EINVAL, VALUE(3, 3)},
    {"wipe_on_fork", "madvise", EINVAL, VALUE(3, 18)},
    {"populate_write", "madvise", EINVAL, VALUE(3, 23)},
    {"dont_dump", "madvise", EINVAL, VALUE(3, 16)},
    {"dont_fork", "madvise", EINVAL, VALUE(3, 10)},
    {"madvise", "madvise", ENOSYS},
    {"seccomp", "seccomp", ENOSYS},
    {"flock", "flock", ENOLCK},
    {"fstatfs", "fstatfs", ENOSYS},
    {"affinity", "sched_getaffinity", ENOSYS},
    {"sysinfo", "sysinfo", ENOSYS},
    {"signalfd", "signalfd4", ENOSYS},
    {"pipe2", "pipe2", ENOSYS},
    {"dup3", "dup3", ENOSYS},
    {"socketpair", "socketpair", EPERM},
    {"fadvise", "fadvise64", ENOSYS},
    {"fdatasync", "fdatasync", EINVAL},
    {"capset", "capset", EPERM},
    {"setrlimit", "prlimit64", EPERM, 3, 0, 0},
    {"dumpable", "prctl", EINVAL, VALUE(1, PR_SET_DUMPABLE)},
    {"no_new_privs", "prctl", EINVAL, VALUE(1, PR_SET_NO_NEW_PRIVS)},
    {"subreaper", "prctl", EINVAL, VALUE(1, PR_SET_CHILD_SUBREAPER)},
    {"death_signal", "prctl", EINVAL, VALUE(1, PR_SET_PDEATHSIG)},
    {"ambient", "prctl", EINVAL, VALUE(1, PR_CAP_AMBIENT)},
    {"set_name", "prctl", EINVAL, VALUE(1, PR_SET_NAME)},
    /* what is forbidden to many */
    {"unshare", "unshare", EPERM},
    {"user_namespaces", "unshare", EPERM, FLAG(1, 0x10000000)},
    {"no_user_namespaces", "unshare", ENOSPC, FLAG(1, 0x10000000)},
    {"mount", "mount", EPERM},
    {"remount", "mount", EPERM, FLAG(4, MS_REMOUNT)},
    {"bind", "mount", EPERM, FLAG(4, MS_BIND)},
    {"umount", "umount2", EPERM},
    {"setpgid", "setpgid", EPERM},
    {"symlink", "symlink", EPERM},
};
/* Mount options, by asking the parent. */
static const char *const options[] = {"noswap", "huge"};

static bool is_named(const char *list, const char *feature)
{
    size_t length = strlen(feature);
    for (const char *at = list; (at = strstr(at, feature)) != NULL; at += length) {
        if ((at == list || at[-1] == ',') && (at[length] == '\0' || at[length] == ','))
            return true;
    }
    return false;
}

static unsigned add_absences(scmp_filter_ctx filter, const char *list)
{
    unsigned found = 0;
    for (size_t i = 0; i < sizeof absences / sizeof absences[0]; i++) {
        const struct absence *a = &absences[i];
        struct scmp_arg_cmp compared[2];
        unsigned count = 0;
        if (!is_named(list, a->feature))
            continue;
        found++;
        int number = seccomp_syscall_resolve_name(a->call);
        if (number == __NR_SCMP_ERROR) /* newer than the library: nobody here can call it by name */
            continue;
        if (a->argument > 0 && strcmp(a->feature, "setrlimit") == 0)
            compared[count++] = SCMP_CMP64(2, SCMP_CMP_NE, 0, 0);
        else if (a->argument > 0)
            compared[count++] = SCMP_CMP64(a->argument - 1, SCMP_CMP_MASKED_EQ, a->mask, a->bits);
        if (a->argument2 > 0)
            compared[count++] =
                SCMP_CMP64(a->argument2 - 1, SCMP_CMP_MASKED_EQ, a->mask2, a->bits2);
        MUST(seccomp_rule_add_array(filter, SCMP_ACT_ERRNO((uint32_t)a->error), number, count,
                                    compared) == 0);
    }
    return found;
}

static unsigned add_options(scmp_filter_ctx filter, const char *list)
{
    unsigned found = 0;
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        found += is_named(list, options[i]);
    if (found > 0)
        MUST(seccomp_rule_add(filter, SCMP_ACT_NOTIFY, SCMP_SYS(mount), 0) == 0);
    return found;
}

static unsigned names_in(const char *list)
{
    unsigned count = 1;
    for (const char *at = list; (at = strchr(at, ',')) != NULL; at++)
        count++;
    return count;
}

static void send_fd(int channel, int fd)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    char nothing = 0;
    struct iovec part = {&nothing, 1};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof control.bytes};
    struct cmsghdr *entry = CMSG_FIRSTHDR(&header);
    entry->cmsg_level = SOL_SOCKET;
    entry->cmsg_type = SCM_RIGHTS;
    entry->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(entry), &fd, sizeof fd);
    MUST(sendmsg(channel, &header, 0) == 1);
}

static int receive_fd(int channel)
{
    char control[CMSG_SPACE(sizeof(int))];
    char byte;
    struct iovec part = {&byte, 1};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control,
                            .msg_controllen = sizeof control};
    int fd = -1;
    if (recvmsg(channel, &header, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&header) != NULL)
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof fd);
    return fd;
}

/* ---- answering -------------------------------------------------------------------------------
 */

/* mount's fifth argument; what cannot be read has no option that we know. */
static bool wants_absent_option(const struct seccomp_notif *request, const char *list)
{
    char path[64];
    char text[256] = "";
    snprintf(path, sizeof path, "/proc/%u/mem", request->pid);
    int memory = open(path, O_RDONLY | O_CLOEXEC);
    for (size_t at = 0; memory >= 0 && at + 1 < sizeof text; at++) {
        if (pread(memory, text + at, 1, (off_t)request->data.args[4] + (off_t)at) != 1 ||
            text[at] == '\0')
            break;
    }
    close(memory);
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        if (is_named(list, options[i]) && strstr(text, options[i]) != NULL)
            return true;
    }
    return false;
}

static void answer(int listener, const char *list)
{
    struct seccomp_notif *request;
    struct seccomp_notif_resp *response;
    MUST(seccomp_notify_alloc(&request, &response) == 0);
    if (seccomp_notify_receive(listener, request) == 0) {
        bool absent = wants_absent_option(request, list);
        response->id = request->id;
        response->error = absent ? -EINVAL : 0;
        response->flags = absent ? 0 : SECCOMP_USER_NOTIF_FLAG_CONTINUE;
        (void)seccomp_notify_respond(listener, response);
    }
    seccomp_notify_free(request, response);
}

static int wait_for(pid_t child, int listener, const char *list)
{
    int status;
    for (;;) {
        struct pollfd end = {.fd = listener, .events = POLLIN};
        poll(&end, 1, 20);
        if ((end.revents & POLLIN) != 0)
            answer(listener, list);
        if (waitpid(child, &status, WNOHANG) == child)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
}

static void load_filter(const char *list, int channel)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    bool asks = add_options(filter, list) > 0;
    MUST(filter != NULL && seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, geteuid() != 0) == 0);
    (void)add_absences(filter, list);
    MUST(seccomp_load(filter) == 0);
    if (asks)
        send_fd(channel, seccomp_notify_fd(filter));
    close(channel);
}

static void list_features(void)
{
    for (size_t i = 0; i < sizeof absences / sizeof absences[0]; i++)
        puts(absences[i].feature);
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        puts(options[i]);
}

int main(int argc, char **argv)
{
    int ends[2];
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        list_features();
        return 0;
    }
    MUST(argc > 2 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    scmp_filter_ctx trial = seccomp_init(SCMP_ACT_ALLOW);
    MUST(add_absences(trial, argv[1]) + add_options(trial, argv[1]) == names_in(argv[1]));
    pid_t child = fork();
    if (child == 0) {
        load_filter(argv[1], ends[1]);
        execvp(argv[2], argv + 2);
        _exit(127);
    }
    close(ends[1]);
    return wait_for(child, receive_fd(ends[0]), argv[1]);
}
