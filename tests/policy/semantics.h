/* tests/policy/semantics.h -- tables of small policies, each with what it says or why it is
 * refused. */
#ifndef TESTS_POLICY_SEMANTICS_H
#define TESTS_POLICY_SEMANTICS_H

#include "check.h"

#include "policy/compile.h"
#include "policy/evaluate.h"
#include "policy/parse.h"

#define SEMANTICS_MODULES_MAX 4

/* Modules are separated by lines of "---"; one that names no package is `package t`. */
struct semantics {
    const char *text;
    const char *input; /* JSON; NULL: undefined */
    const char *p;     /* of data.t.p: JSON, "undefined", or "code: text" of what went wrong */
    const char *data;  /* JSON; NULL: {} */
};

struct semantics_policy {
    struct arena arena;
    struct problems problems;
    struct source sources[SEMANTICS_MODULES_MAX];
    const struct module *modules[SEMANTICS_MODULES_MAX];
    size_t count;
    struct plan *plan;
};

static inline lethe_result semantics_parse(struct semantics_policy *policy, const char *text,
                                           size_t length, bool v0)
{
    CLEANUP(buffer_clear) struct buffer whole = {0};
    struct source *source = &policy->sources[policy->count];
    struct module *module = NULL;
    const struct parse_options options = {.v0 = v0};
    buffer_text(&whole, strncmp(text, "package", strlen("package")) == 0 ? "" : "package t\n");
    buffer_append(&whole, text, length);
    *source = (struct source){.name = "m.rego", .size_bytes = whole.size_bytes};
    source->text = arena_copy(&policy->arena, whole.bytes, whole.size_bytes);
    TRY(parse_module(&policy->arena, source, &options, &module, &policy->problems));
    policy->modules[policy->count++] = module;
    return LETHE_OK;
}

static inline lethe_result semantics_prepare(struct semantics_policy *policy, const char *text,
                                             const struct value *data, bool v0)
{
    for (const char *end = text; end != NULL; text = end + strlen("\n---\n")) {
        assert_true(policy->count < SEMANTICS_MODULES_MAX);
        end = strstr(text, "\n---\n");
        TRY(semantics_parse(policy, text, end == NULL ? strlen(text) : (size_t)(end - text), v0));
        if (end == NULL)
            break;
    }
    return compile_policy(&policy->arena, policy->modules, policy->count, data, &policy->plan,
                          &policy->problems);
}

static inline void semantics_evaluate(struct semantics_policy *policy, const struct value *input,
                                      struct buffer *out)
{
    const struct value t = {.kind = VALUE_STRING, .count = 1, .string = "t"};
    const struct value p = {.kind = VALUE_STRING, .count = 1, .string = "p"};
    const struct value *const path[] = {&t, &p}, *value;
    const struct evaluation_options options = {.input = input};
    struct evaluation_failure failure;
    if (evaluate_path(policy->plan, path, ARRAY_LEN(path), &options, &policy->arena, &value,
                      &failure) != LETHE_OK)
        buffer_format(out, "%s: %s", failure.code, failure.text);
    else if (value == NULL)
        buffer_text(out, "undefined");
    else
        value_print_json(value, out);
}

static inline const struct value *semantics_json(struct arena *arena, const char *text)
{
    const struct value *value = NULL;
    struct lethe_error err;
    assert_ok(value_parse_json(arena, text, strlen(text), &value, &err), &err);
    return value;
}

static inline void semantics_answer(const struct semantics *row, bool v0, struct buffer *out)
{
    struct semantics_policy policy = {0};
    policy.problems.arena = &policy.arena;
    const struct value *base = semantics_json(&policy.arena, row->data == NULL ? "{}" : row->data);
    if (semantics_prepare(&policy, row->text, base, v0) == LETHE_OK) {
        const struct value *input =
            row->input == NULL ? NULL : semantics_json(&policy.arena, row->input);
        semantics_evaluate(&policy, input, out);
    } else {
        assert_non_null(policy.problems.first);
        buffer_format(out, "%s: %s", problem_code_name(policy.problems.first->code),
                      policy.problems.first->text);
    }
    compile_release(policy.plan);
    arena_clear(&policy.arena);
}

static inline void check_semantics(const struct semantics *rows, size_t count, bool v0)
{
    for (size_t i = 0; i < count; i++) {
        CLEANUP(buffer_clear) struct buffer found = {0};
        semantics_answer(&rows[i], v0, &found);
        if (found.bytes == NULL || strcmp(found.bytes, rows[i].p) != 0)
            fail_msg("%s\ngives %s\ninstead of %s", rows[i].text, found.bytes, rows[i].p);
    }
}
#define CHECK_SEMANTICS(rows) check_semantics(rows, ARRAY_LEN(rows), false)

#endif
