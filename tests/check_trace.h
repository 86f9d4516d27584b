/* tests/check_trace.h -- faults at every system call that changes files, one run for each.
 *
 * A body runs in a forked child under ptrace. Its calls that change files are counted; at the Nth
 * the child is killed before the call is made, or the call fails with an errno (that one only, or
 * that one and all after it). Runs on x86-64; elsewhere, and where ptrace is refused, trace_works()
 * says no. */
#ifndef TESTS_CHECK_TRACE_H
#define TESTS_CHECK_TRACE_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum trace_fault {
    TRACE_COUNT,     /* none: only count              */
    TRACE_KILL,      /* SIGKILL instead of the call   */
    TRACE_FAIL,      /* the call fails                */
    TRACE_FAIL_FROM, /* it and every call after it do */
};

struct trace_plan {
    enum trace_fault fault;
    unsigned nth; /* from 1 */
    int number;   /* errno  */
    void (*body)(void *context);
    void *context;
};

struct trace_report {
    unsigned calls; /* that change files, until the end or the kill */
    int status;     /* waitpid's */
};

#ifdef __x86_64__

__attribute__((unused)) static bool trace_is_change(const struct user_regs_struct *regs)
{
    switch (regs->orig_rax) {
    case SYS_write:
    case SYS_pwrite64:
    case SYS_pwritev:
    case SYS_pwritev2:
    case SYS_fsync:
    case SYS_fdatasync:
    case SYS_truncate:
    case SYS_ftruncate:
    case SYS_fallocate:
    case SYS_rename:
    case SYS_renameat:
    case SYS_renameat2:
    case SYS_link:
    case SYS_linkat:
    case SYS_unlink:
    case SYS_unlinkat:
    case SYS_mkdir:
    case SYS_mkdirat:
        return true;
    case SYS_open:
        return (regs->rsi & O_CREAT) != 0;
    case SYS_openat:
        return (regs->rdx & O_CREAT) != 0;
    default:
        return false;
    }
}

static void trace_child(const struct trace_plan *plan)
{
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        _exit(99);
    raise(SIGSTOP);
    plan->body(plan->context);
    _exit(0);
}

/* Lets the call fail: it is made under a number that no call has, and its result replaced. Both
 * stops of the call are over when this returns. */
static bool trace_fail_call(pid_t child, struct user_regs_struct *regs, int number, int *status)
{
    regs->orig_rax = (unsigned long long)-1;
    ptrace(PTRACE_SETREGS, child, NULL, regs);
    ptrace(PTRACE_SYSCALL, child, NULL, NULL);
    if (waitpid(child, status, 0) != child || !WIFSTOPPED(*status))
        return false;
    ptrace(PTRACE_GETREGS, child, NULL, regs);
    regs->rax = (unsigned long long)-number;
    ptrace(PTRACE_SETREGS, child, NULL, regs);
    return true;
}

static bool trace_due(const struct trace_plan *plan, unsigned calls)
{
    return plan->fault == TRACE_FAIL_FROM ? calls >= plan->nth
                                          : plan->fault != TRACE_COUNT && calls == plan->nth;
}

/* Runs the body once under the plan. */
__attribute__((unused)) static struct trace_report trace_run(const struct trace_plan *plan)
{
    struct trace_report report = {0};
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        trace_child(plan);
    assert_int_equal(waitpid(child, &report.status, 0), child);
    if (!WIFSTOPPED(report.status))
        return report;
    ptrace(PTRACE_SETOPTIONS, child, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);

    bool entering = true;
    int signal_number = 0;
    for (;;) {
        ptrace(PTRACE_SYSCALL, child, NULL, signal_number);
        signal_number = 0;
        assert_int_equal(waitpid(child, &report.status, 0), child);
        if (!WIFSTOPPED(report.status))
            return report;
        if (WSTOPSIG(report.status) != (SIGTRAP | 0x80)) {
            signal_number = WSTOPSIG(report.status);
            continue;
        }
        struct user_regs_struct regs;
        ptrace(PTRACE_GETREGS, child, NULL, &regs);
        if (entering && trace_is_change(&regs) && trace_due(plan, ++report.calls)) {
            if (plan->fault == TRACE_KILL)
                kill(child, SIGKILL);
            else if (trace_fail_call(child, &regs, plan->number, &report.status))
                entering = !entering;
        }
        entering = !entering;
    }
}

static void trace_nothing(void *context)
{
}

__attribute__((unused)) static bool trace_works(void)
{
    const struct trace_plan plan = {.body = trace_nothing};
    struct trace_report report = trace_run(&plan);
    bool works = WIFEXITED(report.status) && WEXITSTATUS(report.status) == 0;
    if (!works)
        printf("ptrace is refused here\n");
    return works;
}

#else

__attribute__((unused)) static struct trace_report trace_run(const struct trace_plan *plan)
{
    return (struct trace_report){0};
}

__attribute__((unused)) static bool trace_works(void)
{
    printf("faults are injected on x86-64 only\n");
    return false;
}

#endif
#endif
