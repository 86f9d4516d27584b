#include "mem/host.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <lethe/mem.h>

/* The sanitizers replace mlock() by a function that does nothing: ask the kernel itself. */
static int host_mlock(const void *address, size_t size_bytes)
{
    return (int)syscall(SYS_mlock, address, size_bytes);
}

static int host_memfd_secret(unsigned flags)
{
    return (int)syscall(SYS_memfd_secret, flags);
}

static FILE *host_open(const char *path)
{
    return fopen(path, "re");
}

struct host host = {
    .mmap = mmap,
    .munmap = munmap,
    .mprotect = mprotect,
    .mlock = host_mlock,
    .madvise = madvise,
    .memfd_secret = host_memfd_secret,
    .open = host_open,
    .wipe = lethe_wipe,
};
