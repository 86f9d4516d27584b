#include "pool/provider.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/thread.h"
#include "pool/provider_core.h"

#define CONNECTIONS_MAX 4096u
#define CONNECTIONS_PER_IDENTITY 256u
#define CONSUMER_IDLE_MS 3600000u
#define TICK_MAX_MS 1000u  /* timers do not see a machine sleep, and leases run out meanwhile */
#define STOP_MAX_MS 10000u /* for telling the control plane what was wiped */

/* ---- time ------------------------------------------------------------------------------------ */

uint64_t provider_now_ms(const struct provider *provider)
{
    struct timespec now;
    if (provider->options.boottime != NULL)
        return clock_monotonic_ns(provider->options.boottime) / 1000000;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Memory that is not locked because there is no swap must not meet any. */
static void look_at_swap(struct provider *provider)
{
    const struct lethe_log *log = provider->options.log;
    if (provider->is_unprotected || lethe_mem_recheck(NULL) == LETHE_OK)
        return;
    provider->is_unprotected = true;
    if (log == NULL)
        return;
    const struct audit_who who = {.actor = log->actor, .tenant = "", .session = ""};
    const struct audit_event event = audit_suspicious_activity(
        provider->id, "swap has come into use: nothing more is lent of memory that is not locked");
    audit_emit(log->log, &who, &event);
}

void provider_tick(struct provider *provider)
{
    uint64_t now_ms = provider_now_ms(provider);
    uint64_t next_ms = tenancy_expire(provider->tenancy, now_ms);
    uint64_t in_ms = next_ms > now_ms ? next_ms - now_ms : 0;
    loop_timer_set(provider->clock_timer, MIN(in_ms, (uint64_t)TICK_MAX_MS));
    if (provider->is_stopping && now_ms >= provider->stops_at_ms)
        loop_stop(provider_loop(provider));
}

static void clock_struck(void *context)
{
    look_at_swap(context);
    provider_tick(context);
}

/* ---- what the tenancy says ------------------------------------------------------------------- */

static void something_changed(void *context)
{
    struct provider *provider = context;
    loop_post(provider_loop(provider), &provider->changed);
}

static void take_change(void *context)
{
    provider_tick(context);
    provider_report(context);
    provider_stop_if_done(context);
}

/* ---- serving --------------------------------------------------------------------------------- */

struct tls_context *provider_context(struct provider *provider, bool serve)
{
    pthread_mutex_lock(&provider->contexts_lock);
    struct tls_context *share = tls_context_share(serve ? provider->serve : provider->dial);
    pthread_mutex_unlock(&provider->contexts_lock);
    return share;
}

void provider_renew(struct provider *provider, struct tls_context *serve, struct tls_context *dial)
{
    pthread_mutex_lock(&provider->contexts_lock);
    struct tls_context *old_serve = provider->serve, *old_dial = provider->dial;
    provider->serve = tls_context_share(serve);
    provider->dial = tls_context_share(dial);
    pthread_mutex_unlock(&provider->contexts_lock);
    tls_context_free(old_serve);
    tls_context_free(old_dial);
}

void provider_fail(struct provider *provider, lethe_result result, const struct lethe_error *err)
{
    provider->result = result;
    provider->err = *err;
    loop_stop(provider_loop(provider));
}

void provider_serve(struct provider *provider)
{
    const struct provider_options *options = &provider->options;
    struct lethe_error err;
    if (provider->is_serving || provider->is_stopping)
        return;
    lethe_result result = provider_accept_begin(provider, &err);
    if (result != LETHE_OK) {
        provider_fail(provider, result, &err);
        return;
    }
    provider->is_serving = true;
    if (options->ready != NULL)
        options->ready(options->context, provider->address);
}

/* ---- stopping -------------------------------------------------------------------------------- */

static void worker_stop(void *context)
{
    struct worker *worker = context;
    struct consumer *consumer;
    TAILQ_FOREACH(consumer, &worker->consumers, entry)
    {
        if (consumer->link != NULL)
            link_end(consumer->link, LETHE_UNAVAILABLE, "the provider is being stopped");
    }
}

/* Leases end, connections end behind that, and the control plane hears that all of it was wiped. */
static void begin_to_stop(void *context)
{
    struct provider *provider = context;
    if (provider->is_stopping)
        return;
    uint64_t now_ms = provider_now_ms(provider);
    provider->is_stopping = true;
    provider->stops_at_ms = now_ms + STOP_MAX_MS;
    provider_accept_end(provider);
    tenancy_stop_all(provider->tenancy, LEASE_CAUSE_DRAINED, now_ms);
    for (unsigned i = 0; i < provider->worker_count; i++)
        loop_post(provider->workers[i].loop, &provider->workers[i].stop);
    provider_stop_if_done(provider);
}

void provider_stop_if_done(struct provider *provider)
{
    bool is_heard = provider->control.stage == CONTROL_JOINED;
    if (!provider->is_stopping || provider->consumer_count > 0)
        return;
    if (!is_heard || tenancy_leases(provider->tenancy) == 0)
        loop_stop(provider_loop(provider));
}

void provider_stop(struct provider *provider)
{
    loop_post(provider_loop(provider), &provider->stop_task);
}

/* ---- running --------------------------------------------------------------------------------- */

static void *work(void *context)
{
    struct worker *worker = context;
    struct lethe_error err;
    if (loop_run(worker->loop, &err) != LETHE_OK)
        provider_stop(worker->provider);
    return NULL;
}

static lethe_result start_workers(struct provider *provider, struct lethe_error *err)
{
    for (unsigned i = 1; i < provider->worker_count; i++) {
        TRY(thread_start(&provider->workers[i].thread, work, &provider->workers[i], err));
        provider->workers[i].has_thread = true;
    }
    return LETHE_OK;
}

static void join_workers(struct provider *provider)
{
    for (unsigned i = 1; i < provider->worker_count; i++) {
        struct worker *worker = &provider->workers[i];
        loop_stop(worker->loop);
        if (worker->has_thread)
            pthread_join(worker->thread, NULL);
        worker->has_thread = false;
    }
}

lethe_result provider_run(struct provider *provider, struct lethe_error *err)
{
    lethe_result result = start_workers(provider, err);
    if (result == LETHE_OK) {
        provider_tick(provider);
        provider_control_dial(provider);
        result = loop_run(provider_loop(provider), err);
    }
    join_workers(provider);
    if (result == LETHE_OK && provider->result != LETHE_OK) {
        result = provider->result;
        if (err != NULL)
            *err = provider->err;
    }
    return result;
}

/* ---- create and free ------------------------------------------------------------------------- */

static lethe_result check(const struct provider_options *options, struct lethe_error *err)
{
    struct spiffe_id id;
    TRY(error_context(err, spiffe_parse(options->id, strlen(options->id), &id, err),
                      "who the provider is"));
    if (options->announce != NULL)
        TRY(error_context(err, link_check_address(options->announce, err),
                          "how consumers reach it: %s", options->announce));
    return error_context(err,
                         spiffe_parse(options->control_id, strlen(options->control_id), &id, err),
                         "who the control plane is");
}

static lethe_result make_worker(struct provider *provider, struct lethe_error *err)
{
    struct worker *worker = &provider->workers[provider->worker_count];
    worker->provider = provider;
    TAILQ_INIT(&worker->consumers);
    LIST_INIT(&worker->orphans);
    worker->ban = (struct loop_task){.work = worker_ban, .context = worker};
    worker->ban_over = (struct loop_task){.work = worker_ban_over, .context = worker};
    worker->ban_told = (struct loop_task){.work = worker_ban_told, .context = worker};
    worker->stop = (struct loop_task){.work = worker_stop, .context = worker};
    TRY(loop_create(&worker->loop, err));
    provider->worker_count++;
    return LETHE_OK;
}

static lethe_result make_tenancy(struct provider *provider, struct lethe_error *err)
{
    struct tenancy_options options = {
        .arena = {.size_bytes = provider->options.memory_bytes, .wipe = provider->options.wipe},
        .log = provider->options.log,
        .provider = provider->id,
        .over = provider_over,
        .cut = provider_cut,
        .changed = something_changed,
        .context = provider};
    memcpy(options.boot_id, provider->boot_id, sizeof options.boot_id);
    return tenancy_create(&options, &provider->tenancy, err);
}

static void fill(struct provider *provider, const struct provider_options *options)
{
    provider->options = *options;
    provider->listener = -1;
    strcpy(provider->id, options->id);
    pthread_mutex_init(&provider->contexts_lock, NULL);
    provider->serve = tls_context_share(options->serve);
    provider->dial = tls_context_share(options->dial);
    provider->changed = (struct loop_task){.work = take_change, .context = provider};
    provider->stop_task = (struct loop_task){.work = begin_to_stop, .context = provider};
    if (options->connections_max == 0)
        provider->options.connections_max = CONNECTIONS_MAX;
    if (options->connections_per_identity == 0)
        provider->options.connections_per_identity = CONNECTIONS_PER_IDENTITY;
    if (options->consumer_idle_ms == 0)
        provider->options.consumer_idle_ms = CONSUMER_IDLE_MS;
    if (options->loops == 0)
        provider->options.loops = threads_available();
    provider->options.loops = MIN(provider->options.loops, PROVIDER_LOOPS_MAX);
}

/* Confined before there is memory, or a thread that would not be. */
static lethe_result prepare(struct provider *provider, struct lethe_error *err)
{
    const struct provider_options *options = &provider->options;
    TRY(random_fill(&random_system, provider->boot_id, sizeof provider->boot_id));
    while (provider->worker_count < options->loops)
        TRY(make_worker(provider, err));
    TRY(provider_listen(provider, err));
    TRY(provider_control_start(provider, err));
    if (options->confine != NULL)
        TRY(options->confine(options->context, err));
    TRY(make_tenancy(provider, err));
    return loop_timer_create(provider_loop(provider), clock_struck, provider,
                             &provider->clock_timer, err);
}

lethe_result provider_create(const struct provider_options *options, struct provider **out,
                             struct lethe_error *err)
{
    *out = NULL;
    TRY(check(options, err));
    CLEANUP(provider_free) struct provider *provider = calloc(1, sizeof *provider);
    if (provider == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a provider");
    fill(provider, options);
    TRY(prepare(provider, err));
    *out = MOVE(provider);
    return LETHE_OK;
}

static void clear_consumers(struct provider *provider)
{
    for (unsigned i = 0; i < provider->worker_count; i++)
        consumers_end(&provider->workers[i]);
    if (provider->worker_count > 0)
        (void)!loop_turn(provider_loop(provider), 0, NULL); /* forgets them */
    REQUIRE(provider->consumer_count == 0);
}

void provider_free(struct provider *provider)
{
    if (provider == NULL)
        return;
    join_workers(provider);
    clear_consumers(provider);
    provider_control_stop(provider);
    provider_accept_end(provider);
    tenancy_free(provider->tenancy);
    loop_timer_free(provider->clock_timer);
    for (unsigned i = 0; i < provider->worker_count; i++) {
        releases_clear(&provider->workers[i]);
        loop_free(provider->workers[i].loop);
    }
    limits_free(provider->limits);
    places_free(provider->places);
    tls_context_free(provider->serve);
    tls_context_free(provider->dial);
    pthread_mutex_destroy(&provider->contexts_lock);
    free(provider);
}
