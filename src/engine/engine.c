/* The supervisor: has the guardian make memory, decrypts into it, lets the engine run, records. */
#include "engine/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "engine/arguments.h"
#include "engine/channel.h"
#include "engine/guardian.h"
#include "engine/mapping.h"
#include "engine/storage.h"
#include "engine/trace.h"

struct loaded_file { /* the supervisor's own mapping, in the guardian's order */
    struct model *model;
    size_t shard_index;
    uint8_t *mapping;
    uint64_t size_bytes;
};

struct engine {
    struct engine_options options;
    pid_t guardian;
    int channel;
    int signals; /* signalfd of those that are passed on */
    sigset_t original_mask;
    struct trace trace;
    struct message ready;
    struct loaded_file *files;
    size_t count;
};

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

/* ---- preparing ---------------------------------------------------------------------------------
 */

static lethe_result check_arguments(const struct engine_options *options, struct lethe_error *err)
{
    for (size_t i = 0; i < options->model_count; i++) {
        const struct placeholder placeholder = {.name = options->models[i].placeholder, .path = ""};
        TRY(arguments_check(options->arguments, &placeholder, 1, err));
    }
    return LETHE_OK;
}

/* From here on these signals wait for engine_run, which passes them on. */
static lethe_result hold_signals(struct engine *engine, struct lethe_error *err)
{
    static const int passed_on[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_LEN(passed_on); i++)
        sigaddset(&set, passed_on[i]);
    sigprocmask(SIG_BLOCK, &set, &engine->original_mask);
    engine->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return engine->signals >= 0 ? LETHE_OK : error_from_errno(err, "signals");
}

static lethe_result fork_guardian(struct engine *engine, struct lethe_error *err)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return error_from_errno(err, "a channel to the guardian");
    engine->channel = ends[0];
    engine->guardian = fork();
    if (engine->guardian == 0) {
        const struct guardian_inheritance inheritance = {.options = &engine->options,
                                                         .channel = ends[1],
                                                         .trace = engine->trace.fd,
                                                         .signal_mask = &engine->original_mask};
        guardian_run(&inheritance);
    }
    close(ends[1]);
    /* Should the guardian die, what it left becomes ours to end. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    return engine->guardian > 0 ? LETHE_OK : error_from_errno(err, "a guardian");
}

static lethe_result receive_file(struct engine *engine, struct loaded_file *file,
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
    /* A lock is a process's own: until the guardian takes it, at sealing, it is ours. */
    if (engine->ready.safety == SWAP_LOCKED &&
        mlock2(mapping, file->size_bytes, MLOCK_ONFAULT) != 0)
        return error_set(err, LETHE_UNPROTECTED, "the weights could not be locked while loading");
    return LETHE_OK;
}

static lethe_result receive_storage(struct engine *engine, struct lethe_error *err)
{
    const struct engine_options *options = &engine->options;
    TRY(channel_expect(engine->channel, MESSAGE_READY, &engine->ready, NULL, err));
    size_t count = 0;
    for (size_t i = 0; i < options->model_count; i++)
        count += model_manifest(options->models[i].model)->count;
    engine->files = calloc(count, sizeof *engine->files);
    if (engine->files == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for %zu files", count);
    for (size_t i = 0; i < options->model_count; i++) {
        const struct manifest *manifest = model_manifest(options->models[i].model);
        for (size_t j = 0; j < manifest->count; j++) {
            struct loaded_file *file = &engine->files[engine->count++];
            *file = (struct loaded_file){.model = options->models[i].model,
                                         .shard_index = j,
                                         .size_bytes = manifest->shards[j].size};
            TRY(receive_file(engine, file, err));
        }
    }
    return LETHE_OK;
}

static lethe_result write_trace(const struct engine *engine, struct lethe_error *err)
{
    const struct trace_content content = {
        .engine = engine->options.arguments[0],
        .model = model_manifest(engine->options.models[0].model)->model,
        .directory = engine->ready.path,
        .bytes = engine->ready.bytes};
    return trace_write(&engine->trace, &content, err);
}

lethe_result engine_prepare(const struct engine_options *options, struct engine **out,
                            struct lethe_error *err)
{
    *out = NULL;
    TRY(check_arguments(options, err));
    CLEANUP(engine_free) struct engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for an engine");
    *engine = (struct engine){
        .options = *options, .guardian = -1, .channel = -1, .signals = -1, .trace = {.fd = -1}};
    TRY(hold_signals(engine, err));
    TRY(trace_create(options->run_directory, &engine->trace, err));
    TRY(fork_guardian(engine, err));
    TRY(receive_storage(engine, err));
    TRY(write_trace(engine, err));
    *out = MOVE(engine);
    return LETHE_OK;
}

/* ---- running -----------------------------------------------------------------------------------
 */

static lethe_result load_files(struct engine *engine, const struct engine_services *services,
                               struct lethe_error *err)
{
    const struct model_work *work = &engine->options.work;
    for (size_t i = 0; i < engine->count; i++) {
        struct loaded_file *file = &engine->files[i];
        TRY(model_load_shard(file->model, file->shard_index, services->keys, file->mapping, work,
                             err));
        if (engine->options.check_digest)
            TRY(model_check_digest(file->model, file->shard_index, file->mapping, work->threads,
                                   err));
    }
    return LETHE_OK;
}

static lethe_result record_loaded(struct engine *engine, const struct engine_services *services,
                                  uint64_t duration_ns, struct lethe_error *err)
{
    for (size_t i = 0; i < engine->options.model_count; i++) {
        const struct model *model = engine->options.models[i].model;
        const struct manifest *manifest = model_manifest(model);
        struct audit_who who = services->who;
        who.tenant = manifest->tenant;
        const struct audit_event event =
            audit_model_loaded(manifest->model, manifest->release, manifest->count,
                               model_plain_bytes(model), duration_ns, "exec");
        audit_emit(services->log, &who, &event);
    }
    return LETHE_OK;
}

/* The engine's process exists and waits while its start becomes durable. */
static lethe_result start(struct engine *engine, const struct engine_services *services,
                          int *start_errno, struct lethe_error *err)
{
    struct message message = {.kind = MESSAGE_SEAL};
    TRY(channel_send(engine->channel, &message, -1, err));
    TRY(channel_expect(engine->channel, MESSAGE_WAITING, &message, NULL, err));
    const struct audit_event event = audit_engine_started(
        engine->options.arguments[0], model_manifest(engine->options.models[0].model)->model,
        handover_name(engine->ready.handover), (uint64_t)message.number, engine->ready.bytes,
        engine->ready.safety != SWAP_UNSAFE);
    TRY(audit_commit(services->log, &services->who, &event, err));
    message = (struct message){.kind = MESSAGE_GO};
    TRY(channel_send(engine->channel, &message, -1, err));
    TRY(channel_expect(engine->channel, MESSAGE_RUNNING, &message, NULL, err));
    *start_errno = (int)message.number;
    return LETHE_OK;
}

/* A signal from the terminal went to the whole foreground group, the engine included. */
static void pass_signal_on(struct engine *engine)
{
    struct signalfd_siginfo info;
    if (read(engine->signals, &info, sizeof info) != sizeof info || info.ssi_code == SI_KERNEL)
        return;
    const struct message message = {.kind = MESSAGE_SIGNAL, .number = info.ssi_signo};
    (void)!channel_send(engine->channel, &message, -1, NULL);
}

/* LETHE_LOST when the guardian died. */
static lethe_result wait_for_exit(struct engine *engine, struct message *out,
                                  struct lethe_error *err)
{
    struct pollfd ends[] = {{.fd = engine->channel, .events = POLLIN},
                            {.fd = engine->signals, .events = POLLIN}};
    for (;;) {
        if (poll(ends, ARRAY_LEN(ends), -1) < 0 && errno != EINTR)
            return error_from_errno(err, "waiting for the engine");
        if (ends[1].revents != 0)
            pass_signal_on(engine);
        if (ends[0].revents != 0)
            return channel_expect(engine->channel, MESSAGE_EXITED, out, NULL, err);
    }
}

/* The guardian is dead, and the engine with it: what the guardian would have done, by our mappings.
 */
static void wipe_ourselves(struct engine *engine, struct message *out)
{
    *out = (struct message){.kind = MESSAGE_EXITED, .number = 128 + SIGKILL, .signalled = true};
    out->wiped = guardian_kill_descendants();
    uint64_t started_ns = clock_monotonic_ns(&clock_system);
    for (size_t i = 0; i < engine->count; i++) {
        if (engine->files[i].mapping == NULL)
            continue;
        out->wiped =
            mapping_wipe(engine->files[i].mapping, engine->files[i].size_bytes) && out->wiped;
        out->bytes += engine->files[i].size_bytes;
    }
    out->duration_ns = clock_monotonic_ns(&clock_system) - started_ns;
    engine->guardian = -1;
}

static lethe_result record_exit(struct engine *engine, const struct engine_services *services,
                                const struct message *exited, struct lethe_error *err)
{
    const char *model = model_manifest(engine->options.models[0].model)->model;
    const struct audit_event wiped =
        audit_region_wiped(lethe_class_name(LETHE_CLASS_WEIGHTS), model, exited->bytes,
                           exited->duration_ns, exited->wiped);
    audit_emit(services->log, &services->who, &wiped);
    const struct audit_event event =
        audit_engine_exited(engine->options.arguments[0], model, (uint64_t)MAX(engine->guardian, 0),
                            exited->signalled ? "signal" : "exit", (uint64_t)exited->number,
                            exited->bytes, exited->wiped ? "wiped" : "unwiped");
    return audit_commit(services->log, &services->who, &event, err);
}

static lethe_result finish(struct engine *engine, const struct engine_services *services,
                           struct engine_exit *out, struct lethe_error *err)
{
    struct message exited;
    lethe_result result = wait_for_exit(engine, &exited, err);
    if (result == LETHE_LOST)
        wipe_ourselves(engine, &exited);
    else
        TRY(result);
    out->exit_code = (int)exited.number;
    out->wiped_bytes = exited.bytes;
    out->wiped = exited.wiped;
    TRY(record_exit(engine, services, &exited, err));
    if (!exited.wiped)
        return error_set(err, LETHE_UNWIPED,
                         "not all of the engine's memory could be shown to be "
                         "zero");
    return LETHE_OK;
}

lethe_result engine_run(struct engine *engine, const struct engine_services *services,
                        struct engine_exit *out, struct lethe_error *err)
{
    *out = (struct engine_exit){0};
    uint64_t started_ns = clock_monotonic_ns(&clock_system);
    TRY(load_files(engine, services, err));
    TRY(record_loaded(engine, services, clock_monotonic_ns(&clock_system) - started_ns, err));
    TRY(start(engine, services, &out->start_errno, err));
    return finish(engine, services, out, err);
}

/* ---- the end -----------------------------------------------------------------------------------
 */

static void unmap_files(struct engine *engine)
{
    for (size_t i = 0; i < engine->count; i++) {
        if (engine->files[i].mapping != NULL)
            munmap(engine->files[i].mapping, engine->files[i].size_bytes);
    }
    free(engine->files);
}

void engine_free(struct engine *engine)
{
    if (engine == NULL)
        return;
    fd_close(engine->channel); /* a guardian that still runs wipes and ends */
    if (engine->guardian > 0)
        waitpid(engine->guardian, NULL, 0);
    unmap_files(engine);
    if (engine->ready.path[0] != '\0')
        rmdir(engine->ready.path); /* gone already, unless the guardian was killed */
    trace_finish(&engine->trace);
    if (engine->signals >= 0)
        sigprocmask(SIG_SETMASK, &engine->original_mask, NULL);
    fd_close(engine->signals);
    free(engine);
}
