/* The log's own thread: writes what was emitted when nobody else does. */
#include <errno.h>
#include <time.h>

#include "audit/log_core.h"
#include "base/error.h"
#include "base/thread.h"

#define NS_PER_MS 1000000ull
#define NS_PER_S 1000000000ull

static uint64_t patience_ns(const struct audit_log *log)
{
    return log->limits.flush_ms * NS_PER_MS;
}

/* How long nothing need be done; 0: now. */
static uint64_t idle_ns(const struct audit_log *log)
{
    uint64_t now_ns = clock_monotonic_ns(log->clock);
    uint64_t due_ns = log->waiting_since_ns + patience_ns(log);
    if (!log_has_waiting(log))
        return patience_ns(log);
    if (now_ns >= due_ns || (!log->failed && ring_count(&log->ring) >= log->limits.flush_records))
        return 0;
    return due_ns - now_ns;
}

/* While something comes now and then, the thread looks by itself: nobody need wake it. */
bool log_note_waiting(struct audit_log *log, bool is_first, uint64_t now_ns)
{
    if (is_first)
        log->waiting_since_ns = now_ns;
    bool wake =
        log->threaded && (!log->armed || ring_count(&log->ring) == log->limits.flush_records);
    log->armed = log->armed || wake;
    return wake;
}

lethe_result audit_tick(struct audit_log *log, struct lethe_error *err)
{
    lethe_result result = LETHE_OK;
    TRY(log_check_ours(log, err));
    pthread_mutex_lock(&log->mutex);
    while (result == LETHE_OK && log_has_waiting(log) && idle_ns(log) == 0)
        result = log_lead(log, err);
    pthread_mutex_unlock(&log->mutex);
    return result;
}

/* ---- the thread ------------------------------------------------------------------------------ */

/* Called with the mutex held. */
static void sleep_for(struct audit_log *log, uint64_t duration_ns)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t nanoseconds = (uint64_t)until.tv_nsec + duration_ns;
    until.tv_sec += (time_t)(nanoseconds / NS_PER_S);
    until.tv_nsec = (long)(nanoseconds % NS_PER_S);
    if (pthread_cond_timedwait(&log->wake, &log->mutex, &until) == ETIMEDOUT)
        log->armed = log_has_waiting(log);
}

void log_call_thread(struct audit_log *log)
{
    if (!log->threaded || log->leading)
        return; /* who leads calls it when it is done */
    log->called = true;
    pthread_cond_signal(&log->wake);
}

/* Called with the mutex held. */
static void write_pushed(struct audit_log *log)
{
    while (log->leading)
        pthread_cond_wait(&log->group_done, &log->mutex);
    log->called = false;
    if (log->queue.first != NULL)
        log_lead(log, NULL); /* each record has its result */
}

static void *run(void *context)
{
    struct audit_log *log = context;
    pthread_mutex_lock(&log->mutex);
    while (!log->stopping) {
        uint64_t duration_ns = idle_ns(log);
        if (log->called)
            write_pushed(log);
        else if (!log->armed)
            pthread_cond_wait(&log->wake, &log->mutex);
        else if (duration_ns > 0)
            sleep_for(log, duration_ns);
        else
            log_lead(log, NULL); /* what fails is tried again, and waits until then */
    }
    pthread_mutex_unlock(&log->mutex);
    return NULL;
}

lethe_result log_thread_start(struct audit_log *log, struct lethe_error *err)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&log->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    lethe_result result = thread_start(&log->thread, run, log, err);
    log->threaded = result == LETHE_OK;
    if (!log->threaded)
        pthread_cond_destroy(&log->wake);
    return error_context(err, result, "the log's thread");
}

void log_thread_stop(struct audit_log *log)
{
    if (!log->threaded)
        return;
    pthread_mutex_lock(&log->mutex);
    log->stopping = true;
    pthread_cond_signal(&log->wake);
    pthread_mutex_unlock(&log->mutex);
    pthread_join(log->thread, NULL);
    pthread_cond_destroy(&log->wake);
    log->threaded = false;
}
