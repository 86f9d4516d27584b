/* Host memory that cannot be wiped. */
#include "device_check.h"

#include "../crypto/memory_search.h"
#include "../mem/fakes.h"

struct device_under_test under_test = {.kind = LETHE_DEVICE_HOST};

static unsigned reports;

static void hear(void *context, const struct lethe_wipe_report *report)
{
    reports++;
}

static void wipe_all_but_one_byte(void *memory, size_t size_bytes)
{
    lethe_wipe(memory, size_bytes);
    ((uint8_t *)memory)[size_bytes / 2] = 1;
}

/* MS-004: it is kept from everyone, and counts as used. */
static void host_memory_that_is_not_zero_is_kept(void **state)
{
    struct device_memory *memory = memory_of(100000);
    uint64_t used = used_bytes();
    host.wipe = wipe_all_but_one_byte;
    lethe_result result = device_free(memory, &err);
    host.wipe = real_host.wipe;
    assert_int_equal(result, LETHE_UNWIPED);
    assert_no_address(err.text, NULL);
    assert_int_equal(used_bytes(), used);
    assert_true(reports > 0);
}

/* Z-3. While the memory lives, the search must find what it holds. */
static void freed_host_memory_holds_nothing(void **state)
{
    uint8_t secret[48];
    fill_random(secret, sizeof secret);
    struct needle needle = needle_of(secret, sizeof secret);
    struct device_memory *memory = memory_of(3000000);
    put(memory, 1234567, secret, sizeof secret);
    lethe_wipe(secret, sizeof secret);
    assert_int_equal(count_in_own_memory(&needle), 1);
    free_ok(memory);
    assert_int_equal(count_in_own_memory(&needle), 0);
}

static int open_host(void **state)
{
    real_host = host;
    lethe_mem_observe(&(struct lethe_mem_observer){.region_wiped = hear});
    return device_open(LETHE_DEVICE_HOST, 0, &under_test.device, &err) == LETHE_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(freed_host_memory_holds_nothing),
        cmocka_unit_test(host_memory_that_is_not_zero_is_kept),
    };
    return cmocka_run_group_tests(tests, open_host, NULL);
}
