/* tests/device/device_check.h -- the same tests for every kind of device, and errors without
 * addresses.
 *
 * A file of tests says DEVICE_TESTS(name, tests...) and is run on the host, on a CUDA device of the
 * software driver and, in lethe-gpu-test, on every GPU there is. */
#ifndef TESTS_DEVICE_CHECK_H
#define TESTS_DEVICE_CHECK_H

#include <inttypes.h>
#include <pthread.h>
#include <regex.h>
#include <stdlib.h>

#include "../crypto/crypto_check.h"

#include "device/device.h"

struct device_under_test {
    enum lethe_device_kind kind;
    size_t index;
    struct device *device;
};
extern struct device_under_test under_test;

static struct lethe_error err;

__attribute__((unused)) static bool on_host(void)
{
    return under_test.kind == LETHE_DEVICE_HOST;
}

__attribute__((unused)) static struct device_request request_of(uint64_t size_bytes)
{
    return (struct device_request){.size_bytes = size_bytes,
                                   .class_ = LETHE_CLASS_WEIGHTS,
                                   .label = {.id = "test"},
                                   .optional = LETHE_LOCKED};
}

__attribute__((unused)) static struct device_memory *memory_of(uint64_t size_bytes)
{
    const struct device_request request = request_of(size_bytes);
    struct device_memory *memory = NULL;
    assert_ok(device_alloc(under_test.device, &request, &memory, &err), &err);
    return memory;
}

__attribute__((unused)) static void put(struct device_memory *memory, uint64_t offset,
                                        const void *bytes, uint64_t size_bytes)
{
    assert_ok(device_write(memory, offset, bytes, size_bytes, &err), &err);
}

__attribute__((unused)) static void free_ok(struct device_memory *memory)
{
    assert_ok(device_free(memory, &err), &err);
}

__attribute__((unused)) static uint64_t used_bytes(void)
{
    struct device_capacity capacity;
    device_capacity(under_test.device, &capacity);
    return capacity.used_bytes;
}

__attribute__((unused)) static struct device_key *key_of(const uint8_t bytes[32])
{
    struct device_key *key = NULL;
    struct lethe_secret *secret = secret_of(bytes, 32);
    assert_ok(device_key_create(under_test.device, secret, &key, &err), &err);
    lethe_secret_free(secret);
    return key;
}

/* All have ended before any can fail the test: none runs on beside the next. */
__attribute__((unused)) static void assert_joined(pthread_t *threads, size_t count)
{
    size_t failures = 0;
    for (size_t i = 0; i < count; i++) {
        void *failed;
        failures += pthread_join(threads[i], &failed) != 0 || failed != NULL;
    }
    assert_int_equal(failures, 0);
}

/* ---- errors without addresses ---------------------------------------------------------------- */

/* No number in hex, and no address of `memory` (which may be NULL) in any notation. MS-001 */
__attribute__((unused)) static void assert_no_address(const char *text,
                                                      struct device_memory *memory)
{
    regex_t pattern;
    assert_int_equal(regcomp(&pattern, "0x[0-9a-f]|[0-9]*[a-f][0-9a-f]{7,}",
                             REG_EXTENDED | REG_ICASE | REG_NOSUB),
                     0);
    int found = regexec(&pattern, text, 0, NULL, 0);
    regfree(&pattern);
    if (found == 0)
        fail_msg("looks like an address: %s", text);
    if (memory == NULL)
        return;
    char number[32];
    uint64_t address = (uint64_t)(uintptr_t)device_memory_address(memory);
    snprintf(number, sizeof number, "%" PRIu64, address);
    assert_null(strstr(text, number));
    snprintf(number, sizeof number, "%" PRIx64, address);
    assert_null(strstr(text, number));
}

/* The call gives `expected`, says why, and says no address. */
#define assert_refused(expected, call, memory)                                                     \
    do {                                                                                           \
        memset(&err, 0, sizeof err);                                                               \
        assert_result(expected, call);                                                             \
        assert_true(err.text[0] != '\0');                                                          \
        assert_no_address(err.text, memory);                                                       \
        assert_no_address(err.hint, memory);                                                       \
    } while (0)

/* ---- runs ------------------------------------------------------------------------------------ */

/* Opens under_test.device; for cmocka_run_group_tests. */
int device_check_open(void **state);
int device_check_close(void **state);

struct device_tests {
    const struct CMUnitTest *tests;
    size_t count;
};
#define DEVICE_TESTS(name, ...)                                                                    \
    static const struct CMUnitTest name##_all[] = {__VA_ARGS__};                                   \
    extern const struct device_tests name##_tests;                                                 \
    const struct device_tests name##_tests = {name##_all, ARRAY_LEN(name##_all)}

#endif
