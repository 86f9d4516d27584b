#include "prepared.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/thread.h"

DEFINE_CLEANUP(lethe_policy_holder_free, struct lethe_policy_holder *);

#define READERS 4u
#define REPLACEMENTS 10000u
#define RULE "data.test.allow"

/* Two policies that answer differently, so that a decision can be held against its digest. */
static const char *const texts[] = {
    "package test\nallow := {\"allowed\": true, \"reason\": \"even\"} if input.x == 1\n",
    "package test\nallow := {\"allowed\": false, \"reason\": \"odd\"} if input.x == 1\n",
};
#define INPUT "{\"x\": 1}"

static struct lethe_policy *policy_number(size_t number)
{
    return prepared(texts[number % 2], NULL, NULL);
}

static struct lethe_policy_holder *holder_of(struct lethe_policy *policy)
{
    struct lethe_error err = {0};
    struct lethe_policy_holder *holder = NULL;
    assert_ok(lethe_policy_holder_create(policy, &holder, &err), &err);
    return holder;
}

static void the_policy_in_force_is_the_last_one_given(void **state)
{
    struct lethe_decision decision;
    CLEANUP(lethe_policy_holder_free)
    struct lethe_policy_holder *holder = holder_of(policy_number(0));
    for (size_t i = 0; i < 6; i++) {
        lethe_policy_holder_decide(holder, RULE, INPUT, strlen(INPUT), &decision);
        assert_int_equal(decision.allowed, i % 2 == 0);
        assert_string_equal(decision.text, i % 2 == 0 ? "even" : "odd");
        lethe_policy_holder_replace(holder, policy_number(i + 1));
    }
    lethe_policy_holder_free(NULL);
}

struct traffic {
    struct lethe_policy_holder *holder;
    char digests[2][LETHE_POLICY_DIGEST_SIZE];
    atomic_bool stop;
    atomic_ulong decisions, mistakes;
};

/* Yields between decisions: a thread that is made to give up its CPU within one holds up whoever
 * replaces until it runs again, and there are more threads here than CPUs. */
static void *decide_all_the_time(void *context)
{
    struct traffic *traffic = context;
    while (!atomic_load(&traffic->stop)) {
        struct lethe_decision decision;
        lethe_policy_holder_decide(traffic->holder, RULE, INPUT, strlen(INPUT), &decision);
        bool even = strcmp(decision.text, "even") == 0;
        bool right = decision.allowed == even && (even || strcmp(decision.text, "odd") == 0) &&
                     strcmp(decision.policy_digest, traffic->digests[even ? 0 : 1]) == 0;
        atomic_fetch_add(&traffic->mistakes, !right);
        atomic_fetch_add(&traffic->decisions, 1);
        sched_yield();
    }
    return NULL;
}

static void note_digest(struct traffic *traffic, size_t number)
{
    CLEANUP(lethe_policy_free) struct lethe_policy *policy = policy_number(number);
    snprintf(traffic->digests[number], sizeof(traffic->digests[number]), "%s",
             lethe_policy_digest(policy));
}

/* What was replaced is freed and wiped at once: a decision that still used it would come out
 * wrong, and sanitizers would see it. */
static void decisions_go_on_while_policies_are_replaced(void **state)
{
    struct traffic traffic = {.holder = holder_of(policy_number(0))};
    pthread_t readers[READERS];
    struct lethe_error err = {0};
    note_digest(&traffic, 0);
    note_digest(&traffic, 1);
    for (size_t i = 0; i < READERS; i++)
        assert_ok(thread_start(&readers[i], decide_all_the_time, &traffic, &err), &err);
    for (size_t i = 1; i <= REPLACEMENTS; i++)
        lethe_policy_holder_replace(traffic.holder, policy_number(i));
    unsigned long before = atomic_load(&traffic.decisions);
    while (atomic_load(&traffic.decisions) == before) /* they do not hang afterwards either */
        sched_yield();
    atomic_store(&traffic.stop, true);
    for (size_t i = 0; i < READERS; i++)
        assert_int_equal(pthread_join(readers[i], NULL), 0);
    print_message("%lu decisions during %u replacements\n", atomic_load(&traffic.decisions),
                  REPLACEMENTS);
    assert_true(atomic_load(&traffic.mistakes) == 0);
    lethe_policy_holder_free(traffic.holder);
}

struct writer {
    struct lethe_policy_holder *holder;
    size_t number;
};

static void *replace_many_times(void *context)
{
    const struct writer *writer = context;
    for (size_t i = 0; i < 200; i++)
        lethe_policy_holder_replace(writer->holder, policy_number(writer->number));
    return NULL;
}

static void writers_take_turns(void **state)
{
    CLEANUP(lethe_policy_holder_free)
    struct lethe_policy_holder *holder = holder_of(policy_number(0));
    struct writer writers[] = {{holder, 0}, {holder, 1}};
    pthread_t threads[ARRAY_LEN(writers)];
    struct lethe_error err = {0};
    struct lethe_decision decision;
    for (size_t i = 0; i < ARRAY_LEN(writers); i++)
        assert_ok(thread_start(&threads[i], replace_many_times, &writers[i], &err), &err);
    for (size_t i = 0; i < ARRAY_LEN(writers); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    lethe_policy_holder_decide(holder, RULE, INPUT, strlen(INPUT), &decision);
    assert_true(strcmp(decision.text, "even") == 0 || strcmp(decision.text, "odd") == 0);
}

/* ---- held up on the way in ------------------------------------------------------------------- */

/* Where a thread waits until it is let on, when the gate is shut. */
struct gate {
    atomic_bool shut, reached;
};
static struct gate before_entering, while_deciding, while_deciding_later;
static _Thread_local struct gate *held_at = &while_deciding; /* each thread of a test at its own */

static void pass(struct gate *gate)
{
    while (atomic_load(&gate->shut)) {
        atomic_store(&gate->reached, true);
        sched_yield();
    }
}

static void wait_for_somebody_at(struct gate *gate)
{
    while (!atomic_load(&gate->reached))
        sched_yield();
}

/* The holder asks for the CPU after it has taken its phase and before it counts itself in. */
int __real_sched_getcpu(void);
int __wrap_sched_getcpu(void);
int __wrap_sched_getcpu(void)
{
    pass(&before_entering);
    return __real_sched_getcpu();
}

void __real_lethe_policy_decide(const struct lethe_policy *policy, const char *rule,
                                const char *input, size_t input_size_bytes,
                                struct lethe_decision *out);
void __wrap_lethe_policy_decide(const struct lethe_policy *policy, const char *rule,
                                const char *input, size_t input_size_bytes,
                                struct lethe_decision *out);
void __wrap_lethe_policy_decide(const struct lethe_policy *policy, const char *rule,
                                const char *input, size_t input_size_bytes,
                                struct lethe_decision *out)
{
    pass(held_at);
    __real_lethe_policy_decide(policy, rule, input, input_size_bytes, out);
}

struct late {
    struct lethe_policy_holder *holder;
    struct lethe_decision decision;
    atomic_bool replaced;
};

static void *decide_late(void *context)
{
    struct late *late = context;
    lethe_policy_holder_decide(late->holder, RULE, INPUT, strlen(INPUT), &late->decision);
    return NULL;
}

static void *replace_late(void *context)
{
    struct late *late = context;
    lethe_policy_holder_replace(late->holder, policy_number(0));
    atomic_store(&late->replaced, true);
    return NULL;
}

/* The writer does not return, nor is the old policy freed, before the reader is done with it. */
static void assert_waited_for(struct late *late, pthread_t reader)
{
    struct lethe_error err = {0};
    pthread_t writer;
    wait_for_somebody_at(&while_deciding);
    assert_ok(thread_start(&writer, replace_late, late, &err), &err);
    usleep(100000);
    bool too_early = atomic_load(&late->replaced);
    atomic_store(&while_deciding.shut, false);
    assert_int_equal(pthread_join(reader, NULL), 0);
    assert_int_equal(pthread_join(writer, NULL), 0);
    atomic_store(&while_deciding.reached, false);
    assert_false(too_early);
}

/* In either phase. */
static void who_decides_is_waited_for(void **state)
{
    for (unsigned phase = 0; phase < 2; phase++) {
        struct late late = {.holder = holder_of(policy_number(0))};
        struct lethe_error err = {0};
        pthread_t reader;
        for (unsigned i = 0; i < phase; i++)
            lethe_policy_holder_replace(late.holder, policy_number(0));
        atomic_store(&while_deciding.shut, true);
        assert_ok(thread_start(&reader, decide_late, &late, &err), &err);
        assert_waited_for(&late, reader);
        assert_string_equal(late.decision.text, "even");
        lethe_policy_holder_free(late.holder);
    }
}

static void *decide_later(void *context)
{
    struct late *late = context;
    held_at = &while_deciding_later;
    lethe_policy_holder_decide(late->holder, RULE, INPUT, strlen(INPUT), &late->decision);
    return NULL;
}

/* Readers that come while a writer waits could otherwise keep it waiting for ever. */
static void who_comes_while_a_writer_waits_is_not_waited_for(void **state)
{
    struct late late = {.holder = holder_of(policy_number(0))}, later = late;
    struct lethe_error err = {0};
    pthread_t reader, next_reader, writer;
    atomic_store(&while_deciding.shut, true);
    atomic_store(&while_deciding_later.shut, true);
    assert_ok(thread_start(&reader, decide_late, &late, &err), &err);
    wait_for_somebody_at(&while_deciding);
    assert_ok(thread_start(&writer, replace_late, &late, &err), &err);
    usleep(100000); /* it waits for the reader */
    assert_ok(thread_start(&next_reader, decide_later, &later, &err), &err);
    wait_for_somebody_at(&while_deciding_later);
    atomic_store(&while_deciding.shut, false);
    for (unsigned i = 0; i < 100 && !atomic_load(&late.replaced); i++)
        usleep(100000);
    bool replaced = atomic_load(&late.replaced);
    atomic_store(&while_deciding_later.shut, false);
    assert_int_equal(pthread_join(reader, NULL), 0);
    assert_int_equal(pthread_join(next_reader, NULL), 0);
    assert_int_equal(pthread_join(writer, NULL), 0);
    atomic_store(&while_deciding.reached, false);
    assert_true(replaced);
    lethe_policy_holder_free(late.holder);
}

/* It counts itself into a phase that is over by then, and is waited for all the same. */
static void who_was_held_up_on_the_way_in_is_waited_for(void **state)
{
    struct late late = {.holder = holder_of(policy_number(0))};
    struct lethe_error err = {0};
    pthread_t reader;
    atomic_store(&before_entering.shut, true);
    atomic_store(&while_deciding.shut, true);
    assert_ok(thread_start(&reader, decide_late, &late, &err), &err);
    wait_for_somebody_at(&before_entering);
    lethe_policy_holder_replace(late.holder, policy_number(1));
    atomic_store(&before_entering.shut, false);
    assert_waited_for(&late, reader);
    assert_string_equal(late.decision.text, "odd");
    lethe_policy_holder_free(late.holder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_policy_in_force_is_the_last_one_given),
        cmocka_unit_test(decisions_go_on_while_policies_are_replaced),
        cmocka_unit_test(writers_take_turns),
        cmocka_unit_test(who_decides_is_waited_for),
        cmocka_unit_test(who_comes_while_a_writer_waits_is_not_waited_for),
        cmocka_unit_test(who_was_held_up_on_the_way_in_is_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
