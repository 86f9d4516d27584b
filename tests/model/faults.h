/* tests/model/faults.h -- makes the Nth change of the disk fail, or kills the process at it.
 *
 * The functions below stand in front of the C library's for everything linked into the test
 * program. They count, and do as they are told, only while armed. Included by one file. */
#ifndef TESTS_MODEL_FAULTS_H
#define TESTS_MODEL_FAULTS_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum fault {
    FAULT_NONE,    /* only counts */
    FAULT_ONCE,    /* this call fails with EIO, later ones work */
    FAULT_FULL,    /* from here on what needs space fails with ENOSPC */
    FAULT_BROKEN,  /* from here on everything fails with EIO */
    FAULT_KILL,    /* the process dies before the call */
    FAULT_UNARMED, /* not even counted */
};
static struct {
    enum fault fault;
    long at;
    atomic_long count;
    bool no_links; /* as on a file system without hard links */
} faults = {.fault = FAULT_UNARMED};

static void faults_arm(enum fault fault, long at)
{
    faults.at = at;
    atomic_store(&faults.count, 0);
    faults.fault = fault;
}

static long faults_disarm(void)
{
    faults.fault = FAULT_UNARMED;
    return atomic_load(&faults.count);
}

/* True when the call shall fail; errno says how. */
static bool fails(bool needs_space)
{
    if (faults.fault == FAULT_UNARMED)
        return false;
    long count = atomic_fetch_add(&faults.count, 1) + 1;
    switch (faults.fault) {
    case FAULT_KILL:
        if (count == faults.at)
            kill(getpid(), SIGKILL);
        return false;
    case FAULT_ONCE:
        errno = EIO;
        return count == faults.at;
    case FAULT_BROKEN:
        errno = EIO;
        return count >= faults.at;
    case FAULT_FULL:
        errno = ENOSPC;
        return needs_space && count >= faults.at;
    default:
        return false;
    }
}

/* ---- in place of the C library's; with 64-bit offsets these are pwrite64 and openat64 ---------
 */

#define IN_PLACE __attribute__((visibility("default")))

IN_PLACE ssize_t pwrite(int fd, const void *bytes, size_t size_bytes, off_t offset)
{
    return fails(true) ? -1 : syscall(SYS_pwrite64, fd, bytes, size_bytes, offset);
}

IN_PLACE ssize_t write(int fd, const void *bytes, size_t size_bytes)
{
    return fails(true) ? -1 : syscall(SYS_write, fd, bytes, size_bytes);
}

IN_PLACE int openat(int dir_fd, const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    if ((flags & O_CREAT) != 0 && fails(true))
        return -1;
    return (int)syscall(SYS_openat, dir_fd, path, flags, mode);
}

IN_PLACE int mkdirat(int dir_fd, const char *path, mode_t mode)
{
    return fails(true) ? -1 : (int)syscall(SYS_mkdirat, dir_fd, path, mode);
}

IN_PLACE int fsync(int fd)
{
    return fails(true) ? -1 : (int)syscall(SYS_fsync, fd);
}

IN_PLACE int fdatasync(int fd)
{
    return fails(true) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

IN_PLACE int ftruncate(int fd, off_t size_bytes)
{
    return fails(false) ? -1 : (int)syscall(SYS_ftruncate, fd, size_bytes);
}

IN_PLACE int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    return fails(true) ? -1 : (int)syscall(SYS_renameat, from_fd, from, to_fd, to);
}

IN_PLACE int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
    return fails(false) ? -1 : (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
}

IN_PLACE int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
    bool names_nameless = (flags & AT_SYMLINK_FOLLOW) != 0; /* which is no second link */
    errno = EPERM;
    if (faults.no_links && !names_nameless)
        return -1;
    return fails(true) ? -1 : (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
}

IN_PLACE int unlinkat(int dir_fd, const char *path, int flags)
{
    return fails(false) ? -1 : (int)syscall(SYS_unlinkat, dir_fd, path, flags);
}

#endif
