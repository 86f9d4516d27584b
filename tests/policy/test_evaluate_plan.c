#include "plan_building.h"

#include "policy/evaluate.h"

/* ---- running what was built ---- */

static struct plan_node tree_root;
static struct plan plan = {.root = &tree_root};

static struct evaluation_failure failure;

struct answers {
    uint32_t slot;
    struct buffer text;
};

static lethe_result note(void *context, const struct value *const *slots)
{
    struct answers *answers = context;
    value_print_json(slots[answers->slot], &answers->text);
    buffer_text(&answers->text, " ");
    return LETHE_OK;
}

static lethe_result run(const struct sequence *body, uint32_t slot, const char *input,
                        struct answers *answers)
{
    struct arena arena = {0};
    struct plan_query query = {.start = body->first, .slot_count = 16};
    struct evaluation_options options = {.input = input == NULL ? NULL : json(input),
                                         .limits = {.steps = 100000}};
    *answers = (struct answers){.slot = slot};
    buffer_text(&answers->text, "");
    lethe_result result = evaluate_query(&plan, &query, &options, &arena, note, answers, &failure);
    arena_clear(&arena);
    return result;
}

/* What slot 0 is in each solution. */
static void assert_answers(const char *expected, const struct sequence *body, const char *input)
{
    struct answers answers;
    assert_result(LETHE_OK, run(body, 0, input, &answers));
    assert_string_equal(expected, answers.text.bytes);
    buffer_clear(&answers.text);
}

static int fresh_plan(void **state)
{
    tree_root = (struct plan_node){0};
    plan.data = json("{}");
    return 0;
}

static struct plan_node *grow_tree(struct plan_node *parent, const char *key,
                                   const struct plan_rules *rules)
{
    struct plan_node *node = arena_zalloc(&building, 1, sizeof *node);
    const struct plan_node **children =
        arena_alloc(&building, (parent->child_count + 1) * sizeof *children);
    for (size_t i = 0; i < parent->child_count; i++)
        children[i] = parent->children[i];
    children[parent->child_count++] = node;
    parent->children = children;
    node->key = json(key);
    node->parent = parent;
    node->rules = rules;
    return node;
}

static const struct plan_rules *always(const char *value)
{
    struct sequence body = {0};
    ADD(&body, STEP_YIELD, NO_SLOT, K(value));
    struct plan_rule *rule = make_rule(RULE_COMPLETE, &body, 0);
    return make_rules(&rule, 1);
}

/* ---- tests ---- */

static void a_walk_gives_each_element_once(void **state)
{
    struct sequence body = {0};
    ADD_WALK(&body, ROOT_INPUT, 0, EACH(1), KEY("\"a\""));
    ADD_PLAIN(&body, STEP_YIELD);
    assert_answers("1 2 ", &body, "[{\"a\": 1}, 5, {\"b\": 1}, {\"a\": 2}]");
    assert_answers("", &body, "7");
    assert_answers("", &body, NULL);
}

static void what_comes_after_a_step_runs_for_each_of_its_solutions(void **state)
{
    struct sequence body = {0};
    ADD_WALK(&body, ROOT_INPUT, 1, EACH(NO_SLOT));
    ADD_WALK(&body, ROOT_INPUT, 2, EACH(NO_SLOT));
    ADD(&body, STEP_ARRAY, 0, S(1), S(2));
    ADD_PLAIN(&body, STEP_YIELD);
    assert_answers("[1,1] [1,2] [2,1] [2,2] ", &body, "[1, 2]");
}

/* Keys of the tree and of base documents, each once and in order, and what rules make where both
 * have it. */
static void data_is_the_tree_and_the_base_documents(void **state)
{
    plan.data = json("{\"p\": {\"b\": 1, \"c\": 2, \"e\": {\"x\": 1}}}");
    struct plan_node *p = grow_tree(&tree_root, "\"p\"", NULL);
    grow_tree(p, "\"a\"", always("10"));
    grow_tree(p, "\"c\"", always("20"));
    struct plan_node *e = grow_tree(p, "\"e\"", NULL);
    grow_tree(e, "\"y\"", always("2"));

    struct sequence each = {0};
    ADD_WALK(&each, ROOT_DATA, 1, KEY("\"p\""), EACH(2));
    ADD(&each, STEP_ARRAY, 0, S(2), S(1));
    ADD_PLAIN(&each, STEP_YIELD);
    assert_answers("[\"a\",10] [\"b\",1] [\"c\",20] [\"e\",{\"x\":1,\"y\":2}] ", &each, NULL);

    struct sequence deep = {0};
    ADD_WALK(&deep, ROOT_DATA, 0, KEY("\"p\""), KEY("\"e\""), KEY("\"x\""));
    ADD_PLAIN(&deep, STEP_YIELD);
    assert_answers("1 ", &deep, NULL);
}

static void with_ends_where_it_says_and_comes_back_for_the_next_solution(void **state)
{
    struct plan_with with = {.kind = WITH_INPUT, .value = S(1)};
    struct sequence body = {0}, inner = {0};
    ADD_WALK(&body, ROOT_INPUT, 1, EACH(NO_SLOT));
    struct step *step = ADD_PLAIN(&body, STEP_WITH);
    ADD_WALK(&inner, ROOT_INPUT, 2, EACH(NO_SLOT));
    ADD_PLAIN(&inner, STEP_WITHOUT);
    ADD_WALK(&inner, ROOT_INPUT, 3, KEY("0"), KEY("0"));
    ADD(&inner, STEP_ARRAY, 0, S(2), S(3));
    ADD_PLAIN(&inner, STEP_YIELD);
    step->with.items = &with;
    step->with.count = 1;
    step->with.start = inner.first;
    assert_answers("[1,1] [2,1] [3,1] ", &body, "[[1, 2], [3]]");
}

/* f40(x) := f39(x) + f39(x), and so on down: each is run once. */
static void calls_that_call_twice_are_linear(void **state)
{
    struct sequence body = {0};
    ADD(&body, STEP_YIELD, NO_SLOT, S(0));
    const struct plan_rules *below = NULL;
    for (int i = 0; i < 40; i++) {
        struct plan_rule *rule = make_rule(RULE_FUNCTION, &body, 3);
        rule->argument_count = 1;
        below = make_rules(&rule, 1);
        body = (struct sequence){0};
        ADD(&body, STEP_APPLY, 1, S(0))->function = below;
        ADD(&body, STEP_APPLY, 2, S(0))->function = below;
        ADD(&body, STEP_YIELD, NO_SLOT, S(2));
    }
    struct sequence query = {0};
    ADD(&query, STEP_APPLY, 0, K("\"x\""))->function = below;
    ADD_PLAIN(&query, STEP_YIELD);
    assert_answers("\"x\" ", &query, NULL);
}

static void rules_that_disagree_are_a_conflict(void **state)
{
    struct plan_rule *rules[2];
    for (size_t i = 0; i < 2; i++) {
        struct sequence body = {0};
        ADD(&body, STEP_YIELD, NO_SLOT, K(i == 0 ? "1" : "2"));
        rules[i] = make_rule(RULE_COMPLETE, &body, 0);
    }
    grow_tree(&tree_root, "\"p\"", make_rules(rules, 2));
    struct sequence query = {0};
    struct answers answers;
    ADD_WALK(&query, ROOT_DATA, 0, KEY("\"p\""));
    ADD_PLAIN(&query, STEP_YIELD);
    assert_result(LETHE_INVALID, run(&query, 0, NULL, &answers));
    assert_string_equal("eval_conflict_error", failure.code);
    assert_string_equal("complete rules must not produce multiple outputs", failure.text);
    buffer_clear(&answers.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_walk_gives_each_element_once, fresh_plan),
        cmocka_unit_test_setup(what_comes_after_a_step_runs_for_each_of_its_solutions, fresh_plan),
        cmocka_unit_test_setup(data_is_the_tree_and_the_base_documents, fresh_plan),
        cmocka_unit_test_setup(with_ends_where_it_says_and_comes_back_for_the_next_solution,
                               fresh_plan),
        cmocka_unit_test_setup(calls_that_call_twice_are_linear, fresh_plan),
        cmocka_unit_test_setup(rules_that_disagree_are_a_conflict, fresh_plan),
    };
    return cmocka_run_group_tests(tests, NULL, forget_plans);
}
