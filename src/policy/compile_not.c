#include "policy/compile_state.h"

#include <string.h>

/* What is negated without `import future.keywords.not`: only the outermost call or ref. What its
 * operands need computed stands in front, so that the whole is undefined when an operand is. */

/* The core expression that was added last, out of its body. */
static struct core *core_take(struct compiler *c)
{
    struct list *cores = &c->body->cores;
    return cores->count == 0 ? NULL : cores->items[--cores->count];
}

/* What was computed in front stays as it is there: nothing that is unified with it later may make
 * it ask for more. */
static void forget_definers(struct compiler *c, size_t from)
{
    for (size_t i = from; i < c->body->cores.count; i++) {
        const struct core *core = c->body->cores.items[i];
        if (core->out != NULL && core->out->kind == PATTERN_VARIABLE)
            c->frame.variables[core->out->variable].definer = NULL;
    }
}

static bool is_ref(struct compiler *c, const struct term *term)
{
    if (term->kind != TERM_VARIABLE)
        return term->kind == TERM_REF;
    struct name *name = name_intern(c, term->name);
    struct found_name found;
    return name != NULL && name_find(c, name, &found) && found.global != NULL;
}

struct outermost {
    struct core *walks[2];
    size_t count;
};
static const struct pattern *operand_lower(struct compiler *c, const struct term *term,
                                           struct outermost *outermost)
{
    bool ref = is_ref(c, term);
    const struct pattern *pattern = term_lower(c, term);
    struct core *walk = ref && !compile_failed(c) ? core_take(c) : NULL;
    if (walk != NULL) {
        walk->with = NULL;
        outermost->walks[outermost->count++] = walk;
    }
    return pattern;
}

/* ---- which variables must be bound before ---- */

static void stamp_outs(struct compiler *c, const struct core_body *body)
{
    c->stamp++;
    for (size_t i = 0; i < body->cores.count; i++) {
        const struct core *core = body->cores.items[i];
        if (core->out == NULL || core->out->kind != PATTERN_VARIABLE)
            continue;
        struct variable *variable = &c->frame.variables[core->out->variable];
        if (variable->name == NULL && variable->inner)
            variable->stamp = c->stamp;
    }
}

static void need_pattern(struct compiler *c, const struct pattern *pattern, struct numbers *needs)
{
    if (pattern == NULL)
        return;
    if (pattern->kind == PATTERN_VARIABLE &&
        c->frame.variables[pattern->variable].stamp != c->stamp)
        numbers_add(c->arena, needs, pattern->variable);
    for (size_t i = 0; i < pattern->count; i++)
        need_pattern(c, pattern->items[i], needs);
}

static void need_core(struct compiler *c, const struct core *core, struct numbers *needs)
{
    for (size_t i = 0; i < core->operand_count; i++)
        need_pattern(c, core->operands[i], needs);
    need_pattern(c, core->out, needs);
    if (core->kind != CORE_WALK)
        return;
    for (size_t i = 0; i < core->walk.element_count; i++)
        need_pattern(c, core->walk.elements[i], needs);
}

static void negation_needs(struct compiler *c, struct core *negation)
{
    const struct core_body *body = negation->inner.body;
    struct numbers needs = {0};
    stamp_outs(c, body);
    for (size_t i = 0; i < body->cores.count; i++)
        need_core(c, body->cores.items[i], &needs);
    negation->inner.needs = needs.items;
    negation->inner.need_count = needs.count;
}

/* ---- negation ---- */

static void outermost_lower(struct compiler *c, const struct term *term,
                            const struct pattern **operands, const struct outermost *outermost)
{
    for (size_t i = 0; i < outermost->count; i++)
        list_add(c->arena, &c->body->cores, outermost->walks[i]);
    if (term->kind == TERM_CALL)
        call_holds(c, term, operands);
    else
        core_true(c, operands[0], term->place);
}

/* Generated variables that are new since `from` and were made in the negated body. */
static void mark_inner(struct compiler *c, size_t from, const struct outermost *outermost)
{
    for (size_t i = from; i < c->frame.count; i++)
        c->frame.variables[i].inner = true;
    for (size_t i = 0; i < outermost->count; i++)
        c->frame.variables[outermost->walks[i]->out->variable].inner = true;
}

/* In a module `==` is `=` with both sides bound: a ref on a side that leads nowhere makes them
 * unequal. In a query it is a call like any other, and undefined. */
static bool is_comparison(struct compiler *c, const struct term *term)
{
    if (term->kind != TERM_CALL || term->parts.count != 3)
        return false;
    if (call_is(term, "eq"))
        return true;
    const struct builtin *builtin = callee_find(c, term->parts.items[0]).builtin;
    return c->module != NULL && builtin != NULL && strcmp(builtin->name, "equal") == 0;
}

static const struct pattern **front_lower(struct compiler *c, const struct term *term,
                                          struct outermost *outermost)
{
    if (term->kind == TERM_CALL && !is_comparison(c, term))
        return operands_lower(c, term);
    const struct pattern **operands = patterns_new(c, 2);
    if (operands == NULL)
        return NULL;
    if (term->kind != TERM_CALL) {
        operands[0] = operand_lower(c, term, outermost);
    } else {
        operands[0] = operand_lower(c, term->parts.items[1], outermost);
        operands[1] = operand_lower(c, term->parts.items[2], outermost);
    }
    return operands;
}

static void negated_term(struct compiler *c, const struct term *term)
{
    struct outermost outermost = {0};
    size_t front = c->body->cores.count;
    const struct pattern **operands = front_lower(c, term, &outermost);
    if (operands == NULL || compile_failed(c))
        return;
    forget_definers(c, front);
    mark_inner(c, c->frame.count, &outermost);
    size_t first_inner = c->frame.count;
    struct nest outer = body_enter(c);
    outermost_lower(c, term, operands, &outermost);
    mark_inner(c, first_inner, &outermost);
    struct core_body *inner = c->body;
    c->body = outer.body;
    c->with = outer.with;
    struct core *core = core_add(c, CORE_NOT, term->place, 0);
    if (core == NULL || compile_failed(c))
        return;
    core->inner.body = inner;
    negation_needs(c, core);
}

/* With the newer `not`, all of it is negated, and its variables are its own. */
static void negated_body(struct compiler *c, const struct expression *expression)
{
    struct scope scope = scope_open(c);
    bool block = expression->kind == EXPRESSION_NOT_BODY;
    if (block)
        body_announce(c, &expression->body, 1);
    struct nest outer = body_enter(c);
    if (block)
        body_lower(c, &expression->body);
    else
        positive_lower(c, expression);
    body_leave(c, outer, CORE_NOT, expression->place, 0);
    if (block)
        body_announce(c, &expression->body, -1);
    scope_close(c, scope);
}

void negated_lower(struct compiler *c, const struct expression *expression)
{
    const struct term *term = expression->terms.count > 0 ? expression->terms.items[0] : NULL;
    if (term != NULL && call_is(term, "assign"))
        problem_add(c->problems, PROBLEM_COMPILE, expression->place,
                    "cannot assign vars inside negated expression");
    else if (term == NULL || expression->kind == EXPRESSION_EVERY || c->keyword_not ||
             call_is(term, "print"))
        negated_body(c, expression);
    else
        negated_term(c, term);
}
