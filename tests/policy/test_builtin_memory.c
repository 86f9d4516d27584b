/* The Nth allocation of a call fails, for every N: it says so, or gives what it gives otherwise. */
#include "check.h"

#include <stdlib.h>

#include "builtin_call.h"
#include "failing_memory.h"

FAILS(calloc)
FAILS(malloc)
FAILS(realloc)

static const struct builtin_example calls[] = {
    {"time.format", "[[0, \"UTC\", \"Monday, 2 January 2006 15:04:05.000000000 MST\"]]", ""},
    {"time.format", "[[0, \"Etc/UTC\"]]", ""},
    {"time.date", "[[0, \"Nowhere/At/All\"]]", ""},
    {"time.diff", "[[0, \"Etc/UTC\"], 1000000000000000000]", ""},
    {"time.add_date", "[0, 1, 2, 3]", ""},
    {"time.parse_ns", "[\"RFC3339\", \"2017-06-02T19:00:00-07:00\"]", ""},
    {"time.parse_ns", "[\"RFC3339\", \"2017-06-02T19:00:00-07\"]", ""},
    {"time.parse_duration_ns", "[\"1x\"]", ""},
    {"units.parse", "[\"1.25e3Gi\"]", ""},
    {"units.parse", "[\"99999999999999999999999999999999999999.99999999999Ei\"]", ""},
    {"units.parse_bytes", "[\"-12.5kb\"]", ""},
    {"units.parse_bytes", "[\"1.2.3\"]", ""},
    {"uuid.parse", "[\"000003e8-48b9-21ee-b203-325096b39f47\"]", ""},
    {"crypto.sha256", "[\"a\"]", ""},
    {"crypto.hmac.sha512", "[\"a\", \"b\"]", ""},
    {"bits.lsh", "[1, 1000]", ""},
    {"bits.xor", "[123456789012345678901234567890, -1]", ""},
    {"yaml.marshal", "[{\"a\": [1, {\"$set\": [\"b\"]}]}]", ""},
    {"yaml.unmarshal", "[\"a: &a {b: 1_0}\\nc: {<<: *a, d: [e]}\"]", ""},
    {"yaml.unmarshal", "[\"{\"]", ""},
    {"yaml.is_valid", "[\"a: 1\"]", ""},
    {"graph.reachable", "[{\"a\": [\"b\"], \"b\": [\"a\"]}, [\"a\"]]", ""},
    {"graph.reachable_paths", "[{\"a\": [\"b\", \"c\"], \"b\": [\"a\"], \"c\": []}, [\"a\"]]", ""},
};

/* The allocations of the call alone fail, not those around it. */
static lethe_result call_failing(unsigned n, const struct builtin_example *example,
                                 struct buffer *out)
{
    CLEANUP(arena_clear) struct arena operands_arena = {0};
    CLEANUP(arena_clear) struct arena arena = {0};
    static const struct builtin_world world;
    struct builtin_error error = {0};
    struct builtin_meter meter = {
        .steps_left = CALLER_STEPS_DEFAULT, .deadline_ns = UINT64_MAX, .clock = &clock_system};
    struct builtin_call call = {.builtin =
                                    builtin_find(example->name, strlen(example->name), false),
                                .arena = &arena,
                                .world = &world,
                                .meter = &meter,
                                .error = &error};
    const struct value *operands = NULL, *value = NULL;
    assert_result(LETHE_OK, value_parse_json(&operands_arena, example->operands,
                                             strlen(example->operands), &operands, NULL));
    calls_left = n;
    has_failed = false;
    lethe_result result = builtin_invoke(&call, operands->items, &value);
    calls_left = 0;
    call_describe(result, value, &error, out);
    return result;
}

static void check_every_failure(const struct builtin_example *example)
{
    CLEANUP(buffer_clear) struct buffer want = {0};
    (void)call_failing(0, example, &want);
    for (unsigned n = 1;; n++) {
        CLEANUP(buffer_clear) struct buffer out = {0};
        lethe_result result = call_failing(n, example, &out);
        if (result != LETHE_NO_MEMORY && strcmp(out.bytes, want.bytes) != 0)
            fail_msg("%s%s with allocation %u failing: %s instead of %s", example->name,
                     example->operands, n, out.bytes, want.bytes);
        if (!has_failed)
            break;
    }
}

static void a_call_without_memory_says_so(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(calls); i++)
        check_every_failure(&calls[i]);
}

/* Otherwise nothing of the above was tested. */
static void allocations_do_fail(void **state)
{
    CLEANUP(buffer_clear) struct buffer out = {0};
    assert_result(LETHE_NO_MEMORY, call_failing(1, &calls[0], &out));
    assert_true(has_failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_without_memory_says_so),
        cmocka_unit_test(allocations_do_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
