#include "engine/guardian.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/sandbox.h"
#include "engine/channel.h"
#include "engine/drop.h"
#include "engine/launch.h"
#include "engine/storage.h"
#include "engine/trace.h"

#define KILL_ROUNDS 5000 /* of a millisecond each */

struct guardian {
    const struct guardian_inheritance *inherited;
    int channel;
    int trace; /* -1 for none */
    pid_t supervisor;
    pid_t group; /* the process group of supervisor and engine */
    struct storage storage;
    struct launch launch;
    struct drop drop;
    int children; /* signalfd of SIGCHLD */
    int exit_code;
    bool signalled;
    bool exited;
};

/* ---- the end of everything ---------------------------------------------------------------------
 */

static void kill_children(void)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    CLEANUP(buffer_clear) struct buffer list = {0};
    if (file_read_all(AT_FDCWD, path, 1 << 20, &list, NULL) != LETHE_OK || list.bytes == NULL)
        return;
    for (char *at = list.bytes; *at != '\0';) {
        char *end;
        long pid = strtol(at, &end, 10);
        if (end == at)
            break;
        kill((pid_t)pid, SIGKILL);
        at = end + strspn(end, " ");
    }
}

bool guardian_kill_descendants(void)
{
    for (int round = 0; round < KILL_ROUNDS; round++) {
        kill_children();
        pid_t reaped;
        do
            reaped = waitpid(-1, NULL, WNOHANG);
        while (reaped > 0);
        if (reaped < 0 && errno == ECHILD)
            return true;
        usleep(1000);
    }
    return false;
}

static bool tell(const struct guardian *guardian, const struct message *message)
{
    return channel_send(guardian->channel, message, -1, NULL) == LETHE_OK;
}

/* Each part as it is gone; false when one is not. */
static bool wipe_and_tell(const struct guardian *guardian)
{
    const struct engine_options *options = guardian->inherited->options;
    bool wiped = true;
    for (size_t i = 0; i <= options->model_count; i++) {
        struct message message = {.kind = MESSAGE_WIPED, .number = (int64_t)i, .wipe = WIPE_NONE};
        if (i < options->model_count)
            storage_wipe_model(&guardian->storage, &options->models[i], &message.wipe);
        else
            storage_wipe_scratch(&guardian->storage, &message.wipe);
        wiped = wiped && message.wipe.verified;
        (void)!tell(guardian, &message);
    }
    return wiped;
}

/* Nobody else has the memory any more: wipe, prove, tell whoever is left. */
static void end_everything(struct guardian *guardian)
{
    bool alone = guardian_kill_descendants();
    bool wiped = wipe_and_tell(guardian) && alone && !guardian->drop.unwiped;
    trace_note_text(guardian->trace, "wiped", wiped ? "wiped" : "unwiped");
    storage_destroy(&guardian->storage);
    const struct message message = {.kind = MESSAGE_EXITED,
                                    .number = guardian->exit_code,
                                    .signalled = guardian->signalled,
                                    .wipe.verified = wiped};
    (void)!tell(guardian, &message);
}

/* ---- from storage to engine --------------------------------------------------------------------
 */

static lethe_result send_storage(const struct guardian *guardian, struct lethe_error *err)
{
    const struct storage *storage = &guardian->storage;
    int channel = guardian->channel;
    struct message ready = {.kind = MESSAGE_READY,
                            .bytes = storage->total_bytes,
                            .handover = storage->rung->handover,
                            .safety = storage->safety};
    memcpy(ready.path, storage->directory, sizeof storage->directory);
    memcpy(ready.group, storage->group.directory, sizeof storage->group.directory);
    TRY(channel_send(channel, &ready, storage->scratch, err));
    const struct message file = {.kind = MESSAGE_FILE};
    for (size_t i = 0; i < storage->count; i++)
        TRY(channel_send(channel, &file, storage->files[i].fd, err));
    return LETHE_OK;
}

/* Until there is something to hide the process may be dumpable: only so can an ordinary user set
 * what the engine inherits. */
static lethe_result make_storage(struct guardian *guardian, struct lethe_error *err)
{
    const struct guardian_inheritance *inherited = guardian->inherited;
    prctl(PR_SET_DUMPABLE, 1);
    TRY(sandbox_no_core_across_exec(err));
    TRY(storage_create(inherited->options, inherited->handover, guardian->trace, &guardian->storage,
                       err));
    TRY(sandbox_no_dump(err));
    TRY(drop_begin(&guardian->storage, guardian->supervisor, &guardian->drop, err));
    if (guardian->storage.group.directory[0] != '\0')
        trace_note_text(guardian->trace, "group", guardian->storage.group.directory);
    return send_storage(guardian, err);
}

static lethe_result start_engine(struct guardian *guardian, struct lethe_error *err)
{
    int channel = guardian->channel;
    const struct launch_options options = {.storage = &guardian->storage,
                                           .signal_mask = guardian->inherited->signal_mask,
                                           .group = guardian->group,
                                           .guardian = getpid()};
    struct message message;
    TRY(channel_expect(channel, MESSAGE_SEAL, &message, NULL, err));
    TRY(storage_seal(&guardian->storage, err));
    TRY(launch_fork(&options, &guardian->launch, err));
    message = (struct message){.kind = MESSAGE_WAITING, .number = guardian->launch.pid};
    TRY(channel_send(channel, &message, -1, err));
    TRY(channel_expect(channel, MESSAGE_GO, &message, NULL, err));
    message = (struct message){.kind = MESSAGE_RUNNING, .number = launch_go(&guardian->launch)};
    return channel_send(channel, &message, -1, err);
}

/* ---- watching ----------------------------------------------------------------------------------
 */

/* The engine, and what it left behind. */
static void reap(struct guardian *guardian)
{
    struct signalfd_siginfo ignored;
    (void)!read(guardian->children, &ignored, sizeof ignored);
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        if (pid != guardian->launch.pid)
            continue;
        guardian->exited = true;
        guardian->signalled = WIFSIGNALED(status);
        guardian->exit_code = guardian->signalled ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }
}

/* False when the supervisor is gone. */
static bool obey(struct guardian *guardian)
{
    struct message message;
    if (channel_receive(guardian->channel, &message, NULL, NULL) != LETHE_OK)
        return false;
    if (message.kind == MESSAGE_SIGNAL && !guardian->exited) /* else its number may be another's */
        kill(guardian->launch.pid, (int)message.number);
    guardian->drop.ready = guardian->drop.ready || message.kind == MESSAGE_DROP;
    return true;
}

static void watch(struct guardian *guardian)
{
    struct pollfd ends[] = {{.fd = guardian->channel, .events = POLLIN},
                            {.fd = guardian->children, .events = POLLIN},
                            {.fd = guardian->drop.notify, .events = POLLIN}};
    while (!guardian->exited) {
        if (poll(ends, ARRAY_LEN(ends), drop_timeout_ms(&guardian->drop)) < 0)
            continue; /* interrupted */
        if (ends[1].revents != 0)
            reap(guardian);
        if (ends[0].revents != 0 && !obey(guardian))
            return;
        if (guardian->exited)
            break;
        drop_step(&guardian->drop, &guardian->storage, guardian->channel);
        ends[2].fd = guardian->drop.notify;
    }
    drop_end(&guardian->drop, guardian->channel);
}

/* ---- life --------------------------------------------------------------------------------------
 */

/* Of all that the supervisor had open, only the channel and the trace are left, at known places. */
static void close_everything_else(struct guardian *guardian)
{
    enum { CHANNEL = STDERR_FILENO + 1, TRACE, BEHIND };
    const struct guardian_inheritance *inherited = guardian->inherited;
    int channel = fcntl(inherited->channel, F_DUPFD_CLOEXEC, BEHIND);
    int trace = fcntl(inherited->trace, F_DUPFD_CLOEXEC, BEHIND);
    close(CHANNEL);
    close(TRACE);
    guardian->channel = fcntl(channel, F_DUPFD_CLOEXEC, CHANNEL);
    guardian->trace = fcntl(trace, F_DUPFD_CLOEXEC, TRACE);
    closefrom(BEHIND);
    if (guardian->channel < 0)
        _exit(1); /* nobody to talk to */
}

/* Nothing but SIGKILL and its own faults ends the guardian: what comes from the terminal is for the
 * engine, and what is sent to the supervisor's process group does not come here. */
static lethe_result stand_apart(struct guardian *guardian, struct lethe_error *err)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    sigset_t blocked;
    sigset_t children;
    sigfillset(&blocked);
    for (size_t i = 0; i < ARRAY_LEN(faults); i++)
        sigdelset(&blocked, faults[i]);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    guardian->children = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
    guardian->group = getpgrp();
    prctl(PR_SET_NAME, "lethe-guardian");
    if (guardian->children < 0)
        return error_from_errno(err, "signals of the guardian");
    if (setpgid(0, 0) != 0)
        return error_set(err, LETHE_UNPROTECTED,
                         "the guardian would be killed with the caller's group (setpgid: %s)",
                         strerrordesc_np(errno));
    return sandbox_adopt_orphans(err);
}

_Noreturn void guardian_run(const struct guardian_inheritance *inheritance)
{
    struct guardian guardian = {.inherited = inheritance,
                                .supervisor = getppid(),
                                .storage = STORAGE_NONE,
                                .drop = DROP_NONE};
    struct message failed = {.kind = MESSAGE_FAILED};
    close_everything_else(&guardian);
    lethe_result result = stand_apart(&guardian, &failed.error);
    if (result == LETHE_OK)
        result = make_storage(&guardian, &failed.error);
    if (result == LETHE_OK)
        result = start_engine(&guardian, &failed.error);
    if (result == LETHE_OK)
        watch(&guardian);
    else
        (void)!tell(&guardian, &failed);
    end_everything(&guardian);
    _exit(result == LETHE_OK ? 0 : 1);
}
