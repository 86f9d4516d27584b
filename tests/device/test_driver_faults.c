/* Drivers that fail: once or for good, at any call, and while memory is freed. */
#include "software_check.h"

#include "check_child.h"
#include "crypto/aead.h"
#include "device/cuda_driver.h"

#define LAUNCH_FAILED 719

/* ---- frees that fail ------------------------------------------------------------------------- */

/* MS-004, MS-005: memory that is not zero is kept from everyone, and counted. */
static void memory_that_cannot_be_wiped_is_kept(void **state)
{
    uint8_t secret[64];
    fill_random(secret, sizeof secret);
    struct device_memory *memory = memory_of(5000);
    const struct software_cuda_state before = look();
    uint64_t used = used_bytes();
    put(memory, 100, secret, sizeof secret);
    software_cuda_lose_wipes(true);
    assert_refused(LETHE_UNWIPED, device_wipe(memory, 100, 64, &err), memory);
    assert_ok(device_wipe(memory, 0, 100, &err), &err); /* which held nothing */
    assert_result(LETHE_UNWIPED, device_free(memory, &err));
    software_cuda_lose_wipes(false);
    assert_non_null(strstr(err.text, "not zero"));
    assert_no_address(err.text, NULL);
    assert_int_equal(used_bytes(), used);
    assert_int_equal(look().allocations, before.allocations);
    assert_int_equal(look().dirty_frees, before.dirty_frees);
}

/* MS-004, MS-005: whatever fails while memory is freed, it is an error, and the process goes on. */
static void a_device_that_fails_while_freeing_is_reported(void **state)
{
    for (unsigned long nth = 1;; nth++) {
        struct device_memory *memory = memory_of(5000);
        uint64_t used = used_bytes();
        put(memory, 0, "something", 9);
        const struct software_cuda_state before = look();
        software_cuda_fail(NULL, nth, LAUNCH_FAILED, true);
        lethe_result result = device_free(memory, &err);
        bool failed = software_cuda_failed();
        software_cuda_fail(NULL, 0, 0, false);
        if (!failed) {
            assert_int_equal(result, LETHE_OK);
            assert_true(nth > 6);
            return;
        }
        assert_int_equal(result, LETHE_UNAVAILABLE);
        assert_non_null(strstr(err.text, "cuda:0"));
        assert_non_null(strstr(err.text, "CUDA_ERROR_LAUNCH_FAILED"));
        assert_no_address(err.text, NULL);
        assert_int_equal(used_bytes(), used); /* nobody knows whether it is free */
        assert_int_equal(look().allocations, before.allocations);
        assert_int_equal(look().contexts, 0);
    }
}

static void a_discarded_memory_on_a_failed_device_ends_nothing(void **state)
{
    struct device_memory *memory = memory_of(5000);
    software_cuda_fail(NULL, 1, LAUNCH_FAILED, true);
    device_discard(memory);
    software_cuda_fail(NULL, 0, 0, false);
}

/* ---- every call fails once ------------------------------------------------------------------- */

#define SEGMENTS 2u /* behind one another, so that they are uploaded together */
#define SEGMENT_PLAIN 500u

struct life {
    uint8_t bytes[3000], sealed[SEGMENTS][SEGMENT_PLAIN + 16], key_bytes[32], nonces[SEGMENTS][12],
        tags[16];
    struct device_segment segments[SEGMENTS];
};

static void life_init(struct life *life)
{
    struct aead_key *key;
    fill_random(life, sizeof *life);
    assert_ok(aead_key_create(life->key_bytes, 32, AEAD_BACKEND_OPENSSL, &key, &err), &err);
    for (size_t i = 0; i < SEGMENTS; i++) {
        const struct aead_message message = {.nonce = life->nonces[i],
                                             .in = life->bytes + i * SEGMENT_PLAIN,
                                             .out = life->sealed[i],
                                             .size_bytes = SEGMENT_PLAIN};
        assert_result(LETHE_OK, aead_seal(key, &message, life->sealed[i] + SEGMENT_PLAIN));
        life->segments[i] = (struct device_segment){.nonce = life->nonces[i],
                                                    .cipher = life->sealed[i],
                                                    .plain_bytes = SEGMENT_PLAIN,
                                                    .offset_bytes = 1500 + i * SEGMENT_PLAIN};
    }
    aead_key_free(key);
}

static bool device_is_lost; /* nothing more can be done there, not even a wipe */

typedef lethe_result life_step(struct life *life, struct device_memory *memory,
                               struct device_key *key);

static lethe_result life_write(struct life *life, struct device_memory *memory,
                               struct device_key *key)
{
    return device_write(memory, 0, life->bytes, sizeof life->bytes, &err);
}

static lethe_result life_open(struct life *life, struct device_memory *memory,
                              struct device_key *key)
{
    size_t failed;
    lethe_result result =
        device_open_segments(memory, key, life->segments, SEGMENTS, &failed, &err);
    if (result == LETHE_OK)
        return result;
    assert_int_not_equal(result, LETHE_INTEGRITY);
    if (!device_is_lost) /* none of its plaintext is left; after the good end below, it is found */
        assert_int_equal(software_cuda_count(life->bytes + 100, 64), 0);
    return result;
}

static lethe_result life_tags(struct life *life, struct device_memory *memory,
                              struct device_key *key)
{
    TRY(device_tags(memory, key, 1, life->tags, &err));
    return device_check_tags(memory, key, 1, life->tags, &err);
}

static lethe_result life_digest(struct life *life, struct device_memory *memory,
                                struct device_key *key)
{
    uint8_t digest[32];
    TRY(device_digest(memory, DEVICE_FSVERITY, 1, digest, &err));
    return device_digest(memory, DEVICE_SHA256, 1, digest, &err);
}

static lethe_result life_look(struct life *life, struct device_memory *memory,
                              struct device_key *key)
{
    uint8_t out[3000];
    bool is_zero;
    struct device_info info;
    TRY(device_info(under_test.device, &info, &err));
    TRY(device_is_zero(memory, 0, 3000, &is_zero, &err));
    TRY(device_read(memory, 0, out, sizeof out, &err));
    return device_wipe(memory, 0, 1500, &err);
}

static lethe_result life_alloc(struct life *life, struct device_memory *memory,
                               struct device_key *key)
{
    const struct device_request request = request_of(4000);
    struct device_memory *other;
    TRY(device_alloc(under_test.device, &request, &other, &err));
    return device_free(other, &err);
}

static void one_failure(struct life *life, life_step *step, unsigned long nth, int code,
                        bool for_good, bool *reached)
{
    struct device_memory *memory = memory_of(sizeof life->bytes);
    struct device_key *key = key_of(life->key_bytes);
    const struct software_cuda_state before = look();
    uint64_t used = used_bytes();
    memset(&err, 0, sizeof err);
    device_is_lost = for_good;
    software_cuda_fail(NULL, nth, code, for_good);
    lethe_result result = step(life, memory, key);
    *reached = software_cuda_failed();
    software_cuda_fail(NULL, 0, 0, false);
    const struct software_cuda_state after = look();
    if (result != LETHE_OK) {
        assert_true(result == LETHE_UNAVAILABLE || result == LETHE_NO_MEMORY);
        assert_true(strstr(err.text, "CUDA_ERROR") != NULL || strstr(err.text, " are needed"));
        assert_no_address(err.text, memory);
    }
    assert_int_equal(after.contexts, 0);
    assert_int_equal(after.dirty_frees, before.dirty_frees);
    if (!for_good) /* what is still alive is accounted for */
        assert_int_equal(after.bytes - before.bytes, used_bytes() - used);
    assert_result(LETHE_OK, step(life, memory, key)); /* and all works again */
    if (step == life_open)
        assert_int_equal(software_cuda_count(life->bytes + 100, 64), 1);
    device_key_free(key);
    free_ok(memory);
}

static void every_driver_call_may_fail(void **state)
{
    static life_step *const steps[] = {life_write,  life_open, life_tags,
                                       life_digest, life_look, life_alloc};
    static const int codes[] = {LAUNCH_FAILED, CUDA_OUT_OF_MEMORY};
    struct life life;
    life_init(&life);
    size_t failures = 0;
    for (size_t s = 0; s < ARRAY_LEN(steps); s++)
        for (size_t c = 0; c < ARRAY_LEN(codes); c++)
            for (int for_good = 0; for_good < 2; for_good++) {
                bool reached = true;
                for (unsigned long nth = 1; reached; nth++) {
                    one_failure(&life, steps[s], nth, codes[c], for_good, &reached);
                    failures += reached;
                }
            }
    assert_true(failures > 200);
}

/* ---- opening --------------------------------------------------------------------------------- */

struct opening {
    unsigned long nth;
    bool reached;
};

/* A process of its own: a driver is started, and a device opened, once. */
static void open_and_fail(void *context)
{
    const struct opening *opening = context;
    struct device *device;
    const char *why;
    software_cuda_fail(NULL, opening->nth, LAUNCH_FAILED, false);
    size_t count = lethe_device_count(LETHE_DEVICE_CUDA, &why);
    lethe_result result = device_open(LETHE_DEVICE_CUDA, 0, &device, &err);
    bool failed = software_cuda_failed();
    software_cuda_fail(NULL, 0, 0, false);
    const struct software_cuda_state state = look();
    CHILD_REQUIRE(state.contexts == 0);
    if (result != LETHE_OK || count == 0) {
        CHILD_REQUIRE(result == LETHE_OK || result == LETHE_UNAVAILABLE);
        CHILD_REQUIRE(result == LETHE_OK || (device == NULL && err.text[0] != '\0'));
        CHILD_REQUIRE(result == LETHE_OK ||
                      (state.allocations == 0 && state.modules == 0 && state.retained == 0));
        CHILD_REQUIRE(count > 0 || strstr(why, "driver") != NULL);
    } else {
        CHILD_REQUIRE(device != NULL);
    }
    if (!failed)
        _exit(3);
}

static void every_call_of_opening_may_fail(void **state)
{
    struct opening opening = {0};
    for (opening.nth = 1;; opening.nth++) {
        int status = child_status(open_and_fail, &opening);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 3)
            break;
        assert_exited(0, status);
    }
    assert_true(opening.nth > 15);
}

static void without_devices(void *context)
{
    struct device *device;
    const char *why;
    software_cuda_set(0, 0);
    CHILD_REQUIRE(lethe_device_count(LETHE_DEVICE_CUDA, &why) == 0);
    CHILD_REQUIRE(strstr(why, "CUDA_ERROR_NO_DEVICE") != NULL);
    CHILD_REQUIRE(device_open(LETHE_DEVICE_CUDA, 0, &device, &err) == LETHE_UNAVAILABLE);
    CHILD_REQUIRE(strstr(err.text, "CUDA_ERROR_NO_DEVICE") != NULL);
}

static void a_driver_without_devices_says_so(void **state)
{
    assert_exited(0, child_status(without_devices, NULL));
}

/* RP-001, RP-004: it fits our limit, and the device has no room for it all the same. */
static void with_less_than_there_was(void *context)
{
    struct device *device;
    struct device_memory *memory;
    const struct device_request request = request_of(900000);
    software_cuda_set(1, 1000000);
    CHILD_REQUIRE(device_open(LETHE_DEVICE_CUDA, 0, &device, &err) == LETHE_OK);
    software_cuda_set(1, 500000); /* somebody else has the rest */
    CHILD_REQUIRE(device_alloc(device, &request, &memory, &err) == LETHE_NO_MEMORY);
    CHILD_REQUIRE(strstr(err.text, "900000 bytes are needed") != NULL);
    CHILD_REQUIRE(strstr(err.text, "of 500000 are free") != NULL);
    struct device_capacity capacity;
    device_capacity(device, &capacity);
    CHILD_REQUIRE(capacity.used_bytes == 0);
}

static void a_device_that_others_fill_says_what_is_free(void **state)
{
    assert_exited(0, child_status(with_less_than_there_was, NULL));
}

int main(void)
{
    const struct CMUnitTest before_opening[] = {
        cmocka_unit_test(every_call_of_opening_may_fail),
        cmocka_unit_test(a_driver_without_devices_says_so),
        cmocka_unit_test(a_device_that_others_fill_says_what_is_free),
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_driver_call_may_fail),
        cmocka_unit_test(memory_that_cannot_be_wiped_is_kept),
        cmocka_unit_test(a_device_that_fails_while_freeing_is_reported),
        cmocka_unit_test(a_discarded_memory_on_a_failed_device_ends_nothing),
    };
    int failed = cmocka_run_group_tests(before_opening, start_crypto, NULL);
    return failed + cmocka_run_group_tests(tests, open_device, NULL);
}
