/* The Nth allocation fails, for every N, libyaml's own among them: that is said, nothing leaks, and
 * what is read or printed without is the same. */
#include "check.h"

#include <string.h>

#include "failing_memory.h"
#include "policy/yaml_value.h"

#define FAILS_strdup (const char *string), (string)

FAILS(calloc)
FAILS(malloc)
FAILS(realloc)
char *__real_strdup(const char *string);
char *__wrap_strdup(const char *string);
char *__wrap_strdup(const char *string)
{
    return fails_now() ? NULL : __real_strdup(string);
}

static const char text[] = "%TAG !x! tag:x,1:\n"
                           "---\n"
                           "list: &a {b: 1_0, \"c\": !x!y \"a\\u00e9\", 1: [0x10, 1e3, 12e4567]}\n"
                           "of: {<<: [*a, {d: e}]}\n"
                           "lines: |-\n"
                           "  e\n"
                           "  f\n"
                           "? long\n"
                           ": !!int 3\n";

static lethe_result read_failing(unsigned n, struct arena *arena, const struct value **out)
{
    struct lethe_error err = {0};
    const struct yaml_source source = {text, sizeof text - 1, NULL};
    calls_left = n;
    has_failed = false;
    lethe_result result = value_parse_yaml(arena, &source, out, &err);
    calls_left = 0;
    assert_true(result == LETHE_OK || err.text[0] != '\0');
    return result;
}

static void reading_survives_every_failure(void **state)
{
    CLEANUP(arena_clear) struct arena whole = {0};
    const struct value *want = NULL;
    unsigned failures = 0;
    assert_result(LETHE_OK, read_failing(0, &whole, &want));
    for (unsigned n = 1;; n++) {
        CLEANUP(arena_clear) struct arena arena = {0};
        const struct value *value = NULL;
        lethe_result result = read_failing(n, &arena, &value);
        if (result == LETHE_OK)
            assert_true(value_equal(value, want));
        else
            assert_result(LETHE_NO_MEMORY, result);
        if (!has_failed)
            break;
        failures++;
    }
    assert_true(failures > 50); /* libyaml's are among them */
}

static lethe_result print_failing(unsigned n, const struct value *value, struct buffer *out)
{
    calls_left = n;
    has_failed = false;
    lethe_result result = value_print_yaml(value, BUFFER_LIMIT_BYTES, NULL, out);
    calls_left = 0;
    return result;
}

static void printing_survives_every_failure(void **state)
{
    CLEANUP(arena_clear) struct arena arena = {0};
    CLEANUP(buffer_clear) struct buffer want = {0};
    const struct value *value = NULL;
    unsigned failures = 0;
    assert_result(LETHE_OK, read_failing(0, &arena, &value));
    assert_result(LETHE_OK, print_failing(0, value, &want));
    for (unsigned n = 1;; n++) {
        CLEANUP(buffer_clear) struct buffer out = {0};
        lethe_result result = print_failing(n, value, &out);
        if (result == LETHE_OK)
            assert_string_equal(out.bytes, want.bytes);
        else
            assert_result(LETHE_NO_MEMORY, result);
        if (!has_failed)
            break;
        failures++;
    }
    assert_true(failures > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading_survives_every_failure),
        cmocka_unit_test(printing_survives_every_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
