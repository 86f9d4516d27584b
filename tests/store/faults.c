#include "faults.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static struct {
    enum fault fault;
    long target;
    long step;
} plan;

void faults_arm(enum fault fault, long step)
{
    plan.fault = fault;
    plan.target = step;
    plan.step = 0;
}

long faults_disarm(void)
{
    plan.fault = FAULT_NONE;
    return plan.step;
}

static bool is_due(void)
{
    long step = __atomic_add_fetch(&plan.step, 1, __ATOMIC_RELAXED); /* every thread's writes */
    return step == plan.target || (plan.fault == FAULT_FULL && step > plan.target);
}

static _Noreturn void die(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

/* True when the call shall fail; errno says how. */
static bool fails(bool needs_space)
{
    if (!is_due() || plan.fault == FAULT_NONE || (plan.fault == FAULT_FULL && !needs_space))
        return false;
    if (plan.fault == FAULT_KILL)
        die();
    errno = plan.fault == FAULT_FULL ? ENOSPC : EIO;
    return true;
}

static ssize_t put(int fd, const void *bytes, size_t size_bytes, off_t offset)
{
    return offset < 0 ? syscall(SYS_write, fd, bytes, size_bytes)
                      : syscall(SYS_pwrite64, fd, bytes, size_bytes, offset);
}

static ssize_t faulty_put(int fd, const void *bytes, size_t size_bytes, off_t offset)
{
    if (fails(true))
        return -1;
    if (is_due() && plan.fault == FAULT_KILL) {
        put(fd, bytes, size_bytes / 2, offset);
        die();
    }
    return put(fd, bytes, size_bytes, offset);
}

/* ---- in place of the C library's ------------------------------------------------------------- */

/* Offsets have 64 bits (Meson sees to it), so pwrite and ftruncate are the symbols pwrite64 and
 * ftruncate64 for us as for SQLite. */
_Static_assert(sizeof(off_t) == 8 && _FILE_OFFSET_BITS == 64, "the symbols of SQLite");
#define IN_PLACE __attribute__((visibility("default")))

IN_PLACE ssize_t write(int fd, const void *bytes, size_t size_bytes)
{
    return faulty_put(fd, bytes, size_bytes, -1);
}

IN_PLACE ssize_t pwrite(int fd, const void *bytes, size_t size_bytes, off_t offset)
{
    return faulty_put(fd, bytes, size_bytes, offset);
}

IN_PLACE ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
    if (count != 1 || fails(true))
        return -1;
    if (is_due() && plan.fault == FAULT_KILL) {
        put(fd, parts->iov_base, parts->iov_len / 2, offset);
        die();
    }
    return syscall(SYS_pwritev2, fd, parts, count, offset, 0, flags);
}

/* Only growing needs space. */
static bool grows(int fd, off_t size_bytes)
{
    struct stat status;
    return fstat(fd, &status) == 0 && size_bytes > status.st_size;
}

IN_PLACE int ftruncate(int fd, off_t size_bytes)
{
    return fails(grows(fd, size_bytes)) ? -1 : (int)syscall(SYS_ftruncate, fd, size_bytes);
}

IN_PLACE int fsync(int fd)
{
    return fails(false) ? -1 : (int)syscall(SYS_fsync, fd);
}

IN_PLACE int fdatasync(int fd)
{
    return fails(false) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

IN_PLACE int renameat2(int old_fd, const char *old_path, int new_fd, const char *new_path,
                       unsigned flags)
{
    return fails(true) ? -1
                       : (int)syscall(SYS_renameat2, old_fd, old_path, new_fd, new_path, flags);
}

IN_PLACE int renameat(int old_fd, const char *old_path, int new_fd, const char *new_path)
{
    return renameat2(old_fd, old_path, new_fd, new_path, 0);
}

IN_PLACE int rename(const char *old_path, const char *new_path)
{
    return renameat2(AT_FDCWD, old_path, AT_FDCWD, new_path, 0);
}

IN_PLACE int unlinkat(int fd, const char *path, int flags)
{
    return fails(false) ? -1 : (int)syscall(SYS_unlinkat, fd, path, flags);
}

IN_PLACE int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}
