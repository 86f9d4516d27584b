#include "rego_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "policy/compile.h"
#include "policy/evaluate.h"
#include "policy/parse.h"
#include "rego_shuffle.h"

/* Sanitizers are slow, and machines busy: what is compared here is results. */
#define TIME_LIMIT_MS 60000

struct run {
    const struct value *fields;
    const struct rego_settings *settings;
    uint64_t chance;
    struct arena arena;   /* of the policy */
    struct arena results; /* of the evaluation */
    struct problems problems;
    struct plan *plan;
    struct plan_query *query;
    struct value_list solutions;
    struct buffer error; /* "file:line: code: text", a line each; empty: none */
};

const char *rego_case_text(const struct value *fields, const char *name)
{
    const struct value *text = value_get_text(fields, name);
    return text != NULL && value_is(text, VALUE_STRING) ? text->string : "";
}

static bool flag(const struct run *run, const char *name)
{
    const struct value *value = value_get_text(run->fields, name);
    return value != NULL && value_equal(value, &value_true);
}

/* ---- errors, as OPA prints them ---- */

static void append_error(struct run *run, struct place place, const char *code, const char *text)
{
    unsigned row = 0, column = 0;
    if (place.source != NULL)
        place_row_column(place, &row, &column);
    buffer_format(&run->error, "%s%s:%u: %s: %s", run->error.size_bytes > 0 ? "\n" : "",
                  place.source != NULL ? place.source->name : "", row, code, text);
}

/* Takes over what a step of preparing noted, or returned. */
static lethe_result noted(struct run *run, const char *step, lethe_result result)
{
    const struct problem *problem = run->problems.first;
    for (; problem != NULL; problem = problem->next)
        append_error(run, problem->place, problem_code_name(problem->code), problem->text);
    if (result != LETHE_OK && run->error.size_bytes == 0)
        buffer_format(&run->error, "%s gave LETHE_%s", step, lethe_result_name(result));
    return result;
}

/* ---- preparing ---- */

/* The value itself, or read again from a text in another order. */
static lethe_result reordered(struct run *run, const struct value *value, const struct value **out)
{
    *out = value;
    if (run->settings->seed == 0)
        return LETHE_OK;
    CLEANUP(buffer_clear) struct buffer text = {0};
    shuffle_print_json(value, &run->chance, &text);
    TRY(buffer_result(&text, NULL));
    return value_parse_json(&run->arena, text.bytes, text.size_bytes, out, NULL);
}

static lethe_result data_of(struct run *run, const struct value **out)
{
    const struct value *data = value_get_text(run->fields, "data");
    if (data == NULL || value_is(data, VALUE_NULL))
        data = &value_empty_object;
    return reordered(run, data, out);
}

static const struct source *source_of(struct run *run, const char *name, const struct value *text)
{
    struct source *source = arena_zalloc(&run->arena, 1, sizeof *source);
    REQUIRE(source != NULL && value_is(text, VALUE_STRING));
    *source = (struct source){
        .name = arena_copy(&run->arena, name, strlen(name)),
        .text = text->string,
        .size_bytes = text->count,
    };
    return source;
}

static lethe_result parse_modules(struct run *run, const struct value *texts,
                                  const struct module **out)
{
    const struct parse_options options = {.v0 = run->settings->v0};
    CLEANUP(memory_free) size_t *order = calloc(texts->count + 1, sizeof *order);
    REQUIRE(order != NULL);
    for (uint32_t i = 0; i < texts->count; i++)
        order[i] = i;
    if (run->settings->seed != 0)
        shuffle_indexes(&run->chance, order, texts->count);
    for (uint32_t i = 0; i < texts->count; i++) {
        char name[32];
        struct module *module = NULL;
        snprintf(name, sizeof name, "test-%zu.rego", order[i]);
        const struct source *source = source_of(run, name, texts->items[order[i]]);
        TRY(parse_module(&run->arena, source, &options, &module, &run->problems));
        out[i] = module;
    }
    return LETHE_OK;
}

static lethe_result prepare_policy(struct run *run)
{
    const struct value *texts = value_get_text(run->fields, "modules");
    const struct value *data;
    if (texts == NULL)
        texts = &value_empty_array;
    const struct module **modules =
        arena_zalloc(&run->arena, (size_t)texts->count + 1, sizeof(struct module *));
    REQUIRE(modules != NULL);
    TRY(noted(run, "reordering data", data_of(run, &data)));
    TRY(noted(run, "parsing modules", parse_modules(run, texts, modules)));
    return noted(
        run, "compiling modules",
        compile_policy(&run->arena, modules, texts->count, data, &run->plan, &run->problems));
}

static lethe_result prepare_query(struct run *run)
{
    const struct parse_options options = {.v0 = run->settings->v0};
    const struct source *source = source_of(run, "", value_get_text(run->fields, "query"));
    struct body body;
    unsigned wildcards;
    TRY(noted(run, "parsing the query",
              parse_query(&run->arena, source, &options, &body, &wildcards, &run->problems)));
    return noted(run, "compiling the query",
                 compile_query(&run->arena, run->plan, &body, NULL, &run->query, &run->problems));
}

static lethe_result input_of(struct run *run, const struct value **out)
{
    const struct value *term = value_get_text(run->fields, "input_term");
    const struct value *input = value_get_text(run->fields, "input");
    *out = NULL;
    if (term != NULL)
        return parse_value(&run->arena, source_of(run, "input", term), out, &run->problems);
    return input != NULL ? reordered(run, input, out) : LETHE_OK;
}

/* ---- running ---- */

/* What the value is once it is JSON: a set is an array, a key is a text. */
static const struct value *as_json(struct arena *arena, const struct value *value)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    struct lethe_error err = {0};
    const struct value *out = NULL;
    value_print_json(value, &text);
    REQUIRE(buffer_result(&text, NULL) == LETHE_OK);
    if (value_parse_json(arena, text.bytes, text.size_bytes, &out, &err) == LETHE_OK)
        return out;
    return value_text(arena, err.text); /* equals nothing that a case wants */
}

static lethe_result keep_solution(void *context, const struct value *const *slots)
{
    struct run *run = context;
    struct value_pairs pairs = {0};
    for (size_t i = 0; i < run->query->binding_count; i++) {
        const char *name = run->query->bindings[i].name;
        const struct value *value = slots[run->query->bindings[i].slot];
        if (flag(run, "ignore_generated_vars") && strncmp(name, "__localq", 8) == 0)
            continue;
        value_pairs_append(&run->arena, &pairs, value_text(&run->arena, name),
                           as_json(&run->arena, value));
    }
    const struct value *solution = value_object(&run->arena, &pairs, NULL);
    REQUIRE(value_list_append(&run->arena, &run->solutions, solution));
    return LETHE_OK;
}

static lethe_result evaluate_once(struct run *run, const struct value *input, bool strict,
                                  struct evaluation_failure *failure)
{
    const struct evaluation_options options = {
        .input = input,
        .world.now_ns = clock_wall_ns(&clock_system),
        .limits.time_ms = TIME_LIMIT_MS,
        .strict_errors = strict,
    };
    run->solutions.count = 0;
    return evaluate_query(run->plan, run->query, &options, &run->results, keep_solution, run,
                          failure);
}

/* An error of a built-in ends a strict evaluation here. OPA goes on as if it were not strict, and
 * has the error at the end beside the results: these are what the second evaluation gives. */
static void evaluate(struct run *run)
{
    struct evaluation_failure failure = {0};
    const struct value *input;
    bool strict = flag(run, "strict_error");
    if (noted(run, "reading the input", input_of(run, &input)) != LETHE_OK)
        return;
    lethe_result result = evaluate_once(run, input, strict, &failure);
    if (result != LETHE_OK)
        append_error(run, failure.place, failure.code != NULL ? failure.code : "(no code)",
                     failure.text);
    if (result != LETHE_OK && strict)
        result = evaluate_once(run, input, false, &failure);
    if (result != LETHE_OK)
        run->solutions.count = 0;
}

static void set_environment(const struct run *run)
{
    const struct value *env = value_get_text(run->fields, "env");
    for (uint32_t i = 0; env != NULL && i < env->count; i++)
        setenv(env->pairs[i].key->string, env->pairs[i].value->string, 1);
}

static void run_case(struct run *run)
{
    set_environment(run);
    if (prepare_policy(run) == LETHE_OK && prepare_query(run) == LETHE_OK)
        evaluate(run);
}

/* ---- comparing ---- */

static int compare_items(const void *a, const void *b)
{
    return value_compare(*(const struct value *const *)a, *(const struct value *const *)b);
}

static const struct value *sorted(struct arena *arena, const struct value *value)
{
    struct value_list list = {0};
    if (!value_is(value, VALUE_ARRAY) || value->count == 0)
        return value;
    for (uint32_t i = 0; i < value->count; i++)
        value_list_append(arena, &list, value->items[i]);
    qsort(list.items, list.count, sizeof(struct value *), compare_items);
    return value_array(arena, &list);
}

static const struct value *with_sorted_bindings(struct arena *arena, const struct value *solution)
{
    struct value_pairs pairs = {0};
    for (uint32_t i = 0; i < solution->count; i++)
        value_pairs_append(arena, &pairs, solution->pairs[i].key,
                           sorted(arena, solution->pairs[i].value));
    return value_object(arena, &pairs, NULL);
}

static const struct value *solution_set(struct run *run, const struct value *const *solutions,
                                        size_t count)
{
    struct value_list list = {0};
    bool sort = flag(run, "sort_bindings");
    for (size_t i = 0; i < count; i++)
        value_list_append(&run->arena, &list,
                          sort ? with_sorted_bindings(&run->arena, solutions[i]) : solutions[i]);
    return value_set(&run->arena, &list);
}

static bool result_matches(struct run *run, const struct value *wanted, struct buffer *why)
{
    const struct value *want = solution_set(run, wanted->items, wanted->count);
    const struct value *got =
        solution_set(run, (const struct value *const *)run->solutions.items, run->solutions.count);
    REQUIRE(want != NULL && got != NULL);
    if (value_equal(want, got))
        return true;
    buffer_text(why, "want ");
    value_print_json(want, why);
    buffer_text(why, ", got ");
    value_print_json(got, why);
    return false;
}

static bool error_matches(const struct run *run, struct buffer *why)
{
    char code[64];
    bool text_wanted = value_get_text(run->fields, "want_error") != NULL;
    bool code_wanted = value_get_text(run->fields, "want_error_code") != NULL;
    const char *text = rego_case_text(run->fields, "want_error");
    const char *error = run->error.size_bytes > 0 ? run->error.bytes : "";
    snprintf(code, sizeof code, ": %s: ", rego_case_text(run->fields, "want_error_code"));
    if ((error[0] != '\0') == (text_wanted || code_wanted) && strstr(error, text) != NULL &&
        (!code_wanted || strstr(error, code) != NULL))
        return true;
    buffer_format(
        why, "want %s %s%s, got %s", text_wanted || code_wanted ? "the error" : "no error",
        rego_case_text(run->fields, "want_error_code"), text, error[0] != '\0' ? error : "none");
    return false;
}

static bool outcome_matches(struct run *run, struct buffer *why)
{
    const struct value *wanted = value_get_text(run->fields, "want_result");
    if (!error_matches(run, why))
        return false;
    if (flag(run, "want_defined") && run->solutions.count == 0) {
        buffer_text(why, "want it defined, got no solution");
        return false;
    }
    return wanted == NULL || result_matches(run, wanted, why);
}

bool rego_case_passes(const struct value *fields, const struct rego_settings *settings,
                      struct buffer *why)
{
    struct run run = {.fields = fields, .settings = settings, .chance = settings->seed};
    run.problems.arena = &run.arena;
    run_case(&run);
    bool passes = outcome_matches(&run, why);
    if (run.plan != NULL)
        compile_release(run.plan);
    arena_clear(&run.results);
    arena_clear(&run.arena);
    buffer_clear(&run.error);
    return passes;
}
