#include "plan_building.h"

#include "policy/index.h"

/* input.<key> = constant; then the rule yields `yielded`. */
static struct plan_rule *asks_input(const char *key, const char *constant, const char *yielded)
{
    struct sequence body = {0};
    ADD_WALK(&body, ROOT_INPUT, 0, KEY(key));
    ADD(&body, STEP_EQUAL, NO_SLOT, S(0), K(constant));
    ADD(&body, STEP_YIELD, NO_SLOT, K(yielded));
    return make_rule(RULE_SET, &body, 1);
}

static struct plan_rule *asks_nothing(const char *yielded)
{
    struct sequence body = {0};
    ADD(&body, STEP_YIELD, NO_SLOT, K(yielded));
    return make_rule(RULE_SET, &body, 0);
}

static void assert_rules(const struct plan_rules *rules, struct index_rules found,
                         const char *expected)
{
    struct buffer text = {0};
    size_t left = index_rules_left(&found), given = 0;
    for (const struct plan_rule *rule; (rule = index_next(&found)) != NULL; given++)
        for (size_t i = 0; i < rules->count; i++)
            if (rules->rules[i] == rule)
                buffer_format(&text, "%zu ", i);
    buffer_text(&text, "");
    assert_string_equal(expected, text.bytes);
    assert_int_equal(left, given);
    buffer_clear(&text);
}

static void rules_that_ask_for_another_constant_are_left_out(void **state)
{
    struct plan_rule *list[] = {
        asks_input("\"method\"", "\"GET\"", "1"),
        asks_input("\"method\"", "\"PUT\"", "2"),
        asks_nothing("3"),
        asks_input("\"method\"", "\"GET\"", "4"),
        asks_input("\"other\"", "\"GET\"", "5"),
        asks_input("\"method\"", "\"POST\"", "6"),
    };
    const struct plan_rules *rules = make_rules(list, ARRAY_LEN(list));
    const struct plan_index *index = index_create(&building, rules);
    assert_non_null(index);
    const struct index_subject *subject = index_subject(index);
    assert_false(subject->is_argument);
    assert_int_equal(subject->path_count, 1);
    assert_json("\"method\"", subject->path[0]);
    assert_rules(rules, index_find(index, rules, json("\"GET\"")), "0 2 3 4 ");
    assert_rules(rules, index_find(index, rules, json("\"PUT\"")), "1 2 4 ");
    assert_rules(rules, index_find(index, rules, json("\"DELETE\"")), "2 4 ");
    assert_rules(rules, index_find(index, rules, NULL), "2 4 ");
    assert_rules(rules, index_all(rules), "0 1 2 3 4 5 ");
}

static void a_rule_with_an_else_is_always_tried(void **state)
{
    struct plan_rule *list[5];
    for (size_t i = 0; i < ARRAY_LEN(list); i++)
        list[i] = asks_input("\"a\"", "1", "1");
    list[2]->else_rule = asks_nothing("2");
    const struct plan_rules *rules = make_rules(list, ARRAY_LEN(list));
    const struct plan_index *index = index_create(&building, rules);
    assert_non_null(index);
    assert_rules(rules, index_find(index, rules, json("2")), "2 ");
    assert_rules(rules, index_find(index, rules, json("1")), "0 1 2 3 4 ");
}

/* What is asked under `with` is asked of another input. */
static void what_comes_after_with_is_not_looked_at(void **state)
{
    struct plan_rule *list[4];
    for (size_t i = 0; i < ARRAY_LEN(list); i++) {
        struct sequence inner = {0}, body = {0};
        ADD_WALK(&inner, ROOT_INPUT, 0, KEY("\"a\""));
        ADD(&inner, STEP_EQUAL, NO_SLOT, S(0), K("1"));
        ADD_PLAIN(&inner, STEP_WITHOUT);
        ADD(&inner, STEP_YIELD, NO_SLOT, S(0));
        ADD_PLAIN(&body, STEP_WITH)->with.start = inner.first;
        list[i] = make_rule(RULE_SET, &body, 1);
    }
    assert_null(index_create(&building, make_rules(list, ARRAY_LEN(list))));
}

static void functions_are_found_by_an_argument(void **state)
{
    struct plan_rule *list[4];
    const char *const constants[] = {"1", "[\"x\"]", "null", "1"};
    for (size_t i = 0; i < ARRAY_LEN(list); i++) {
        struct sequence body = {0};
        ADD(&body, STEP_ASSIGN, 2, S(1));
        ADD(&body, STEP_EQUAL, NO_SLOT, K(constants[i]), S(2));
        ADD(&body, STEP_YIELD, NO_SLOT, S(0));
        list[i] = make_rule(RULE_FUNCTION, &body, 3);
        list[i]->argument_count = 2;
    }
    const struct plan_rules *rules = make_rules(list, ARRAY_LEN(list));
    const struct plan_index *index = index_create(&building, rules);
    assert_non_null(index);
    assert_true(index_subject(index)->is_argument);
    assert_int_equal(index_subject(index)->argument, 1);
    assert_rules(rules, index_find(index, rules, json("1")), "0 3 ");
    assert_rules(rules, index_find(index, rules, json("[\"x\"]")), "1 ");
}

static void elements_of_sets_are_found_by_the_rule_that_gives_them(void **state)
{
    struct plan_rule *list[6];
    const char *const elements[] = {"\"a\"", "\"b\"", "\"c\"", "\"a\"", "\"d\""};
    for (size_t i = 0; i < ARRAY_LEN(elements); i++)
        list[i] = asks_nothing(elements[i]);
    struct sequence body = {0};
    ADD(&body, STEP_YIELD, NO_SLOT, S(0));
    list[5] = make_rule(RULE_SET, &body, 1);
    const struct plan_rules *rules = make_rules(list, ARRAY_LEN(list));
    const struct plan_index *index = index_create(&building, rules);
    assert_non_null(index);
    assert_null(index_subject(index));
    assert_true(index_knows_keys(index));
    assert_rules(rules, index_find_key(index, rules, json("\"a\"")), "0 3 5 ");
    assert_rules(rules, index_find_key(index, rules, json("\"z\"")), "5 ");
}

static void few_rules_have_no_index(void **state)
{
    struct plan_rule *list[3];
    for (size_t i = 0; i < ARRAY_LEN(list); i++)
        list[i] = asks_input("\"a\"", "1", "1");
    assert_null(index_create(&building, make_rules(list, ARRAY_LEN(list))));
}

static void ten_thousand_rules_are_told_apart(void **state)
{
    static struct plan_rule *list[10000];
    for (size_t i = 0; i < ARRAY_LEN(list); i++) {
        char constant[16];
        snprintf(constant, sizeof constant, "%zu", i);
        list[i] = asks_input("\"n\"", constant, "1");
    }
    const struct plan_rules *rules = make_rules(list, ARRAY_LEN(list));
    const struct plan_index *index = index_create(&building, rules);
    assert_non_null(index);
    for (size_t i = 0; i < ARRAY_LEN(list); i++) {
        struct index_rules found = index_find(index, rules, value_small(&building, (int64_t)i));
        assert_ptr_equal(index_next(&found), list[i]);
        assert_null(index_next(&found));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_that_ask_for_another_constant_are_left_out),
        cmocka_unit_test(a_rule_with_an_else_is_always_tried),
        cmocka_unit_test(what_comes_after_with_is_not_looked_at),
        cmocka_unit_test(functions_are_found_by_an_argument),
        cmocka_unit_test(elements_of_sets_are_found_by_the_rule_that_gives_them),
        cmocka_unit_test(few_rules_have_no_index),
        cmocka_unit_test(ten_thousand_rules_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, forget_plans);
}
