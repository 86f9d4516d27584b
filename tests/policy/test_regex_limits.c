/* What expressions may cost: memory, steps and time. */
#include "check.h"

#include "base/clock.h"
#include "builtin_call.h"
#include "policy/regex.h"

static const struct builtin_caller caller = {.v0 = true};

static void append_many(struct buffer *out, const char *unit, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        buffer_text(out, unit);
}

/* On a text of so many letters. */
static const struct {
    const char *pattern, *letter;
    unsigned count;
    const char *want;
} bombs[] = {
    {"(a*)*b", "a", 200000, "false"},
    {"(x+x+)+y", "x", 200000, "false"},
    {"(?:a|aa)+$", "a", 200000, "true"},
    {"(a?){500}a{500}", "a", 20000, "true"},
    {"(.*)(.*)(.*)(.*)(.*)x", "a", 200000, "false"},
    {"(a|b)*a(a|b){900}c", "a", 200000, "limit"},
    {"(a|b)*a(a|b){90}c", "a", 2000000, "limit"},
    {"a{1000}{1000}", "a", 1,
     "eval_builtin_error: regex.match: error parsing regexp: invalid nested repetition operator: "
     "`{1000}{1000}`"},
    {"((a{100}){10}){10}", "a", 1,
     "eval_builtin_error: regex.match: error parsing regexp: invalid repeat count: `{10}`"},
    {"\\\\pL{1000}", "a", 1,
     "eval_builtin_error: regex.match: error parsing regexp: expression too large: `\\pL{1000}`"},
};

static void no_expression_keeps_a_match_busy(void **state)
{
    const uint64_t begin_ns = clock_monotonic_ns(&clock_system);
    for (size_t i = 0; i < ARRAY_LEN(bombs); i++) {
        CLEANUP(buffer_clear) struct buffer operands = {0};
        buffer_format(&operands, "[\"%s\", \"", bombs[i].pattern);
        append_many(&operands, bombs[i].letter, bombs[i].count);
        buffer_text(&operands, "\"]");
        assert_result(LETHE_OK, buffer_result(&operands, NULL));
        const struct builtin_example example = {"regex.match", operands.bytes, bombs[i].want};
        builtin_check(&caller, &example, 1);
    }
    assert_true(clock_monotonic_ns(&clock_system) - begin_ns < 20000000000u);
}

static void check_pattern(const char *unit, unsigned count, const char *want)
{
    CLEANUP(buffer_clear) struct buffer operands = {0};
    buffer_text(&operands, "[\"");
    append_many(&operands, unit, count);
    buffer_text(&operands, "\", \"x\"]");
    assert_result(LETHE_OK, buffer_result(&operands, NULL));
    const struct builtin_example example = {"regex.match", operands.bytes, want};
    builtin_check(&caller, &example, 1);
}

static void an_expression_that_is_too_long_ends_the_evaluation(void **state)
{
    check_pattern("a", REGEX_SIZE_MAX, "false");
    check_pattern("a", REGEX_SIZE_MAX + 1, "limit");
}

/* Compiling counts: a policy cannot do it for ever. */
static void expressions_that_are_costly_to_compile_cost_steps(void **state)
{
    const struct builtin_caller poor = {.steps = 20000};
    CLEANUP(buffer_clear) struct buffer operands = {0};
    buffer_text(&operands, "[\"\", \"");
    append_many(&operands, "[\\\\pL\\\\PN]", 30);
    buffer_text(&operands, "\", \"\"]");
    const struct builtin_example costly = {"regex.replace", operands.bytes, "limit"};
    builtin_check(&poor, &costly, 1);
}

/* Many matches in one text are no reason to stop. */
static void all_matches_of_a_long_text_are_found(void **state)
{
    CLEANUP(buffer_clear) struct buffer operands = {0};
    buffer_text(&operands, "[\"");
    append_many(&operands, "ab ", 30000);
    buffer_text(&operands, "\", \"[a-z]+ \", \"\"]");
    const struct builtin_example example = {"regex.replace", operands.bytes, "\"\""};
    builtin_check(&caller, &example, 1);
}

static void a_replacement_larger_than_the_memory_ends_at_the_limit(void **state)
{
    const struct builtin_caller poor = {.memory_bytes = 1 << 20};
    CLEANUP(buffer_clear) struct buffer operands = {0};
    buffer_text(&operands, "[\"");
    append_many(&operands, "a", 10000);
    buffer_text(&operands, "\", \"a\", \"");
    append_many(&operands, "b", 1000);
    buffer_text(&operands, "\"]");
    const struct builtin_example example = {"regex.replace", operands.bytes, "limit"};
    builtin_check(&poor, &example, 1);
}

/* Each match looks at all that is left of the text: what steps do not say, the clock does. */
static void a_walk_that_takes_too_long_ends_in_time(void **state)
{
    CLEANUP(arena_clear) struct arena arena = {0};
    CLEANUP(buffer_clear) struct buffer text = {0};
    append_many(&text, "a", 200000);
    const struct value *operands[] = {value_text(&arena, "(?s)a.*b|a"), value_buffer(&arena, &text),
                                      value_small(&arena, -1)};
    const uint64_t begin_ns = clock_monotonic_ns(&clock_system);
    struct builtin_error error = {0};
    struct builtin_meter meter = {.steps_left = CALLER_STEPS_DEFAULT,
                                  .steps_to_look = METER_STEPS_PER_LOOK,
                                  .deadline_ns = begin_ns + 100000000,
                                  .clock = &clock_system};
    struct builtin_call call = {.builtin = builtin_find("regex.find_n", 12, false),
                                .arena = &arena,
                                .meter = &meter,
                                .error = &error};
    const struct value *out;
    assert_result(LETHE_LIMIT, builtin_invoke(&call, operands, &out));
    assert_true(meter.out_of_time);
    assert_true(clock_monotonic_ns(&clock_system) - begin_ns < 10000000000u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_expression_keeps_a_match_busy),
        cmocka_unit_test(an_expression_that_is_too_long_ends_the_evaluation),
        cmocka_unit_test(expressions_that_are_costly_to_compile_cost_steps),
        cmocka_unit_test(all_matches_of_a_long_text_are_found),
        cmocka_unit_test(a_replacement_larger_than_the_memory_ends_at_the_limit),
        cmocka_unit_test(a_walk_that_takes_too_long_ends_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
