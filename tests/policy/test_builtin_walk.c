#include "check.h"

#include "policy/builtin_call.h"

static const struct builtin_caller caller;

static void a_value_comes_before_what_is_in_it(void **state)
{
    static const struct builtin_example examples[] = {
        {"walk", "[1]", "[[[], 1]]"},
        {"walk", "[[1, [2]]]", "[[[], [1, [2]]], [[0], 1], [[1], [2]], [[1, 0], 2]]"},
        {"walk", "[{\"b\": {\"c\": 1}, \"a\": 2}]",
         "[[[], {\"a\": 2, \"b\": {\"c\": 1}}], [[\"a\"], 2], [[\"b\"], {\"c\": 1}], "
         "[[\"b\", \"c\"], 1]]"},
        {"walk", "[{\"$set\": [[1]]}]", "[[[], {[1]}], [[[1]], [1]], [[[1], 0], 1]]"},
        {"walk", "[[]]", "[[[], []]]"},
    };
    BUILTIN_CHECK(&caller, examples);
    assert_int_equal(builtin_find("walk", 4, false)->flags, BUILTIN_RELATION);
}

#define DOUBLED 25 /* times: more ways than an evaluation has steps, and as many as a value may */

/* An array of two times the array before: 2^depth paths, of few values. */
static const struct value *doubled(struct arena *arena, unsigned depth)
{
    const struct value *value = value_small(arena, 1);
    for (unsigned i = 0; i < depth; i++) {
        struct value_list list = {0};
        assert_true(value_list_append(arena, &list, value));
        assert_true(value_list_append(arena, &list, value));
        value = value_array(arena, &list);
    }
    return value;
}

static lethe_result call_with(const char *name, struct arena *arena, uint64_t steps,
                              const struct value *const *operands)
{
    struct builtin_error error = {0};
    struct builtin_world world = {0};
    struct builtin_meter meter = {
        .steps_left = steps, .deadline_ns = UINT64_MAX, .clock = &clock_system};
    struct builtin_call call = {.builtin = builtin_find(name, strlen(name), false),
                                .arena = arena,
                                .world = &world,
                                .meter = &meter,
                                .error = &error};
    const struct value *out;
    return builtin_invoke(&call, operands, &out);
}

static void more_paths_than_anyone_counts_meet_a_limit(void **state)
{
    CLEANUP(arena_clear) struct arena arena = {0};
    const struct value *value = doubled(&arena, DOUBLED);
    arena.limit_bytes = arena.used_bytes + (1 << 20);
    assert_result(LETHE_LIMIT, call_with("walk", &arena, UINT64_MAX / 2, &value));
    assert_result(LETHE_LIMIT, arena.failure);

    CLEANUP(arena_clear) struct arena roomy = {0};
    value = doubled(&roomy, DOUBLED);
    assert_result(LETHE_LIMIT, call_with("walk", &roomy, 100000, &value));
    assert_result(LETHE_OK, roomy.failure);
}

/* What prints, compares or sorts such a value counts each way to an element. */
static void shared_values_cost_what_they_look_like(void **state)
{
    CLEANUP(arena_clear) struct arena arena = {.limit_bytes = (size_t)64 << 20};
    const struct value *value = doubled(&arena, DOUBLED), *other = doubled(&arena, DOUBLED);
    struct value_list list = {0}, pair = {0};
    assert_true(value_list_append(&arena, &list, value));
    assert_true(value_list_append(&arena, &pair, value));
    assert_true(value_list_append(&arena, &pair, other));
    const struct value *one = value_array(&arena, &list), *two = value_array(&arena, &pair);
    const struct value *print[] = {value_text(&arena, "%v"), one};
    const struct value *compare[] = {value, other}, *member[] = {one, value};
    assert_result(LETHE_LIMIT, call_with("sprintf", &arena, 1000000, print));
    assert_result(LETHE_LIMIT, call_with("equal", &arena, 1000000, compare));
    assert_result(LETHE_OK, call_with("internal.member_2", &arena, 1000000, member));
    assert_result(LETHE_LIMIT, call_with("sort", &arena, 1000000, &two));
    assert_result(LETHE_LIMIT, call_with("max", &arena, 1000000, &two));
    assert_result(LETHE_LIMIT, call_with("internal.template_string", &arena, 1000000, &one));
    const struct value *subset[] = {one, two};
    assert_result(LETHE_OK, call_with("object.subset", &arena, 1000000, subset));
    assert_result(LETHE_OK, arena.failure);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_comes_before_what_is_in_it),
        cmocka_unit_test(more_paths_than_anyone_counts_meet_a_limit),
        cmocka_unit_test(shared_values_cost_what_they_look_like),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
