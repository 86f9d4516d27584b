/* tests/faults/calls.h -- the system calls that faults are made at, in classes. */
#ifndef TESTS_FAULTS_CALLS_H
#define TESTS_FAULTS_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(name, what is in it) */
#define CALL_CLASSES(X)                                                                            \
    X(WRITE, "write")   /* into files and pipes, but for stdout and stderr */                      \
    X(OUTPUT, "output") /* into stdout and stderr */                                               \
    X(SYNC, "sync")     /* what makes writes durable */                                            \
    X(RENAME, "rename")                                                                            \
    X(LINK, "link")                                                                                \
    X(UNLINK, "unlink")                                                                            \
    X(CREATE, "create")   /* open with O_CREAT, mkdir */                                           \
    X(SIZE, "size")       /* ftruncate, fallocate */                                               \
    X(MODE, "mode")       /* chmod, chown */                                                       \
    X(MAP, "map")         /* mmap, mremap */                                                       \
    X(PROTECT, "protect") /* mprotect, madvise */                                                  \
    X(LOCK, "lock")       /* mlock */                                                              \
    X(MEMFD, "memfd")                                                                              \
    X(PROCESS, "process") /* fork and new threads */                                               \
    X(MOUNT, "mount")     /* mounts and namespaces */                                              \
    X(LIMIT, "limit")     /* prctl, limits, seccomp, capabilities */                               \
    X(CHANNEL, "channel") /* sockets, pipes and what comes through sockets */                      \
    X(FLOCK, "flock")     /* flock, fcntl */                                                       \
    X(OPEN, "open")       /* without O_CREAT */                                                    \
    X(READ, "read")                                                                                \
    X(STAT, "stat")   /* what is there, and whether */                                             \
    X(OTHER, "other") /* all else: networks, waiting, what is not in the table */

enum call_class {
#define CALL_ENUM(name, text) CALL_##name,
    CALL_CLASSES(CALL_ENUM)
#undef CALL_ENUM
        CALL_CLASS_COUNT,
};
extern const char *const call_class_names[CALL_CLASS_COUNT];

#define CALL_BIT(name) (1u << CALL_##name)
/* What changes files, so that a crash before it and one after it leave different things. */
#define CALLS_CHANGING                                                                             \
    (CALL_BIT(WRITE) | CALL_BIT(SYNC) | CALL_BIT(RENAME) | CALL_BIT(LINK) | CALL_BIT(UNLINK) |     \
     CALL_BIT(CREATE) | CALL_BIT(SIZE) | CALL_BIT(MODE))

struct call {
    const char *name;
    int number;
    enum call_class class_;
};
extern const struct call calls[];
extern const size_t call_count;

const struct call *call_find(int number); /* never NULL: one of OTHER is not in the table */
/* What a process does to stop before anybody listens to it: never asked about. */
extern const int calls_exempt[];
extern const size_t calls_exempt_count;
/* The class by the arguments too: an open that creates, a write to stdout. */
enum call_class call_classify(const struct call *call, const uint64_t arguments[6]);
/* "write,sync", "changes" or "all" as bits; false for a name that is none. */
bool call_classes_parse(const char *text, unsigned *out);

#endif
