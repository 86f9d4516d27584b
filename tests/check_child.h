/* tests/check_child.h -- for what can only be shown by a process that dies or gives things up. */
#ifndef TESTS_CHECK_CHILD_H
#define TESTS_CHECK_CHILD_H

#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

/* Runs body(context) in a forked child and gives waitpid's status; a body that returns exits 0.
 * In the body use CHILD_REQUIRE, never cmocka's assertions. */
__attribute__((unused)) static int child_status(void (*body)(void *context), void *context)
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        body(context);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

/* Ends the child with status 1 and says what did not hold. */
#define CHILD_REQUIRE(condition)                                                                   \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: in the child: not %s\n", __FILE__, __LINE__, #condition);      \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

#define assert_exited(expected, status)                                                            \
    do {                                                                                           \
        int check_status = (status);                                                               \
        if (!WIFEXITED(check_status) || WEXITSTATUS(check_status) != (expected))                   \
            fail_msg("%s: wait status 0x%x instead of exit %d", #status, (unsigned)check_status,   \
                     (expected));                                                                  \
    } while (0)

#define assert_killed_by(expected, status)                                                         \
    do {                                                                                           \
        int check_status = (status);                                                               \
        if (!WIFSIGNALED(check_status) || WTERMSIG(check_status) != (expected))                    \
            fail_msg("%s: wait status 0x%x instead of signal %d", #status, (unsigned)check_status, \
                     (expected));                                                                  \
    } while (0)

#endif
