#include "service/serve_child.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/sandbox.h"
#include "crypto/crypto.h"
#include "service/control.h"
#include "service/serve_log.h"

/* Signals are for the supervisor, which passes on what they mean: a terminal sends them to all. */
static void ignore_signals(void)
{
    static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE};
    sigset_t none;
    for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
        signal(ignored[i], SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static int by_number(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* What the supervisor, or whoever started it, has open is none of a child's business. */
static lethe_result keep_only(const struct serve_ends *ends, struct lethe_error *err)
{
    int kept[SERVE_LISTEN_MAX + 2];
    size_t count = 0;
    unsigned from = STDERR_FILENO + 1;
    kept[count++] = ends->control;
    if (ends->admin >= 0)
        kept[count++] = ends->admin;
    for (size_t i = 0; i < ends->listener_count; i++)
        kept[count++] = ends->listeners[i];
    qsort(kept, count, sizeof kept[0], by_number);
    for (size_t i = 0; i < count; i++) {
        unsigned next = (unsigned)kept[i];
        if (next > from && close_range(from, next - 1, 0) != 0)
            return error_from_errno(err, "closing descriptors");
        from = next + 1;
    }
    return close_range(from, ~0u, 0) == 0 ? LETHE_OK : error_from_errno(err, "closing descriptors");
}

static lethe_result become(const struct serve_child *child, pid_t parent, struct lethe_error *err)
{
    char name[16];
    snprintf(name, sizeof name, "lethe-%s", child->name);
    prctl(PR_SET_NAME, name, 0, 0, 0);
    TRY(keep_only(&child->ends, err));
    TRY(sandbox_die_with_parent(err));
    if (getppid() != parent)
        return error_set(err, LETHE_CANCELLED, "the supervisor is gone");
    TRY(sandbox_no_dump(err));
    return crypto_start_in_child(err);
}

static _Noreturn void run_child(struct serve_child *child, const struct serve_options *options,
                                pid_t parent)
{
    struct lethe_error err = {0};
    serve_log_name(child->name);
    ignore_signals();
    lethe_result result = become(child, parent, &err);
    if (result == LETHE_OK)
        result = child->part(options, &child->ends, &err);
    if (result != LETHE_OK)
        serve_log(SERVE_ERROR, "%s%s%s", err.text, err.hint[0] == '\0' ? "" : "; ", err.hint);
    exit(lethe_result_exit_code(result)); /* what is guarded is wiped on the way */
}

lethe_result serve_child_start(struct serve_child *child, const struct serve_options *options,
                               uint64_t now_ms, struct lethe_error *err)
{
    int ends[2];
    pid_t parent = getpid();
    TRY(control_pair(ends, err));
    fflush(NULL); /* what waits is not written twice */
    pid_t pid = fork();
    if (pid == 0) {
        child->ends.control = ends[1];
        run_child(child, options, parent);
    }
    fd_close(ends[1]);
    if (pid < 0) {
        fd_close(ends[0]);
        return error_from_errno(err, "starting the %s", child->name);
    }
    child->pid = pid;
    child->control = ends[0];
    child->started_ms = now_ms;
    return LETHE_OK;
}

void serve_child_ended(struct serve_child *child, uint64_t now_ms)
{
    child->pid = 0;
    serve_child_dismiss(child);
    if (child->backoff_ms == 0 || now_ms - child->started_ms >= SERVE_LIFE_THAT_COUNTS_MS)
        child->backoff_ms = SERVE_BACKOFF_MIN_MS;
    child->due_ms = now_ms + child->backoff_ms;
    child->backoff_ms = MIN(child->backoff_ms * 2, (uint64_t)SERVE_BACKOFF_MAX_MS);
}

void serve_child_dismiss(struct serve_child *child)
{
    fd_close(FD_MOVE(child->control));
}

void serve_child_describe_end(int wait_status, char out[SERVE_END_SIZE])
{
    if (WIFSIGNALED(wait_status))
        snprintf(out, SERVE_END_SIZE, "signal %d", WTERMSIG(wait_status));
    else
        snprintf(out, SERVE_END_SIZE, "exit code %d", WEXITSTATUS(wait_status));
}
