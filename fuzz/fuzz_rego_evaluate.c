/* Whatever policy is compiled can be run: within its limits, twice with the same result, and with
 * the same result when every rule is tried, as when an index leaves some out. */
#include "fuzz.h"
#include "rego_grammar.h"

#include "policy/compile.h"
#include "policy/evaluate.h"
#include "policy/parse.h"

static const char input_text[] = "{\"a\": {\"b\": [1, \"x\"], \"c\": null}, \"b\": [1, 2, \"a\"]}";
static const char data_text[] = "{\"base\": {\"x\": [1, {\"y\": 2}]}, \"t\": {\"own\": 1}}";

/* ---- a world in which nothing happens ---- */

static uint64_t no_time(void *context)
{
    (void)context;
    return 0;
}
static const struct clock_source clock_stopped = {.wall_ns = no_time, .monotonic_ns = no_time};

static lethe_result fill_evenly(void *context, void *out, size_t size_bytes)
{
    (void)context;
    for (size_t i = 0; i < size_bytes; i++)
        ((uint8_t *)out)[i] = (uint8_t)(37 * i);
    return LETHE_OK;
}
static const struct random_source random_even = {.fill = fill_evenly};

/* ---- one policy ---- */

static const struct value *parse_json(struct arena *arena, const char *text, size_t size_bytes)
{
    const struct value *value = NULL;
    FUZZ_PROPERTY(value_parse_json(arena, text, size_bytes, &value, NULL) == LETHE_OK);
    return value;
}

static lethe_result prepare(struct arena *arena, const struct source *source, struct plan **out)
{
    struct module *module;
    struct problems problems = {.arena = arena};
    const struct parse_options options = {0};
    const struct value *data = parse_json(arena, data_text, sizeof data_text - 1);
    TRY(parse_module(arena, source, &options, &module, &problems));
    const struct module *modules[] = {module};
    return compile_policy(arena, modules, 1, data, out, &problems);
}

struct outcome_seen {
    lethe_result result;
    const struct value *value;
    struct evaluation_failure failure;
};

static void evaluate(const struct plan *plan, const struct value *input, bool strict,
                     struct arena *arena, struct outcome_seen *out)
{
    const struct evaluation_options options = {
        .input = input,
        .world = {.now_ns = 1700000000000000000, .random = &random_even},
        .limits = {.steps = 20000, .depth = 300, .memory_bytes = (size_t)4 << 20},
        .clock = &clock_stopped,
        .strict_errors = strict,
    };
    out->value = NULL;
    out->result = evaluate_path(plan, NULL, 0, &options, arena, &out->value, &out->failure);
    FUZZ_PROPERTY(out->result == LETHE_OK || out->value == NULL);
    FUZZ_PROPERTY((out->result == LETHE_OK) == (out->failure.code == NULL));
    FUZZ_PROPERTY(arena->used_bytes <= (size_t)4 << 20);
}

static void check_twice(const struct plan *plan, const struct value *input, bool strict)
{
    CLEANUP(arena_clear) struct arena first = {0};
    CLEANUP(arena_clear) struct arena second = {0};
    struct outcome_seen once, again;
    evaluate(plan, input, strict, &first, &once);
    evaluate(plan, input, strict, &second, &again);
    FUZZ_PROPERTY(once.result == again.result);
    FUZZ_PROPERTY(once.failure.limit == again.failure.limit);
    FUZZ_PROPERTY((once.value == NULL) == (again.value == NULL));
    FUZZ_PROPERTY(once.value == NULL || value_equal(once.value, again.value));
}

static void forget_indexes(const struct plan_node *node)
{
    if (node->rules != NULL)
        ((struct plan_rules *)node->rules)->index = NULL;
    for (size_t i = 0; i < node->child_count; i++)
        forget_indexes(node->children[i]);
}

/* What an index leaves out may have had an error, or taken more than there was, but no solution.
 * (Asking for many keys one by one may take more than making them all.) */
static void check_indexes(const struct plan *plan, const struct value *input)
{
    CLEANUP(arena_clear) struct arena first = {0};
    CLEANUP(arena_clear) struct arena second = {0};
    struct outcome_seen with, without;
    evaluate(plan, input, false, &first, &with);
    forget_indexes(plan->root);
    evaluate(plan, input, false, &second, &without);
    if (without.result != LETHE_OK || with.result == LETHE_LIMIT)
        return;
    FUZZ_PROPERTY(with.result == LETHE_OK);
    FUZZ_PROPERTY((with.value == NULL) == (without.value == NULL));
    FUZZ_PROPERTY(with.value == NULL || value_equal(with.value, without.value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    CLEANUP(arena_clear) struct arena arena = {.limit_bytes = (size_t)64 << 20};
    struct cursor bytes = cursor_over(data, size);
    struct plan *plan = NULL;
    rego_grammar(&bytes, &text);
    if (buffer_result(&text, NULL) != LETHE_OK)
        return 0;
    const struct source source = {
        .name = "t.rego", .text = text.bytes, .size_bytes = text.size_bytes};
    if (prepare(&arena, &source, &plan) != LETHE_OK)
        return 0;
    const struct value *input = parse_json(&arena, input_text, sizeof input_text - 1);
    check_twice(plan, input, false);
    check_twice(plan, input, true);
    check_indexes(plan, input);
    compile_release(plan);
    return 0;
}
