/* The Nth allocation fails, for every N: nothing leaks, and nothing is allowed that was not shown
 * to be. */
#include "prepared.h"

#include <stdlib.h>

#include "failing_memory.h"
#include "gmp_refused.h"

FAILS(calloc)
FAILS(malloc)
FAILS(realloc)
void *__real_aligned_alloc(size_t alignment_bytes, size_t size_bytes);
void *__wrap_aligned_alloc(size_t alignment_bytes, size_t size_bytes);
void *__wrap_aligned_alloc(size_t alignment_bytes, size_t size_bytes)
{
    return fails_now() ? NULL : __real_aligned_alloc(alignment_bytes, size_bytes);
}

DEFINE_CLEANUP(lethe_policy_holder_free, struct lethe_policy_holder *);

static const char text[] = "package test\n"
                           "allow := {\"allowed\": true, \"reason\": reason} if {\n"
                           "\tsome user in data.users\n"
                           "\tuser == input.user\n"
                           "\tregex.match(`^[a-z]+$`, user)\n"
                           "\tcount([x | some x in numbers.range(1, 3000); x % 2 == 0]) == 1500\n"
                           "\tnot input.user in data.gone\n"
                           "\tformat_int(input.serial * 3, 10) != \"0\"\n"
                           "\treason := sprintf(\"%s is known\", [user])\n"
                           "}\n"
                           "allow := {\"allowed\": false} if input.user in data.gone\n";
static const char data[] = "{\"users\": [\"ada\", \"bob\"], \"gone\": [\"eve\"]}";
#define RULE "data.test.allow"
#define SERIAL "718328460127439283490172349817234987123498712349" /* as of a certificate */

static lethe_result prepare(struct lethe_policy **out, struct lethe_error *err)
{
    const struct lethe_policy_module module = module_of("test.rego", text);
    const struct lethe_policy_options options = {
        .modules = &module,
        .module_count = 1,
        .data = data,
        .data_size_bytes = sizeof data - 1,
    };
    return lethe_policy_prepare(&options, out, err);
}

static void preparing_survives_every_failure(void **state)
{
    unsigned failures = 0;
    for (unsigned n = 1;; n++) {
        struct lethe_error err = {0};
        CLEANUP(lethe_policy_free) struct lethe_policy *policy = NULL;
        calls_left = n;
        has_failed = false;
        lethe_result result = prepare(&policy, &err);
        calls_left = 0;
        if (!has_failed) {
            assert_result(LETHE_OK, result);
            break;
        }
        failures++;
        if (result != LETHE_OK)
            assert_result(LETHE_NO_MEMORY, result);
        assert_int_equal(result == LETHE_OK, policy != NULL);
    }
    print_message("%u allocations\n", failures);
    assert_true(failures >= 5);
}

static void decide_with_failures(struct lethe_policy_holder *holder, const char *input,
                                 enum lethe_policy_reason expected, unsigned at_least)
{
    unsigned failures = 0;
    for (unsigned n = 1;; n++) {
        struct lethe_decision decision;
        calls_left = n;
        has_failed = false;
        lethe_policy_holder_decide(holder, RULE, input, strlen(input), &decision);
        calls_left = 0;
        if (decision.reason != expected)
            assert_int_equal(decision.reason, LETHE_POLICY_NO_MEMORY);
        if (!has_failed) {
            assert_int_equal(decision.reason, expected);
            break;
        }
        failures++;
    }
    print_message("%u allocations\n", failures);
    assert_true(failures >= at_least);
}

static void deciding_survives_every_failure(void **state)
{
    struct lethe_error err = {0};
    struct lethe_policy *policy = NULL;
    CLEANUP(lethe_policy_holder_free) struct lethe_policy_holder *holder = NULL;
    assert_ok(prepare(&policy, &err), &err);
    assert_ok(lethe_policy_holder_create(policy, &holder, &err), &err);
    decide_with_failures(holder, "{\"user\": \"ada\", \"serial\": " SERIAL "}",
                         LETHE_POLICY_ALLOWED, 3);
    decide_with_failures(holder, "{\"user\": \"eve\"}", LETHE_POLICY_REFUSED, 1);
    decide_with_failures(holder, "{\"user\": \"zoe\"}", LETHE_POLICY_UNDEFINED, 1);
}

static void a_holder_that_cannot_be_made_frees_its_policy(void **state)
{
    struct lethe_error err = {0};
    struct lethe_policy *policy = NULL;
    struct lethe_policy_holder *holder = (struct lethe_policy_holder *)1;
    assert_ok(prepare(&policy, &err), &err);
    calls_left = 1;
    assert_result(LETHE_NO_MEMORY, lethe_policy_holder_create(policy, &holder, &err));
    calls_left = 0;
    assert_null(holder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(preparing_survives_every_failure),
        cmocka_unit_test(deciding_survives_every_failure),
        cmocka_unit_test(a_holder_that_cannot_be_made_frees_its_policy),
    };
    return cmocka_run_group_tests(tests, gmp_refuse, NULL);
}
