#include "faults/calls.h"

#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>

const char *const call_class_names[CALL_CLASS_COUNT] = {
#define CALL_NAME(name, text) text,
    CALL_CLASSES(CALL_NAME)
#undef CALL_NAME
};

#define CALL(name, class_)                                                                         \
    {                                                                                              \
#name, SYS_##name, CALL_##class_                                                           \
    }
const struct call calls[] = {
    CALL(write, WRITE),
    CALL(pwrite64, WRITE),
    CALL(writev, WRITE),
    CALL(pwritev, WRITE),
    CALL(pwritev2, WRITE),
    CALL(sendfile, WRITE),
    CALL(copy_file_range, WRITE),
    CALL(fsync, SYNC),
    CALL(fdatasync, SYNC),
    CALL(syncfs, SYNC),
    CALL(sync_file_range, SYNC),
    CALL(msync, SYNC),
    CALL(renameat, RENAME),
    CALL(renameat2, RENAME),
    CALL(linkat, LINK),
    CALL(symlinkat, LINK),
    CALL(unlinkat, UNLINK),
    CALL(mkdirat, CREATE),
    CALL(openat, OPEN),
    CALL(truncate, SIZE),
    CALL(ftruncate, SIZE),
    CALL(fallocate, SIZE),
    CALL(fchmod, MODE),
    CALL(fchmodat, MODE),
    CALL(fchown, MODE),
    CALL(fchownat, MODE),
    CALL(mmap, MAP),
    CALL(mremap, MAP),
    CALL(mprotect, PROTECT),
    CALL(madvise, PROTECT),
    CALL(mlock, LOCK),
    CALL(mlock2, LOCK),
    CALL(mlockall, LOCK),
    CALL(memfd_create, MEMFD),
    CALL(memfd_secret, MEMFD),
    CALL(clone, PROCESS),
    CALL(clone3, PROCESS),
    CALL(execve, PROCESS),
    CALL(mount, MOUNT),
    CALL(umount2, MOUNT),
    CALL(unshare, MOUNT),
    CALL(setns, MOUNT),
    CALL(prctl, LIMIT),
    CALL(prlimit64, LIMIT),
    CALL(seccomp, LIMIT),
    CALL(capset, LIMIT),
    CALL(socketpair, CHANNEL),
    CALL(pipe2, CHANNEL),
    CALL(sendmsg, CHANNEL),
    CALL(recvmsg, CHANNEL),
    CALL(flock, FLOCK),
    CALL(fcntl, FLOCK),
    CALL(read, READ),
    CALL(pread64, READ),
    CALL(getdents64, READ),
    CALL(fstat, STAT),
    CALL(newfstatat, STAT),
    CALL(statx, STAT),
    CALL(statfs, STAT),
    CALL(fstatfs, STAT),
    CALL(faccessat, STAT),
    CALL(faccessat2, STAT),
    CALL(readlinkat, STAT),
    CALL(socket, OTHER),
    CALL(connect, OTHER),
    CALL(bind, OTHER),
    CALL(listen, OTHER),
    CALL(accept4, OTHER),
    CALL(sendto, OTHER),
    CALL(recvfrom, OTHER),
    CALL(sendmmsg, OTHER),
    CALL(shutdown, OTHER),
    CALL(setsockopt, OTHER),
    CALL(getsockopt, OTHER),
    CALL(epoll_ctl, OTHER),
    CALL(epoll_pwait, OTHER),
    CALL(eventfd2, OTHER),
    CALL(futex, OTHER),
    CALL(close, OTHER),
    CALL(munmap, OTHER),
    CALL(exit_group, OTHER),
#ifdef SYS_rename /* the older forms, which newer machines do not have */
    CALL(rename, RENAME),
    CALL(link, LINK),
    CALL(symlink, LINK),
    CALL(unlink, UNLINK),
    CALL(rmdir, UNLINK),
    CALL(mkdir, CREATE),
    CALL(open, OPEN),
    CALL(chmod, MODE),
    CALL(chown, MODE),
    CALL(fork, PROCESS),
    CALL(vfork, PROCESS),
    CALL(pipe, CHANNEL),
    CALL(stat, STAT),
    CALL(lstat, STAT),
    CALL(access, STAT),
    CALL(readlink, STAT),
    CALL(epoll_wait, OTHER),
#endif
};
const size_t call_count = sizeof calls / sizeof *calls;

const struct call *call_find(int number)
{
    static struct call other = {.name = "other", .class_ = CALL_OTHER};
    for (size_t i = 0; i < call_count; i++) {
        if (calls[i].number == number)
            return &calls[i];
    }
    other.number = number;
    return &other;
}

const int calls_exempt[] = {SYS_rt_sigprocmask, SYS_getpid, SYS_gettid, SYS_tgkill};
const size_t calls_exempt_count = sizeof calls_exempt / sizeof *calls_exempt;

enum call_class call_classify(const struct call *call, const uint64_t arguments[6])
{
    if (call->class_ == CALL_WRITE && arguments[0] <= 2)
        return CALL_OUTPUT;
    if (call->class_ != CALL_OPEN)
        return call->class_;
    uint64_t flags = arguments[call->number == SYS_openat ? 2 : 1];
    return (flags & O_CREAT) != 0 ? CALL_CREATE : CALL_OPEN;
}

static bool parse_one(const char *name, size_t length, unsigned *bits)
{
    static const struct {
        const char *name;
        unsigned bits;
    } groups[] = {{"changes", CALLS_CHANGING}, {"all", (1u << CALL_CLASS_COUNT) - 1}};
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        if (strlen(groups[i].name) == length && memcmp(groups[i].name, name, length) == 0) {
            *bits |= groups[i].bits;
            return true;
        }
    }
    for (unsigned i = 0; i < CALL_CLASS_COUNT; i++) {
        if (strlen(call_class_names[i]) == length &&
            memcmp(call_class_names[i], name, length) == 0) {
            *bits |= 1u << i;
            return true;
        }
    }
    return false;
}

bool call_classes_parse(const char *text, unsigned *out)
{
    *out = 0;
    for (;;) {
        size_t length = strcspn(text, ",");
        if (!parse_one(text, length, out))
            return false;
        if (text[length] == '\0')
            return true;
        text += length + 1;
    }
}
