#include "crash_check.h"

#include <errno.h>

/* each group in a file of its own, the oldest trimmed, and faults at every step of it: what is
 * left is a good log, whose end is there. */
static void rotation_and_trimming_may_fail_anywhere(void **state)
{
    if (!faults_work())
        skip();
    const struct audit_limits limits = {.rotate_bytes = 1, .keep_bytes = 1000};
    struct sweep killed = sweep_with(FAULT_KILL, 0, limits);
    struct sweep failed = sweep_with(FAULT_FAIL, EIO, limits);
    struct sweep full = sweep_with(FAULT_FAIL_FROM, ENOSPC, limits);
    printf("%u, %u and %u places with trimming; trimmed were %u, %u and %u logs\n", killed.points,
           failed.points, full.points, killed.trimmed, failed.trimmed, full.trimmed);
    assert_true(killed.points > 120 && killed.trimmed > 20 && full.trimmed * full.stride > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rotation_and_trimming_may_fail_anywhere),
    };
    return cmocka_run_group_tests(tests, start_in_memory, NULL);
}
