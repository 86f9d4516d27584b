/* Residency on accelerators, of which a driver of software stands in for: what our host code does
 * with their memory, and with a driver that fails at any call. */
#include "../device/software_cuda.h"
#include "../model/model_fixture.h"

#include "crypto/memory_search.h"
#include "model/handle.h"
#include "residency/inside.h"

#define MIB ((size_t)1 << 20)
#define SIZE (3 * MIB + 4097)
#define GONE 999 /* an error of the driver's that says nothing */

static struct lethe_error err;

static struct lethe_worker *worker_of(const struct lethe_worker_device *devices, size_t count)
{
    struct lethe_worker *worker = NULL;
    const struct lethe_worker_options options = {.name = "gpu",
                                                 .devices = devices,
                                                 .device_count = count,
                                                 .threads = 2,
                                                 .optional = LETHE_LOCKED};
    for (size_t i = 0; i < 2; i++)
        assert_ok(lethe_device_release(LETHE_DEVICE_CUDA, i, &err), &err);
    assert_ok(lethe_worker_create(&options, &worker, &err), &err);
    assert_ok(lethe_worker_ready(worker, &err), &err);
    return worker;
}

static struct lethe_worker *worker_of_two(void)
{
    static const struct lethe_worker_device both[] = {{.kind = LETHE_DEVICE_CUDA, .index = 0},
                                                      {.kind = LETHE_DEVICE_CUDA, .index = 1}};
    return worker_of(both, 2);
}

static lethe_result try_seal(struct lethe_worker *worker, const char *id, size_t device,
                             struct lethe_shard **out)
{
    uint8_t *bytes = pattern(SIZE, 7);
    const struct lethe_placement placement = {.id = id, .device = device};
    lethe_result result = lethe_shard_seal(worker, &placement, bytes, SIZE, true, out, &err);
    free(bytes);
    return result;
}

static struct lethe_shard *must_seal(struct lethe_worker *worker, const char *id, size_t device)
{
    struct lethe_shard *shard = NULL;
    assert_ok(try_seal(worker, id, device, &shard), &err);
    return shard;
}

static void must_free(struct lethe_worker *worker)
{
    struct software_cuda_state after;
    assert_ok(lethe_worker_free(worker, &err), &err);
    software_cuda_look(&after);
    assert_true(after.bytes < 4096); /* what the device room keeps for itself */
    assert_int_equal(after.dirty_frees, 0);
}

static uint64_t address_of(struct lethe_shard *shard)
{
    return (uint64_t)(uintptr_t)device_memory_address(shard->memory);
}

/* VP-001 VP-005 CI-007: without devices named, the first one; verified in full by default, as the
 * engine's kernels share it with the key. */
static void sealed_on_an_accelerator(void **state)
{
    struct lethe_worker *worker = worker_of(NULL, 0);
    struct lethe_shard *shard = must_seal(worker, "a", 0);
    struct lethe_seal seal;
    struct lethe_execution *execution;
    lethe_shard_get_seal(shard, &seal);
    assert_string_equal(seal.device, "cuda:0");
    assert_ok(lethe_execution_begin(worker, &shard, 1, LETHE_VERIFY_DEFAULT, &execution, &err),
              &err);
    assert_non_null(lethe_execution_address(execution, shard));
    lethe_execution_end(execution);
    assert_ok(lethe_shard_verify(shard, LETHE_VERIFY_FAST, &err), &err);
    struct lethe_worker_metrics metrics;
    lethe_worker_metrics(worker, &metrics);
    assert_int_equal(metrics.verified[LETHE_VERIFY_FULL], 1);
    assert_int_equal(metrics.verified[LETHE_VERIFY_FAST], 1);
    assert_int_equal(metrics.capacity.used_bytes, SIZE);
    must_free(worker);
}

/* VP-001 VP-003: the weights are where they belong, and nowhere on the host. */
static void no_weights_are_left_on_the_host(void **state)
{
    uint8_t *bytes = pattern(SIZE, 7);
    const struct needle needle = needle_of(bytes + 5000, 48);
    uint8_t start[48];
    memcpy(start, bytes + 5000, sizeof start);
    lethe_wipe(bytes, SIZE);
    free(bytes);
    struct lethe_worker *worker = worker_of(NULL, 0);
    struct lethe_shard *shard = must_seal(worker, "a", 0);
    assert_int_equal(software_cuda_count(start, sizeof start), 1);
    lethe_wipe(start, sizeof start);
    assert_int_equal(count_in_own_memory(&needle), 1); /* the driver's, which is the device */
    assert_ok(lethe_shard_evict(shard, &err), &err);
    assert_int_equal(count_in_own_memory(&needle), 0);
    must_free(worker);
}

/* CI-007 W-1: a bit that changed on one of two devices. */
static void a_changed_bit_is_seen_and_its_device_quarantined(void **state)
{
    static const enum lethe_verify_mode modes[] = {LETHE_VERIFY_FAST, LETHE_VERIFY_FULL,
                                                   LETHE_VERIFY_DEFAULT};
    static const uint64_t places[] = {0, MIB, SIZE - 1};
    for (size_t i = 0; i < ARRAY_LEN(modes) * ARRAY_LEN(places); i++) {
        struct lethe_worker *worker = worker_of_two();
        struct lethe_shard *good = must_seal(worker, "good", 0);
        struct lethe_shard *bad = must_seal(worker, "bad", 1);
        software_cuda_flip(address_of(bad) + places[i % 3]);
        assert_ok(lethe_shard_verify(good, modes[i / 3], &err), &err);
        assert_ok(lethe_shard_verify(bad, LETHE_VERIFY_SIGNATURE, &err), &err);
        assert_result(LETHE_INTEGRITY, lethe_shard_verify(bad, modes[i / 3], &err));
        assert_result(LETHE_INTEGRITY, lethe_shard_verify(good, modes[i / 3], &err));
        assert_false(device_is_quarantined(worker->devices[0]));
        assert_true(device_is_quarantined(worker->devices[1]));
        must_free(worker);
    }
}

/* W-4 */
static void a_group_across_two_devices(void **state)
{
    struct lethe_worker *worker = worker_of_two();
    struct lethe_group *group;
    uint8_t *left = pattern(SIZE, 1), *right = pattern(SIZE, 2);
    struct lethe_group_member members[] = {
        {.placement = {.id = "l", .device = 0}, .bytes = left, .size_bytes = SIZE},
        {.placement = {.id = "r", .device = 1}, .bytes = right, .size_bytes = SIZE}};
    assert_ok(lethe_group_seal(worker, "tp", members, 2, &group, &err), &err);
    size_t count;
    struct lethe_shard *const *shards = lethe_group_shards(group, &count);
    assert_ok(lethe_group_verify(group, LETHE_VERIFY_DEFAULT, &err), &err);
    software_cuda_flip(address_of(shards[1]) + 12345);
    assert_result(LETHE_INTEGRITY, lethe_group_verify(group, LETHE_VERIFY_DEFAULT, &err));
    assert_ok(lethe_group_evict(group, &err), &err);
    must_free(worker);

    worker = worker_of_two(); /* the second device is not there for it: then neither is the first */
    software_cuda_fail("cuMemAlloc_v2", 2, GONE, false);
    assert_true(lethe_group_seal(worker, "tp", members, 2, &group, &err) != LETHE_OK);
    software_cuda_fail(NULL, 0, 0, false);
    assert_null(group);
    struct lethe_worker_metrics metrics;
    lethe_worker_metrics(worker, &metrics);
    assert_int_equal(metrics.capacity.used_bytes, 0);
    must_free(worker);
    free(left);
    free(right);
}

/* MS-004 MS-005: freeing fails, or forgets badly; neither ends the process. */
static void devices_that_free_badly(void **state)
{
    struct lethe_worker *worker = worker_of(NULL, 0);
    struct lethe_worker_metrics metrics;
    lethe_worker_metrics(worker, &metrics);
    uint64_t before = metrics.capacity.used_bytes;
    struct lethe_shard *shard = must_seal(worker, "a", 0);
    software_cuda_lose_wipes(true);
    assert_result(LETHE_UNWIPED, lethe_shard_evict(shard, &err));
    software_cuda_lose_wipes(false);
    lethe_worker_metrics(worker, &metrics);
    assert_int_equal(metrics.evict_failures, 1);
    assert_int_equal(metrics.capacity.used_bytes, before + SIZE); /* kept from everyone */

    shard = must_seal(worker, "b", 0);
    software_cuda_fail("cuMemFree_v2", 1, GONE, false);
    assert_result(LETHE_UNAVAILABLE, lethe_shard_evict(shard, &err));
    software_cuda_fail(NULL, 0, 0, false);
    lethe_worker_metrics(worker, &metrics);
    assert_int_equal(metrics.evict_failures, 2);
    assert_ok(lethe_worker_free(worker, &err), &err);
}

/* All that is done with a shard; the first failure. */
static lethe_result a_shards_life(struct lethe_worker *worker)
{
    struct lethe_shard *shard = NULL;
    TRY(try_seal(worker, "a", 0, &shard));
    lethe_result result = lethe_shard_verify(shard, LETHE_VERIFY_FULL, &err);
    if (result == LETHE_OK)
        result = lethe_shard_verify(shard, LETHE_VERIFY_FAST, &err);
    lethe_result evicted = lethe_shard_evict(shard, result == LETHE_OK ? &err : NULL);
    return result != LETHE_OK ? result : evicted;
}

/* W-2 MS-004: any call of the driver fails, once: an error, never a forgery, never an abort. */
static void every_call_of_the_driver_may_fail(void **state)
{
    struct lethe_worker *worker = worker_of(NULL, 0);
    unsigned failures = 0;
    for (unsigned long nth = 1;; nth++) {
        err = (struct lethe_error){0};
        software_cuda_fail(NULL, nth, GONE, false);
        lethe_result result = a_shards_life(worker);
        bool has_failed = software_cuda_failed();
        software_cuda_fail(NULL, 0, 0, false);
        if (!has_failed) {
            assert_ok(result, &err);
            break;
        }
        failures += result != LETHE_OK;
        if (result != LETHE_OK && result != LETHE_UNAVAILABLE && result != LETHE_NO_MEMORY)
            fail_msg("call %lu: %s: %s", nth, lethe_result_name(result), err.text);
        assert_int_equal(lethe_worker_state(worker), LETHE_WORKER_READY);
        assert_false(device_is_quarantined(worker->devices[0]));
    }
    assert_true(failures > 20);
    assert_ok(lethe_worker_free(worker, &err), &err);
}

/* E-1 VP-001: from an encrypted model, decrypted on the device. */
static void decrypted_on_the_device(void **state)
{
    struct fixture *f = *state;
    size_t size_bytes = 5 * MIB + 77;
    uint8_t *plain = pattern(size_bytes, 3);
    put_file(AT(f, "in"), plain, size_bytes);
    const struct needle needle = needle_of(plain + 2 * MIB, 48);
    lethe_wipe(plain, size_bytes);
    free(plain);
    (void)must_encrypt(f, AT(f, "in"), AT(f, "model"));
    struct lethe_model handle = {.model = must_open(f, AT(f, "model")), .keys = &f->keys->source};
    struct lethe_worker *worker = worker_of(NULL, 0);
    struct lethe_shard *shard;
    assert_ok(
        lethe_shard_seal_model(worker, &handle, 0, &(struct lethe_placement){0}, &shard, &err),
        &err);
    assert_ok(lethe_shard_verify(shard, LETHE_VERIFY_FULL, &err), &err);
    assert_int_equal(count_in_own_memory(&needle), 1); /* the device's */
    assert_ok(lethe_shard_evict(shard, &err), &err);
    assert_int_equal(count_in_own_memory(&needle), 0);

    int fd = open(AT(f, "model/shards/0000.tink"), O_RDWR | O_CLOEXEC);
    uint8_t byte = 0;
    assert_int_equal(pread(fd, &byte, 1, (off_t)(3 * MIB)), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)(3 * MIB)), 1);
    close(fd);
    assert_result(
        LETHE_INTEGRITY,
        lethe_shard_seal_model(worker, &handle, 0, &(struct lethe_placement){0}, &shard, &err));
    assert_non_null(strstr(err.text, "segment 4 of 6"));
    must_free(worker);
    model_close(handle.model);
}

int main(void)
{
    software_cuda_set(2, 64 * MIB);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sealed_on_an_accelerator),
        cmocka_unit_test(no_weights_are_left_on_the_host),
        cmocka_unit_test(a_changed_bit_is_seen_and_its_device_quarantined),
        cmocka_unit_test(a_group_across_two_devices),
        cmocka_unit_test_setup_teardown(decrypted_on_the_device, fixture_setup, fixture_teardown),
        cmocka_unit_test(every_call_of_the_driver_may_fail),
        cmocka_unit_test(devices_that_free_badly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
