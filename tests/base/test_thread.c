#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>

#include "base/error.h"
#include "base/thread.h"
#include "check_child.h"

struct shared {
    atomic_uint calls[THREADS_MAX];
    uint64_t failing; /* bit i: worker i fails */
    pthread_t caller;
    atomic_bool caller_ran_worker_0;
    atomic_uint on_caller;
};

static lethe_result work(void *context, unsigned worker, struct lethe_error *err)
{
    struct shared *shared = context;
    atomic_fetch_add(&shared->calls[worker], 1);
    if (pthread_equal(pthread_self(), shared->caller)) {
        atomic_fetch_add(&shared->on_caller, 1);
        if (worker == 0)
            atomic_store(&shared->caller_ran_worker_0, true);
    }
    if (shared->failing >> worker & 1)
        return error_set(err, LETHE_IO, "worker %u", worker);
    return LETHE_OK;
}

static bool each_ran_once(const struct shared *shared, unsigned threads)
{
    for (unsigned i = 0; i < THREADS_MAX; i++)
        if (shared->calls[i] != (i < threads ? 1 : 0))
            return false;
    return true;
}

static void every_worker_runs_once(void **state)
{
    static const unsigned counts[] = {1, 2, 7, THREADS_MAX};
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        struct shared shared = {.caller = pthread_self()};
        struct lethe_error err = {0};
        assert_ok(threads_run(counts[i], work, &shared, &err), &err);
        assert_true(each_ran_once(&shared, counts[i]));
        assert_true(shared.caller_ran_worker_0);
    }
}

static void the_lowest_failure_is_the_one_reported(void **state)
{
    for (int round = 0; round < 100; round++) {
        struct shared shared = {.caller = pthread_self(), .failing = 1u << 9 | 1u << 4 | 1u << 15};
        struct lethe_error err = {0};
        assert_result(LETHE_IO, threads_run(16, work, &shared, &err));
        assert_string_equal(err.text, "worker 4");
        assert_true(each_ran_once(&shared, 16));
    }
    struct shared shared = {.failing = 1};
    assert_result(LETHE_IO, threads_run(1, work, &shared, NULL));
}

static lethe_result look_at_signals(void *context, unsigned worker, struct lethe_error *err)
{
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    bool outside = sigismember(&blocked, SIGTERM) == 1 && sigismember(&blocked, SIGINT) == 1;
    bool faults = sigismember(&blocked, SIGSEGV) == 1 || sigismember(&blocked, SIGBUS) == 1;
    if (worker == 0)
        return !outside ? LETHE_OK : LETHE_FAILED;
    return outside && !faults ? LETHE_OK : LETHE_FAILED;
}

static void signals_go_to_the_caller(void **state)
{
    assert_result(LETHE_OK, threads_run(4, look_at_signals, NULL, NULL));
}

/* As an ordinary user who may have no further thread. */
static void run_without_threads(void *context)
{
    if (geteuid() == 0)
        CHILD_REQUIRE(setuid(65534) == 0);
    struct rlimit none = {1, 1};
    CHILD_REQUIRE(setrlimit(RLIMIT_NPROC, &none) == 0);
    struct shared shared = {.caller = pthread_self(), .failing = 1u << 3};
    struct lethe_error err = {0};
    CHILD_REQUIRE(threads_run(8, work, &shared, &err) == LETHE_IO);
    CHILD_REQUIRE(strcmp(err.text, "worker 3") == 0);
    CHILD_REQUIRE(each_ran_once(&shared, 8));
    /* The control: unless threads really failed to start, this proves nothing. */
    CHILD_REQUIRE(shared.on_caller == 8);
}

static void threads_that_cannot_start_are_made_up_for(void **state)
{
    assert_exited(0, child_status(run_without_threads, NULL));
}

static void keep_one_cpu(void *context)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    CHILD_REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
    CHILD_REQUIRE(threads_available() == 1);
}

static void only_cpus_we_may_use_count(void **state)
{
    assert_in_range(threads_available(), 1, THREADS_MAX);
    assert_exited(0, child_status(keep_one_cpu, NULL));
}

static void run_none(void *context)
{
    if (threads_run(0, work, context, NULL) == LETHE_OK)
        _exit(0);
}

static void no_thread_at_all_is_our_own_mistake(void **state)
{
    assert_killed_by(SIGABRT, child_status(run_none, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_worker_runs_once),
        cmocka_unit_test(the_lowest_failure_is_the_one_reported),
        cmocka_unit_test(signals_go_to_the_caller),
        cmocka_unit_test(threads_that_cannot_start_are_made_up_for),
        cmocka_unit_test(only_cpus_we_may_use_count),
        cmocka_unit_test(no_thread_at_all_is_our_own_mistake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
