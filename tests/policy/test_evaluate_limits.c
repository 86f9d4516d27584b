/* What an evaluation takes of the machine: stack, memory, threads. */
#include "policy_text.h"

#include <pthread.h>

#include "failing_memory.h"

FAILS(malloc)

/* ---- stack ---- */

#define STACK_BYTES (HAS_SANITIZER ? (size_t)32 << 20 : (size_t)1 << 20)
#define CHAIN 2500

struct asked {
    const struct policy *policy;
    lethe_result result;
    struct evaluation_failure failure;
};

static void *ask_on_a_small_stack(void *context)
{
    struct asked *asked = context;
    struct arena arena = {0};
    const struct value *value;
    const struct evaluation_options options = {.input = &value_true};
    asked->result = policy_ask(asked->policy, "p0", &options, &arena, &value, &asked->failure);
    arena_clear(&arena);
    return NULL;
}

static void run_on_a_small_stack(struct asked *asked)
{
    pthread_attr_t attributes;
    pthread_t thread;
    assert_int_equal(0, pthread_attr_init(&attributes));
    assert_int_equal(0, pthread_attr_setstacksize(&attributes, STACK_BYTES));
    assert_int_equal(0, pthread_create(&thread, &attributes, ask_on_a_small_stack, asked));
    assert_int_equal(0, pthread_join(thread, NULL));
    pthread_attr_destroy(&attributes);
}

/* Rules that lead one to the next, deeper than the default depth: @ is a rule's number, # that of
 * the next. */
static const char *const chains[] = {
    "p@ := p#",
    "p@ := p#.a",
    "p@ contains p#[_]",
    "p@ contains x if x := p#[1]",
    "p@[k] := v if some k, v in p#",
    "p@[k].x contains v if some k, v in p#.x",
    "p@ := x if x := p# with input as 1",
    "p@ := [x | some x in p#]",
    "p@ if not p#",
    "p@ if every x in [1, 2] { p# }",
    "p@ := 1 if false else := p#",
    "p@.a[k] := v if { k := 1; v := p#.a[1] }",
};

static void chain_print(const char *link, struct buffer *out)
{
    for (int i = 0; i < CHAIN; i++) {
        for (const char *at = link; *at != '\0'; at++) {
            if (*at == '@' || *at == '#')
                buffer_format(out, "%d", *at == '@' ? i : i + 1);
            else
                buffer_byte(out, (uint8_t)*at);
        }
        buffer_text(out, "\n");
    }
    buffer_format(out, "p%d := 1\n", CHAIN);
}

static void the_default_depth_fits_a_small_stack(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(chains); i++) {
        struct policy policy;
        struct buffer text = {0};
        chain_print(chains[i], &text);
        policy_prepare(&policy, text.bytes, NULL);
        struct asked asked = {.policy = &policy};
        run_on_a_small_stack(&asked);
        if (asked.result != LETHE_LIMIT || asked.failure.limit != LIMIT_DEPTH)
            fail_msg("%s: %s %s", chains[i], lethe_result_name(asked.result), asked.failure.text);
        buffer_clear(&text);
        policy_clear(&policy);
    }
}

/* ---- one policy for all that follows ---- */

static const char rich[] =
    "default allow := false\n"
    "allow if { some r in roles[input.user]; grants[r][input.action] }\n"
    "roles[u] contains r if { some r, us in data.roles; some u in us }\n"
    "grants[r][a] := true if { some r, actions in data.grants; some a in actions }\n"
    "f(x) := y if { y := {\"x\": x, \"n\": count(sprintf(\"%v\", [x]))} }\n"
    "p := {\"allow\": allow, \"all\": [f(x) | some x in data.roles[_]], \"other\": q}\n"
    "q := {u: a | some us in data.roles; some u in us; a := allow with input.user as u}\n";
static const char rich_data[] =
    "{\"roles\": {\"reader\": [\"ann\", \"bob\"], \"writer\": [\"ann\", \"eve\"]},"
    " \"grants\": {\"reader\": [\"get\"], \"writer\": [\"get\", \"put\"]}}";
static const char rich_input[] = "{\"user\": \"ann\", \"action\": \"put\"}";
static const char rich_answer[] =
    "{\"all\":[{\"n\":3,\"x\":\"ann\"},{\"n\":3,\"x\":\"bob\"},{\"n\":3,\"x\":\"ann\"},"
    "{\"n\":3,\"x\":\"eve\"}],"
    "\"allow\":true,\"other\":{\"ann\":true,\"bob\":false,\"eve\":true}}";

static void assert_rich(const struct value *value)
{
    struct buffer text = {0};
    value_print_json(value, &text);
    assert_string_equal(rich_answer, text.bytes);
    buffer_clear(&text);
}

/* ---- memory ---- */

static void memory_that_fails_anywhere_ends_the_evaluation(void **state)
{
    struct policy policy;
    policy_prepare(&policy, rich, rich_data);
    const struct evaluation_options options = {.input = json(&policy.arena, rich_input)};
    unsigned failed = 0;
    for (unsigned n = 1;; n++) {
        struct arena arena = {0};
        const struct value *value;
        struct evaluation_failure failure;
        has_failed = false;
        calls_left = n;
        lethe_result result = policy_ask(&policy, "p", &options, &arena, &value, &failure);
        calls_left = 0;
        if (!has_failed) {
            assert_result(LETHE_OK, result);
            assert_rich(value);
            arena_clear(&arena);
            break;
        }
        failed++;
        assert_result(LETHE_NO_MEMORY, result);
        assert_null(value);
        assert_string_equal("eval_internal_error", failure.code);
        arena_clear(&arena);
    }
    assert_true(failed > 0);
    policy_clear(&policy);
}

static void every_limit_of_memory_is_met_or_enough(void **state)
{
    struct policy policy;
    policy_prepare(&policy, rich, rich_data);
    struct evaluation_options options = {.input = json(&policy.arena, rich_input)};
    bool enough = false;
    for (size_t limit = 1; !enough; limit += 101) {
        struct arena arena = {0};
        const struct value *value;
        struct evaluation_failure failure;
        options.limits.memory_bytes = limit;
        lethe_result result = policy_ask(&policy, "p", &options, &arena, &value, &failure);
        assert_true(arena.used_bytes <= limit);
        enough = result == LETHE_OK;
        if (enough)
            assert_rich(value);
        else
            assert_int_equal(LIMIT_MEMORY, failure.limit);
        arena_clear(&arena);
    }
    policy_clear(&policy);
}

/* ---- threads ---- */

#define THREADS 8
#define ROUNDS 200

static void *ask_again_and_again(void *context)
{
    const struct policy *policy = context;
    struct arena arena = {0}, inputs = {0};
    const struct evaluation_options options = {.input = json(&inputs, rich_input)};
    for (int i = 0; i < ROUNDS; i++) {
        const struct value *value;
        struct evaluation_failure failure;
        assert_result(LETHE_OK, policy_ask(policy, "p", &options, &arena, &value, &failure));
        assert_rich(value);
        arena_clear(&arena);
    }
    arena_clear(&inputs);
    arena_clear(&arena);
    return NULL;
}

static void threads_share_a_plan_and_agree(void **state)
{
    struct policy policy;
    pthread_t threads[THREADS];
    policy_prepare(&policy, rich, rich_data);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(0, pthread_create(&threads[i], NULL, ask_again_and_again, &policy));
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(0, pthread_join(threads[i], NULL));
    policy_clear(&policy);
}

/* ---- coverage ---- */

static void what_had_a_solution_is_covered(void **state)
{
    struct policy policy;
    struct arena arena = {0};
    const struct value *value;
    struct evaluation_failure failure;
    policy_prepare(
        &policy,
        "p := 1 if input.a\np := 2 if { input.b; not input.c; r[1] }\nq := 3\nr contains 1\n",
        NULL);
    uint8_t *covered = arena_zalloc(&policy.arena, policy.plan->id_count, 1);
    const struct evaluation_options options = {.input = json(&policy.arena, "{\"b\": 1}"),
                                               .covered = covered};
    assert_result(LETHE_OK, policy_ask(&policy, "p", &options, &arena, &value, &failure));
    const struct plan_node *t = plan_child(policy.plan->root, json(&policy.arena, "\"t\""));
    const struct plan_rules *p = plan_child(t, json(&policy.arena, "\"p\""))->rules;
    const struct plan_rules *q = plan_child(t, json(&policy.arena, "\"q\""))->rules;
    const struct plan_rules *r = plan_child(t, json(&policy.arena, "\"r\""))->rules;
    assert_int_equal(0, covered[p->rules[0]->id]);
    assert_int_equal(1, covered[p->rules[1]->id]);
    for (const struct step *step = p->rules[1]->start; step != NULL; step = step->next)
        assert_int_equal(1, covered[step->id]);
    assert_int_equal(0, covered[q->rules[0]->id]);
    assert_int_equal(1, covered[r->rules[0]->id]);
    arena_clear(&arena);
    policy_clear(&policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_depth_fits_a_small_stack),
        cmocka_unit_test(memory_that_fails_anywhere_ends_the_evaluation),
        cmocka_unit_test(every_limit_of_memory_is_met_or_enough),
        cmocka_unit_test(threads_share_a_plan_and_agree),
        cmocka_unit_test(what_had_a_solution_is_covered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
