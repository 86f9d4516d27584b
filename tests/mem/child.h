/* tests/mem/child.h -- doing dangerous things in a child process, and looking at what became of it;
 * and patterns that are found in memory only if somebody left them there. */
#ifndef TESTS_MEM_CHILD_H
#define TESTS_MEM_CHILD_H

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <lethe/mem.h>

#include "check.h"

/* How a child ended, and what it wrote to stderr. */
struct child {
    int exit_code; /* -1: by a signal */
    int signal;    /* 0: none         */
    char said[512];
};

/* Ends the child with success unless `act` does something else. It dies of its signals as any
 * process does, even under a sanitizer, and leaves no core file. */
static inline struct child run_child(void (*act)(void *context), void *context)
{
    int to_parent[2];
    assert_int_equal(pipe(to_parent), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        signal(SIGSEGV, SIG_DFL);
        signal(SIGBUS, SIG_DFL);
        signal(SIGABRT, SIG_DFL);
        struct rlimit core;
        getrlimit(RLIMIT_CORE, &core);
        core.rlim_cur = 0;
        setrlimit(RLIMIT_CORE, &core);
        dup2(to_parent[1], STDERR_FILENO);
        close(to_parent[0]);
        close(to_parent[1]);
        act(context);
        _exit(0);
    }
    close(to_parent[1]);
    struct child child = {.exit_code = -1};
    size_t said = 0;
    ssize_t got;
    while ((got = read(to_parent[0], child.said + said, sizeof child.said - 1 - said)) > 0)
        said += (size_t)got;
    close(to_parent[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status))
        child.exit_code = WEXITSTATUS(status);
    if (WIFSIGNALED(status))
        child.signal = WTERMSIG(status);
    return child;
}

/* In a child, where cmocka's assertions would unwind into the parent's tests. */
#define child_require(condition)                                                                   \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            _exit(100);                                                                            \
        }                                                                                          \
    } while (0)

#define assert_child_succeeds(act, context)                                                        \
    do {                                                                                           \
        struct child finished = run_child(act, context);                                           \
        if (finished.exit_code != 0)                                                               \
            fail_msg("child: exit %d, signal %d: %s", finished.exit_code, finished.signal,         \
                     finished.said);                                                               \
    } while (0)

#define assert_child_dies(act, context, by, words)                                                 \
    do {                                                                                           \
        struct child died = run_child(act, context);                                               \
        if (died.signal != (by) || strstr(died.said, words) == NULL)                               \
            fail_msg("child: exit %d, signal %d, said \"%s\": expected signal %d, \"%s\"",         \
                     died.exit_code, died.signal, died.said, by, words);                           \
    } while (0)

/* ---- patterns ------------------------------------------------------------------------------- */

/* Bytes that follow from a seed, so that whoever searches for them need not hold a copy. */
static inline uint8_t pattern_byte(uint64_t seed, size_t index)
{
    uint64_t x = ((seed << 32) + index / 8) * 0x9E3779B97F4A7C15u;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return (uint8_t)((x ^ x >> 31) >> (index % 8 * 8));
}

static inline void pattern_fill(void *memory, size_t size_bytes, uint64_t seed)
{
    for (size_t i = 0; i < size_bytes; i++)
        ((volatile uint8_t *)memory)[i] = pattern_byte(seed, i);
}

#define PATTERN_FOUND_BYTES 32u

/* How often the first PATTERN_FOUND_BYTES of the pattern occur. */
static inline size_t pattern_count(const void *memory, size_t size_bytes, uint64_t seed)
{
    const uint8_t *bytes = memory;
    size_t count = 0;
    for (size_t at = 0; at + PATTERN_FOUND_BYTES <= size_bytes; at++) {
        size_t same = 0;
        while (same < PATTERN_FOUND_BYTES && bytes[at + same] == pattern_byte(seed, same))
            same++;
        count += same == PATTERN_FOUND_BYTES;
    }
    return count;
}

#endif
