/* tests/mem/fakes.h -- a host that lacks something, for one test. */
#ifndef TESTS_MEM_FAKES_H
#define TESTS_MEM_FAKES_H

#include <errno.h>
#include <sys/mman.h>

#include "check.h"
#include "mem/host.h"

static struct host real_host; /* set by fakes_install() */

/* Files that read differently; text NULL: there is no such file. */
struct fake_file {
    const char *path;
    const char *text;
};
static const struct fake_file *fake_files; /* ends with an empty path */

static inline FILE *open_fake(const char *path)
{
    for (const struct fake_file *fake = fake_files; fake->path != NULL; fake++) {
        if (strcmp(fake->path, path) != 0)
            continue;
        errno = ENOENT;
        return fake->text != NULL ? fmemopen((void *)(uintptr_t)fake->text, strlen(fake->text), "r")
                                  : NULL;
    }
    return real_host.open(path);
}

static inline void fake_read(const struct fake_file *files)
{
    fake_files = files;
    host.open = open_fake;
}

/* ---- calls that fail, or claim to work ------------------------------------------------------- */

static int failing_advice;

static inline int madvise_fails(void *address, size_t size_bytes, int advice)
{
    if (advice != failing_advice)
        return real_host.madvise(address, size_bytes, advice);
    errno = EINVAL;
    return -1;
}

static inline int madvise_pretends(void *address, size_t size_bytes, int advice)
{
    return advice == failing_advice ? 0 : real_host.madvise(address, size_bytes, advice);
}

static inline int mlock_fails(const void *address, size_t size_bytes)
{
    errno = ENOMEM;
    return -1;
}

static inline int mlock_pretends(const void *address, size_t size_bytes)
{
    return 0;
}

static inline int memfd_secret_fails(unsigned flags)
{
    errno = ENOSYS;
    return -1;
}

#define SWAP_HEADING "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
static const struct fake_file swap_on_disk[] = {
    {"/proc/swaps", SWAP_HEADING "/dev/sda2    partition\t999420\t0\t-2\n"}, {0}};
static const struct fake_file no_swap[] = {{"/proc/swaps", SWAP_HEADING}, {0}};

static inline int fakes_install(void **state)
{
    if (real_host.open == NULL)
        real_host = host;
    return 0;
}

static inline int fakes_remove(void **state)
{
    host = real_host;
    return 0;
}

#endif
