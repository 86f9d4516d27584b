/* mem/host.h -- what this room asks of the kernel, as a table, so that a test can take any of it
 * away and see whether we notice. Each entry answers as the call of the same name does. */
#ifndef MEM_HOST_H
#define MEM_HOST_H

#include <stdio.h>
#include <sys/types.h>

#include "base/base.h"

struct host {
    void *(*mmap)(void *address, size_t size_bytes, int access, int flags, int fd, off_t offset);
    int (*munmap)(void *address, size_t size_bytes);
    int (*mprotect)(void *address, size_t size_bytes, int access);
    int (*mlock)(const void *address, size_t size_bytes);
    int (*madvise)(void *address, size_t size_bytes, int advice);
    int (*memfd_secret)(unsigned flags);
    FILE *(*open)(const char *path); /* for reading; NULL and errno on failure */
    void (*wipe)(void *memory, size_t size_bytes);
};

/* Replace entries only in tests, and only while no other thread is in this room. */
extern struct host host;

/* The layout of arenas counts on this; the room does not start on a host with other pages. */
#define PAGE_BYTES ((size_t)4096)

#endif
