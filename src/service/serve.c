#include "service/serve.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "service/control.h"
#include "service/serve_child.h"
#include "service/serve_files.h"
#include "service/serve_listen.h"
#include "service/serve_log.h"
#include "service/serve_parts.h"

#define DRAIN_MS 12000u /* the door's own limit is 10 s */
#define CLOSE_MS 20000u /* for the keeper to close store and log */

enum { KEEPER, DOOR, CHILD_COUNT };

/* RUNNING -> DRAINING (the door answers what is open) -> CLOSING (the keeper closes) -> over */
enum phase { RUNNING, DRAINING, CLOSING };

struct supervisor {
    const struct serve_options *options;
    struct serve_options own; /* what `options` points to: as given, with texts of files */
    struct buffer ek_roots, snp_crls;
    struct serve_listeners listeners;
    int admin;
    int signals;
    sigset_t signals_before;
    struct serve_child children[CHILD_COUNT];
    enum phase phase;
    uint64_t phase_until_ms;
    bool is_ready;
    lethe_result result; /* why it ends by itself */
    struct lethe_error *err;
};

static uint64_t now_ms(void)
{
    return clock_monotonic_ns(&clock_system) / 1000000;
}

/* ---- children -------------------------------------------------------------------------------- */

/* A new pair of sockets between the two: whichever is new, the other one's end of the old pair has
 * closed. One that has just died is noticed by its signal. */
static lethe_result introduce(struct supervisor *supervisor, struct lethe_error *err)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
        return error_from_errno(err, "making a pair of sockets");
    for (size_t i = 0; i < CHILD_COUNT; i++) {
        (void)!control_send(supervisor->children[i].control, CONTROL_PEER, ends[i], NULL);
        fd_close(ends[i]);
    }
    return LETHE_OK;
}

static lethe_result start(struct supervisor *supervisor, size_t which, struct lethe_error *err)
{
    TRY(serve_child_start(&supervisor->children[which], supervisor->options, now_ms(), err));
    bool both = supervisor->children[1 - which].pid != 0;
    return both ? introduce(supervisor, err) : LETHE_OK;
}

/* What cannot be started is tried again, as what has ended is. */
static void start_what_is_due(struct supervisor *supervisor)
{
    for (size_t i = 0; i < CHILD_COUNT && supervisor->phase == RUNNING; i++) {
        struct serve_child *child = &supervisor->children[i];
        struct lethe_error err = {0};
        if (child->pid != 0 || now_ms() < child->due_ms)
            continue;
        if (start(supervisor, i, &err) != LETHE_OK) {
            serve_log(SERVE_ERROR, "%s", err.text);
            if (child->pid == 0)
                serve_child_ended(child, now_ms());
        }
    }
}

static lethe_result result_of_exit_code(int code)
{
    static const lethe_result results[] = {LETHE_FAILED,     LETHE_FAILED, LETHE_INVALID,
                                           LETHE_INTEGRITY,  LETHE_DENIED, LETHE_UNAVAILABLE,
                                           LETHE_UNPROTECTED};
    return code >= 0 && code < (int)ARRAY_LEN(results) ? results[code] : LETHE_FAILED;
}

static void end(struct supervisor *supervisor, enum phase phase);

/* Before the service was ready once, the same would happen again: that is for people to mend. */
static void give_up(struct supervisor *supervisor, const struct serve_child *child, int status)
{
    char how[SERVE_END_SIZE];
    serve_child_describe_end(status, how);
    lethe_result code = result_of_exit_code(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
    supervisor->result = error_set(
        supervisor->err, code, "the %s ended before the service was ready (%s)", child->name, how);
    error_hint(supervisor->err, "the lines before this one say why");
    end(supervisor, CLOSING);
}

static void child_ended(struct supervisor *supervisor, struct serve_child *child, int status)
{
    char how[SERVE_END_SIZE];
    serve_child_describe_end(status, how);
    serve_child_ended(child, now_ms());
    if (supervisor->phase == RUNNING && !supervisor->is_ready)
        give_up(supervisor, child, status);
    else if (supervisor->phase == RUNNING)
        serve_log(SERVE_ERROR, "the %s ended (%s); it starts again in %llu ms", child->name, how,
                  (unsigned long long)(child->due_ms - now_ms()));
    else if (status != 0)
        serve_log(SERVE_ERROR, "the %s ended (%s)", child->name, how);
}

static void reap(struct supervisor *supervisor)
{
    for (size_t i = 0; i < CHILD_COUNT; i++) {
        struct serve_child *child = &supervisor->children[i];
        int status;
        if (child->pid != 0 && waitpid(child->pid, &status, WNOHANG) == child->pid)
            child_ended(supervisor, child, status);
    }
}

/* ---- ending ---------------------------------------------------------------------------------- */

static void end(struct supervisor *supervisor, enum phase phase)
{
    if (supervisor->phase >= phase)
        return;
    if (supervisor->phase == RUNNING)
        serve_notify("STOPPING=1");
    supervisor->phase = phase;
    supervisor->phase_until_ms = now_ms() + (phase == DRAINING ? DRAIN_MS : CLOSE_MS);
    struct serve_child *door = &supervisor->children[DOOR];
    if (phase == CLOSING) {
        serve_child_dismiss(door);
        serve_child_dismiss(&supervisor->children[KEEPER]);
    } else if (door->pid != 0) {
        (void)!control_send(door->control, CONTROL_DRAIN, -1, NULL);
    }
}

static void kill_late(struct supervisor *supervisor, size_t which)
{
    struct serve_child *child = &supervisor->children[which];
    if (child->pid == 0 || now_ms() < supervisor->phase_until_ms)
        return;
    serve_log(SERVE_WARNING, "the %s has not ended in time", child->name);
    kill(child->pid, SIGKILL);
    supervisor->phase_until_ms = now_ms() + CLOSE_MS;
}

/* False when all is over. */
static bool go_on(struct supervisor *supervisor)
{
    if (supervisor->phase == DRAINING) {
        kill_late(supervisor, DOOR);
        if (supervisor->children[DOOR].pid == 0)
            end(supervisor, CLOSING);
    }
    if (supervisor->phase == CLOSING) {
        kill_late(supervisor, KEEPER);
        kill_late(supervisor, DOOR);
    }
    return supervisor->phase != CLOSING || supervisor->children[KEEPER].pid != 0 ||
           supervisor->children[DOOR].pid != 0;
}

/* ---- what is heard --------------------------------------------------------------------------- */

static void take_signal(struct supervisor *supervisor, uint32_t signal)
{
    switch (signal) {
    case SIGTERM:
    case SIGINT:
        end(supervisor, DRAINING);
        break;
    case SIGHUP:
        (void)!control_send(supervisor->children[DOOR].control, CONTROL_RELOAD, -1, NULL);
        break;
    default: /* SIGCHLD: reap() looks at all of them */
        break;
    }
}

static void take_signals(struct supervisor *supervisor)
{
    struct signalfd_siginfo info;
    while (read(supervisor->signals, &info, sizeof info) == (ssize_t)sizeof info)
        take_signal(supervisor, info.ssi_signo);
}

static void become_ready(struct supervisor *supervisor, bool sealed)
{
    const struct serve_options *options = supervisor->options;
    if (supervisor->is_ready)
        return;
    supervisor->is_ready = true;
    if (options->ready != NULL)
        options->ready(options->context, supervisor->listeners.addresses, sealed);
    serve_notify(sealed ? "READY=1\nSTATUS=sealed" : "READY=1\nSTATUS=serving");
}

/* While the keeper is not there, its start brings the two together. */
static void introduce_again(struct supervisor *supervisor)
{
    struct lethe_error err = {0};
    if (supervisor->children[KEEPER].pid != 0 && introduce(supervisor, &err) != LETHE_OK)
        serve_log(SERVE_ERROR, "%s", err.text);
}

/* What it should not say is passed over. */
static void hear_door(struct supervisor *supervisor, enum control_letter letter)
{
    if (letter == CONTROL_READY || letter == CONTROL_SEALED)
        become_ready(supervisor, letter == CONTROL_SEALED);
    else if (letter == CONTROL_LOST && supervisor->phase == RUNNING)
        introduce_again(supervisor);
}

static void take_control(struct supervisor *supervisor, struct serve_child *child)
{
    enum control_letter letter;
    int fd;
    lethe_result result;
    while ((result = control_receive(child->control, &letter, &fd, NULL)) == LETHE_OK) {
        fd_close(fd);
        if (child == &supervisor->children[DOOR])
            hear_door(supervisor, letter);
    }
    if (result != LETHE_NOT_FOUND)
        serve_child_dismiss(child);
}

static int wait_time(const struct supervisor *supervisor)
{
    uint64_t now = now_ms();
    uint64_t until = supervisor->phase == RUNNING ? UINT64_MAX : supervisor->phase_until_ms;
    for (size_t i = 0; i < CHILD_COUNT && supervisor->phase == RUNNING; i++) {
        if (supervisor->children[i].pid == 0)
            until = MIN(until, supervisor->children[i].due_ms);
    }
    if (until == UINT64_MAX)
        return -1;
    return until <= now ? 0 : (int)MIN(until - now + 1, (uint64_t)60000);
}

static lethe_result run(struct supervisor *supervisor, struct lethe_error *err)
{
    while (go_on(supervisor)) {
        start_what_is_due(supervisor);
        struct pollfd polled[] = {
            {supervisor->signals, POLLIN, 0},
            {supervisor->children[KEEPER].control, POLLIN, 0}, /* negative ones are passed over */
            {supervisor->children[DOOR].control, POLLIN, 0},
        };
        if (poll(polled, ARRAY_LEN(polled), wait_time(supervisor)) < 0 && errno != EINTR)
            return error_from_errno(err, "waiting");
        take_signals(supervisor);
        for (size_t i = 0; i < CHILD_COUNT; i++) {
            if (supervisor->children[i].control >= 0)
                take_control(supervisor, &supervisor->children[i]);
        }
        reap(supervisor);
    }
    return supervisor->result;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static lethe_result take_over_signals(struct supervisor *supervisor, struct lethe_error *err)
{
    sigset_t taken;
    sigemptyset(&taken);
    sigaddset(&taken, SIGTERM);
    sigaddset(&taken, SIGINT);
    sigaddset(&taken, SIGHUP);
    sigaddset(&taken, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &taken, &supervisor->signals_before) != 0)
        return error_from_errno(err, "blocking signals");
    supervisor->signals = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
    return supervisor->signals < 0 ? error_from_errno(err, "signalfd") : LETHE_OK;
}

static lethe_result read_text(const char *path, enum x509_pem kind, struct buffer *text,
                              const char **out, struct lethe_error *err)
{
    if (path == NULL)
        return LETHE_OK;
    TRY(serve_files_pem(path, kind, text, err));
    *out = text->bytes;
    return LETHE_OK;
}

/* The keeper opens no files: it gets their texts. */
static lethe_result read_texts(struct supervisor *supervisor, struct lethe_error *err)
{
    struct serve_options *own = &supervisor->own;
    struct attest_options *attest = &own->service.attest;
    TRY(read_text(own->ek_roots_path, X509_PEM_CERTIFICATE, &supervisor->ek_roots,
                  &attest->ek_roots, err));
    return read_text(own->snp_crls_path, X509_PEM_CRL, &supervisor->snp_crls, &attest->snp_crls,
                     err);
}

static lethe_result prepare(struct supervisor *supervisor, struct lethe_error *err)
{
    const struct serve_options *options = supervisor->options;
    serve_raise_descriptors(options);
    TRY(serve_listen(options, &supervisor->listeners, err));
    if (options->user != NULL)
        TRY(serve_become_user(options->user, err));
    TRY(read_texts(supervisor, err));
    if (options->admin_path != NULL)
        TRY(serve_listen_unix(options->admin_path, 0600, &supervisor->admin, err));
    return take_over_signals(supervisor, err);
}

static void clear(struct supervisor *supervisor)
{
    serve_listeners_close(&supervisor->listeners);
    if (supervisor->admin >= 0)
        unlink(supervisor->options->admin_path);
    fd_close(supervisor->admin);
    if (supervisor->signals >= 0)
        sigprocmask(SIG_SETMASK, &supervisor->signals_before, NULL);
    fd_close(supervisor->signals);
    buffer_clear(&supervisor->ek_roots);
    buffer_clear(&supervisor->snp_crls);
}

static void describe_children(struct supervisor *supervisor)
{
    const struct serve_listeners *listeners = &supervisor->listeners;
    supervisor->children[KEEPER] =
        (struct serve_child){.name = "keeper", .control = -1, .ends = {.admin = supervisor->admin}};
    supervisor->children[DOOR] = (struct serve_child){.name = "door",
                                                      .control = -1,
                                                      .ends = {.admin = -1,
                                                               .listeners = listeners->fds,
                                                               .listener_count = listeners->count,
                                                               .addresses = listeners->addresses}};
}

lethe_result serve(const struct serve_options *options, struct lethe_error *err)
{
    struct supervisor supervisor = {.own = *options, .admin = -1, .signals = -1, .err = err};
    supervisor.options = &supervisor.own;
    lethe_result result = prepare(&supervisor, err);
    if (result == LETHE_OK) {
        describe_children(&supervisor);
        result = run(&supervisor, err);
    }
    clear(&supervisor);
    return result;
}
