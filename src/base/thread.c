#include "base/thread.h"

#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"

/* What the workers of one run share. `lock` guards the failure. */
struct run {
    lethe_result (*work)(void *context, unsigned worker, struct lethe_error *err);
    void *context;
    pthread_mutex_t lock;
    unsigned failed_worker; /* the lowest so far; THREADS_MAX: none */
    lethe_result failure;
    struct lethe_error err;
};

struct part {
    struct run *run;
    unsigned worker;
    pthread_t thread;
    bool started;
};

unsigned threads_available(void)
{
    cpu_set_t allowed;
    long cpus;
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0)
        cpus = CPU_COUNT(&allowed);
    else /* more CPUs than a cpu_set_t counts */
        cpus = sysconf(_SC_NPROCESSORS_ONLN);
    return (unsigned)MIN(MAX(cpus, 1), (long)THREADS_MAX);
}

static void *run_part(void *argument)
{
    struct part *part = argument;
    struct run *run = part->run;
    struct lethe_error err = {0};
    lethe_result result = run->work(run->context, part->worker, &err);
    if (result == LETHE_OK)
        return NULL;
    pthread_mutex_lock(&run->lock);
    if (part->worker < run->failed_worker) {
        run->failed_worker = part->worker;
        run->failure = result;
        run->err = err;
    }
    pthread_mutex_unlock(&run->lock);
    return NULL;
}

/* Signals from outside go to the threads that the program knows, never to a worker; faults stay
 * deliverable, or a handler for them could not run. */
static void block_outside_signals(pthread_attr_t *attributes)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    sigset_t blocked;
    sigfillset(&blocked);
    for (size_t i = 0; i < ARRAY_LEN(faults); i++)
        sigdelset(&blocked, faults[i]);
    pthread_attr_setsigmask_np(attributes, &blocked);
}

static void start_parts(struct part *parts, unsigned threads)
{
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0)
        return;
    block_outside_signals(&attributes);
    for (unsigned i = 1; i < threads; i++)
        parts[i].started = pthread_create(&parts[i].thread, &attributes, run_part, &parts[i]) == 0;
    pthread_attr_destroy(&attributes);
}

lethe_result threads_run(unsigned threads,
                         lethe_result (*work)(void *context, unsigned worker,
                                              struct lethe_error *err),
                         void *context, struct lethe_error *err)
{
    REQUIRE(threads >= 1 && threads <= THREADS_MAX);
    struct run run = {.work = work,
                      .context = context,
                      .lock = PTHREAD_MUTEX_INITIALIZER,
                      .failed_worker = THREADS_MAX};
    struct part parts[THREADS_MAX];
    for (unsigned i = 0; i < threads; i++)
        parts[i] = (struct part){.run = &run, .worker = i};

    start_parts(parts, threads);
    for (unsigned i = 0; i < threads; i++)
        if (!parts[i].started)
            run_part(&parts[i]);
    for (unsigned i = 1; i < threads; i++)
        if (parts[i].started)
            pthread_join(parts[i].thread, NULL);
    pthread_mutex_destroy(&run.lock);
    if (run.failure != LETHE_OK && err != NULL)
        *err = run.err;
    return run.failure;
}

lethe_result thread_start(pthread_t *thread, void *(*work)(void *context), void *context,
                          struct lethe_error *err)
{
    pthread_attr_t attributes;
    int failure = pthread_attr_init(&attributes);
    if (failure == 0) {
        block_outside_signals(&attributes);
        failure = pthread_create(thread, &attributes, work, context);
        pthread_attr_destroy(&attributes);
    }
    if (failure == 0)
        return LETHE_OK;
    error_set(err, LETHE_UNAVAILABLE, "no thread can be started: %s", strerror(failure));
    error_hint(err, "look at ulimit -u, and at the pids limit of the cgroup");
    return LETHE_UNAVAILABLE;
}

void word_wait(atomic_uint *word, unsigned value)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

void word_wake(atomic_uint *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
