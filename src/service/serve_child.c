#include "service/serve_child.h"

#include <errno.h> /* program_invocation_short_name */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/sandbox.h"
#include "service/control.h"
#include "service/serve_hand.h"
#include "service/serve_log.h"

#define SERVE_CHILD_PREFIX "lethe-"
#define SERVE_CHILD_NAME_SIZE 16 /* what the kernel keeps of a process's name */

/* ---- starting ---------------------------------------------------------------------------------
 */

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

/* /proc/self/exe is what runs now, also when another file is at its path. No word of the arguments
 * is secret, as nothing of the options is. */
static lethe_result execute(const struct serve_child *child, const struct serve_options *options,
                            pid_t supervisor, struct lethe_error *err)
{
    char name[SERVE_CHILD_NAME_SIZE];
    char *const arguments[] = {name, (char *)"kms", (char *)"serve", NULL};
    snprintf(name, sizeof name, SERVE_CHILD_PREFIX "%s", child->name);
    TRY(sandbox_die_with_parent(err));
    TRY(serve_hand_over(options, &child->ends, supervisor, err));
    execv("/proc/self/exe", arguments);
    return error_from_errno(err, "executing the %s", child->name);
}

static _Noreturn void finish(lethe_result result, const struct lethe_error *err)
{
    if (result != LETHE_OK)
        serve_log(SERVE_ERROR, "%s%s%s", err->text, err->hint[0] == '\0' ? "" : "; ", err->hint);
    exit(lethe_result_exit_code(result)); /* what is guarded is wiped on the way */
}

static _Noreturn void become_child(const struct serve_child *child,
                                   const struct serve_options *options, pid_t supervisor)
{
    struct lethe_error err = {0};
    serve_log_name(child->name);
    ignore_signals();
    lethe_result result = execute(child, options, supervisor, &err);
    serve_log(SERVE_ERROR, "%s", err.text);
    _exit(lethe_result_exit_code(result)); /* what ends here is a copy of the supervisor */
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
        become_child(child, options, parent);
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

/* ---- as a child -------------------------------------------------------------------------------
 */

static const struct {
    const char *name;
    size_t part; /* in struct serve_parts */
} part_rows[] = {{"keeper", offsetof(struct serve_parts, keeper)},
                 {"door", offsetof(struct serve_parts, door)}};

/* The row of this process's own name, or NULL. */
static const char *own_part(size_t *part)
{
    const char *name = program_invocation_short_name;
    size_t skipped = strlen(SERVE_CHILD_PREFIX);
    if (strncmp(name, SERVE_CHILD_PREFIX, skipped) != 0)
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(part_rows); i++) {
        if (strcmp(name + skipped, part_rows[i].name) != 0)
            continue;
        *part = part_rows[i].part;
        return part_rows[i].name;
    }
    return NULL;
}

bool serve_is_part(void)
{
    size_t part;
    return own_part(&part) != NULL;
}

static lethe_result become(struct serve_handed *handed, struct lethe_error *err)
{
    prctl(PR_SET_NAME, program_invocation_short_name, 0, 0, 0);
    TRY(serve_hand_take(handed, err));
    TRY(sandbox_die_with_parent(err));
    if (getppid() != handed->supervisor)
        return error_set(err, LETHE_CANCELLED, "the supervisor is gone");
    return sandbox_no_dump(err);
}

_Noreturn void serve_as_part(const struct serve_parts *parts)
{
    static struct serve_handed handed; /* it is needed to the end, and is too large for a stack */
    struct lethe_error err = {0};
    size_t at = 0;
    serve_part *part;
    const char *name = own_part(&at);
    REQUIRE(name != NULL);
    serve_log_name(name);
    lethe_result result = become(&handed, &err);
    memcpy(&part, (const char *)parts + at, sizeof part);
    if (result == LETHE_OK)
        result = part(&handed.options, &handed.ends, &err);
    finish(result, &err);
}

/* ---- ending -----------------------------------------------------------------------------------
 */

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
