/* tests/faults/fault.h -- makes one fault at the Nth system call of a tree of processes.
 *
 * A body runs in a forked child whose system calls of the chosen classes, and those of its threads
 * and children, ask here first (seccomp's user notification): they are counted, let through,
 * failed, cut in half, or answered with SIGKILL. Nothing is traced, so a sanitizer's own tracing
 * works inside. Needs Linux 5.9; for half of a write, the right to read the process (root, if it is
 * not dumpable). One run at a time in a process, which has no other children meanwhile. */
#ifndef TESTS_FAULTS_FAULT_H
#define TESTS_FAULTS_FAULT_H

#include "faults/calls.h"

enum fault_kind {
    FAULT_COUNT,     /* none: only count */
    FAULT_KILL,      /* SIGKILL instead of the call */
    FAULT_KILL_HALF, /* the same, but half of a write is done */
    FAULT_FAIL,      /* the call fails */
    FAULT_FAIL_FROM, /* it and every later one do */
    FAULT_SHORT,     /* half of a write is done, and it says so */
};

struct fault_plan {
    enum fault_kind kind;
    unsigned classes;       /* bits, which calls count */
    unsigned nth;           /* from 1 */
    int number;             /* errno of FAULT_FAIL and FAULT_FAIL_FROM */
    bool only_caller;       /* kill the process that makes the call, not all of them */
    const char *program;    /* resolved path: only its calls count, and not the loader's before its
                             * first setrlimit, with which lethe begins; NULL: all calls count */
    const char *while_path; /* only calls while this file is there count; NULL: always */
    void (*body)(void *context);
    void *context;
};

struct fault_report {
    unsigned calls; /* until the end, or the fault if that killed */
    unsigned by_class[CALL_CLASS_COUNT];
    int status;     /* waitpid's, of the body */
    bool hit;       /* the fault happened: FAULT_SHORT and FAULT_KILL_HALF skip what has no half */
    char where[96]; /* the call that was hit, and on what file */
};

/* Runs the body once under the plan, and until nothing of it is left. False where system calls
 * cannot be intercepted. */
bool fault_run(const struct fault_plan *plan, struct fault_report *report);
/* Says so on stdout when they cannot be. */
bool faults_work(void);

#endif
