/* The Nth allocation of ours fails, for every N: a clear error, and nothing is left behind. */
#include "device_check.h"
#include "failing_memory.h"

#include <malloc.h>

FAILS(calloc)
FAILS(malloc)

static lethe_result live(void)
{
    static const uint8_t nonce[12] = {1}, cipher[16 + 16];
    uint8_t digest[32], tags[16];
    const struct device_request request = request_of(600000);
    const struct device_segment segment = {
        .nonce = nonce, .cipher = cipher, .plain_bytes = 16, .offset_bytes = 3};
    CLEANUP(device_discard) struct device_memory *memory = NULL;
    CLEANUP(lethe_secret_free) struct lethe_secret *secret = NULL;
    CLEANUP(device_key_free) struct device_key *key = NULL;
    TRY(device_alloc(under_test.device, &request, &memory, &err));
    TRY(lethe_secret_create(32, &secret, &err));
    TRY(device_key_create(under_test.device, secret, &key, &err));
    TRY(device_write(memory, 0, "weights", 7, &err));
    TRY(device_digest(memory, DEVICE_FSVERITY, 2, digest, &err));
    TRY(device_digest(memory, DEVICE_SHA256, 1, digest, &err));
    TRY(device_tags(memory, key, 1, tags, &err));
    TRY(device_check_tags(memory, key, 1, tags, &err));
    lethe_result result = device_open_segments(memory, key, &segment, 1, NULL, &err);
    return result == LETHE_INTEGRITY ? LETHE_OK : result; /* it is no ciphertext */
}

static void every_allocation_may_fail(void **state)
{
    assert_ok(live(), &err); /* what is kept for ever is there now */
    unsigned failures = 0;
    for (unsigned nth = 1;; nth++) {
        uint64_t used = used_bytes();
        memset(&err, 0, sizeof err);
        has_failed = false;
        calls_left = nth;
        lethe_result result = live();
        calls_left = 0;
        assert_int_equal(used_bytes(), used);
        if (!has_failed) {
            assert_int_equal(result, LETHE_OK);
            break;
        }
        failures++;
        if (result != LETHE_OK) {
            assert_int_equal(result, LETHE_NO_MEMORY);
            assert_non_null(strstr(err.text, "no memory"));
            assert_no_address(err.text, NULL);
        }
    }
    assert_true(failures >= 3);
}

DEVICE_TESTS(faults, cmocka_unit_test(every_allocation_may_fail));
