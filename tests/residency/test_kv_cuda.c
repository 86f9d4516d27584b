/* KV caches on a CUDA device, which here is a driver of software: rows that no processor can touch,
 * blocks that are encrypted on their way out, and calls of the driver that fail. */
#include "kv_check.h"

#include "device/software_cuda.h"

static int cuda_setup(void **state)
{
    struct kv_site *kv = calloc(1, sizeof *kv);
    assert_non_null(kv);
    kv->site = site_without_worker();
    struct lethe_worker_options options = site_options(kv->site);
    const struct lethe_worker_device device = {.kind = LETHE_DEVICE_CUDA, .index = 0};
    options.policy = LETHE_DEVICE_ONLY;
    options.devices = &device;
    options.device_count = 1;
    kv->site->worker = must_create(kv->site, &options);
    software_cuda_fail(NULL, 0, 0, false);
    software_cuda_lose_wipes(false);
    *state = kv;
    return 0;
}

#define cuda_test(test) cmocka_unit_test_setup_teardown(test, cuda_setup, kv_teardown)

static size_t on_device(uint64_t seed, unsigned part, uint64_t token)
{
    uint8_t row[ROW_BYTES];
    fill_row(row, seed, 1, part, token);
    size_t count = software_cuda_count(row, sizeof row);
    lethe_wipe(row, sizeof row);
    return count;
}

/* Z-3, Z-4, MS-001 */
static void rows_are_on_the_device_and_gone_afterwards(void **state)
{
    struct kv_site *kv = *state;
    struct lethe_kv_view view;
    must_cache(kv, 4);
    struct lethe_kv *session = must_open_kv(kv, "acme", "s1");
    must_append(kv, session, 1, 0, 10);
    assert_gather(kv, session, 1, 0, 10);
    assert_gather(kv, session, 1, 3, 4);
    assert_int_equal(on_device(1, 0, 2), 1);
    assert_int_equal(on_device(1, 1, 9), 1);
    assert_ok(lethe_kv_read_begin(session, 1, &view, &kv->err), &kv->err);
    assert_int_equal(view.count, 3);
    assert_true(view.spans[0].keys != NULL && view.spans[0].keys != view.spans[0].values);
    lethe_kv_read_end(&view);
    assert_ok(lethe_kv_truncate(session, 9, &kv->err), &kv->err);
    assert_int_equal(on_device(1, 1, 9), 0);
    assert_int_equal(on_device(1, 0, 8), 1);
    must_end(kv, session);
    assert_int_equal(on_device(1, 0, 2) + on_device(1, 1, 2) + on_device(1, 0, 8), 0);
    assert_recorded(1, kv->site, "session_ended", "\"verified\":true");
}

/* Z-3: on the way to a store and back, plaintext passes through guarded memory, which is wiped. */
static void blocks_are_spilled_from_the_device(void **state)
{
    struct kv_site *kv = *state;
    must_spilling_cache(kv, 2);
    struct lethe_kv *one = must_open_kv(kv, "acme", "s1"), *two = must_open_kv(kv, "bolt", "s1");
    must_append(kv, one, 2, 0, 8);
    must_append(kv, two, 3, 0, 8);
    assert_int_equal(on_device(2, 0, 2), 0);
    assert_gather(kv, one, 2, 0, 8);
    assert_int_equal(on_device(2, 0, 2), 1);
    assert_gather(kv, two, 3, 0, 8);
    must_append(kv, one, 2, 8, 3);
    assert_gather(kv, one, 2, 0, 11);
    must_end(kv, one);
    must_end(kv, two);
}

/* Z-3, RP-002: with the store full, it is decrypted on the host, and nothing of it is uploaded. */
static void what_a_full_store_has_is_gathered_past_the_device(void **state)
{
    struct kv_site *kv = *state;
    const struct lethe_kv_options options = cache_options(1);
    assert_ok(lethe_spill_memory_create(lethe_kv_spill_bytes(&options), &kv->memory, &kv->err),
              &kv->err);
    kv->spill = lethe_spill_memory_table(kv->memory);
    must_cache_with(kv, 1, &kv->spill);
    struct lethe_kv *session = must_open_kv(kv, "acme", "s1");
    must_append(kv, session, 2, 0, 8);
    assert_gather(kv, session, 2, 0, 8);
    assert_int_equal(on_device(2, 0, 2), 0);
    assert_int_equal(on_device(2, 0, 6), 1);
    must_end(kv, session);
}

/* MS-004, MS-005: whichever call fails, the result says so, nothing wrong is read, and the end
 * works or says that it could not be proven. */
static void live(struct kv_site *kv, bool *read_wrong)
{
    struct lethe_kv *sessions[2];
    uint64_t ends[2] = {0};
    sessions[0] = must_open_kv(kv, "acme", "s1");
    sessions[1] = must_open_kv(kv, "bolt", "s1");
    for (unsigned i = 0; i < 24; i++) {
        bool same = true;
        unsigned which = i / 6 % 2;
        if (append_layer(sessions[which], 4 + which, 1, ends[which], 1, NULL) == LETHE_OK)
            ends[which]++;
        if (gather_is(sessions[which], 4 + which, 1, 0, ends[which], &same, NULL) == LETHE_OK)
            *read_wrong |= !same;
    }
    for (unsigned i = 0; i < 2; i++) {
        lethe_result result = lethe_kv_end(sessions[i], LETHE_SESSION_ENDED, &kv->err);
        assert_true(result == LETHE_OK || result == LETHE_UNWIPED);
    }
}

static void every_call_of_the_driver_may_fail(void **state)
{
    struct kv_site *kv = *state;
    unsigned long at = 0;
    bool failed = true;
    while (failed) {
        bool read_wrong = false;
        must_spilling_cache(kv, 2);
        software_cuda_fail(NULL, ++at, 999, false);
        live(kv, &read_wrong);
        failed = software_cuda_failed();
        software_cuda_fail(NULL, 0, 0, false);
        assert_false(read_wrong);
        (void)!lethe_kv_cache_free(MOVE(kv->cache), NULL);
        lethe_spill_memory_free(MOVE(kv->memory));
        assert_int_equal(on_device(4, 0, 2) + on_device(5, 1, 2), 0);
        assert_ok(audit_sync(kv->site->log, &kv->err), &kv->err);
    }
    assert_true(at > 100);
}

/* Z-3: a device that forgets badly. */
static void a_block_that_the_device_does_not_wipe_is_kept_from_everyone(void **state)
{
    struct kv_site *kv = *state;
    must_cache(kv, 1);
    struct lethe_kv *one = must_open_kv(kv, "acme", "s1");
    must_append(kv, one, 6, 0, 1);
    software_cuda_lose_wipes(true);
    assert_result(LETHE_UNWIPED, lethe_kv_end(one, LETHE_SESSION_ENDED, &kv->err));
    software_cuda_lose_wipes(false);
    struct lethe_kv *two = must_open_kv(kv, "acme", "s2");
    assert_result(LETHE_NO_MEMORY, append_tokens(two, 7, 0, 1, &kv->err));
    must_end(kv, two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cuda_test(rows_are_on_the_device_and_gone_afterwards),
        cuda_test(blocks_are_spilled_from_the_device),
        cuda_test(what_a_full_store_has_is_gathered_past_the_device),
        cuda_test(every_call_of_the_driver_may_fail),
        cuda_test(a_block_that_the_device_does_not_wipe_is_kept_from_everyone),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
