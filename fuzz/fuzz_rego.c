/* No text crashes the parser of Rego, in either syntax or as a query; what it refuses has its
 * problem and place, and what it gives is a tree as policy/ast.h describes it, not too high. */
#include "policy/parse.h"

#include "fuzz.h"

#define ARENA_LIMIT_BYTES ((size_t)64 << 20)
/* Terms and bodies below each other: each level of brackets is a term, or a body and an expression
 * that holds terms. */
#define HEIGHT_MAX (2 * PARSE_DEPTH_MAX)

static void check_place(struct place place, const struct source *source)
{
    FUZZ_PROPERTY(place.source == source);
    FUZZ_PROPERTY(place.offset <= source->size_bytes);
    FUZZ_PROPERTY(place.length <= source->size_bytes - place.offset);
}

static void check_body(const struct body *body, const struct source *source, unsigned height);

static void check_term(const struct term *term, const struct source *source, unsigned height)
{
    FUZZ_PROPERTY(term != NULL && height <= HEIGHT_MAX);
    check_place(term->place, source);
    if (term->kind == TERM_VALUE) {
        FUZZ_PROPERTY(term->value != NULL && term->value->depth <= PARSE_DEPTH_MAX);
        return;
    }
    if (term->kind == TERM_VARIABLE) {
        FUZZ_PROPERTY(term->name[0] != '\0');
        return;
    }
    FUZZ_PROPERTY(term->kind == TERM_TEMPLATE || term->parts.count > 0);
    FUZZ_PROPERTY(term->kind != TERM_REF || term->parts.count > 1);
    FUZZ_PROPERTY(term->kind != TERM_OBJECT || term->parts.count % 2 == 0);
    for (size_t i = 0; i < term->parts.count; i++)
        check_term(term->parts.items[i], source, height + 1);
    bool is_comprehension =
        term->kind >= TERM_ARRAY_COMPREHENSION && term->kind <= TERM_OBJECT_COMPREHENSION;
    FUZZ_PROPERTY(is_comprehension == (term->body.count > 0));
    check_body(&term->body, source, height + 1);
}

static void check_expression(const struct expression *expression, const struct source *source,
                             unsigned height)
{
    bool has_body = expression->kind == EXPRESSION_EVERY || expression->kind == EXPRESSION_NOT_BODY;
    check_place(expression->place, source);
    FUZZ_PROPERTY(has_body == (expression->body.count > 0));
    FUZZ_PROPERTY((expression->kind == EXPRESSION_NOT_BODY) == (expression->terms.count == 0));
    for (size_t i = 0; i < expression->terms.count; i++)
        check_term(expression->terms.items[i], source, height + 1);
    check_body(&expression->body, source, height + 1);
    for (size_t i = 0; i < expression->with_count; i++) {
        const struct term *target = expression->withs[i].target;
        FUZZ_PROPERTY(target->kind == TERM_REF || target->kind == TERM_VARIABLE);
        check_term(target, source, height + 1);
        check_term(expression->withs[i].value, source, height + 1);
    }
}

static void check_body(const struct body *body, const struct source *source, unsigned height)
{
    for (size_t i = 0; i < body->count; i++)
        check_expression(body->items[i], source, height);
}

static void check_rule(const struct rule *rule, const struct source *source)
{
    FUZZ_PROPERTY(rule->ref->kind == TERM_REF || rule->ref->kind == TERM_VARIABLE);
    FUZZ_PROPERTY((rule->kind == RULE_SET) == (rule->key != NULL));
    FUZZ_PROPERTY((rule->kind == RULE_SET) == (rule->value == NULL));
    FUZZ_PROPERTY((rule->kind == RULE_FUNCTION) == (rule->arguments.count > 0));
    check_place(rule->place, source);
    check_term(rule->ref, source, 0);
    unsigned count = 0;
    for (; rule != NULL; rule = rule->else_rule) {
        FUZZ_PROPERTY(count++ <= PARSE_DEPTH_MAX && rule->body.count > 0);
        check_body(&rule->body, source, 0);
        check_term(rule->key != NULL ? rule->key : rule->value, source, 0);
    }
}

static void check_module(const struct module *module, const struct source *source)
{
    check_term(module->package, source, 0);
    for (size_t i = 0; i < module->import_count; i++) {
        check_term(module->imports[i].path, source, 0);
        FUZZ_PROPERTY(module->imports[i].alias != NULL);
    }
    for (size_t i = 0; i < module->rule_count; i++)
        check_rule(module->rules[i], source);
}

/* A failure is explained: by the arena, or by problems that can be printed. */
static void check_failure(lethe_result result, const struct problems *problems,
                          const struct source *source)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    FUZZ_PROPERTY(result == LETHE_INVALID || result == LETHE_LIMIT);
    FUZZ_PROPERTY(result == LETHE_LIMIT || problems->first != NULL);
    for (const struct problem *p = problems->first; p != NULL; p = p->next) {
        check_place(p->place, source);
        problem_print(p, &text);
    }
}

static void fuzz_module(const struct source *source, bool v0)
{
    CLEANUP(arena_clear) struct arena arena = {.limit_bytes = ARENA_LIMIT_BYTES};
    struct problems problems = {.arena = &arena};
    struct module *module = NULL;
    const struct parse_options options = {.v0 = v0};
    lethe_result result = parse_module(&arena, source, &options, &module, &problems);
    if (result == LETHE_OK)
        check_module(module, source);
    else
        check_failure(result, &problems, source);
}

static void fuzz_query(const struct source *source)
{
    CLEANUP(arena_clear) struct arena arena = {.limit_bytes = ARENA_LIMIT_BYTES};
    struct problems problems = {.arena = &arena};
    struct body body = {0};
    unsigned wildcards = 0;
    lethe_result result =
        parse_query(&arena, source, &(struct parse_options){0}, &body, &wildcards, &problems);
    if (result == LETHE_OK)
        check_body(&body, source, 0);
    else
        check_failure(result, &problems, source);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct source source = {"fuzz", (const char *)data, size};
    fuzz_module(&source, false);
    fuzz_module(&source, true);
    fuzz_query(&source);
    return 0;
}
