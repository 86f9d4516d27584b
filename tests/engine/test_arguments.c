/* The engine's command line and environment: what is replaced, and what is not. */
#include "check.h"

#include <stdlib.h>

#include "engine/arguments.h"

static const struct placeholder two[] = {{"model", "/m/llama.gguf"}, {"draft", "/d"}};

static void expect(const char *argument, const char *expanded)
{
    struct lethe_error err = {0};
    char *const arguments[] = {(char *)(uintptr_t)argument, NULL};
    CLEANUP(arguments_free) char **out = NULL;
    assert_ok(arguments_expand(arguments, two, ARRAY_LEN(two), &out, &err), &err);
    assert_string_equal(out[0], expanded);
    assert_null(out[1]);
}

static void placeholders_are_replaced_anywhere_and_nothing_else(void **state)
{
    expect("{model}", "/m/llama.gguf");
    expect("--m={model}", "--m=/m/llama.gguf");
    expect("{model}:{draft}/x:{model}", "/m/llama.gguf:/d/x:/m/llama.gguf");
    expect("{{model}}", "{/m/llama.gguf}");
    expect("", "");
    expect("{}", "{}");
    expect("{models}", "{models}");
    expect("{model", "{model");
    expect("{\"json\": {\"model\": 1}}", "{\"json\": {\"model\": 1}}");
}

static void a_placeholder_that_is_not_used_is_named(void **state)
{
    struct lethe_error err = {0};
    char engine[] = "engine";
    char argument[] = "x{model}y";
    char *const arguments[] = {engine, argument, NULL};
    assert_ok(arguments_check(arguments, two, 1, &err), &err);
    assert_result(LETHE_INVALID, arguments_check(arguments, two, 2, &err));
    assert_non_null(strstr(err.text, "{draft}"));
    assert_non_null(strstr(err.hint, "{draft}"));
}

static void the_environment_is_private_and_lethe_is_not_in_it(void **state)
{
    struct lethe_error err = {0};
    setenv("LETHE_HOME", "/secret/place", 1);
    setenv("LETHE_X", "1", 1);
    setenv("OTHER_LETHE", "kept", 1);
    assert_ok(environment_make_private("/private", &err), &err);
    environment_hide_lethe();
    assert_string_equal(getenv("HOME"), "/private/home");
    assert_string_equal(getenv("TMPDIR"), "/private/tmp");
    assert_string_equal(getenv("XDG_CACHE_HOME"), "/private/home/.cache");
    assert_null(getenv("LETHE_HOME"));
    assert_null(getenv("LETHE_X"));
    assert_string_equal(getenv("OTHER_LETHE"), "kept");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(placeholders_are_replaced_anywhere_and_nothing_else),
        cmocka_unit_test(a_placeholder_that_is_not_used_is_named),
        cmocka_unit_test(the_environment_is_private_and_lethe_is_not_in_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
