/* Executions: nothing is computed with weights that were not verified just before. */
#include "residency_check.h"

#include <lethe/kv.h>

#include "../mem/child.h"

#define MIB ((size_t)1 << 20)

static lethe_result begin(struct site *site, struct lethe_shard *const *shards, size_t count,
                          enum lethe_verify_mode mode, struct lethe_execution **out)
{
    site->err = (struct lethe_error){0};
    return lethe_execution_begin(site->worker, shards, count, mode, out, &site->err);
}

static struct lethe_execution *must_begin(struct site *site, struct lethe_shard *shard)
{
    struct lethe_execution *execution;
    assert_ok(begin(site, &shard, 1, LETHE_VERIFY_DEFAULT, &execution), &site->err);
    return execution;
}

/* CI-007 VP-001 */
static void shards_are_verified_and_then_computed_with(void **state)
{
    struct site *site = *state;
    struct lethe_shard *shards[] = {must_seal(site, "a", MIB + 1), must_seal(site, "b", 100)};
    struct lethe_execution *execution;
    uint8_t *expected = weights_of(MIB + 1, 1);
    assert_ok(begin(site, shards, 2, LETHE_VERIFY_FULL, &execution), &site->err);
    const void *address = lethe_execution_address(execution, shards[0]);
    assert_non_null(address);
    assert_memory_equal(address, expected, MIB + 1);
    assert_non_null(lethe_execution_address(execution, shards[1]));
    free(expected);
    lethe_execution_end(execution);
    lethe_execution_end(NULL);
    assert_recorded(1, site, "\"event\":\"seal_verified\"", "\"shard\":\"a\"", "\"mode\":\"full\"",
                    "\"count\":1");
    assert_recorded(1, site, "\"event\":\"seal_verified\"", "\"shard\":\"b\"");
    struct lethe_worker_metrics metrics;
    lethe_worker_metrics(site->worker, &metrics);
    assert_int_equal(metrics.executions, 1);
}

/* CI-007: before the first execution and before each one; not by the signature. */
static void what_was_changed_is_never_computed_with(void **state)
{
    struct site *site = *state;
    struct lethe_shard *shard = must_seal(site, "a", MIB);
    struct lethe_execution *execution;
    lethe_execution_end(must_begin(site, shard));
    flip_byte(shard, 12345);
    assert_result(LETHE_INTEGRITY, begin(site, &shard, 1, LETHE_VERIFY_FAST, &execution));
    assert_null(execution);
    assert_result(LETHE_INTEGRITY, begin(site, &shard, 1, LETHE_VERIFY_FULL, &execution));
    must_evict(site, shard); /* a failed begin holds nothing */
}

/* CI-007: every one of them, whichever was changed. */
static void the_last_of_many_is_verified_too(void **state)
{
    struct site *site = *state;
    struct lethe_shard *const shards[] = {must_seal(site, "a", 5000), must_seal(site, "b", 5000),
                                          must_seal(site, "c", 5000)};
    struct lethe_execution *execution, *again;
    assert_ok(begin(site, shards, 3, LETHE_VERIFY_FAST, &execution), &site->err);
    flip_byte(shards[2], 4999);
    assert_ok(begin(site, shards, 2, LETHE_VERIFY_FAST, &again), &site->err); /* the others */
    lethe_execution_end(again);
    assert_result(LETHE_INTEGRITY, lethe_execution_verify(execution, &site->err));
    assert_non_null(strstr(site->err.text, "'c'"));
    lethe_execution_end(execution);
}

/* CI-007 */
static void a_signature_is_not_enough(void **state)
{
    struct site *site = *state;
    struct lethe_shard *shard = must_seal(site, "a", 100);
    struct lethe_execution *execution;
    assert_result(LETHE_INVALID, begin(site, &shard, 1, LETHE_VERIFY_SIGNATURE, &execution));
    assert_null(execution);
    assert_result(LETHE_INVALID, begin(site, &shard, 1, (enum lethe_verify_mode)7, &execution));
}

static void arguments_that_make_no_execution(void **state)
{
    struct site *site = *state;
    struct lethe_execution *execution;
    struct lethe_shard *none = NULL;
    assert_result(LETHE_INVALID, begin(site, NULL, 0, LETHE_VERIFY_FAST, &execution));
    assert_result(LETHE_INVALID, begin(site, &none, 0, LETHE_VERIFY_FAST, &execution));
    assert_result(LETHE_INVALID, begin(site, &none, 1, LETHE_VERIFY_FAST, &execution));

    struct lethe_worker_options options = site_options(site);
    options.name = "w1";
    struct lethe_worker *other = must_create(site, &options);
    struct lethe_shard *theirs;
    uint8_t bytes[64] = {1};
    assert_ok(lethe_shard_seal(other, &(struct lethe_placement){.id = "a"}, bytes, sizeof bytes,
                               false, &theirs, &site->err),
              &site->err);
    assert_result(LETHE_INVALID, begin(site, &theirs, 1, LETHE_VERIFY_FAST, &execution));
    assert_ok(lethe_worker_free(other, &site->err), &site->err);
}

/* W-1: Starting, Ready, Stopped. */
static void nothing_is_executed_before_ready_or_after_stop(void **state)
{
    struct site *site = *state;
    struct lethe_worker_options options = site_options(site);
    struct lethe_shard *shard;
    struct lethe_execution *execution;
    uint8_t bytes[64] = {1};
    options.name = "w1";
    struct lethe_worker *worker = must_create(site, &options);
    assert_ok(lethe_shard_seal(worker, &(struct lethe_placement){.id = "a"}, bytes, sizeof bytes,
                               false, &shard, &site->err),
              &site->err);
    assert_result(LETHE_BUSY, lethe_execution_begin(worker, &shard, 1, LETHE_VERIFY_FAST,
                                                    &execution, &site->err));
    assert_true(lethe_result_is_retriable(LETHE_BUSY));
    assert_ok(lethe_worker_ready(worker, &site->err), &site->err);
    assert_ok(lethe_worker_ready(worker, &site->err), &site->err);
    assert_ok(lethe_execution_begin(worker, &shard, 1, LETHE_VERIFY_FAST, &execution, &site->err),
              &site->err);
    lethe_worker_stop(worker);
    assert_result(LETHE_DENIED, lethe_execution_verify(execution, &site->err));
    assert_null(lethe_execution_address(execution, shard));
    lethe_execution_end(execution);
    assert_result(LETHE_DENIED, lethe_worker_ready(worker, &site->err));
    assert_result(LETHE_DENIED, lethe_execution_begin(worker, &shard, 1, LETHE_VERIFY_FAST,
                                                      &execution, &site->err));
    assert_ok(lethe_worker_free(worker, &site->err), &site->err);
}

/* What is computed with stays, however many compute. */
static void what_is_held_is_not_evicted_or_replaced(void **state)
{
    struct site *site = *state;
    uint8_t bytes[100] = {1};
    struct lethe_shard *shard = must_seal(site, "a", 5000);
    struct lethe_execution *first = must_begin(site, shard);
    struct lethe_execution *second = must_begin(site, shard);
    for (int i = 0; i < 2; i++) {
        assert_result(LETHE_BUSY, lethe_shard_evict(shard, &site->err));
        assert_result(LETHE_BUSY,
                      lethe_shard_replace(&shard, bytes, sizeof bytes, false, &site->err));
        assert_non_null(shard);
        lethe_execution_end(i == 0 ? first : second);
    }
    must_evict(site, shard);
    assert_int_equal(used_bytes(site), 0);
    assert_int_equal(count_records(site, "vram_deallocated"), 1);
}

/* CI-007: before every token, if asked; on record as a number. */
static void verified_again_and_again(void **state)
{
    struct site *site = *state;
    struct lethe_shard *shard = must_seal(site, "a", 5000);
    struct lethe_execution *execution = must_begin(site, shard);
    for (int i = 0; i < 41; i++)
        assert_ok(lethe_execution_verify(execution, &site->err), &site->err);
    assert_int_equal(count_records(site, "seal_verified"), 1);
    lethe_execution_end(execution);
    assert_int_equal(count_records(site, "seal_verified"), 2);
    assert_recorded(1, site, "\"event\":\"seal_verified\"", "\"count\":41");
}

static void a_change_between_two_tokens_is_seen(void **state)
{
    struct site *site = *state;
    struct lethe_shard *shard = must_seal(site, "a", 5000);
    struct lethe_shard *other = must_seal(site, "b", 5000);
    struct lethe_execution *execution = must_begin(site, shard);
    struct lethe_execution *beside = must_begin(site, other);
    flip_byte(shard, 4999);
    assert_result(LETHE_INTEGRITY, lethe_execution_verify(execution, &site->err));
    assert_null(lethe_execution_address(execution, shard));
    assert_null(lethe_execution_address(beside, other)); /* the whole worker has stopped */
    assert_result(LETHE_INTEGRITY, lethe_execution_verify(beside, &site->err));
    lethe_execution_end(execution);
    lethe_execution_end(beside);
}

/* MS-001: only what the execution has verified has an address. */
static void only_verified_shards_have_an_address(void **state)
{
    struct site *site = *state;
    struct lethe_shard *shard = must_seal(site, "a", 5000);
    struct lethe_shard *other = must_seal(site, "b", 5000);
    struct lethe_execution *execution = must_begin(site, shard);
    assert_null(lethe_execution_address(execution, other));
    assert_null(lethe_execution_address(execution, NULL));
    lethe_execution_end(execution);
}

/* The same shard may be named twice, and is then held twice. */
static void one_shard_twice(void **state)
{
    struct site *site = *state;
    struct lethe_shard *shard = must_seal(site, "a", 5000);
    struct lethe_shard *const both[] = {shard, shard};
    struct lethe_execution *execution;
    assert_ok(begin(site, both, 2, LETHE_VERIFY_FAST, &execution), &site->err);
    lethe_execution_end(execution);
    must_evict(site, shard);
}

/* ---- misuse ---------------------------------------------------------------------------------- */

static void evict_twice(void *context)
{
    struct lethe_shard *shard = context;
    (void)!lethe_shard_evict(shard, NULL);
    (void)!lethe_shard_evict(shard, NULL);
}

static void end_twice(void *context)
{
    struct lethe_execution *execution = context;
    lethe_execution_end(execution);
    lethe_execution_end(execution);
}

/* MS-004: a handle that is gone is a mistake of the caller's, and ends the process rather than what
 * is counted. A sanitizer says so before we can. */
static void handles_are_freed_once(void **state)
{
    struct site *site = *state;
    if (HAS_SANITIZER) {
        print_message("skipped: a sanitizer finds it first\n");
        skip();
    }
    struct lethe_shard *shard = must_seal(site, "a", 5000);
    assert_child_dies(evict_twice, shard, SIGABRT, "alive");
    struct lethe_execution *execution = must_begin(site, shard);
    assert_child_dies(end_twice, execution, SIGABRT, "alive");
    lethe_execution_end(execution);
    must_evict(site, shard);
}

static void free_worker(void *context)
{
    (void)!lethe_worker_free(context, NULL);
}

/* A worker is the last to go: what still uses it would use memory that is not there. */
static void a_worker_is_freed_last(void **state)
{
    struct site *site = *state;
    struct lethe_shard *shard = must_seal(site, "a", 5000);
    struct lethe_execution *execution = must_begin(site, shard);
    assert_child_dies(free_worker, site->worker, SIGABRT, "broken precondition");
    lethe_execution_end(execution);

    struct lethe_state *adam;
    assert_ok(lethe_state_create(site->worker, &(struct lethe_placement){.id = "adam"}, 64, &adam,
                                 &site->err),
              &site->err);
    assert_child_dies(free_worker, site->worker, SIGABRT, "broken precondition");
    assert_ok(lethe_state_free(adam, &site->err), &site->err);

    const struct lethe_kv_options options = {
        .name = "kv", .layers = 1, .row_bytes = 64, .budget_bytes = 4096};
    struct lethe_kv_cache *cache;
    assert_ok(lethe_kv_cache_create(site->worker, &options, &cache, &site->err), &site->err);
    assert_child_dies(free_worker, site->worker, SIGABRT, "broken precondition");
    assert_ok(lethe_kv_cache_free(cache, &site->err), &site->err);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, site_setup, site_teardown)
    const struct CMUnitTest tests[] = {
        TEST(shards_are_verified_and_then_computed_with),
        TEST(what_was_changed_is_never_computed_with),
        TEST(the_last_of_many_is_verified_too),
        TEST(a_signature_is_not_enough),
        TEST(arguments_that_make_no_execution),
        TEST(nothing_is_executed_before_ready_or_after_stop),
        TEST(what_is_held_is_not_evicted_or_replaced),
        TEST(verified_again_and_again),
        TEST(a_change_between_two_tokens_is_seen),
        TEST(only_verified_shards_have_an_address),
        TEST(one_shard_twice),
        TEST(handles_are_freed_once),
        TEST(a_worker_is_freed_last),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
