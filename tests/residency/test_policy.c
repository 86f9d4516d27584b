/* Workers: where weights may be, how much of it, and what a worker is asked for. */
#include "residency_check.h"

#define MIB ((size_t)1 << 20)

static lethe_result create(struct site *site, const struct lethe_worker_options *options)
{
    struct lethe_worker *worker = NULL;
    site->err = (struct lethe_error){0};
    lethe_result result = lethe_worker_create(options, &worker, &site->err);
    if (result == LETHE_OK)
        result = lethe_worker_free(worker, &site->err);
    else
        assert_null(worker);
    return result;
}

/* ---- policy ---------------------------------------------------------------------------------- */

/* VP-005 VP-003: refused, fatal, and durably on record when the call returns. */
static void device_only_refuses_host_memory(void **state)
{
    struct site *site = *state;
    static const struct lethe_worker_device host = {.kind = LETHE_DEVICE_HOST};
    struct lethe_worker_options options = site_options(site);
    options.policy = LETHE_DEVICE_ONLY;
    options.devices = &host;
    options.device_count = 1;
    assert_result(LETHE_DENIED, create(site, &options));
    assert_false(lethe_result_is_retriable(LETHE_DENIED));
    struct buffer text = site_log_on_disk(site);
    const char *const violation[] = {"\"event\":\"policy_violation\"",
                                     "\"policy\":\"device-only\"",
                                     "\"severity\":\"critical\"",
                                     "\"level\":\"critical\"",
                                     "\"worker\":\"w0\"",
                                     "\"action_taken\":\"refused\"",
                                     NULL};
    assert_int_equal(count_lines(&text, violation), 1);
    buffer_clear(&text);

    atomic_store(&site->log_fails, true); /* refused all the same */
    assert_result(LETHE_DENIED, create(site, &options));
    assert_non_null(strstr(site->err.hint, "not on record"));
    atomic_store(&site->log_fails, false);
    options.log = NULL;
    assert_result(LETHE_DENIED, create(site, &options));
}

/* VP-005: named among others, too. Nothing falls back to the host. */
static void device_only_never_falls_back_to_the_host(void **state)
{
    struct site *site = *state;
    const char *why;
    struct lethe_worker_options options = site_options(site);
    options.policy = LETHE_DEVICE_ONLY;
    if (lethe_device_count(LETHE_DEVICE_CUDA, &why) > 0) {
        print_message("skipped: there is a CUDA device\n");
        skip();
    }
    assert_result(LETHE_UNAVAILABLE, create(site, &options));
    assert_non_null(strstr(site->err.text, why));
    assert_non_null(strstr(site->err.hint, "LETHE_HOST_ALLOWED"));
}

/* ---- options --------------------------------------------------------------------------------- */

static lethe_result create_named(struct site *site, const char *name)
{
    struct lethe_worker_options options = site_options(site);
    options.name = name;
    return create(site, &options);
}

static void options_that_make_no_worker(void **state)
{
    struct site *site = *state;
    static const struct lethe_worker_device host = {.kind = LETHE_DEVICE_HOST};
    static const struct lethe_worker_device twice[] = {{.kind = LETHE_DEVICE_HOST},
                                                       {.kind = LETHE_DEVICE_HOST}};
    assert_result(LETHE_INVALID, create_named(site, NULL));
    assert_result(LETHE_INVALID, create_named(site, ""));
    assert_result(LETHE_INVALID, create_named(site, "a b"));
    assert_result(LETHE_INVALID, create_named(site, "a\nb"));
    char name[66];
    memset(name, 'a', sizeof name);
    name[65] = '\0';
    assert_result(LETHE_INVALID, create_named(site, name));
    name[64] = '\0';
    assert_result(LETHE_OK, create_named(site, name));

    const struct lethe_worker_options good = site_options(site);
    struct lethe_worker_options options = good;
    options.policy = (enum lethe_residency_policy)9;
    assert_result(LETHE_INVALID, create(site, &options));
    options = good;
    options.profile = (enum lethe_seal_profile)9;
    assert_result(LETHE_INVALID, create(site, &options));
    options = good;
    options.devices = &host;
    assert_result(LETHE_INVALID, create(site, &options));
    options.devices = NULL;
    options.device_count = 1;
    assert_result(LETHE_INVALID, create(site, &options));
    options.devices = twice;
    options.device_count = 2;
    assert_result(LETHE_INVALID, create(site, &options));
    options.device_count = 65;
    assert_result(LETHE_INVALID, create(site, &options));
}

/* IV-002: against the devices that are really there. */
static void devices_that_are_not_there(void **state)
{
    struct site *site = *state;
    const struct lethe_worker_device devices[] = {
        {.kind = LETHE_DEVICE_HOST, .index = 1},
        {.kind = LETHE_DEVICE_HOST, .index = SIZE_MAX},
        {.kind = (enum lethe_device_kind)7},
        {.kind = LETHE_DEVICE_HOST, .limit_bytes = UINT64_MAX},
    };
    struct lethe_worker_options options = site_options(site);
    options.device_count = 1;
    for (size_t i = 0; i < ARRAY_LEN(devices); i++) {
        options.devices = &devices[i];
        assert_result(LETHE_INVALID, create(site, &options));
    }
}

/* RP-003: what could not be made leaves no limit behind. */
static void a_worker_that_is_refused_limits_nobody(void **state)
{
    struct site *site = *state;
    struct lethe_capacity before, after;
    static const struct lethe_worker_device twice[] = {
        {.kind = LETHE_DEVICE_HOST, .limit_bytes = 4096}, {.kind = LETHE_DEVICE_HOST}};
    struct lethe_worker_options options = site_options(site);
    assert_result(LETHE_OK, lethe_worker_capacity(site->worker, 0, &before));
    options.devices = twice;
    options.device_count = 2;
    assert_result(LETHE_INVALID, create(site, &options));
    assert_result(LETHE_OK, lethe_worker_capacity(site->worker, 0, &after));
    assert_int_equal(after.total_bytes, before.total_bytes);
}

/* CI-005 */
static void tokens_that_are_too_short(void **state)
{
    struct site *site = *state;
    uint8_t bytes[16] = {1};
    struct lethe_worker_options options = site_options(site);
    struct lethe_secret *short_token = secret_of(bytes, 15);
    struct lethe_secret *token = secret_of(bytes, 16);
    options.token = short_token;
    assert_result(LETHE_INVALID, create(site, &options));
    options.token = token;
    assert_result(LETHE_OK, create(site, &options));
    options.hardware_id = "gpu";
    assert_result(LETHE_INVALID, create(site, &options));
    options.hardware_id_bytes = 3;
    assert_result(LETHE_OK, create(site, &options));
    options.hardware_id = NULL;
    assert_result(LETHE_INVALID, create(site, &options));
    options.hardware_id = "gpu";
    options.token = NULL;
    assert_result(LETHE_INVALID, create(site, &options));
    assert_memory_equal(lethe_secret_bytes(token), bytes, 16); /* only read */
    lethe_secret_free(short_token);
    lethe_secret_free(token);
}

/* ---- how much -------------------------------------------------------------------------------- */

static lethe_result seal_of_size(struct site *site, struct lethe_worker *worker, const char *id,
                                 size_t size_bytes, struct lethe_shard **out)
{
    uint8_t *bytes = weights_of(size_bytes, 1);
    site->err = (struct lethe_error){0};
    lethe_result result = lethe_shard_seal(worker, &(struct lethe_placement){.id = id}, bytes,
                                           size_bytes, true, out, &site->err);
    free(bytes);
    return result;
}

/* RP-001 RP-002 RP-003 RP-004 VP-004 MS-003: to the byte; what is needed and what there is. The
 * limit is the process's from here on, so this comes last. */
static void never_more_than_the_limit(void **state)
{
    struct site *site = *state;
    const struct lethe_worker_device limited = {.kind = LETHE_DEVICE_HOST, .limit_bytes = 3 * MIB};
    struct lethe_worker_options options = site_options(site);
    struct lethe_shard *shards[3];
    struct lethe_capacity capacity;
    options.name = "w1";
    options.devices = &limited;
    options.device_count = 1;
    struct lethe_worker *worker = must_create(site, &options);

    assert_result(LETHE_NO_MEMORY, seal_of_size(site, worker, "a", 3 * MIB + 1, &shards[0]));
    assert_non_null(strstr(site->err.text, "3145729 bytes are needed"));
    assert_non_null(strstr(site->err.text, "3145728 of 3145728 are available"));
    assert_true(lethe_result_is_retriable(LETHE_NO_MEMORY));
    assert_recorded(1, site, "\"event\":\"vram_allocation_failed\"", "\"requested_bytes\":3145729",
                    "\"available_bytes\":3145728", "3145729 bytes are needed");

    assert_ok(seal_of_size(site, worker, "a", MIB + 1, &shards[0]), &site->err);
    assert_ok(seal_of_size(site, worker, "b", MIB, &shards[1]), &site->err);
    assert_result(LETHE_NO_MEMORY, seal_of_size(site, worker, "c", MIB, &shards[2]));
    assert_ok(seal_of_size(site, worker, "c", MIB - 1, &shards[2]), &site->err);
    assert_result(LETHE_OK, lethe_worker_capacity(worker, 0, &capacity));
    assert_int_equal(capacity.total_bytes, 3 * MIB);
    assert_int_equal(capacity.used_bytes, 3 * MIB);
    assert_int_equal(capacity.available_bytes, 0);
    assert_ok(lethe_shard_evict(shards[1], &site->err), &site->err);
    assert_result(LETHE_OK, lethe_worker_capacity(worker, 0, &capacity));
    assert_int_equal(capacity.available_bytes, MIB);
    assert_result(LETHE_INVALID, lethe_worker_capacity(worker, 1, &capacity));
    assert_int_equal(capacity.total_bytes, 0);
    assert_ok(lethe_worker_free(worker, &site->err), &site->err); /* evicts the others */
    assert_int_equal(used_bytes(site), 0);
    assert_int_equal(count_records(site, "vram_deallocated"), 3);
}

/* W-3 */
static void metrics_count_what_was_done(void **state)
{
    struct site *site = *state;
    struct lethe_worker_metrics metrics;
    struct lethe_shard *shard = must_seal(site, "a", 5000);
    struct lethe_shard *other;
    assert_result(LETHE_EXISTS, try_seal(site, "a", 5000, &other));
    const struct lethe_placement wrong = {
        .id = "b",
        .expected_digest = "0000000000000000000000000000000000000000000000000000000000000000"};
    uint8_t bytes[64] = {1};
    assert_result(LETHE_INTEGRITY, lethe_shard_seal(site->worker, &wrong, bytes, sizeof bytes,
                                                    false, &other, &site->err));
    assert_ok(lethe_shard_verify(shard, LETHE_VERIFY_FULL, &site->err), &site->err);
    assert_ok(lethe_shard_verify(shard, LETHE_VERIFY_SIGNATURE, &site->err), &site->err);
    lethe_worker_metrics(site->worker, &metrics);
    assert_int_equal(metrics.shards, 1);
    assert_int_equal(metrics.sealed, 1);
    assert_int_equal(metrics.seal_failures, 1);
    assert_int_equal(metrics.verified[LETHE_VERIFY_FULL], 1);
    assert_int_equal(metrics.verified[LETHE_VERIFY_FAST], 0);
    assert_int_equal(metrics.verified[LETHE_VERIFY_SIGNATURE], 1);
    assert_int_equal(metrics.evicted, 0);
    assert_int_equal(metrics.capacity.used_bytes, 5000);
    assert_int_equal(metrics.capacity.total_bytes,
                     metrics.capacity.used_bytes + metrics.capacity.available_bytes);
    flip_byte(shard, 5);
    assert_result(LETHE_INTEGRITY, lethe_shard_verify(shard, LETHE_VERIFY_FAST, &site->err));
    must_evict(site, shard);
    lethe_worker_metrics(site->worker, &metrics);
    assert_int_equal(metrics.verification_failures[LETHE_VERIFY_FAST], 1);
    assert_int_equal(metrics.evicted, 1);
    assert_int_equal(metrics.evict_failures, 0);
    assert_int_equal(metrics.shards, 0);
}

/* W-1 W-2 */
static void states_have_names_and_an_order(void **state)
{
    struct site *site = *state;
    struct lethe_worker_options options = site_options(site);
    options.name = "w1";
    struct lethe_worker *worker = must_create(site, &options);
    assert_int_equal(lethe_worker_state(worker), LETHE_WORKER_STARTING);
    assert_ok(lethe_worker_ready(worker, &site->err), &site->err);
    assert_int_equal(lethe_worker_state(worker), LETHE_WORKER_READY);
    lethe_worker_stop(worker);
    lethe_worker_stop(worker);
    assert_int_equal(lethe_worker_state(worker), LETHE_WORKER_STOPPED);
    struct lethe_shard *shard;
    assert_result(LETHE_DENIED, seal_of_size(site, worker, "a", 64, &shard));
    assert_ok(lethe_worker_free(worker, &site->err), &site->err);
    assert_ok(lethe_worker_free(NULL, &site->err), &site->err);
    assert_string_equal(lethe_worker_state_name(LETHE_WORKER_STARTING), "starting");
    assert_string_equal(lethe_worker_state_name(LETHE_WORKER_READY), "ready");
    assert_string_equal(lethe_worker_state_name(LETHE_WORKER_STOPPED), "stopped");
    assert_string_equal(lethe_worker_state_name((enum lethe_worker_state)9), "unknown");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, site_setup, site_teardown)
    const struct CMUnitTest tests[] = {
        TEST(device_only_refuses_host_memory),
        TEST(device_only_never_falls_back_to_the_host),
        TEST(options_that_make_no_worker),
        TEST(devices_that_are_not_there),
        TEST(a_worker_that_is_refused_limits_nobody),
        TEST(tokens_that_are_too_short),
        TEST(metrics_count_what_was_done),
        TEST(states_have_names_and_an_order),
        TEST(never_more_than_the_limit),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
