#include "check.h"

#include "builtin_call.h"

static const struct builtin_caller plain;

/* A draw after another, from a list. */
struct draws {
    const uint64_t *numbers;
    size_t next, count;
};

static lethe_result fill_from_list(void *context, void *out, size_t size_bytes)
{
    struct draws *draws = context;
    if (draws->next == draws->count)
        return LETHE_FAILED;
    assert_int_equal(size_bytes, sizeof(uint64_t));
    memcpy(out, &draws->numbers[draws->next++], size_bytes);
    return LETHE_OK;
}

static void operands_are_a_text_and_an_integer(void **state)
{
    static const struct builtin_example examples[] = {
        {"rand.intn", "[1, 1]",
         "eval_type_error: rand.intn: operand 1 must be string but got number"},
        {"rand.intn", "[\"\", \"1\"]",
         "eval_type_error: rand.intn: operand 2 must be number but got string"},
        {"rand.intn", "[\"\", 1.5]",
         "eval_type_error: rand.intn: operand 2 must be integer number but got floating-point "
         "number"},
        {"rand.intn", "[\"\", 18446744073709551616]",
         "eval_builtin_error: rand.intn: operand 2 is too large"},
    };
    BUILTIN_CHECK(&plain, examples);
}

static void no_randomness_is_an_error(void **state)
{
    struct draws draws = {0};
    const struct random_source none = {.fill = fill_from_list, .context = &draws};
    const struct builtin_caller caller = {.world = {.random = &none}};
    static const struct builtin_example example = {
        "rand.intn", "[\"\", 10]",
        "eval_builtin_error: rand.intn: the system has no randomness to give"};
    builtin_check(&caller, &example, 1);
}

static void the_sign_of_the_bound_does_not_matter_and_zero_gives_zero(void **state)
{
    static const uint64_t numbers[] = {1234567, 1234567, UINT64_MAX};
    struct draws draws = {.numbers = numbers, .count = ARRAY_LEN(numbers)};
    const struct random_source source = {.fill = fill_from_list, .context = &draws};
    const struct builtin_caller caller = {.world = {.random = &source}};
    static const struct builtin_example examples[] = {
        {"rand.intn", "[\"\", 0]", "0"},
        {"rand.intn", "[\"\", 1000]", "567"},
        {"rand.intn", "[\"\", -1000]", "567"},
        {"rand.intn", "[\"\", -9223372036854775808]", "9223372036854775807"},
    };
    BUILTIN_CHECK(&caller, examples);
}

/* 2^64 is 6 more than a multiple of 10: with draws of 0 to 5 these would come a little more often.
 */
static void draws_that_favour_small_numbers_are_thrown_away(void **state)
{
    static const uint64_t numbers[] = {0, 5, 3, 6, 17};
    struct draws draws = {.numbers = numbers, .count = ARRAY_LEN(numbers)};
    const struct random_source source = {.fill = fill_from_list, .context = &draws};
    const struct builtin_caller caller = {.world = {.random = &source}};
    static const struct builtin_example examples[] = {
        {"rand.intn", "[\"\", 10]", "6"},
        {"rand.intn", "[\"\", 10]", "7"},
    };
    BUILTIN_CHECK(&caller, examples);
}

static lethe_result fill_with_zeros(void *context, void *out, size_t size_bytes)
{
    memset(out, 0, size_bytes);
    return LETHE_OK;
}

static void a_source_that_gives_nothing_else_meets_the_limit(void **state)
{
    static const struct random_source zeros = {.fill = fill_with_zeros};
    static const struct builtin_caller caller = {.world = {.random = &zeros}};
    static const struct builtin_example example = {"rand.intn", "[\"\", 10]", "limit"};
    builtin_check(&caller, &example, 1);
}

static void every_number_below_the_bound_comes(void **state)
{
    unsigned seen = 0;
    for (int i = 0; i < 1000 && seen != 0x1f; i++) {
        CLEANUP(buffer_clear) struct buffer out = {0};
        builtin_call_text(&plain, "rand.intn", "[\"\", 5]", &out);
        assert_int_equal(out.size_bytes, 1);
        assert_in_range(out.bytes[0], '0', '4');
        seen |= 1u << (out.bytes[0] - '0');
    }
    assert_int_equal(seen, 0x1f);
}

static void the_runtime_tells_nothing_but_what_it_is_given(void **state)
{
    static const struct builtin_caller given = {.world = {.runtime = &value_true}};
    static const struct builtin_example nothing = {"opa.runtime", "[]", "{}"};
    static const struct builtin_example something = {"opa.runtime", "[]", "true"};
    builtin_check(&plain, &nothing, 1);
    builtin_check(&given, &something, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operands_are_a_text_and_an_integer),
        cmocka_unit_test(no_randomness_is_an_error),
        cmocka_unit_test(the_sign_of_the_bound_does_not_matter_and_zero_gives_zero),
        cmocka_unit_test(draws_that_favour_small_numbers_are_thrown_away),
        cmocka_unit_test(a_source_that_gives_nothing_else_meets_the_limit),
        cmocka_unit_test(every_number_below_the_bound_comes),
        cmocka_unit_test(the_runtime_tells_nothing_but_what_it_is_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
