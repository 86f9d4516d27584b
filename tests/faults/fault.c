#include "faults/fault.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faults/half.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1u << 5)
#endif

/* ---- in the child ---------------------------------------------------------------------------- */

/* Two instructions for a call, one before and two behind them all. */
#define FILTER_MAX 256

static unsigned short filter_call(int number, bool asks, struct sock_filter out[2])
{
    out[0] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1);
    out[1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
                                          asks ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ALLOW);
    return 2;
}

static unsigned short build_filter(unsigned classes, struct sock_filter out[FILTER_MAX])
{
    unsigned short length = 0;
    out[length++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    /* What the arguments decide is asked about whenever one of its classes may be meant. */
    if ((classes & CALL_BIT(CREATE)) != 0)
        classes |= CALL_BIT(OPEN);
    if ((classes & CALL_BIT(OUTPUT)) != 0)
        classes |= CALL_BIT(WRITE);
    classes |= CALL_BIT(LIMIT); /* with which a program begins */
    for (size_t i = 0; i < call_count; i++) {
        bool asks = (classes & 1u << calls[i].class_) != 0;
        length += filter_call(calls[i].number, asks, out + length);
    }
    bool asks_others = (classes & CALL_BIT(OTHER)) != 0;
    for (size_t i = 0; asks_others && i < calls_exempt_count; i++)
        length += filter_call(calls_exempt[i], false, out + length);
    out[length++] = (struct sock_filter)BPF_STMT(
        BPF_RET | BPF_K, asks_others ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ALLOW);
    return length;
}

static int install_filter(unsigned classes)
{
    struct sock_filter filter[FILTER_MAX];
    struct sock_fprog program = {.len = build_filter(classes, filter), .filter = filter};
    if (geteuid() != 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -1;
    /* Killable: another signal would interrupt the call, and it would be counted twice. */
    long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                      SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
                      &program);
    if (fd < 0)
        fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
                     &program);
    return (int)fd;
}

/* The listener's number goes to the parent through `shared`, which takes the descriptor itself: no
 * call that could be intercepted is made in between. */
static void child_run(const struct fault_plan *plan, volatile int *shared)
{
    *shared = install_filter(plan->classes);
    raise(SIGSTOP);
    if (*shared < 0)
        _exit(99);
    close(*shared);
    plan->body(plan->context);
    _exit(0);
}

/* ---- in the parent --------------------------------------------------------------------------- */

struct run {
    const struct fault_plan *plan;
    struct fault_report *report;
    pid_t body;
    int listener;
    bool begun;
};

static bool is_due(const struct fault_plan *plan, unsigned count)
{
    return plan->kind == FAULT_FAIL_FROM ? count >= plan->nth
                                         : plan->kind != FAULT_COUNT && count == plan->nth;
}

static void describe(const struct call *call, const struct seccomp_notif *asked,
                     char out[static 96])
{
    char link[64];
    char target[60] = "";
    if (call->class_ == CALL_WRITE || call->class_ == CALL_SYNC || call->class_ == CALL_SIZE ||
        call->class_ == CALL_READ || call->class_ == CALL_FLOCK) {
        snprintf(link, sizeof link, "/proc/%u/fd/%d", asked->pid, (int)asked->data.args[0]);
        ssize_t length = readlink(link, target, sizeof target - 1);
        target[length > 0 ? length : 0] = '\0';
    }
    if (call->class_ == CALL_OTHER)
        snprintf(target, sizeof target, "(%d)", call->number);
    snprintf(out, 96, "%s %s", call->name, target);
}

/* Kills what are our children, and what becomes of theirs, until there is nobody. */
static void kill_all(void)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)gettid());
    FILE *children = fopen(path, "re");
    int pid;
    while (children != NULL && fscanf(children, "%d", &pid) == 1)
        kill(pid, SIGKILL);
    if (children != NULL)
        fclose(children);
}

static void reap(struct run *run, int options)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, options)) > 0) {
        if (pid == run->body)
            run->report->status = status;
    }
}

static void answer(struct run *run, const struct seccomp_notif_resp *response)
{
    ioctl(run->listener, SECCOMP_IOCTL_NOTIF_SEND, response); /* it may be dead by now */
}

/* True when nothing is to be answered. */
static bool kill_at(struct run *run, const struct seccomp_notif *asked)
{
    if (run->plan->kind == FAULT_KILL_HALF) {
        run->report->hit = half_write(asked) > 0;
        if (!run->report->hit)
            return false;
    }
    run->report->hit = true;
    if (run->plan->only_caller)
        kill(half_process_of((pid_t)asked->pid), SIGKILL);
    else
        kill_all();
    return true;
}

static bool is_of_program(struct run *run, const struct seccomp_notif *asked)
{
    if (run->plan->program == NULL)
        return true;
    if (!run->begun) {
        run->begun = asked->data.nr == SYS_prlimit64 && asked->data.args[2] != 0;
        return false;
    }
    char link[64];
    char target[4096];
    snprintf(link, sizeof link, "/proc/%u/exe", asked->pid);
    ssize_t length = readlink(link, target, sizeof target - 1);
    target[length > 0 ? length : 0] = '\0';
    return strcmp(target, run->plan->program) == 0;
}

static void handle(struct run *run, const struct seccomp_notif *asked)
{
    const struct fault_plan *plan = run->plan;
    struct seccomp_notif_resp response = {.id = asked->id,
                                          .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
    const struct call *call = call_find(asked->data.nr);
    enum call_class class_ = call_classify(call, (const uint64_t *)asked->data.args);
    bool counts = is_of_program(run, asked) && (plan->classes & 1u << class_) != 0 &&
                  (plan->while_path == NULL || access(plan->while_path, F_OK) == 0);
    if (counts) {
        run->report->calls++;
        run->report->by_class[class_]++;
    }
    if (counts && is_due(plan, run->report->calls)) {
        if (!run->report->hit)
            describe(call, asked, run->report->where);
        long put = 0;
        if (plan->kind == FAULT_FAIL || plan->kind == FAULT_FAIL_FROM) {
            response = (struct seccomp_notif_resp){.id = asked->id, .error = -plan->number};
            run->report->hit = true;
        } else if (plan->kind == FAULT_SHORT && (put = half_write(asked)) > 0) {
            response = (struct seccomp_notif_resp){.id = asked->id, .val = put};
            run->report->hit = true;
        } else if (plan->kind == FAULT_KILL || plan->kind == FAULT_KILL_HALF) {
            if (kill_at(run, asked))
                return;
        }
    }
    answer(run, &response);
}

/* Until the kernel says that nobody is left who could ask. */
static void serve(struct run *run)
{
    bool killed_all = false;
    for (;;) {
        struct pollfd ready = {.fd = run->listener, .events = POLLIN};
        poll(&ready, 1, killed_all ? 1 : 1000);
        reap(run, WNOHANG);
        if ((ready.revents & POLLIN) != 0) {
            struct seccomp_notif asked = {0};
            if (ioctl(run->listener, SECCOMP_IOCTL_NOTIF_RECV, &asked) == 0)
                handle(run, &asked);
        } else if ((ready.revents & (POLLHUP | POLLERR)) != 0) {
            return;
        }
        killed_all = run->report->hit && !run->plan->only_caller &&
                     (run->plan->kind == FAULT_KILL || run->plan->kind == FAULT_KILL_HALF);
        if (killed_all)
            kill_all();
    }
}

static int take_listener(pid_t child, int number)
{
    int pidfd = (int)syscall(SYS_pidfd_open, child, 0);
    int fd = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
    close(pidfd);
    return fd;
}

bool fault_run(const struct fault_plan *plan, struct fault_report *report)
{
    *report = (struct fault_report){0};
    int *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return false;
    fflush(NULL);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    struct run run = {.plan = plan, .report = report, .body = fork()};
    if (run.body == 0)
        child_run(plan, shared);
    if (run.body > 0 && waitpid(run.body, &report->status, WUNTRACED) == run.body &&
        WIFSTOPPED(report->status))
        run.listener = *shared < 0 ? -1 : take_listener(run.body, *shared);
    else
        run.listener = -1;
    munmap(shared, sizeof *shared);
    if (run.listener < 0 && run.body > 0)
        kill(run.body, SIGKILL);
    if (run.listener >= 0) {
        kill(run.body, SIGCONT);
        serve(&run);
        close(run.listener);
    }
    reap(&run, 0);
    prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
    return run.listener >= 0;
}

static void do_nothing(void *context)
{
}

bool faults_work(void)
{
    const struct fault_plan plan = {.classes = CALLS_CHANGING, .body = do_nothing};
    struct fault_report report;
    if (fault_run(&plan, &report))
        return true;
    printf("system calls cannot be intercepted here\n");
    return false;
}
