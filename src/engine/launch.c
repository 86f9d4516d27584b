#include "engine/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/sandbox.h"
#include "engine/arguments.h"
#include "engine/notify.h"

/* What a root engine could use to get around a read-only mount, into the guardian, or to the disk
 * below the files. */
static const int dropped_capabilities[] = {
    CAP_SYS_ADMIN, CAP_SYS_PTRACE, CAP_SYS_MODULE, CAP_SYS_RAWIO,         CAP_DAC_READ_SEARCH,
    CAP_MKNOD,     CAP_BPF,        CAP_PERFMON,    CAP_CHECKPOINT_RESTORE};

/* What makes a root engine another user, whose processes it could look into. */
static const int capabilities_of_disguise[] = {CAP_SETUID, CAP_SETGID};

static lethe_result drop_all(const int *capabilities, size_t count, struct lethe_error *err)
{
    for (size_t i = 0; i < count; i++) {
        lethe_result result = sandbox_drop_capability(capabilities[i], err);
        if (result != LETHE_INVALID) /* an older kernel, that cannot give it either */
            TRY(result);
    }
    return LETHE_OK;
}

/* /proc/PID/root of a process that one may trace leads past everything that is covered. Landlock
 * closes it; without, what is left are the processes of the same user in the same namespace. */
static lethe_result confine(struct lethe_error *err)
{
    TRY(sandbox_no_new_privileges(err));
    TRY(drop_all(dropped_capabilities, ARRAY_LEN(dropped_capabilities), err));
    if (sandbox_stay_apart(NULL) == LETHE_OK)
        return LETHE_OK;
    return drop_all(capabilities_of_disguise, ARRAY_LEN(capabilities_of_disguise), err);
}

static lethe_result expand(const struct storage *storage, char ***out, struct lethe_error *err)
{
    const struct engine_options *options = storage->options;
    struct placeholder *placeholders = calloc(options->model_count, sizeof *placeholders);
    if (placeholders == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for arguments");
    lethe_result result = LETHE_OK;
    for (size_t i = 0; result == LETHE_OK && i < options->model_count; i++) {
        char *path = NULL;
        result = storage_model_path(storage, &options->models[i], &path, err);
        placeholders[i] =
            (struct placeholder){.name = options->models[i].placeholder, .path = path};
    }
    if (result == LETHE_OK)
        result = arguments_expand(options->arguments, placeholders, options->model_count, out, err);
    for (size_t i = 0; i < options->model_count; i++)
        free((void *)(uintptr_t)placeholders[i].path);
    free(placeholders);
    return result;
}

/* The guardian's death is the engine's; the guardian may have died before the call. */
static lethe_result die_with(pid_t guardian, struct lethe_error *err)
{
    TRY(sandbox_die_with_parent(err));
    if (getppid() != guardian)
        _exit(125);
    return LETHE_OK;
}

static lethe_result prepare_process(const struct launch_options *options, struct lethe_error *err)
{
    const struct storage *storage = options->storage;
    TRY(die_with(options->guardian, err));
    if (!storage->options->keep_home)
        TRY(environment_make_private(storage->directory, err));
    environment_hide_lethe();
    if (storage->options->drop_after_ready)
        TRY(notify_pass_on(storage->directory, err));
    setpgid(0, options->group);
    TRY(storage_pass_on(storage, err));
    return confine(err);
}

/* The ends of the two pipes that the new process has. */
struct ends {
    int go;
    int status;
};

static _Noreturn void become_engine(const struct launch_options *options, char **arguments,
                                    const struct ends *ends)
{
    struct lethe_error prepared = {0};
    char go;
    prepared.code = prepare_process(options, &prepared);
    if (write(ends->status, &prepared, sizeof prepared) != sizeof prepared ||
        prepared.code != LETHE_OK || read(ends->go, &go, 1) != 1)
        _exit(125);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGXFSZ, SIG_DFL);
    sigprocmask(SIG_SETMASK, options->signal_mask, NULL);
    execvp(arguments[0], arguments);
    int failure = errno;
    (void)!write(ends->status, &failure, sizeof failure);
    _exit(failure == ENOENT ? 127 : 126);
}

static lethe_result wait_until_prepared(const struct launch *launch, struct lethe_error *err)
{
    struct lethe_error prepared;
    if (read(launch->status, &prepared, sizeof prepared) != sizeof prepared)
        return error_set(err, LETHE_FAILED, "the engine's process died before it was the engine");
    if (prepared.code != LETHE_OK && err != NULL)
        *err = prepared;
    return prepared.code;
}

lethe_result launch_fork(const struct launch_options *options, struct launch *out,
                         struct lethe_error *err)
{
    CLEANUP(arguments_free) char **arguments = NULL;
    TRY(expand(options->storage, &arguments, err));
    int go[2];
    int status[2];
    if (pipe2(go, O_CLOEXEC) != 0)
        return error_from_errno(err, "a pipe to the engine");
    if (pipe2(status, O_CLOEXEC) != 0) {
        lethe_result result = error_from_errno(err, "a pipe from the engine");
        close(go[0]);
        close(go[1]);
        return result;
    }
    pid_t pid = fork();
    if (pid == 0) {
        close(go[1]);
        close(status[0]);
        const struct ends ends = {.go = go[0], .status = status[1]};
        become_engine(options, arguments, &ends);
    }
    close(go[0]);
    close(status[1]);
    *out = (struct launch){.pid = pid, .go = go[1], .status = status[0]};
    return pid > 0 ? wait_until_prepared(out, err)
                   : error_from_errno(err, "a process for the engine");
}

int launch_go(struct launch *launch)
{
    int failure = 0;
    if (write(launch->go, "", 1) != 1 ||
        read(launch->status, &failure, sizeof failure) != sizeof failure)
        failure = 0;
    close(launch->go);
    close(launch->status);
    launch->go = launch->status = -1;
    return failure;
}
