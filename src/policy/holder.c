#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/error.h"
#include "policy/policy.h"

/* Who decides counts itself in while it uses a policy: in one of two phases, and, so that CPUs do
 * not fight for a cache line, in the cell of its CPU. Who replaces swaps the policy first and then
 * waits until each cell was seen empty once. Everything here is sequentially consistent, so a
 * reader that such a look did not see counted itself in after the swap, and has the new policy.
 *
 * Two phases, because readers that come all the time could keep one cell from ever being empty:
 * the phase that nobody enters any more is waited for, then new readers are sent there, then the
 * other one is waited for. A reader that took its phase just before it changed may still enter the
 * old one; it is at most one for each thread. */
#define CELLS 64u /* a power of two */
#define CACHE_LINE_BYTES 64
#define LOOKS_WITHOUT_SLEEP 100
#define SLEEP_NS 50000

struct cell {
    _Alignas(CACHE_LINE_BYTES) atomic_uint readers[2];
};

struct lethe_policy_holder {
    struct cell cells[CELLS];
    _Alignas(CACHE_LINE_BYTES) _Atomic(struct lethe_policy *) policy;
    atomic_uint phase;
    pthread_mutex_t replacing; /* one at a time; never taken to decide */
};

/* ---- deciding ---- */

static atomic_uint *enter(struct lethe_policy_holder *holder)
{
    unsigned phase = atomic_load(&holder->phase);
    int cpu = sched_getcpu();
    atomic_uint *readers = &holder->cells[(cpu < 0 ? 0u : (unsigned)cpu) % CELLS].readers[phase];
    atomic_fetch_add(readers, 1);
    return readers;
}

void lethe_policy_holder_decide(struct lethe_policy_holder *holder, const char *rule,
                                const char *input, size_t input_size_bytes,
                                struct lethe_decision *out)
{
    atomic_uint *readers = enter(holder);
    lethe_policy_decide(atomic_load(&holder->policy), rule, input, input_size_bytes, out);
    atomic_fetch_sub(readers, 1);
}

/* ---- replacing ---- */

static void wait_until_empty(atomic_uint *readers)
{
    const struct timespec pause = {.tv_nsec = SLEEP_NS};
    for (unsigned looks = 0; atomic_load(readers) != 0; looks++) {
        if (looks < LOOKS_WITHOUT_SLEEP)
            sched_yield();
        else
            nanosleep(&pause, NULL);
    }
}

static void wait_for_phase(struct lethe_policy_holder *holder, unsigned phase)
{
    for (size_t i = 0; i < CELLS; i++)
        wait_until_empty(&holder->cells[i].readers[phase]);
}

void lethe_policy_holder_replace(struct lethe_policy_holder *holder, struct lethe_policy *policy)
{
    REQUIRE(policy != NULL);
    REQUIRE(pthread_mutex_lock(&holder->replacing) == 0);
    struct lethe_policy *old = atomic_exchange(&holder->policy, policy);
    unsigned phase = atomic_load(&holder->phase);
    wait_for_phase(holder, phase ^ 1);
    atomic_store(&holder->phase, phase ^ 1);
    wait_for_phase(holder, phase);
    REQUIRE(pthread_mutex_unlock(&holder->replacing) == 0);
    lethe_policy_free(old);
}

/* ---- making ---- */

lethe_result lethe_policy_holder_create(struct lethe_policy *policy,
                                        struct lethe_policy_holder **out, struct lethe_error *err)
{
    *out = NULL;
    REQUIRE(policy != NULL);
    struct lethe_policy_holder *holder = aligned_alloc(CACHE_LINE_BYTES, sizeof *holder);
    if (holder == NULL) {
        lethe_policy_free(policy);
        return error_set(err, LETHE_NO_MEMORY, "no memory for a place for the policy");
    }
    for (size_t i = 0; i < CELLS; i++) {
        atomic_init(&holder->cells[i].readers[0], 0);
        atomic_init(&holder->cells[i].readers[1], 0);
    }
    atomic_init(&holder->policy, policy);
    atomic_init(&holder->phase, 0);
    REQUIRE(pthread_mutex_init(&holder->replacing, NULL) == 0);
    *out = holder;
    return LETHE_OK;
}

void lethe_policy_holder_free(struct lethe_policy_holder *holder)
{
    if (holder == NULL)
        return;
    lethe_policy_free(atomic_load(&holder->policy));
    pthread_mutex_destroy(&holder->replacing);
    free(holder);
}
