#include "policy/compile_state.h"

#include <stdlib.h>
#include <string.h>

/* ---- does it iterate? Then what is false is no solution, not a value. ---- */

static bool part_iterates(const struct term *term)
{
    if (term->kind == TERM_CALL && call_is(term, "walk"))
        return true;
    if (term->kind != TERM_REF && term->kind != TERM_CALL && term->kind != TERM_ARRAY &&
        term->kind != TERM_SET && term->kind != TERM_OBJECT)
        return false;
    for (size_t i = 0; i < term->parts.count; i++) {
        const struct term *part = term->parts.items[i];
        if (term->kind == TERM_REF && i > 0 && part->kind == TERM_VARIABLE)
            return true;
        if (part_iterates(part))
            return true;
    }
    return false;
}

static bool body_iterates(const struct body *body)
{
    return body->count > 1 || (body->count == 1 && body->items[0]->kind == EXPRESSION_TERM &&
                               part_iterates(body->items[0]->terms.items[0]));
}

/* ---- expressions and their values ---- */

/* A call that names its result itself has none besides. */
static bool names_result(struct compiler *c, const struct term *term)
{
    if (term->kind != TERM_CALL)
        return false;
    struct callee callee = callee_find(c, term->parts.items[0]);
    return (callee.builtin != NULL || callee.function != NULL) &&
           term->parts.count - 1 > callee_arity(&callee);
}

static bool has_value(struct compiler *c, const struct expression *expression)
{
    if (expression->kind != EXPRESSION_TERM || expression->negated)
        return false;
    const struct term *term = expression->terms.items[0];
    return !call_is(term, "eq") && !call_is(term, "assign") && !call_is(term, "print") &&
           !names_result(c, term);
}

/* NULL: it has no value. */
static const struct pattern *value_lower(struct compiler *c, const struct expression *expression,
                                         bool filter)
{
    if (!has_value(c, expression)) {
        expression_lower(c, expression);
        return NULL;
    }
    c->with = with_lower(c, expression);
    const struct pattern *value = term_lower(c, expression->terms.items[0]);
    c->with = NULL;
    if (filter)
        core_true(c, value, expression->place);
    return value;
}

static const struct pattern **query_lower(struct compiler *c, const struct body *body)
{
    const struct pattern **values = patterns_new(c, body->count);
    bool filter = body_iterates(body);
    struct scope outer = scope_open(c);
    body_announce(c, body, 1);
    for (size_t i = 0; i < body->count && values != NULL && !compile_failed(c); i++)
        values[i] = value_lower(c, body->items[i], filter);
    body_announce(c, body, -1);
    scope_close(c, outer);
    body_finish(c, c->body);
    return values;
}

/* ---- what a solution is read from ---- */

static uint32_t slot_of(struct compiler *c, struct operand operand, struct place place)
{
    if (operand.constant == NULL)
        return operand.slot;
    struct step *step = step_add(c, STEP_ASSIGN, place);
    step_operands(c, step, &operand, 1);
    return step->slot = slot_new(c);
}

static int binding_order(const void *a, const void *b)
{
    return strcmp(((const struct plan_binding *)a)->name, ((const struct plan_binding *)b)->name);
}

static void bindings_emit(struct compiler *c, struct plan_query *query)
{
    query->bindings = arena_alloc(c->arena, c->bound.count * sizeof(*query->bindings));
    if (query->bindings == NULL)
        return;
    for (size_t i = 0; i < c->bound.count; i++) {
        const struct variable *variable = &c->frame.variables[c->bound.items[i]];
        if (variable->name == NULL || variable->name[0] == '$')
            continue;
        query->bindings[query->binding_count++] = (struct plan_binding){
            .name = variable->name,
            .slot = slot_of(c, variable->operand, variable->place),
        };
    }
    if (query->binding_count > 1)
        qsort(query->bindings, query->binding_count, sizeof(*query->bindings), binding_order);
}

static void expressions_emit(struct compiler *c, const struct body *body,
                             const struct pattern *const *values, struct plan_query *query)
{
    query->expressions = arena_zalloc(c->arena, body->count, sizeof(*query->expressions));
    for (size_t i = 0; i < body->count && query->expressions != NULL; i++) {
        struct place place = body->items[i]->place;
        query->expressions[i] = (struct plan_expression){
            .place = place,
            .slot = values[i] == NULL ? NO_SLOT
                                      : slot_of(c, pattern_operand(c, values[i], place), place),
        };
        query->expression_count++;
    }
}

/* ---- queries ---- */

/* Names as the modules of a package have them. */
static void package_enter(struct compiler *c, const struct term *package)
{
    c->package = tree_package(c, package);
    for (size_t i = 0; i < c->plan->module_count && c->package != NULL; i++) {
        const struct module *module = c->plan->modules[i];
        if (tree_package(c, module->package) != c->package)
            continue;
        if (c->module == NULL)
            c->module = module;
        names_import(c, module);
    }
}

static lethe_result query_build(struct compiler *c, const struct body *body,
                                struct plan_query *query)
{
    frame_begin(c);
    c->body = arena_zalloc(c->arena, 1, sizeof(*c->body));
    if (c->body == NULL)
        return compile_result(c);
    const struct pattern **values = query_lower(c, body);
    TRY(compile_result(c));
    c->tail = &query->start;
    body_order(c, c->body);
    for (size_t i = 0; i < body->count && !compile_failed(c); i++)
        pattern_check(c, values[i], body->items[i]->place);
    TRY(compile_result(c));
    bindings_emit(c, query);
    expressions_emit(c, body, values, query);
    yield_emit(c, NULL, 0, (struct place){0});
    query->slot_count = c->frame.slot_count;
    return compile_result(c);
}

lethe_result compile_query(struct arena *arena, const struct plan *plan, const struct body *body,
                           const struct term *package, struct plan_query **out,
                           struct problems *problems)
{
    struct compiler *c = arena_zalloc(arena, 1, sizeof(*c));
    struct plan_query *query = arena_zalloc(arena, 1, sizeof(*query));
    if (c == NULL || query == NULL)
        return arena->failure;
    c->arena = arena;
    c->problems = problems;
    c->plan = plan;
    c->root = (struct tree_node *)plan->root;
    c->v0 = plan->v0;
    c->step_count = (uint32_t)plan->id_count; /* nobody covers a query */
    if (package != NULL)
        package_enter(c, package);
    TRY(query_build(c, body, query));
    *out = query;
    return LETHE_OK;
}
