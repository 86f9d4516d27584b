#include "plan_building.h"

#include "policy/evaluate_equal.h"
#include "policy/evaluate_memory.h"

static struct builtin_meter fresh_meter(uint64_t steps)
{
    return (struct builtin_meter){
        .steps_left = steps, .deadline_ns = UINT64_MAX, .clock = &clock_system};
}

/* What is remembered of subject(argument), or NULL. */
static const struct value *recall(const struct memory *memory, const void *subject,
                                  const struct value *argument)
{
    struct builtin_meter meter = fresh_meter(1000000);
    const struct memory_entry *entry;
    struct memory_key key = memory_key_make(subject, &argument, 1);
    assert_result(LETHE_OK, memory_find(memory, &key, &meter, &entry));
    return entry == NULL ? NULL : entry->value;
}

static void remember(struct memory *memory, const void *subject, const struct value *argument,
                     const struct value *value)
{
    struct memory_key key = memory_key_make(subject, &argument, 1);
    assert_true(memory_keep(memory, &building, &key, value, NULL));
}

static void what_was_kept_is_found_by_equal_arguments(void **state)
{
    static const char *const arguments[] = {
        "1",    "1.5",   "\"1\"",  "null",       "true",
        "[1]",  "[[1]]", "[1, 2]", "{\"a\": 1}", "{\"a\": 2}",
        "[[]]", "{}",    "[]",     "\"\"",       "123456789012345678901234567890",
    };
    struct memory memory = {0};
    for (size_t i = 0; i < ARRAY_LEN(arguments); i++)
        remember(&memory, "f", json(arguments[i]), value_small(&building, (int64_t)i));
    for (size_t i = 0; i < ARRAY_LEN(arguments); i++) {
        const struct value *value = recall(&memory, "f", json(arguments[i]));
        assert_non_null(value);
        assert_int_equal(value->number.small, i);
        assert_null(recall(&memory, "g", json(arguments[i])));
    }
    assert_null(recall(&memory, "f", json("2")));
}

static void one_hash_for_two_is_not_one_answer(void **state)
{
    struct memory memory = {0};
    struct builtin_meter meter = fresh_meter(1000000);
    const struct memory_entry *entry;
    const struct value *argument = json("1");
    struct memory_key key = memory_key_make("f", &argument, 1);
    assert_true(memory_keep(&memory, &building, &key, &value_true, NULL));
    key.subject = "g";
    assert_result(LETHE_OK, memory_find(&memory, &key, &meter, &entry));
    assert_null(entry);
}

/* Strings that differ in the middle only have one hash. */
static void nothing_is_forgotten_without_a_limit(void **state)
{
    struct memory memory = {0};
    char text[256];
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof text, "\"%0100d%0100d\"", i, 0);
        remember(&memory, "f", json(text), value_small(&building, i));
    }
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof text, "\"%0100d%0100d\"", i, 0);
        const struct value *value = recall(&memory, "f", json(text));
        assert_non_null(value);
        assert_int_equal(value->number.small, i);
    }
}

static void a_limit_is_kept_by_forgetting(void **state)
{
    struct memory memory = {.capacity_max = 64};
    for (int i = 0; i < 10000; i++)
        remember(&memory, "f", value_small(&building, i), value_small(&building, i));
    assert_int_equal(memory.capacity, 64);
    size_t known = 0;
    for (int i = 0; i < 10000; i++) {
        const struct value *value = recall(&memory, "f", value_small(&building, i));
        assert_true(value == NULL || value->number.small == i);
        known += value != NULL;
    }
    assert_in_range(known, 32, 64);
    assert_non_null(recall(&memory, "f", value_small(&building, 9999)));
}

/* Twenty arrays of the one before, twice: as a tree it is long. */
static const struct value *much_in_little(void)
{
    const struct value *value = json("1");
    for (int i = 0; i < 20; i++) {
        struct value_list list = {0};
        value_list_append(&building, &list, value);
        value_list_append(&building, &list, value);
        value = value_array(&building, &list);
    }
    return value;
}

static void comparing_what_is_long_costs_steps(void **state)
{
    bool equal;
    struct builtin_meter meter = fresh_meter(100000);
    assert_result(LETHE_LIMIT, metered_equal(&meter, much_in_little(), much_in_little(), &equal));
    assert_true(meter.exhausted);
}

static void equal_values_are_equal_whatever_they_cost(void **state)
{
    static const char *const values[] = {"1",
                                         "\"abc\"",
                                         "\"abd\"",
                                         "[1, [2]]",
                                         "[1, [3]]",
                                         "{\"a\": [1]}",
                                         "{\"b\": [1]}",
                                         "{\"a\": [2]}",
                                         "null",
                                         "[]",
                                         "{}"};
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        for (size_t j = 0; j < ARRAY_LEN(values); j++) {
            bool equal;
            struct builtin_meter meter = fresh_meter(1000);
            assert_result(LETHE_OK,
                          metered_equal(&meter, json(values[i]), json(values[j]), &equal));
            assert_int_equal(equal, i == j);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_kept_is_found_by_equal_arguments),
        cmocka_unit_test(one_hash_for_two_is_not_one_answer),
        cmocka_unit_test(nothing_is_forgotten_without_a_limit),
        cmocka_unit_test(a_limit_is_kept_by_forgetting),
        cmocka_unit_test(comparing_what_is_long_costs_steps),
        cmocka_unit_test(equal_values_are_equal_whatever_they_cost),
    };
    return cmocka_run_group_tests(tests, NULL, forget_plans);
}
