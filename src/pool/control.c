#include "pool/control.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "net/source_limits.h"
#include "pool/control_core.h"

#define SOURCES_MAX 16384u
#define SWEEP_MS 1000u
#define PATIENCE_MS 2000u /* for another process that holds the home */

/* ---- small things ---------------------------------------------------------------------------- */

uint64_t control_wall_ms(const struct control *control)
{
    return clock_wall_ns(control->clock) / 1000000u;
}

lethe_result control_random(struct control *control, void *out, size_t size_bytes,
                            struct lethe_error *err)
{
    lethe_result result = random_fill(&random_system, out, size_bytes);
    return result == LETHE_OK ? result : error_set(err, result, "the system gives no random bytes");
}

static void fill_limits(const struct control_limits *wanted, struct control_limits *out)
{
    static const struct control_limits usual = {.ttl_max_ms = 24 * 3600 * 1000,
                                                .life_ms = 24 * 3600 * 1000,
                                                .report_ms = 1000,
                                                .lost_after_ms = 600 * 1000,
                                                .answer_ms = 30 * 1000,
                                                .leases_max = 262144,
                                                .leases_per_consumer = 1024,
                                                .connections_max = 4096,
                                                .connections_per_identity = 64};
    *out = *wanted;
#define USUAL(member) out->member = wanted->member != 0 ? wanted->member : usual.member
    USUAL(ttl_max_ms);
    USUAL(life_ms);
    USUAL(report_ms);
    USUAL(lost_after_ms);
    USUAL(answer_ms);
    USUAL(leases_max);
    USUAL(leases_per_consumer);
    USUAL(connections_max);
    USUAL(connections_per_identity);
#undef USUAL
    if (out->unreachable_ms == 0)
        out->unreachable_ms = 5 * out->report_ms;
    if (out->connections_per_source == 0)
        out->connections_per_source = out->connections_max;
}

/* ---- its life -------------------------------------------------------------------------------- */

static void finish_turn(void *context)
{
    control_turn_finish(context);
}

static void sweep(void *context)
{
    struct control *control = context;
    control_listen_again(control);
    control_sweep(control);
    uint64_t patience_ms = MIN(control->limits.unreachable_ms, control->limits.answer_ms);
    loop_timer_set(control->sweep, MIN(SWEEP_MS, patience_ms / 4 + 1));
}

/* Nobody has been silent before this process could hear it. */
static void begin_now(struct control *control)
{
    uint64_t now_ms = loop_now_ms(control->loop);
    for (size_t i = 0; i < registry_provider_count(control->registry); i++) {
        struct pool_provider *provider = registry_provider(control->registry, i);
        provider->heard_ms = now_ms;
        for (struct pool_lease *lease = provider->first; lease != NULL; lease = lease->next)
            lease->lost_ms = now_ms;
    }
}

static lethe_result make_registry(struct control *control, struct lethe_error *err)
{
    struct keeper *keeper = control->options.keeper;
    TRY(registry_create((uint32_t)control->limits.leases_max, &control->registry, err));
    return registry_load(control->registry, keeper_store(keeper), err);
}

static lethe_result make_loop(struct control *control, struct lethe_error *err)
{
    const struct limits_options sources = {
        .sources_max = SOURCES_MAX,
        .connections_per_source = control->limits.connections_per_source,
        .handshakes_per_second = control->limits.connections_per_source};
    TRY(limits_create(&sources, &control->sources, err));
    TRY(places_create(control->limits.connections_per_identity, &control->places, err));
    TRY(loop_create(&control->loop, err));
    TRY(loop_timer_create(control->loop, finish_turn, control, &control->turn, err));
    return loop_timer_create(control->loop, sweep, control, &control->sweep, err);
}

static lethe_result fill(struct control *control, struct lethe_error *err)
{
    keeper_set_patience(control->options.keeper, PATIENCE_MS);
    TRY(make_loop(control, err));
    TRY(make_registry(control, err));
    begin_now(control);
    return control_listen(control, err);
}

lethe_result control_create(const struct control_options *options, struct control **out,
                            struct lethe_error *err)
{
    CLEANUP(control_free) struct control *control = calloc(1, sizeof *control);
    if (control == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for the control plane");
    control->options = *options;
    control->clock = options->clock != NULL ? options->clock : &clock_system;
    control->listen_fd = -1;
    control->tls = tls_context_share(options->tls);
    fill_limits(&options->limits, &control->limits);
    TRY(fill(control, err));
    *out = MOVE(control);
    return LETHE_OK;
}

static void drop_jobs(struct control *control)
{
    for (struct control_job *job; (job = control->first_job) != NULL;) {
        control->first_job = job->next;
        job_free(job);
    }
    control->last_job = NULL;
}

void control_free(struct control *control)
{
    if (control == NULL)
        return;
    if (control->loop != NULL)
        peers_close(control);
    drop_jobs(control);
    loop_watch_free(control->listening);
    fd_close(control->listen_fd);
    loop_timer_free(control->turn);
    loop_timer_free(control->sweep);
    limits_free(control->sources);
    places_free(control->places);
    registry_free(control->registry);
    tls_context_free(control->tls);
    buffer_clear(&control->scratch);
    loop_free(control->loop);
    free(control);
}

/* ---- running --------------------------------------------------------------------------------- */

static void stop(void *context)
{
    control_stop(context);
}

static void reload(void *context)
{
    struct control *control = context;
    if (control->options.reload != NULL)
        control->options.reload(control->options.context, control);
}

static lethe_result take_signals(struct control *control, struct lethe_error *err)
{
    if (!control->options.signals)
        return LETHE_OK;
    TRY(loop_signal(control->loop, SIGTERM, stop, control, err));
    TRY(loop_signal(control->loop, SIGINT, stop, control, err));
    return loop_signal(control->loop, SIGHUP, reload, control, err);
}

lethe_result control_run(struct control *control, struct lethe_error *err)
{
    TRY(take_signals(control, err));
    if (control->options.confine != NULL)
        TRY(control->options.confine(control->options.context, err));
    loop_timer_set(control->sweep, 1);
    if (control->options.ready != NULL)
        control->options.ready(control->options.context, control->address);
    TRY(loop_run(control->loop, err));
    control_turn_finish(control); /* what was asked before the end */
    if (control->failure != LETHE_OK && err != NULL)
        *err = control->why;
    return control->failure;
}

const char *control_address(const struct control *control)
{
    return control->address;
}

void control_stop(struct control *control)
{
    loop_stop(control->loop);
}

void control_renew(struct control *control, struct tls_context *tls)
{
    struct tls_context *before = control->tls;
    control->tls = tls_context_share(tls);
    tls_context_free(before);
}
