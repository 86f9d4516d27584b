/* tests/check.h -- what every test file includes first: cmocka, and results compared by name. */
#ifndef TESTS_CHECK_H
#define TESTS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"

/* Sanitizers move what lies on the stack and keep what was freed: tests that look there ask. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define HAS_SANITIZER true
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_SANITIZER true
#endif
#endif
#ifndef HAS_SANITIZER
#define HAS_SANITIZER false
#endif

/* How far apart the cases are that are taken of a long table of the same kind (every bit, every
 * step). The build by gcc without a sanitizer takes them all, and so does every build with
 * LETHE_TEST_LONG. The others, which find in a sample what they are there for, take one in `apart`,
 * and say so. */
static inline size_t table_stride(size_t apart)
{
    static size_t said;
#ifdef __clang__
    bool is_other_build = true;
#else
    bool is_other_build = HAS_SANITIZER;
#endif
    if (!is_other_build || getenv("LETHE_TEST_LONG") != NULL)
        return 1;
    if (said != apart)
        printf("one case in %zu (all of them in the gcc build, or with LETHE_TEST_LONG)\n", apart);
    said = apart;
    return apart;
}

/* assert_result(LETHE_DENIED, call(..., &err)): shows both results by name when they differ. */
#define assert_result(expected, call)                                                              \
    do {                                                                                           \
        lethe_result check_got = (call);                                                           \
        lethe_result check_expected = (expected);                                                  \
        if (check_got != check_expected)                                                           \
            fail_msg("%s: got %s instead of %s", #call, lethe_result_name(check_got),              \
                     lethe_result_name(check_expected));                                           \
    } while (0)

/* The same for calls that must work, with the error's text: assert_ok(call(..., &err), &err). */
#define assert_ok(call, error)                                                                     \
    do {                                                                                           \
        lethe_result check_got = (call);                                                           \
        if (check_got != LETHE_OK)                                                                 \
            fail_msg("%s: %s: %s", #call, lethe_result_name(check_got),                            \
                     (const char *)(error)->text);                                                 \
    } while (0)

#endif
