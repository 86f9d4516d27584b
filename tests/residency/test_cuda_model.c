/* Weights on accelerators only: what of an encrypted model is where. On a CUDA device of the
 * software driver, whose memory is this process's, so that one search counts both. */
#include "../model/model_fixture.h"

#include "../device/software_cuda.h"
#include "crypto/memory_search.h"
#include "model/handle.h"
#include "residency/inside.h"

#define MIB ((size_t)1 << 20)
#define LARGE (3 * MIB + 12345) /* four segments */
#define PLACE (2 * MIB + 77)    /* of what is searched for */

struct setup {
    struct fixture *files;
    struct lethe_model handle;
    struct lethe_worker *worker;
    struct lethe_error err;
};

static int setup(void **state)
{
    struct setup *s = calloc(1, sizeof *s);
    assert_non_null(s);
    assert_int_equal(fixture_setup((void **)&s->files), 0);
    struct fixture *f = s->files;
    assert_int_equal(mkdir(AT(f, "in"), 0700), 0);
    put_pattern(AT(f, "in/a"), LARGE, 1);
    put_pattern(AT(f, "in/b"), 777, 2);
    (void)must_encrypt(f, AT(f, "in"), AT(f, "model"));
    s->handle =
        (struct lethe_model){.model = must_open(f, AT(f, "model")), .keys = &f->keys->source};
    const struct lethe_worker_options options = {
        .name = "w", .policy = LETHE_DEVICE_ONLY, .threads = 2, .optional = LETHE_LOCKED};
    assert_ok(lethe_device_release(LETHE_DEVICE_CUDA, 0, &s->err), &s->err);
    assert_ok(lethe_worker_create(&options, &s->worker, &s->err), &s->err);
    assert_ok(lethe_worker_ready(s->worker, &s->err), &s->err);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct setup *s = *state;
    assert_ok(lethe_worker_free(s->worker, &s->err), &s->err);
    model_close(s->handle.model);
    int result = fixture_teardown((void **)&s->files);
    free(s);
    return result;
}

static struct lethe_shard *must_seal(struct setup *s)
{
    struct lethe_shard *shard = NULL;
    static const struct lethe_placement by_default = {0};
    assert_ok(lethe_shard_seal_model(s->worker, &s->handle, 0, &by_default, &shard, &s->err),
              &s->err);
    return shard;
}

static struct needle needle_in(struct setup *s, uint8_t copy[48])
{
    size_t size_bytes;
    uint8_t *plain = get_file(AT(s->files, "in/a"), &size_bytes);
    memcpy(copy, plain + PLACE, 48);
    lethe_wipe(plain, size_bytes);
    free(plain);
    return needle_of(copy, 48);
}

/* VP-001: decrypted on the device, and in no other memory of this process, before, during or after
 * its use. */
static void plaintext_is_on_the_device_only(void **state)
{
    if (HAS_SANITIZER) {
        printf("a sanitizer keeps what was freed\n");
        skip();
    }
    struct setup *s = *state;
    struct software_cuda_state before, after;
    uint8_t copy[48];
    struct needle needle = needle_in(s, copy);
    software_cuda_look(&before);
    assert_int_equal(software_cuda_count(copy, sizeof copy), 0);
    struct lethe_shard *shard = must_seal(s);
    assert_int_equal(software_cuda_count(copy, sizeof copy), 1);
    lethe_wipe(copy, sizeof copy);
    assert_int_equal(count_in_own_memory(&needle), 1); /* the device's */
    assert_ok(lethe_shard_verify(shard, LETHE_VERIFY_FULL, &s->err), &s->err);
    assert_ok(lethe_shard_verify(shard, LETHE_VERIFY_FAST, &s->err), &s->err);
    assert_int_equal(count_in_own_memory(&needle), 1);
    assert_ok(lethe_shard_evict(shard, &s->err), &s->err);
    assert_int_equal(count_in_own_memory(&needle), 0);
    software_cuda_look(&after);
    assert_int_equal(after.allocations, before.allocations);
    assert_int_equal(after.dirty_frees, before.dirty_frees);
}

/* W-1 */
static void a_changed_bit_on_the_device_stops_the_worker(void **state)
{
    struct setup *s = *state;
    static const enum lethe_verify_mode modes[] = {LETHE_VERIFY_FULL, LETHE_VERIFY_FAST};
    struct lethe_shard *shard = must_seal(s);
    software_cuda_flip((uint64_t)(uintptr_t)device_memory_address(shard->memory) + PLACE);
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        struct lethe_device_info info;
        assert_result(LETHE_INTEGRITY, lethe_shard_verify(shard, modes[i], &s->err));
        assert_ok(lethe_device_info(LETHE_DEVICE_CUDA, 0, &info, &s->err), &s->err);
        assert_true(info.quarantined);
    }
    assert_int_equal(lethe_worker_state(s->worker), LETHE_WORKER_STOPPED);
    assert_ok(lethe_shard_evict(shard, &s->err), &s->err);
}

/* A device that fails on the way leaves nothing decrypted behind. */
static void a_failing_device_leaves_nothing(void **state)
{
    struct setup *s = *state;
    static const struct lethe_placement by_default = {0};
    struct software_cuda_state before, after;
    uint8_t copy[48];
    struct lethe_shard *shard;
    (void)needle_in(s, copy);
    software_cuda_look(&before);
    for (unsigned long nth = 1; nth < 60; nth += 5) {
        software_cuda_fail(NULL, nth, 719, false);
        lethe_result result =
            lethe_shard_seal_model(s->worker, &s->handle, 0, &by_default, &shard, &s->err);
        bool failed = software_cuda_failed();
        software_cuda_fail(NULL, 0, 0, false);
        if (result == LETHE_OK) { /* it was enough to fall back on */
            assert_ok(lethe_shard_evict(shard, &s->err), &s->err);
            continue;
        }
        assert_true(failed);
        assert_int_equal(result, LETHE_UNAVAILABLE);
        assert_int_equal(software_cuda_count(copy, sizeof copy), 0);
        software_cuda_look(&after);
        assert_int_equal(after.dirty_frees, before.dirty_frees);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(plaintext_is_on_the_device_only, setup, teardown),
        cmocka_unit_test_setup_teardown(a_changed_bit_on_the_device_stops_the_worker, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_failing_device_leaves_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
