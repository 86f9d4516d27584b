/* The supervisor, before and after the run: a guardian that has made memory, mapped here too. */
#include "engine/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/sandbox.h"
#include "engine/arguments.h"
#include "engine/guardian.h"
#include "engine/supervisor.h"

const char *handover_name(enum handover handover)
{
    static const char *const names[] = {"auto", "tmpfs", "memfd"};
    return names[handover];
}

const char *swap_safety_name(enum swap_safety safety)
{
    static const char *const names[] = {"unsafe", "noswap", "locked", "cgroup", "no swap"};
    return names[safety];
}

/* ---- before there is a guardian ----------------------------------------------------------------
 */

static lethe_result check_arguments(const struct engine_options *options, struct lethe_error *err)
{
    for (size_t i = 0; i < options->model_count; i++) {
        const struct placeholder placeholder = {.name = options->models[i].placeholder, .path = ""};
        TRY(arguments_check(options->arguments, &placeholder, 1, err));
    }
    return LETHE_OK;
}

static lethe_result hold_signals(struct engine *engine, struct lethe_error *err)
{
    static const int passed_on[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_LEN(passed_on); i++)
        sigaddset(&set, passed_on[i]);
    engine->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (engine->signals < 0)
        return error_from_errno(err, "signals");
    sigprocmask(SIG_BLOCK, &set, &engine->original_mask);
    return LETHE_OK;
}

lethe_result engine_check_cancelled(const struct engine *engine, struct lethe_error *err)
{
    struct signalfd_siginfo info;
    while (read(engine->signals, &info, sizeof info) == sizeof info) {
        int number = (int)info.ssi_signo;
        if (number == SIGINT || number == SIGTERM || number == SIGHUP || number == SIGQUIT)
            return error_set(err, LETHE_CANCELLED, "SIG%s came before the engine was started",
                             sigabbrev_np(number));
    }
    return LETHE_OK;
}

/* Whatever outlives a guardian becomes ours to end. */
static lethe_result become_subreaper(struct engine *engine, struct lethe_error *err)
{
    int before = 0;
    prctl(PR_GET_CHILD_SUBREAPER, &before);
    engine->was_subreaper = before != 0;
    return sandbox_adopt_orphans(err);
}

static lethe_result begin_trace(struct engine *engine, struct lethe_error *err)
{
    const struct engine_options *options = &engine->options;
    TRY(trace_create(options->run_directory, &engine->trace, err));
    uint64_t bytes = 0;
    for (size_t i = 0; i < options->model_count; i++)
        bytes += model_plain_bytes(options->models[i].model);
    int fd = engine->trace.fd;
    trace_note_text(fd, "engine", options->arguments[0]);
    trace_note_text(fd, "model", model_manifest(options->models[0].model)->model);
    trace_note_number(fd, "bytes", bytes);
    return LETHE_OK;
}

/* ---- a guardian, and what it made --------------------------------------------------------------
 */

static lethe_result fork_guardian(struct engine *engine, enum handover handover,
                                  struct lethe_error *err)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return error_from_errno(err, "a channel to the guardian");
    engine->channel = ends[0];
    engine->guardian = fork();
    if (engine->guardian == 0) {
        const struct guardian_inheritance inheritance = {.options = &engine->options,
                                                         .handover = handover,
                                                         .channel = ends[1],
                                                         .trace = engine->trace.fd,
                                                         .signal_mask = &engine->original_mask};
        guardian_run(&inheritance);
    }
    lethe_result result = LETHE_OK;
    if (engine->guardian < 0)
        result = error_from_errno(err, "a guardian");
    close(ends[1]);
    return result;
}

static lethe_result receive_file(const struct engine *engine, struct loaded_file *file,
                                 struct lethe_error *err)
{
    struct message message;
    CLEANUP(fd_close) int fd = -1;
    TRY(channel_expect(engine->channel, MESSAGE_FILE, &message, &fd, err));
    if (file->size_bytes == 0)
        return LETHE_OK;
    void *mapping = mmap(NULL, file->size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapping == MAP_FAILED)
        return error_from_errno(err, "mapping a memory file");
    file->mapping = mapping;
    if (madvise(mapping, file->size_bytes, MADV_DONTDUMP) != 0)
        return error_from_errno(err, "keeping a memory file out of core files");
    if (engine->ready.safety == SWAP_LOCKED &&
        mlock2(mapping, file->size_bytes, MLOCK_ONFAULT) != 0) {
        error_set(err, LETHE_UNPROTECTED, "the weights cannot be locked: %s",
                  strerrordesc_np(errno));
        error_hint(err, "raise the memory-lock limit to the model's size and 64 MiB (ulimit -l, "
                        "LimitMEMLOCK=)");
        return LETHE_UNPROTECTED;
    }
    return LETHE_OK;
}

static lethe_result receive_storage(struct engine *engine, struct lethe_error *err)
{
    const struct engine_options *options = &engine->options;
    TRY(channel_expect(engine->channel, MESSAGE_READY, &engine->ready, &engine->scratch, err));
    size_t count = 0;
    for (size_t i = 0; i < options->model_count; i++)
        count += model_manifest(options->models[i].model)->files.count;
    engine->files = calloc(count, sizeof *engine->files);
    if (engine->files == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for %zu files", count);
    for (size_t i = 0; i < options->model_count; i++) {
        const struct model_files *files = &model_manifest(options->models[i].model)->files;
        for (size_t j = 0; j < files->count; j++) {
            struct loaded_file *file = &engine->files[engine->count++];
            *file = (struct loaded_file){.model = &options->models[i],
                                         .file_index = j,
                                         .size_bytes = files->items[j].size_bytes};
            TRY(receive_file(engine, file, err));
        }
    }
    return LETHE_OK;
}

/* A guardian that still runs kills, wipes and ends. */
static void dismiss_guardian(struct engine *engine)
{
    fd_close(engine->channel);
    engine->channel = -1;
    while (engine->guardian > 0 && waitpid(engine->guardian, NULL, 0) < 0 && errno == EINTR)
        continue;
    engine->guardian = -1;
    for (size_t i = 0; i < engine->count; i++) {
        if (engine->files[i].mapping != NULL)
            munmap(engine->files[i].mapping, engine->files[i].size_bytes);
    }
    free(engine->files);
    engine->files = NULL;
    engine->count = 0;
    fd_close(engine->scratch);
    engine->scratch = -1;
    if (engine->ready.path[0] != '\0')
        (void)!file_remove_tree(AT_FDCWD, engine->ready.path, NULL); /* unless it is gone already */
    engine->ready.path[0] = '\0';
    swap_group_remove(engine->ready.group);
    engine->ready.group[0] = '\0';
}

/* A guardian for each rung: one that failed half-way leaves nothing behind. */
static lethe_result climb_down(struct engine *engine, struct lethe_error *err)
{
    static const enum handover ladder[] = {HANDOVER_TMPFS, HANDOVER_MEMFD};
    enum handover wanted = engine->options.handover;
    lethe_result result = LETHE_FAILED;
    for (size_t i = 0; i < ARRAY_LEN(ladder) && result != LETHE_OK; i++) {
        if (wanted != HANDOVER_AUTO && wanted != ladder[i])
            continue;
        if (engine->options.drop_after_ready && ladder[i] == HANDOVER_MEMFD)
            break; /* sealed for good: nothing of it can be freed while the engine runs */
        TRY(engine_check_cancelled(engine, err));
        result = fork_guardian(engine, ladder[i], err);
        if (result == LETHE_OK)
            result = receive_storage(engine, err);
        if (result != LETHE_OK)
            dismiss_guardian(engine);
    }
    if (result == LETHE_UNPROTECTED && engine->options.drop_after_ready)
        error_hint(err, "--drop-after-ready needs private mounts: allow user namespaces "
                        "(kernel.unprivileged_userns_clone, user.max_user_namespaces), or go "
                        "without it");
    return result;
}

/* ---- the contract ------------------------------------------------------------------------------
 */

lethe_result engine_prepare(const struct engine_options *options, struct engine **out,
                            struct lethe_error *err)
{
    *out = NULL;
    REQUIRE(options->model_count > 0);
    TRY(check_arguments(options, err));
    CLEANUP(engine_free) struct engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for an engine");
    *engine = (struct engine){.options = *options,
                              .guardian = -1,
                              .channel = -1,
                              .scratch = -1,
                              .signals = -1,
                              .trace = {.fd = -1}};
    TRY(become_subreaper(engine, err));
    TRY(hold_signals(engine, err));
    TRY(begin_trace(engine, err));
    TRY(climb_down(engine, err));
    *out = MOVE(engine);
    return LETHE_OK;
}

enum swap_safety engine_swap_safety(const struct engine *engine)
{
    return engine->ready.safety;
}

enum handover engine_handover(const struct engine *engine)
{
    return engine->ready.handover;
}

static void forget_signals(const struct engine *engine)
{
    struct signalfd_siginfo ignored;
    while (read(engine->signals, &ignored, sizeof ignored) == sizeof ignored)
        continue;
}

void engine_free(struct engine *engine)
{
    if (engine == NULL)
        return;
    dismiss_guardian(engine);
    trace_finish(&engine->trace);
    if (engine->signals >= 0) {
        forget_signals(engine);
        sigprocmask(SIG_SETMASK, &engine->original_mask, NULL);
    }
    fd_close(engine->signals);
    if (!engine->was_subreaper)
        prctl(PR_SET_CHILD_SUBREAPER, 0);
    free(engine);
}
