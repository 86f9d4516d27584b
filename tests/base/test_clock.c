#include "check.h"

#include <time.h>

#include "base/clock.h"

static void the_system_clock_is_the_real_one(void **state)
{
    uint64_t wall_s = clock_wall_ns(&clock_system) / 1000000000u;
    assert_in_range(wall_s, (uint64_t)time(NULL) - 1, (uint64_t)time(NULL) + 1);
    uint64_t last = clock_monotonic_ns(&clock_system);
    for (int i = 0; i < 1000; i++) {
        uint64_t now = clock_monotonic_ns(&clock_system);
        assert_true(now >= last);
        last = now;
    }
}

static uint64_t stopped(void *context)
{
    return *(uint64_t *)context;
}

static void a_test_brings_its_own_clock(void **state)
{
    uint64_t now = 5;
    const struct clock_source clock = {stopped, stopped, &now};
    assert_int_equal(clock_wall_ns(&clock), 5);
    now = 6;
    assert_int_equal(clock_monotonic_ns(&clock), 6);
}

static void randomness_fills_all_of_it(void **state)
{
    static uint8_t bytes[1 << 20];
    assert_result(LETHE_OK, random_fill(&random_system, bytes, sizeof bytes));
    /* Each 64-byte block of a megabyte holds a byte that is not zero (2^-498 that one does not). */
    for (size_t i = 0; i < sizeof bytes; i += 64) {
        unsigned any = 0;
        for (size_t j = 0; j < 64; j++)
            any |= bytes[i + j];
        assert_true(any != 0);
    }
    assert_result(LETHE_OK, random_fill(&random_system, bytes, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_system_clock_is_the_real_one),
        cmocka_unit_test(a_test_brings_its_own_clock),
        cmocka_unit_test(randomness_fills_all_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
