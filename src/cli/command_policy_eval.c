#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "cli/common.h"
#include "cli/policy_document.h"
#include "cli/policy_files.h"
#include "cli/policy_run.h"
#include "policy/parse.h"

/* One query, and what it has found so far. */
struct question {
    struct policy_files files;
    struct arena arena; /* of the evaluation */
    struct source source;
    struct plan_query *query;
    const struct value *input; /* NULL: undefined */
    struct value_list solutions;
};

static void question_clear(struct question *question)
{
    arena_clear(&question->arena);
    policy_files_clear(&question->files);
}
static void question_clear_at_scope_end(struct question *question)
{
    question_clear(question);
}

/* ---- a solution as JSON ---- */

static const struct value *location_value(struct arena *arena, struct place place)
{
    struct value_pairs pairs = {0};
    unsigned row, column;
    place_row_column(place, &row, &column);
    document_member(arena, &pairs, "row", value_small(arena, row));
    document_member(arena, &pairs, "col", value_small(arena, column));
    return value_object(arena, &pairs, NULL);
}

static const struct value *expression_value(struct arena *arena,
                                            const struct plan_expression *expression,
                                            const struct value *const *slots)
{
    struct value_pairs pairs = {0};
    struct place place = expression->place;
    document_member(arena, &pairs, "value",
                    expression->slot == NO_SLOT ? &value_true : slots[expression->slot]);
    document_member(arena, &pairs, "text",
                    value_string(arena, place.source->text + place.offset, place.length));
    document_member(arena, &pairs, "location", location_value(arena, place));
    return value_object(arena, &pairs, NULL);
}

static const struct value *bindings_value(struct arena *arena, const struct plan_query *query,
                                          const struct value *const *slots)
{
    struct value_pairs pairs = {0};
    for (size_t i = 0; i < query->binding_count; i++)
        document_member(arena, &pairs, query->bindings[i].name, slots[query->bindings[i].slot]);
    return value_object(arena, &pairs, NULL);
}

static lethe_result keep_solution(void *context, const struct value *const *slots)
{
    struct question *question = context;
    struct arena *arena = &question->files.arena;
    const struct plan_query *query = question->query;
    struct value_list expressions = {0};
    struct value_pairs solution = {0};
    for (size_t i = 0; i < query->expression_count; i++)
        value_list_append(arena, &expressions,
                          expression_value(arena, &query->expressions[i], slots));
    document_member(arena, &solution, "expressions", value_array(arena, &expressions));
    if (query->binding_count > 0)
        document_member(arena, &solution, "bindings", bindings_value(arena, query, slots));
    value_list_append(arena, &question->solutions, value_object(arena, &solution, NULL));
    return arena_result(arena, NULL);
}

/* ---- formats ---- */

static void print_line(const struct value *value, bool pretty, struct buffer *out)
{
    if (pretty)
        value_print_json_pretty(value, "  ", out);
    else
        value_print_json(value, out);
    buffer_byte(out, '\n');
}

static lethe_result format_json(struct question *question, struct buffer *out)
{
    struct arena *arena = &question->files.arena;
    struct value_pairs pairs = {0};
    if (question->solutions.count > 0)
        document_member(arena, &pairs, "result", value_array(arena, &question->solutions));
    const struct value *all = value_object(arena, &pairs, NULL);
    TRY(arena_result(arena, NULL));
    print_line(all, true, out);
    return LETHE_OK;
}

static const struct value *values_of(struct arena *arena, const struct value *solution)
{
    const struct value *expressions = value_get_text(solution, "expressions");
    struct value_list values = {0};
    for (uint32_t i = 0; i < expressions->count; i++)
        value_list_append(arena, &values, value_get_text(expressions->items[i], "value"));
    return value_array(arena, &values);
}

static lethe_result format_values(struct question *question, struct buffer *out)
{
    for (size_t i = 0; i < question->solutions.count; i++) {
        const struct value *values =
            values_of(&question->files.arena, question->solutions.items[i]);
        TRY(arena_result(&question->files.arena, NULL));
        print_line(values, true, out);
    }
    return LETHE_OK;
}

static lethe_result format_bindings(struct question *question, struct buffer *out)
{
    for (size_t i = 0; i < question->solutions.count; i++) {
        const struct value *bindings = value_get_text(question->solutions.items[i], "bindings");
        print_line(bindings != NULL ? bindings : &value_empty_object, true, out);
    }
    return LETHE_OK;
}

/* Texts as they are: for who goes on with them in a shell. */
static lethe_result format_raw(struct question *question, struct buffer *out)
{
    for (size_t i = 0; i < question->solutions.count; i++) {
        const struct value *values =
            values_of(&question->files.arena, question->solutions.items[i]);
        TRY(arena_result(&question->files.arena, NULL));
        for (uint32_t j = 0; j < values->count; j++) {
            const struct value *value = values->items[j];
            buffer_text(out, j > 0 ? " " : "");
            if (value_is(value, VALUE_STRING))
                buffer_append(out, value->string, value->count);
            else
                value_print_json(value, out);
        }
        buffer_byte(out, '\n');
    }
    return LETHE_OK;
}

static const struct format {
    const char *name;
    lethe_result (*print)(struct question *question, struct buffer *out);
} formats[] = {
    {"json", format_json},
    {"values", format_values},
    {"bindings", format_bindings},
    {"raw", format_raw},
};

static lethe_result format_chosen(const struct invocation *invocation, const struct format **out,
                                  struct lethe_error *err)
{
    const char *name = option_text(invocation, "format");
    *out = &formats[0];
    for (size_t i = 0; i < ARRAY_LEN(formats) && name != NULL; i++) {
        *out = &formats[i];
        if (strcmp(name, formats[i].name) == 0)
            return LETHE_OK;
    }
    if (name == NULL)
        return LETHE_OK;
    error_set(err, LETHE_INVALID, "there is no format '%.32s'", name);
    error_hint(err, "json, values, bindings, or raw");
    return LETHE_INVALID;
}

/* ---- reading ---- */

static lethe_result read_files(const struct invocation *invocation, struct policy_files *files,
                               struct lethe_error *err)
{
    for (int i = 0; i < invocation->given_count; i++) {
        if (strcmp(invocation->given[i]->name, "data") == 0)
            TRY(policy_files_add(files, invocation->values[i], err));
    }
    return policy_files_compile(files, common_is_v0(invocation), err);
}

static lethe_result read_input(const struct invocation *invocation, struct question *question,
                               struct lethe_error *err)
{
    bool is_on_stdin = option_given(invocation, "stdin-input");
    const char *path = is_on_stdin ? "-" : option_text(invocation, "input");
    if (is_on_stdin && option_given(invocation, "input"))
        return error_set(err, LETHE_INVALID, "--input and --stdin-input name two inputs");
    CLEANUP(buffer_clear) struct buffer text = {0};
    if (path == NULL)
        return LETHE_OK;
    buffer_text(&text, ""); /* an empty file has bytes too */
    TRY(common_read_text(path, DOCUMENT_SIZE_MAX, &text, err));
    return policy_document_parse(&question->files.arena, path, &text, &question->input, err);
}

/* The term of "data.a.b", by reading it as a query. */
static lethe_result parse_package(const struct invocation *invocation, struct question *question,
                                  const struct term **out, struct problems *problems)
{
    const char *name = option_text(invocation, "package");
    struct arena *arena = &question->files.arena;
    struct body body;
    unsigned wildcards;
    *out = NULL;
    if (name == NULL)
        return LETHE_OK;
    struct source *source = arena_zalloc(arena, 1, sizeof *source);
    CLEANUP(buffer_clear) struct buffer text = {0};
    buffer_format(&text, "%s%s", strncmp(name, "data.", 5) == 0 ? "" : "data.", name);
    TRY(buffer_result(&text, NULL));
    const char *copy = arena_copy(arena, text.bytes, text.size_bytes);
    TRY(arena_result(arena, NULL));
    *source = (struct source){"--package", copy, text.size_bytes};
    TRY(parse_query(arena, source, &(struct parse_options){0}, &body, &wildcards, problems));
    if (body.count == 1 && body.items[0]->kind == EXPRESSION_TERM)
        *out = body.items[0]->terms.items[0];
    if (*out != NULL && (*out)->kind == TERM_REF)
        return LETHE_OK;
    return problem_add(problems, PROBLEM_PARSE, (struct place){source, 0, 0},
                       "expected the name of a package");
}

static lethe_result compile_question(const struct invocation *invocation, struct question *question,
                                     struct problems *problems)
{
    struct arena *arena = &question->files.arena;
    const struct parse_options syntax = {.v0 = common_is_v0(invocation)};
    const struct term *package;
    struct body body;
    unsigned wildcards;
    TRY(parse_package(invocation, question, &package, problems));
    TRY(parse_query(arena, &question->source, &syntax, &body, &wildcards, problems));
    return compile_query(arena, question->files.plan, &body, package, &question->query, problems);
}

static lethe_result read_query(const struct invocation *invocation, struct question *question,
                               struct lethe_error *err)
{
    const char *text = invocation->positional[0];
    struct problems problems = {.arena = &question->files.arena};
    question->source = (struct source){"query", text, strlen(text)};
    lethe_result result = compile_question(invocation, question, &problems);
    return result == LETHE_OK ? LETHE_OK
                              : policy_problems_report(&problems, result, "the query", err);
}

/* ---- asking ---- */

static lethe_result ask(const struct invocation *invocation, struct question *question,
                        struct lethe_error *err)
{
    struct evaluation_options options;
    struct evaluation_failure failure = {0};
    policy_run_options(&options);
    options.input = question->input;
    options.strict_errors = option_given(invocation, "strict-builtin-errors");
    lethe_result result = evaluate_query(question->files.plan, question->query, &options,
                                         &question->arena, keep_solution, question, &failure);
    TRY(arena_result(&question->files.arena, err));
    return result == LETHE_OK ? LETHE_OK : policy_run_failed(result, &failure, err);
}

static lethe_result print_answer(struct question *question, const struct format *format,
                                 struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    buffer_text(&text, "");
    if (format->print(question, &text) != LETHE_OK)
        return arena_result(&question->files.arena, err);
    TRY(buffer_result(&text, err));
    fwrite(text.bytes, 1, text.size_bytes, stdout);
    return LETHE_OK;
}

COMMAND_FUNCTION(policy_eval)
{
    CLEANUP(question_clear) struct question question = {0};
    const struct format *format;
    TRY(format_chosen(invocation, &format, err));
    TRY(read_files(invocation, &question.files, err));
    TRY(read_input(invocation, &question, err));
    TRY(read_query(invocation, &question, err));
    TRY(ask(invocation, &question, err));
    bool defined = question.solutions.count > 0;
    TRY(print_answer(&question, format, err));
    if (option_given(invocation, defined ? "fail-defined" : "fail"))
        invocation->exit_code = 1;
    return LETHE_OK;
}
