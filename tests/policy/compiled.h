/* tests/policy/compiled.h -- modules compiled from text: the plan's shape, or what is wrong. */
#ifndef TESTS_POLICY_COMPILED_H
#define TESTS_POLICY_COMPILED_H

#include "check.h"

#include "plan_print.h"
#include "policy/compile.h"
#include "policy/parse.h"

#define COMPILED_MODULES_MAX 8
#define COMPILED_ARENA_BYTES ((size_t)256 << 20)

struct compiled {
    struct arena arena;
    struct problems problems;
    struct source sources[COMPILED_MODULES_MAX];
    const struct module *modules[COMPILED_MODULES_MAX];
    size_t count;
    struct plan *plan; /* NULL: problems say why */
};

static inline void compiled_clear(struct compiled *compiled)
{
    compile_release(compiled->plan);
    arena_clear(&compiled->arena);
}
static inline void compiled_clear_at_scope_end(struct compiled *compiled)
{
    compiled_clear(compiled);
}

static inline lethe_result compiled_parse(struct compiled *compiled, const char *text, size_t size,
                                          bool v0)
{
    struct source *source = &compiled->sources[compiled->count];
    struct module *module = NULL;
    char name[8];
    snprintf(name, sizeof name, "%zu", compiled->count);
    *source = (struct source){arena_copy(&compiled->arena, name, strlen(name)), text, size};
    const struct parse_options options = {.v0 = v0};
    TRY(parse_module(&compiled->arena, source, &options, &module, &compiled->problems));
    compiled->modules[compiled->count++] = module;
    return LETHE_OK;
}

/* Modules are separated by lines of "---". */
static inline lethe_result compiled_limited(struct compiled *compiled, const char *text,
                                            size_t limit_bytes, bool v0)
{
    *compiled = (struct compiled){.arena = {.limit_bytes = limit_bytes}};
    compiled->problems.arena = &compiled->arena;
    while (compiled->count < COMPILED_MODULES_MAX) {
        const char *end = strstr(text, "\n---\n");
        TRY(compiled_parse(compiled, text, end == NULL ? strlen(text) : (size_t)(end - text), v0));
        if (end == NULL)
            break;
        text = end + strlen("\n---\n");
    }
    return compile_policy(&compiled->arena, compiled->modules, compiled->count, &value_empty_object,
                          &compiled->plan, &compiled->problems);
}

static inline void compiled_make(struct compiled *compiled, const char *text, bool v0)
{
    lethe_result result = compiled_limited(compiled, text, COMPILED_ARENA_BYTES, v0);
    assert_int_equal(result == LETHE_OK, compiled->problems.count == 0);
    assert_int_equal(result == LETHE_OK, compiled->plan != NULL);
}

/* "0:3 rego_type_error: ..." and a newline, for each. */
static inline void print_problems(const struct problems *problems, struct buffer *out)
{
    for (const struct problem *p = problems->first; p != NULL; p = p->next) {
        unsigned row = 0, column = 0;
        if (p->place.source != NULL)
            place_row_column(p->place, &row, &column);
        buffer_format(out, "%s:%u %s: %s\n", p->place.source == NULL ? "?" : p->place.source->name,
                      row, problem_code_name(p->code), p->text);
    }
}

/* The plan, or the problems. */
static inline void compiled_print(const char *text, bool v0, struct buffer *out)
{
    CLEANUP(compiled_clear) struct compiled compiled;
    compiled_make(&compiled, text, v0);
    if (compiled.plan != NULL)
        print_plan(compiled.plan, out);
    print_problems(&compiled.problems, out);
}

/* Each row: the text of modules, and what they give, without the newline at the end. */
struct compiled_row {
    const char *text, *expected;
};
static inline void check_compiled(const struct compiled_row *rows, size_t count, bool v0)
{
    for (size_t i = 0; i < count; i++) {
        CLEANUP(buffer_clear) struct buffer found = {0}, expected = {0};
        buffer_text(&found, "");
        compiled_print(rows[i].text, v0, &found);
        buffer_format(&expected, "%s\n", rows[i].expected);
        if (found.bytes == NULL || strcmp(found.bytes, expected.bytes) != 0)
            fail_msg("%s\ngives\n%s\ninstead of\n%s", rows[i].text, found.bytes, expected.bytes);
    }
}

#endif
