#include "check.h"

#include "policy/meter.h"

static uint64_t now_ns;
static unsigned looks;

static uint64_t tell_time(void *context)
{
    looks++;
    return now_ns;
}
static const struct clock_source clock_fake = {.monotonic_ns = tell_time};

static struct builtin_meter fresh(uint64_t steps)
{
    now_ns = 0;
    looks = 0;
    return (struct builtin_meter){.steps_left = steps, .deadline_ns = 1000, .clock = &clock_fake};
}

static void as_many_steps_as_there_are_can_be_spent_and_no_more(void **state)
{
    static const uint64_t limits[] = {0,   1, 10, METER_STEPS_PER_LOOK, METER_STEPS_PER_LOOK + 1,
                                      9999};
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        struct builtin_meter meter = fresh(limits[i]);
        for (uint64_t spent = 0; spent < limits[i]; spent++)
            assert_result(LETHE_OK, meter_spend(&meter, 1));
        assert_result(LETHE_LIMIT, meter_spend(&meter, 1));
        assert_true(meter.exhausted);
        assert_false(meter.out_of_time);
        assert_result(LETHE_LIMIT, meter_spend(&meter, 0));
    }
}

static void many_steps_at_once_are_as_many_as_one_by_one(void **state)
{
    struct builtin_meter meter = fresh(100000);
    assert_result(LETHE_OK, meter_spend(&meter, 1));
    assert_result(LETHE_OK, meter_spend(&meter, 50000));
    assert_result(LETHE_OK, meter_spend(&meter, 49999));
    assert_result(LETHE_LIMIT, meter_spend(&meter, 1));

    meter = fresh(100000);
    assert_result(LETHE_OK, meter_spend(&meter, 1));
    assert_result(LETHE_LIMIT, meter_spend(&meter, 100000));
    assert_result(LETHE_LIMIT, meter_spend(&meter, 1)); /* though as many were left */

    meter = fresh(100000);
    assert_result(LETHE_LIMIT, meter_spend(&meter, UINT64_MAX));
    assert_result(LETHE_LIMIT, meter_spend(&meter, 1));
}

static void time_is_looked_at_now_and_then(void **state)
{
    struct builtin_meter meter = fresh(1000000);
    for (uint64_t i = 0; i < 10 * METER_STEPS_PER_LOOK; i++)
        assert_result(LETHE_OK, meter_spend(&meter, 1));
    assert_in_range(looks, 10, 11);
    now_ns = 1000;
    uint64_t more = 0;
    while (meter_spend(&meter, 1) == LETHE_OK)
        more++;
    assert_true(more <= METER_STEPS_PER_LOOK);
    assert_true(meter.out_of_time);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_many_steps_as_there_are_can_be_spent_and_no_more),
        cmocka_unit_test(many_steps_at_once_are_as_many_as_one_by_one),
        cmocka_unit_test(time_is_looked_at_now_and_then),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
