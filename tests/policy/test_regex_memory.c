/* Every allocation of RE2 fails once: nothing is thrown into C, and what was compiled goes on. */
#include "check.h"

#include "policy/re2_regex.h"

/* failing_new.cc */
extern unsigned new_calls_left;
extern bool new_has_failed;

/* RE2 may lose a block when it cannot get another (re2_regex.h). */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libre2";
}

static const char pattern[] = "(?P<first>[a-c]+)([a-z]*)|(x+x+)+y|\\bword\\b(1)?(2)?(3)?(4)?(5)?";
static const char text[] = "0 1 2 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx aardvark word";

static lethe_result find(const struct re2_regex *regex, struct re2_span spans[9], unsigned count)
{
    const struct re2_search search = {.text = text, .size_bytes = sizeof text - 1};
    bool found = false;
    lethe_result result = re2_regex_find(regex, &search, spans, count, &found);
    if (result == LETHE_OK)
        assert_true(found);
    return result;
}

/* Whether the regular expression is found with what memory there is; and after that with all. */
static lethe_result find_under_failure(const struct re2_regex *regex)
{
    struct re2_span spans[9];
    unsigned group = 0;
    lethe_result result = find(regex, spans, 0);
    if (result == LETHE_OK)
        result = find(regex, spans, 9);
    if (result == LETHE_OK)
        result = re2_regex_group_named(regex, "first", 5, &group);
    new_calls_left = 0;
    assert_result(LETHE_OK, find(regex, spans, 9));
    assert_int_equal(spans[1].start, 37);
    assert_int_equal(spans[1].end, 39);
    return result;
}

static lethe_result one_run(unsigned fails_at)
{
    struct re2_regex *regex = NULL;
    struct lethe_error err = {0};
    new_has_failed = false;
    new_calls_left = fails_at;
    lethe_result result =
        re2_regex_create(pattern, sizeof pattern - 1, RE2_REGEX_MEMORY_MAX, &regex, &err);
    if (result == LETHE_OK)
        result = find_under_failure(regex);
    new_calls_left = 0;
    re2_regex_free(regex);
    return result;
}

/* RE2 itself does without some of its tables: then all goes well although one could not be had. */
static void any_allocation_of_re2_may_fail(void **state)
{
    unsigned failures = 0;
    assert_result(LETHE_OK, one_run(0));
    for (unsigned n = 1;; n++) {
        lethe_result result = one_run(n);
        if (!new_has_failed)
            break;
        if (result != LETHE_OK)
            assert_result(LETHE_NO_MEMORY, result);
        failures += result == LETHE_NO_MEMORY;
    }
    assert_true(failures > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_allocation_of_re2_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
