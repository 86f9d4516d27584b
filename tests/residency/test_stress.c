/* Many threads at once: seals, verifications, executions, evictions, statements, scrubs, and in the
 * end a forgery that stops them all. */
#include "residency_check.h"

#include <pthread.h>

#define THREADS 6u
#define ROUNDS 60u

struct worker_thread {
    pthread_t thread;
    struct site *site;
    unsigned number;
    lethe_result unexpected; /* the first result that must not be */
    char text[512];
};

static bool take(struct worker_thread *self, lethe_result result, const struct lethe_error *err)
{
    if (result == LETHE_OK)
        return true;
    if (self->unexpected == LETHE_OK) {
        self->unexpected = result;
        snprintf(self->text, sizeof self->text, "%s", err->text);
    }
    return false;
}

static bool compute(struct worker_thread *self, struct lethe_shard *shard, uint8_t first,
                    struct lethe_error *err)
{
    struct lethe_execution *execution;
    if (!take(self,
              lethe_execution_begin(self->site->worker, &shard, 1, LETHE_VERIFY_DEFAULT, &execution,
                                    err),
              err))
        return false;
    const uint8_t *bytes = lethe_execution_address(execution, shard);
    bool is_right = bytes != NULL && bytes[0] == first;
    bool is_held = lethe_shard_evict(shard, err) == LETHE_BUSY;
    bool is_good = take(self, lethe_execution_verify(execution, err), err);
    lethe_execution_end(execution);
    if (!is_right || !is_held)
        (void)take(self, LETHE_FAILED, err);
    return is_right && is_held && is_good;
}

static bool one_round(struct worker_thread *self, unsigned round, uint8_t *bytes)
{
    struct lethe_error err = {0};
    struct lethe_shard *shard;
    char id[32];
    size_t size_bytes = 4096 + (size_t)(self->number * 1000 + round * 77);
    snprintf(id, sizeof id, "t%u-%u", self->number, round % 3);
    const struct lethe_placement placement = {.id = id};
    bytes[0] = (uint8_t)round;
    bool goes_on = take(
        self,
        lethe_shard_seal(self->site->worker, &placement, bytes, size_bytes, false, &shard, &err),
        &err);
    if (!goes_on)
        return false;
    goes_on = compute(self, shard, (uint8_t)round, &err) &&
              take(self, lethe_shard_verify(shard, LETHE_VERIFY_FULL, &err), &err);
    bytes[0] = (uint8_t)(round + 1);
    if (goes_on && round % 4 == 0)
        goes_on = take(self, lethe_shard_replace(&shard, bytes, size_bytes, false, &err), &err) &&
                  compute(self, shard, (uint8_t)(round + 1), &err);
    return take(self, lethe_shard_evict(shard, &err), &err) && goes_on;
}

static void *serve(void *context)
{
    struct worker_thread *self = context;
    uint8_t *bytes = malloc(65536);
    memset(bytes, (int)self->number, 65536);
    for (unsigned round = 0; round < ROUNDS && one_round(self, round, bytes); round++)
        ;
    free(bytes);
    return NULL;
}

/* Looks at all that the others do. */
static void *watch(void *context)
{
    struct worker_thread *self = context;
    const uint8_t nonce[32] = {0};
    for (unsigned round = 0; round < 3 * ROUNDS; round++) {
        struct lethe_error err = {0};
        struct lethe_worker_metrics metrics;
        struct lethe_capacity capacity;
        char *note = NULL;
        lethe_result result = lethe_worker_scrub(self->site->worker, &err);
        if (result != LETHE_NOT_FOUND && !take(self, result, &err))
            break;
        if (!take(self, lethe_worker_statement(self->site->worker, nonce, &note, &err), &err))
            break;
        free(note);
        lethe_worker_metrics(self->site->worker, &metrics);
        if (lethe_worker_capacity(self->site->worker, 0, &capacity) != LETHE_OK ||
            capacity.used_bytes + capacity.available_bytes > capacity.total_bytes)
            (void)take(self, LETHE_FAILED, &err);
    }
    return NULL;
}

static void start(struct worker_thread *threads, struct site *site)
{
    for (unsigned i = 0; i < THREADS; i++) {
        threads[i] = (struct worker_thread){.site = site, .number = i};
        assert_int_equal(
            pthread_create(&threads[i].thread, NULL, i == 0 ? watch : serve, &threads[i]), 0);
    }
}

static void join(struct worker_thread *threads)
{
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i].thread, NULL), 0);
}

/* RP-002 W-3: nothing is lost or counted twice. */
static void all_at_once(void **state)
{
    struct site *site = *state;
    struct worker_thread threads[THREADS];
    struct lethe_worker_metrics metrics;
    start(threads, site);
    join(threads);
    for (unsigned i = 0; i < THREADS; i++)
        if (threads[i].unexpected != LETHE_OK)
            fail_msg("thread %u: %s: %s", i, lethe_result_name(threads[i].unexpected),
                     threads[i].text);
    lethe_worker_metrics(site->worker, &metrics);
    assert_int_equal(metrics.shards, 0);
    assert_int_equal(metrics.sealed, (THREADS - 1) * (ROUNDS + ROUNDS / 4));
    assert_int_equal(metrics.evicted, metrics.sealed);
    assert_int_equal(metrics.evict_failures, 0);
    assert_int_equal(metrics.capacity.used_bytes, 0);
    assert_int_equal(metrics.executions, (THREADS - 1) * (ROUNDS + ROUNDS / 4));
}

/* W-1: a forgery in the middle of it. From the moment that it is found, no thread goes on. */
static void a_forgery_stops_all_threads(void **state)
{
    struct site *site = *state;
    struct worker_thread threads[THREADS];
    struct lethe_shard *bad = must_seal(site, "bad", 5000);
    start(threads, site);
    flip_byte(bad, 77);
    lethe_result result = lethe_shard_verify(bad, LETHE_VERIFY_FAST, &site->err);
    join(threads);
    assert_result(LETHE_INTEGRITY, result); /* found here, or by the scrub before */
    for (unsigned i = 0; i < THREADS; i++)
        assert_true(threads[i].unexpected == LETHE_INTEGRITY ||
                    threads[i].unexpected == LETHE_UNAVAILABLE || /* the device's quarantine */
                    threads[i].unexpected == LETHE_OK);           /* was done before */
    assert_int_equal(lethe_worker_state(site->worker), LETHE_WORKER_STOPPED);
    must_evict(site, bad);
    assert_int_equal(used_bytes(site), 0);
}

struct verifier {
    struct lethe_shard *shard;
    lethe_result result;
    unsigned busy;
    struct lethe_error err;
};

/* What it says then is one seal or another, never a mixture. */
static lethe_result verify_once(struct verifier *self, unsigned round)
{
    struct lethe_seal seal;
    lethe_shard_get_seal(self->shard, &seal);
    TRY(lethe_seal_check(self->shard->worker, &seal, &self->err));
    lethe_result result = lethe_shard_verify(
        self->shard, round % 2 == 0 ? LETHE_VERIFY_DEFAULT : LETHE_VERIFY_SIGNATURE, &self->err);
    self->busy += result == LETHE_BUSY;
    return result == LETHE_BUSY ? LETHE_OK : result;
}

static void *verify_many(void *context)
{
    struct verifier *self = context;
    for (unsigned i = 0; i < 200 && self->result == LETHE_OK; i++)
        self->result = verify_once(self, i);
    return NULL;
}

/* Replacing under those who verify: they get the old, the new, or LETHE_BUSY, and nothing else. */
static void replaced_while_it_is_verified(void **state)
{
    struct site *site = *state;
    struct lethe_shard *shard = must_seal(site, "a", 1 << 20);
    struct verifier others[3];
    pthread_t threads[3];
    for (unsigned i = 0; i < 3; i++) {
        others[i] = (struct verifier){.shard = shard};
        assert_int_equal(pthread_create(&threads[i], NULL, verify_many, &others[i]), 0);
    }
    for (unsigned i = 0; i < 20; i++) {
        uint8_t *bytes = weights_of(1 << 20, i);
        assert_ok(lethe_shard_replace(&shard, bytes, 1 << 20, false, &site->err), &site->err);
        free(bytes);
    }
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_result(LETHE_OK, others[i].result);
    }
    must_evict(site, shard);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, site_setup, site_teardown)
    const struct CMUnitTest tests[] = {
        TEST(all_at_once),
        TEST(a_forgery_stops_all_threads),
        TEST(replaced_while_it_is_verified),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
