/* The expert cache: what is held or pinned stays, and what cannot be is refused. */
#include "expert_check.h"

#include <pthread.h>

/* ---- holding --------------------------------------------------------------------------------- */

static void an_expert_is_what_was_encrypted(void **state)
{
    struct setup *s = *state;
    open_cache(s, 4, SEED);
    struct lethe_shard *shard = must_acquire(s, 3);
    struct lethe_execution *execution;
    assert_ok(lethe_execution_begin(s->worker, &shard, 1, LETHE_VERIFY_FULL, &execution, &s->err),
              &s->err);
    uint8_t *expected = pattern(EXPERT_BYTES, pattern_of(3));
    assert_memory_equal(lethe_execution_address(execution, shard), expected, EXPERT_BYTES);
    free(expected);
    lethe_execution_end(execution);
    lethe_expert_release(s->cache, 3);
}

static void what_is_there_is_not_loaded_again(void **state)
{
    struct setup *s = *state;
    open_cache(s, 4, SEED);
    touch(s, 0);
    touch(s, 0);
    touch(s, 1);
    struct lethe_expert_cache_counters now = counters(s);
    assert_int_equal(now.accesses, 3);
    assert_int_equal(now.hits, 1);
    assert_int_equal(now.misses, 2);
    assert_int_equal(now.resident, 2);
    assert_int_equal(now.resident_bytes, 2 * EXPERT_BYTES);
    assert_int_equal(s->files->keys->unwrapped, 2);
}

/* RP-001, RP-004, W-2 */
static void what_is_held_is_not_evicted(void **state)
{
    struct setup *s = *state;
    struct lethe_shard *shard;
    struct lethe_error err = {0};
    open_cache(s, 2, SEED);
    (void)must_acquire(s, 0);
    (void)must_acquire(s, 1);
    lethe_result result = lethe_expert_acquire(s->cache, 2, &shard, &err);
    assert_result(LETHE_NO_MEMORY, result);
    assert_true(lethe_result_is_retriable(result));
    assert_null(shard);
    assert_non_null(strstr(err.text, "98304 bytes are needed, 0 of 196608 are available"));
    assert_true(is_resident(s, 0) && is_resident(s, 1));
    lethe_expert_release(s->cache, 0);
    touch(s, 2);
    assert_false(is_resident(s, 0));
    lethe_expert_release(s->cache, 1);
}

/* Nobody goes for one who then has no room all the same. */
static void nobody_is_evicted_in_vain(void **state)
{
    struct setup *s = *state;
    struct lethe_shard *shard;
    open_cache(s, 4, SEED);
    touch(s, 0);
    (void)must_acquire(s, 1);
    (void)must_acquire(s, 2);
    assert_result(LETHE_NO_MEMORY, lethe_expert_acquire(s->cache, EXPERTS - 1, &shard, NULL));
    assert_true(is_resident(s, 0));
    assert_int_equal(counters(s).evictions, 0);
    lethe_expert_release(s->cache, 1);
    lethe_expert_release(s->cache, 2);
}

static void a_pin_keeps_an_expert_and_nests(void **state)
{
    struct setup *s = *state;
    open_cache(s, 2, SEED);
    touch(s, 0);
    assert_ok(lethe_expert_pin(s->cache, 0, &s->err), &s->err);
    assert_ok(lethe_expert_pin(s->cache, 0, &s->err), &s->err);
    for (size_t i = 1; i < 6; i++) {
        touch(s, i);
        touch(s, i); /* by score, expert 0 would go */
    }
    assert_ok(lethe_expert_unpin(s->cache, 0, &s->err), &s->err);
    touch(s, 6);
    assert_true(is_resident(s, 0));
    assert_ok(lethe_expert_unpin(s->cache, 0, &s->err), &s->err);
    touch(s, 5);
    touch(s, 7);
    assert_false(is_resident(s, 0));
    assert_result(LETHE_NOT_FOUND, lethe_expert_unpin(s->cache, 0, NULL));
    assert_result(LETHE_NOT_FOUND, lethe_expert_pin(s->cache, 0, NULL));
}

/* Its user tries to evict what the cache holds. */
static void a_borrowed_expert_cannot_be_evicted_behind_the_cache(void **state)
{
    struct setup *s = *state;
    open_cache(s, 2, SEED);
    struct lethe_shard *shard = must_acquire(s, 0);
    assert_result(LETHE_BUSY, lethe_shard_evict(shard, NULL));
    assert_result(LETHE_BUSY, lethe_expert_cache_free(s->cache, NULL));
    lethe_expert_release(s->cache, 0);
    assert_true(is_resident(s, 0));
}

/* An execution keeps an expert when the cache's user has released it already. Who would need its
 * room comes later, and nothing is lost or counted twice. */
static void an_expert_in_an_execution_stays(void **state)
{
    struct setup *s = *state;
    open_cache(s, 1, SEED);
    struct lethe_shard *shard = must_acquire(s, 0), *other;
    struct lethe_execution *execution;
    assert_ok(
        lethe_execution_begin(s->worker, &shard, 1, LETHE_VERIFY_DEFAULT, &execution, &s->err),
        &s->err);
    lethe_expert_release(s->cache, 0);
    assert_result(LETHE_BUSY, lethe_expert_acquire(s->cache, 1, &other, &s->err));
    assert_null(other);
    assert_result(LETHE_BUSY, lethe_expert_cache_free(s->cache, &s->err));
    assert_int_equal(counters(s).resident, 1);
    assert_int_equal(counters(s).evictions, 0);
    assert_ok(lethe_execution_verify(execution, &s->err), &s->err);
    lethe_execution_end(execution);
    touch(s, 1);
    assert_false(is_resident(s, 0));
    touch(s, 0);
}

/* ---- refusals -------------------------------------------------------------------------------- */

/* RP-003, RP-004 */
static void what_cannot_be_is_refused(void **state)
{
    struct setup *s = *state;
    struct lethe_shard *shard;
    struct lethe_expert_cache *cache;
    open_cache(s, 2, SEED);
    assert_result(LETHE_LIMIT, lethe_expert_acquire(s->cache, EXPERTS - 1, &shard, NULL));
    assert_result(LETHE_INVALID, lethe_expert_acquire(s->cache, EXPERTS, &shard, NULL));
    assert_result(LETHE_INVALID, lethe_expert_pin(s->cache, EXPERTS, NULL));
    assert_result(LETHE_INVALID, lethe_expert_unpin(s->cache, EXPERTS, NULL));
    assert_result(LETHE_INVALID, lethe_expert_prefetch(s->cache, SIZE_MAX, NULL, NULL));
    const struct lethe_expert_cache_options bad[] = {
        {.name = NULL, .budget_bytes = 1},
        {.name = "", .budget_bytes = 1},
        {.name = "a/b", .budget_bytes = 1},
        {.name = "c", .budget_bytes = 0},
        {.name = "c", .budget_bytes = 1, .device = 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_result(LETHE_INVALID,
                      lethe_expert_cache_create(s->worker, &s->handle, &bad[i], &cache, NULL));
        assert_null(cache);
    }
    const struct lethe_expert_cache_options good = {.name = "c", .budget_bytes = 1};
    assert_result(LETHE_INVALID, lethe_expert_cache_create(s->worker, NULL, &good, &cache, NULL));
}

/* W-1 */
static void a_stopped_worker_gets_no_expert_cache(void **state)
{
    struct setup *s = *state;
    const struct lethe_expert_cache_options options = {.name = "c", .budget_bytes = 1};
    lethe_worker_stop(s->worker);
    assert_result(LETHE_DENIED,
                  lethe_expert_cache_create(s->worker, &s->handle, &options, &s->cache, &s->err));
    assert_null(s->cache);
}

/* A changed expert is refused at loading, and nothing of it stays. */
static void a_changed_expert_is_refused(void **state)
{
    struct setup *s = *state;
    struct lethe_shard *shard;
    open_cache(s, 4, SEED);
    char name[64];
    snprintf(name, sizeof name, "experts.lethe/%s",
             model_manifest(s->handle.model)->shards[2].file);
    int fd = open(AT(s->files, name), O_RDWR | O_CLOEXEC);
    uint8_t byte;
    assert_int_equal(pread(fd, &byte, 1, 5000), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, 5000), 1);
    close(fd);
    assert_result(LETHE_INTEGRITY, lethe_expert_acquire(s->cache, 2, &shard, NULL));
    assert_false(is_resident(s, 2));
    assert_int_equal(counters(s).resident_bytes, 0);
    touch(s, 3); /* the worker was not deceived, and goes on */
}

/* ---- threads --------------------------------------------------------------------------------- */

/* What others do meanwhile. */
static void prefetch_or_pin(struct setup *s, size_t index, unsigned step)
{
    if (step % 3 == 0)
        REQUIRE(lethe_expert_prefetch(s->cache, index, NULL, NULL) == LETHE_OK);
    else if (step % 3 == 1 && lethe_expert_pin(s->cache, index, NULL) == LETHE_OK)
        REQUIRE(lethe_expert_unpin(s->cache, index, NULL) == LETHE_OK);
}

static void *use_experts(void *context)
{
    struct setup *s = context;
    uint64_t draw = (uintptr_t)pthread_self();
    for (unsigned step = 0; step < 60; step++) {
        draw = draw * UINT64_C(6364136223846793005) + 1442695040888963407u;
        size_t index = (size_t)(draw >> 33) % (EXPERTS - 1);
        struct lethe_shard *shard;
        struct lethe_execution *execution;
        prefetch_or_pin(s, index, step);
        lethe_result result = lethe_expert_acquire(s->cache, index, &shard, NULL);
        if (result == LETHE_NO_MEMORY)
            continue;
        REQUIRE(result == LETHE_OK);
        REQUIRE(lethe_execution_begin(s->worker, &shard, 1, LETHE_VERIFY_FAST, &execution, NULL) ==
                LETHE_OK);
        uint64_t first, expected = pattern_of(index) * 0x9e3779b97f4a7c15;
        memcpy(&first, lethe_execution_address(execution, shard), sizeof first);
        expected ^= expected >> 29;
        REQUIRE(first == expected);
        lethe_execution_end(execution);
        lethe_expert_release(s->cache, index);
    }
    return NULL;
}

static void threads_share_a_cache(void **state)
{
    struct setup *s = *state;
    pthread_t threads[4];
    open_cache(s, 5, SEED);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_experts, s), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    struct lethe_expert_cache_counters now = counters(s);
    assert_int_equal(now.accesses, 4 * 60);
    assert_int_equal(now.hits + now.misses, now.accesses);
    assert_true(now.resident_bytes <= 5 * EXPERT_BYTES);
}

int main(void)
{
    if (crypto_start(NULL) != LETHE_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        expert_test(an_expert_is_what_was_encrypted),
        expert_test(what_is_there_is_not_loaded_again),
        expert_test(what_is_held_is_not_evicted),
        expert_test(nobody_is_evicted_in_vain),
        expert_test(a_pin_keeps_an_expert_and_nests),
        expert_test(a_borrowed_expert_cannot_be_evicted_behind_the_cache),
        expert_test(what_cannot_be_is_refused),
        expert_test(a_stopped_worker_gets_no_expert_cache),
        expert_test(an_expert_in_an_execution_stays),
        expert_test(a_changed_expert_is_refused),
        expert_test(threads_share_a_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
