#include "cmocka.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

struct tap_counts tap;

static jmp_buf end_of_test;
enum { TEST_FAILED = 1, TEST_SKIPPED = 2 };

_Noreturn void tap_skip(void)
{
    longjmp(end_of_test, TEST_SKIPPED);
}

_Noreturn void tap_fail(const char *file, int line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("# %s:%d: ", file, line);
    vprintf(format, arguments);
    putchar('\n');
    va_end(arguments);
    longjmp(end_of_test, TEST_FAILED);
}

void tap_compare(uint64_t a, uint64_t b, const char *what, const char *file, int line)
{
    if (a != b)
        tap_fail(file, line, "not %s: %" PRIu64 " and %" PRIu64, what, a, b);
}

static int run(const char *group, const struct CMUnitTest *test)
{
    void *state = NULL;
    int end = setjmp(end_of_test);
    if (end == 0)
        test->test_func(&state);
    tap.run++;
    tap.failed += end == TEST_FAILED;
    tap.skipped += end == TEST_SKIPPED;
    printf("%s %u - %s: %s%s\n", end == TEST_FAILED ? "not ok" : "ok", tap.run, group, test->name,
           end == TEST_SKIPPED ? " # SKIP" : "");
    fflush(stdout);
    return end == TEST_FAILED;
}

int _cmocka_run_group_tests(const char *group, const struct CMUnitTest *tests, size_t count,
                            int (*setup)(void **state), int (*teardown)(void **state))
{
    int failed = 0;
    void *state = NULL;
    if (setup(&state) != 0) {
        printf("not ok %u - %s: could not be set up\n", ++tap.run, group);
        tap.failed++;
        return (int)count;
    }
    for (size_t i = 0; i < count; i++)
        failed += run(group, &tests[i]);
    teardown(&state);
    return failed;
}
