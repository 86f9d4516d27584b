/* The supervisor, during the run: decrypts, lets the engine go, listens, records. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "engine/guardian.h"
#include "engine/scratch.h"
#include "engine/supervisor.h"
#include "mem/swap.h"
#include "model/files_ahead.h"

struct run {
    struct engine *engine;
    const struct engine_services *services;
    struct engine_exit *exit;
    uint64_t pid;   /* the engine's; 0: none yet */
    bool on_record; /* engine_started was written, so engine_exited must be */
    bool signalled;
    bool over;
    bool lost_leave;        /* the watch said no, which is on record */
    uint64_t kill_at_ns;    /* 0: never */
    uint64_t give_up_at_ns; /* 0: never; then the guardian is killed, and the engine with it */
    bool ready;             /* the engine's address has answered */
    uint64_t dropped_bytes;
};

/* For whom a model's records are. */
static struct audit_who who_of(const struct run *run, const struct engine_model *model)
{
    struct audit_who who = run->services->who;
    who.tenant = model_manifest(model->model)->tenant;
    return who;
}

/* ---- until the engine runs ---------------------------------------------------------------------
 */

/* Progress goes on to whoever shows it; on the way signals are looked at. */
struct loading {
    const struct engine *engine;
    const struct model_progress *shown;
    atomic_bool cancelled;
    struct lethe_error why;
};

static void look_for_signals(void *context, uint64_t done_bytes, uint64_t total_bytes)
{
    struct loading *loading = context;
    if (loading->shown != NULL)
        loading->shown->report(loading->shown->context, done_bytes, total_bytes);
    if (engine_check_cancelled(loading->engine, &loading->why) != LETHE_OK)
        atomic_store(&loading->cancelled, true);
}

static lethe_result load_file(const struct run *run, const struct loaded_file *file,
                              const struct model_work *work, struct lethe_error *err)
{
    struct model *model = file->model->model;
    TRY(model_load_file(model, file->file_index, run->services->keys, file->mapping, work, err));
    if (!run->engine->options.check_digest)
        return LETHE_OK;
    return model_check_file_digests(model, file->file_index, file->mapping, work->threads, err);
}

static lethe_result load_files(const struct run *run, struct lethe_error *err)
{
    const struct engine *engine = run->engine;
    struct loading loading = {.engine = engine, .shown = engine->options.work.progress};
    const struct model_progress progress = {look_for_signals, &loading};
    CLEANUP(files_ahead_clear) struct files_ahead ahead = {0};
    struct model_work work = engine->options.work;
    work.ahead = &ahead;
    work.progress = &progress;
    work.cancelled = &loading.cancelled;
    lethe_result result = engine_check_cancelled(engine, err);
    for (size_t i = 0; i < engine->count && result == LETHE_OK; i++) {
        result = load_file(run, &engine->files[i], &work, err);
        if (result == LETHE_OK)
            result = engine_check_cancelled(engine, err);
    }
    if (atomic_load(&loading.cancelled) && err != NULL)
        *err = loading.why;
    return atomic_load(&loading.cancelled) ? LETHE_CANCELLED : result;
}

static lethe_result load(const struct run *run, struct lethe_error *err)
{
    uint64_t started_ns = clock_monotonic_ns(&clock_system);
    TRY(load_files(run, err));
    uint64_t duration_ns = clock_monotonic_ns(&clock_system) - started_ns;
    const struct engine_options *options = &run->engine->options;
    for (size_t i = 0; i < options->model_count; i++) {
        const struct engine_model *model = &options->models[i];
        const struct manifest *manifest = model_manifest(model->model);
        const struct audit_who who = who_of(run, model);
        const struct audit_event event =
            audit_model_loaded(manifest->model, manifest->release, manifest->count,
                               model_plain_bytes(model->model), duration_ns, "exec");
        audit_emit(run->services->log, &who, &event);
    }
    return LETHE_OK;
}

/* The engine's process exists, and waits while its start becomes durable. */
static lethe_result start(struct run *run, struct lethe_error *err)
{
    const struct engine *engine = run->engine;
    const struct engine_model *model = &engine->options.models[0];
    struct message message = {.kind = MESSAGE_SEAL};
    TRY(channel_send(engine->channel, &message, -1, err));
    TRY(channel_expect(engine->channel, MESSAGE_WAITING, &message, NULL, err));
    TRY(engine_check_cancelled(engine, err));
    run->pid = (uint64_t)message.number;
    trace_note_number(engine->trace.fd, "pid", run->pid);
    const struct audit_event event = audit_engine_started(
        engine->options.arguments[0], model_manifest(model->model)->model,
        handover_name(engine->ready.handover), run->pid, engine->ready.bytes,
        engine->ready.safety != SWAP_UNSAFE, swap_safety_name(engine->ready.safety));
    TRY(audit_commit(run->services->log, &run->services->who, &event, err));
    run->on_record = true;
    message = (struct message){.kind = MESSAGE_GO};
    return channel_send(engine->channel, &message, -1, err);
}

/* ---- until everything is wiped -----------------------------------------------------------------
 */

static void record_wipe(struct run *run, size_t index, const struct wipe *wipe)
{
    const struct engine_options *options = &run->engine->options;
    struct audit_who who = run->services->who;
    enum lethe_class class_ = LETHE_CLASS_CONTENT;
    const char *label = "the engine's HOME and TMPDIR";
    if (index < options->model_count) {
        who = who_of(run, &options->models[index]);
        class_ = LETHE_CLASS_WEIGHTS;
        label = model_manifest(options->models[index].model)->model;
    }
    const struct audit_event event = audit_region_wiped(
        lethe_class_name(class_), label, wipe->bytes, wipe->duration_ns, wipe->verified);
    audit_emit(run->services->log, &who, &event);
    run->exit->wiped_bytes += wipe->bytes;
}

static void record_ready(const struct run *run, const char *weights, const char *reason)
{
    const struct engine_options *options = &run->engine->options;
    const struct audit_event event =
        audit_engine_ready(options->arguments[0], model_manifest(options->models[0].model)->model,
                           run->pid, weights, run->dropped_bytes, reason);
    audit_emit(run->services->log, &run->services->who, &event);
}

/* Our mappings of a model's files must not be touched any more. */
static void hear_dropped(struct run *run, const struct message *message)
{
    struct engine *engine = run->engine;
    size_t index = (size_t)message->number;
    record_wipe(run, index, &message->wipe);
    run->dropped_bytes += message->wipe.bytes;
    for (size_t i = 0; i < engine->count; i++) {
        struct loaded_file *file = &engine->files[i];
        if (file->model != &engine->options.models[index] || file->mapping == NULL)
            continue;
        munmap(file->mapping, file->size_bytes);
        file->mapping = NULL;
    }
    if (index + 1 == engine->options.model_count)
        record_ready(run, "dropped", NULL);
}

static void wipe_model(const struct engine *engine, const struct engine_model *model,
                       struct wipe *sum)
{
    for (size_t i = 0; i < engine->count; i++) {
        if (engine->files[i].model == model && engine->files[i].mapping != NULL)
            mapping_wipe(engine->files[i].mapping, engine->files[i].size_bytes, sum);
    }
}

/* The guardian is dead, and the engine with it: what it would have done, by our own mappings. */
static void inherit(struct run *run)
{
    struct engine *engine = run->engine;
    const struct engine_options *options = &engine->options;
    bool wiped = guardian_kill_descendants();
    engine->guardian = -1; /* reaped */
    run->exit->exit_code = 128 + SIGKILL;
    run->exit->start_errno = 0;
    run->exit->wiped_bytes = run->dropped_bytes; /* the rest is done anew */
    for (size_t i = 0; i <= options->model_count; i++) {
        struct wipe wipe = WIPE_NONE;
        if (i < options->model_count)
            wipe_model(engine, &options->models[i], &wipe);
        else if (engine->scratch >= 0)
            scratch_wipe(engine->scratch, &wipe);
        record_wipe(run, i, &wipe);
        wiped = wiped && wipe.verified;
    }
    trace_note_text(engine->trace.fd, "wiped", wiped ? "wiped" : "unwiped");
    run->exit->wiped = wiped;
    run->signalled = true;
    run->over = true;
}

static void hear(struct run *run)
{
    struct message message;
    if (channel_receive(run->engine->channel, &message, NULL, NULL) != LETHE_OK) {
        inherit(run);
        return;
    }
    switch (message.kind) {
    case MESSAGE_RUNNING:
        run->exit->start_errno = (int)message.number;
        break;
    case MESSAGE_WIPED:
        record_wipe(run, (size_t)message.number, &message.wipe);
        break;
    case MESSAGE_DROPPED:
        hear_dropped(run, &message);
        break;
    case MESSAGE_KEPT:
        record_ready(run, "kept", message.error.text);
        break;
    case MESSAGE_EXITED:
        run->exit->exit_code = (int)message.number;
        run->exit->wiped = message.wipe.verified;
        run->signalled = message.signalled;
        run->over = true;
        break;
    default: /* MESSAGE_FAILED: it gives up because we do */
        break;
    }
}

/* A signal from the terminal went to the whole foreground group, the engine included. */
static void pass_signal_on(const struct engine *engine)
{
    struct signalfd_siginfo info;
    if (read(engine->signals, &info, sizeof info) != sizeof info || info.ssi_code == SI_KERNEL)
        return;
    const struct message message = {.kind = MESSAGE_SIGNAL, .number = info.ssi_signo};
    (void)!channel_send(engine->channel, &message, -1, NULL);
}

static void send_signal(const struct run *run, int number)
{
    const struct message message = {.kind = MESSAGE_SIGNAL, .number = number};
    (void)!channel_send(run->engine->channel, &message, -1, NULL);
}

static uint64_t after_grace_ns(void)
{
    return clock_monotonic_ns(&clock_system) + ENGINE_GRACE_MS * (uint64_t)1000000;
}

/* An engine that must not go on. */
static void kill_engine(struct run *run)
{
    send_signal(run, SIGKILL);
    run->kill_at_ns = 0;
    run->give_up_at_ns = after_grace_ns();
}

/* A guardian that is stopped, or hangs, does not kill anybody. */
static void give_up_guardian(struct run *run)
{
    kill(run->engine->guardian, SIGKILL);
    run->give_up_at_ns = 0;
}

/* The act does not wait for its record: an engine that must not go on is ended in any case. */
static void lose_leave(struct run *run, const char *key)
{
    const struct engine_options *options = &run->engine->options;
    bool finish = run->services->watch->finish;
    const struct audit_event event =
        audit_engine_revoked(options->arguments[0], model_manifest(options->models[0].model)->model,
                             key, finish ? "finish" : "kill");
    run->lost_leave = true;
    run->exit->revoked = !finish;
    if (!finish) {
        send_signal(run, SIGTERM);
        run->kill_at_ns = after_grace_ns();
    }
    (void)!audit_commit(run->services->log, &run->services->who, &event, NULL);
}

/* What held at the start holds no more: the weights may be written to a disk any moment. */
static void watch_swap(struct run *run)
{
    const struct engine *engine = run->engine;
    if (engine->ready.safety != SWAP_NONE || run->exit->swapped_on || !swap_may_keep_pages())
        return;
    run->exit->swapped_on = true;
    kill_engine(run);
    const struct audit_event event = audit_policy_violation(
        "weights out of swap", "swap was turned on", "the weights relied on there being none",
        "critical", engine->options.arguments[0], "the engine was ended");
    (void)!audit_commit(run->services->log, &run->services->who, &event, NULL);
}

static void watch_leave(struct run *run)
{
    const struct engine_watch *watch = run->services->watch;
    char key[256] = "";
    uint64_t now_ns = clock_monotonic_ns(&clock_system);
    if (run->kill_at_ns != 0 && now_ns >= run->kill_at_ns)
        kill_engine(run);
    if (run->give_up_at_ns != 0 && now_ns >= run->give_up_at_ns)
        give_up_guardian(run);
    if (watch != NULL && !run->lost_leave &&
        watch->check(watch->context, key, sizeof key) == LETHE_REVOKED)
        lose_leave(run, key);
}

static void watch_ready(struct run *run)
{
    const struct ready_url *url = run->engine->options.ready_url;
    if (url == NULL || run->ready || !ready_url_answers(url))
        return;
    const struct message message = {.kind = MESSAGE_DROP};
    run->ready = true;
    (void)!channel_send(run->engine->channel, &message, -1, NULL);
}

static void watch(struct run *run)
{
    watch_leave(run);
    watch_ready(run);
    watch_swap(run);
}

static void listen_to_the_end(struct run *run)
{
    struct pollfd ends[] = {{.fd = run->engine->channel, .events = POLLIN},
                            {.fd = run->engine->signals, .events = POLLIN}};
    while (!run->over) {
        if (poll(ends, ARRAY_LEN(ends), run->on_record ? ENGINE_WATCH_INTERVAL_MS : -1) < 0)
            continue; /* interrupted */
        if (run->on_record)
            watch(run);
        if (ends[1].revents != 0)
            pass_signal_on(run->engine);
        if (ends[0].revents != 0)
            hear(run);
    }
}

/* Gives `result`, or the failure to record. What cannot be recorded now stays in the trace. */
static lethe_result record_exit(const struct run *run, lethe_result result, struct lethe_error *err)
{
    struct engine *engine = run->engine;
    const struct engine_options *options = &engine->options;
    const struct audit_event event = audit_engine_exited(
        options->arguments[0], model_manifest(options->models[0].model)->model, run->pid,
        run->signalled ? "signal" : "exit", (uint64_t)run->exit->exit_code, run->exit->wiped_bytes,
        run->exit->wiped ? "wiped" : "unwiped");
    lethe_result recorded = audit_commit(run->services->log, &run->services->who, &event,
                                         result == LETHE_OK ? err : NULL);
    if (recorded != LETHE_OK)
        trace_leave(&engine->trace);
    return result == LETHE_OK ? recorded : result;
}

lethe_result engine_run(struct engine *engine, const struct engine_services *services,
                        struct engine_exit *out, struct lethe_error *err)
{
    *out = (struct engine_exit){0};
    struct run run = {.engine = engine, .services = services, .exit = out};
    lethe_result result = load(&run, err);
    if (result == LETHE_OK)
        result = start(&run, err);
    if (result == LETHE_LOST)
        error_set(err, result, "the guardian died before the engine was started");
    if (result != LETHE_OK) /* the guardian takes our silence for the end, and answers */
        shutdown(engine->channel, SHUT_WR);
    listen_to_the_end(&run);
    if (run.on_record)
        result = record_exit(&run, result, err);
    if (out->wiped)
        return result;
    return error_set(err, LETHE_UNWIPED,
                     "not all of the engine's memory could be shown to be zero");
}
