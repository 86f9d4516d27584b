/* gpu/cmocka.h -- as much of cmocka as the tests of tests/device use, for a program that needs no
 * library on the machine it is taken to. Prints TAP. One thread. */
#ifndef GPU_CMOCKA_H
#define GPU_CMOCKA_H

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

struct CMUnitTest {
    const char *name;
    void (*test_func)(void **state);
};
#define cmocka_unit_test(function)                                                                 \
    {                                                                                              \
        .name = #function, .test_func = function                                                   \
    }

/* Of all groups so far. */
struct tap_counts {
    unsigned run, failed, skipped;
};
extern struct tap_counts tap;

/* Ends the test that is running. */
_Noreturn void tap_skip(void);
_Noreturn void tap_fail(const char *file, int line, const char *format, ...)
    __attribute__((__format__(__printf__, 3, 4)));

/* Gives how many failed; all of them when `setup` does not give 0. */
int _cmocka_run_group_tests(const char *group, const struct CMUnitTest *tests, size_t count,
                            int (*setup)(void **state), int (*teardown)(void **state));

#define skip() tap_skip()
#define fail_msg(...) tap_fail(__FILE__, __LINE__, __VA_ARGS__)
#define assert_true(condition)                                                                     \
    ((condition) ? (void)0 : tap_fail(__FILE__, __LINE__, "not %s", #condition))
#define assert_false(condition)                                                                    \
    (!(condition) ? (void)0 : tap_fail(__FILE__, __LINE__, "%s", #condition))
#define assert_non_null(pointer) assert_true((pointer) != NULL)
#define assert_null(pointer) assert_true((pointer) == NULL)
#define assert_ptr_equal(a, b) assert_true((a) == (b))
#define assert_int_equal(a, b)                                                                     \
    tap_compare((uint64_t)(a), (uint64_t)(b), #a " == " #b, __FILE__, __LINE__)
#define assert_string_equal(a, b)                                                                  \
    (strcmp((a), (b)) == 0 ? (void)0                                                               \
                           : tap_fail(__FILE__, __LINE__, "\"%s\" instead of \"%s\"", (a), (b)))
#define assert_memory_equal(a, b, size)                                                            \
    (memcmp((a), (b), (size)) == 0 ? (void)0                                                       \
                                   : tap_fail(__FILE__, __LINE__, "%s differs from %s", #a, #b))
#define assert_memory_not_equal(a, b, size)                                                        \
    (memcmp((a), (b), (size)) != 0 ? (void)0 : tap_fail(__FILE__, __LINE__, "%s is %s", #a, #b))

void tap_compare(uint64_t a, uint64_t b, const char *what, const char *file, int line);

#endif
