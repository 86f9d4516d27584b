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

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/sandbox.h"
#include "engine/channel.h"
#include "engine/launch.h"
#include "engine/storage.h"
#include "engine/trace.h"

#define KILL_ROUNDS 5000 /* of a millisecond each */

struct guardian {
    const struct guardian_inheritance *inherited;
    struct storage storage;
    struct launch launch;
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

/* Nobody else has the memory any more: wipe, prove, tell whoever is left. */
static void wipe_and_tell(struct guardian *guardian)
{
    bool alone = guardian_kill_descendants();
    uint64_t started_ns = clock_monotonic_ns(&clock_system);
    struct message message = {
        .kind = MESSAGE_EXITED, .number = guardian->exit_code, .signalled = guardian->signalled};
    message.wiped = storage_wipe(&guardian->storage, &message.bytes) && alone;
    message.duration_ns = clock_monotonic_ns(&clock_system) - started_ns;
    trace_note(guardian->inherited->trace, message.wiped, message.bytes);
    storage_destroy(&guardian->storage);
    (void)!channel_send(guardian->inherited->channel, &message, -1, NULL);
}

static void tell_failure(struct guardian *guardian, const struct lethe_error *err)
{
    uint64_t wiped_bytes;
    guardian_kill_descendants();
    bool wiped = storage_wipe(&guardian->storage, &wiped_bytes);
    trace_note(guardian->inherited->trace, wiped, wiped_bytes);
    storage_destroy(&guardian->storage);
    const struct message message = {.kind = MESSAGE_FAILED, .error = *err};
    (void)!channel_send(guardian->inherited->channel, &message, -1, NULL);
}

/* ---- from storage to engine --------------------------------------------------------------------
 */

static lethe_result send_storage(struct guardian *guardian, struct lethe_error *err)
{
    struct storage *storage = &guardian->storage;
    struct message ready = {.kind = MESSAGE_READY,
                            .bytes = storage->total_bytes,
                            .handover = storage->rung->handover,
                            .safety = storage->safety};
    memcpy(ready.path, storage->directory, sizeof ready.path);
    TRY(channel_send(guardian->inherited->channel, &ready, -1, err));
    const struct message file = {.kind = MESSAGE_FILE};
    for (size_t i = 0; i < storage->count; i++)
        TRY(channel_send(guardian->inherited->channel, &file, storage->files[i].fd, err));
    return LETHE_OK;
}

/* Until there is something to hide the process may be dumpable: only so can an ordinary user set
 * what the engine inherits. */
static lethe_result make_storage(struct guardian *guardian, struct lethe_error *err)
{
    prctl(PR_SET_DUMPABLE, 1);
    TRY(sandbox_no_core_across_exec(err));
    TRY(storage_create(guardian->inherited->options, &guardian->storage, err));
    TRY(sandbox_no_dump(err));
    return send_storage(guardian, err);
}

static lethe_result start_engine(struct guardian *guardian, struct lethe_error *err)
{
    int channel = guardian->inherited->channel;
    struct message message;
    TRY(channel_expect(channel, MESSAGE_SEAL, &message, NULL, err));
    TRY(storage_seal(&guardian->storage, err));
    TRY(launch_fork(&guardian->storage, guardian->inherited->signal_mask, &guardian->launch, err));
    message = (struct message){.kind = MESSAGE_WAITING, .number = guardian->launch.pid};
    TRY(channel_send(channel, &message, -1, err));
    TRY(channel_expect(channel, MESSAGE_GO, &message, NULL, err));
    message = (struct message){.kind = MESSAGE_RUNNING, .number = launch_go(&guardian->launch)};
    return channel_send(channel, &message, -1, err);
}

/* ---- watching ----------------------------------------------------------------------------------
 */

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
    if (channel_receive(guardian->inherited->channel, &message, NULL, NULL) != LETHE_OK)
        return false;
    if (message.kind == MESSAGE_SIGNAL)
        kill(guardian->launch.pid, (int)message.number);
    return true;
}

static void watch(struct guardian *guardian)
{
    struct pollfd ends[] = {{.fd = guardian->inherited->channel, .events = POLLIN},
                            {.fd = guardian->children, .events = POLLIN}};
    while (!guardian->exited) {
        if (poll(ends, ARRAY_LEN(ends), -1) < 0 && errno != EINTR)
            return;
        if (ends[1].revents != 0)
            reap(guardian);
        if (ends[0].revents != 0 && !obey(guardian))
            return;
    }
}

/* ---- life --------------------------------------------------------------------------------------
 */

static void close_everything_else(const struct guardian_inheritance *inherited)
{
    int keep[] = {inherited->channel, inherited->trace};
    if (keep[0] > keep[1]) {
        keep[0] = inherited->trace;
        keep[1] = inherited->channel;
    }
    unsigned from = 3;
    for (size_t i = 0; i < ARRAY_LEN(keep); i++) {
        if (keep[i] < 3)
            continue;
        if ((unsigned)keep[i] > from)
            close_range(from, (unsigned)keep[i] - 1, 0);
        from = (unsigned)keep[i] + 1;
    }
    close_range(from, ~0u, 0);
}

static int watch_children(void)
{
    sigset_t children;
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    sigprocmask(SIG_BLOCK, &children, NULL);
    return signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
}

_Noreturn void guardian_run(const struct guardian_inheritance *inheritance)
{
    struct guardian guardian = {.inherited = inheritance};
    struct lethe_error err = {0};
    close_everything_else(inheritance);
    prctl(PR_SET_NAME, "lethe-guardian");
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    guardian.children = watch_children();
    lethe_result result = make_storage(&guardian, &err);
    if (result == LETHE_OK)
        result = start_engine(&guardian, &err);
    if (result == LETHE_OK) {
        watch(&guardian);
        wipe_and_tell(&guardian);
    } else {
        tell_failure(&guardian, &err);
    }
    _exit(result == LETHE_OK ? 0 : 1);
}
