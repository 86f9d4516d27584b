#include "policy/compile_state.h"

/* ---- what is bound ---- */

void variable_bind(struct compiler *c, uint32_t variable, struct operand operand)
{
    c->frame.variables[variable].operand = operand;
    c->frame.variables[variable].bound = true;
    numbers_add(c->arena, &c->bound, variable);
}

void variables_unbind(struct compiler *c, size_t mark)
{
    while (c->bound.count > mark)
        c->frame.variables[c->bound.items[--c->bound.count]].bound = false;
}

bool pattern_is_bound(struct compiler *c, const struct pattern *pattern)
{
    c->looks++;
    if (pattern->kind == PATTERN_VARIABLE)
        return c->frame.variables[pattern->variable].bound;
    for (size_t i = 0; i < pattern->count; i++)
        if (!pattern_is_bound(c, pattern->items[i]))
            return false;
    return true;
}

/* A value can be matched with it: what is in sets and what are keys must be bound. */
static bool pattern_can_match(struct compiler *c, const struct pattern *pattern)
{
    if (pattern->kind == PATTERN_SET)
        return pattern_is_bound(c, pattern);
    for (size_t i = 0; i < pattern->count; i++) {
        bool key = pattern->kind == PATTERN_OBJECT && i % 2 == 0;
        if (key ? !pattern_is_bound(c, pattern->items[i])
                : !pattern_can_match(c, pattern->items[i]))
            return false;
    }
    return true;
}

/* ---- what is ready ---- */

static bool operands_are_bound(struct compiler *c, const struct core *core)
{
    for (size_t i = 0; i < core->operand_count; i++)
        if (!pattern_is_bound(c, core->operands[i]))
            return false;
    return true;
}

static bool unify_is_ready(struct compiler *c, const struct core *core)
{
    const struct pattern *a = core->operands[0], *b = core->operands[1];
    return (pattern_is_bound(c, a) && pattern_can_match(c, b)) ||
           (pattern_is_bound(c, b) && pattern_can_match(c, a));
}

static bool walk_is_ready(struct compiler *c, const struct core *core)
{
    for (size_t i = 0; i < core->walk.element_count; i++)
        if (core->walk.elements[i] != NULL && !pattern_can_match(c, core->walk.elements[i]))
            return false;
    return operands_are_bound(c, core);
}

static bool needs_are_bound(struct compiler *c, const struct core *core)
{
    c->looks += core->inner.need_count;
    for (size_t i = 0; i < core->inner.need_count; i++)
        if (!c->frame.variables[core->inner.needs[i]].bound)
            return false;
    return true;
}

static bool with_is_ready(struct compiler *c, const struct core_with *with)
{
    for (size_t i = 0; with != NULL && i < with->count; i++)
        if (with->values[i] != NULL && !pattern_is_bound(c, with->values[i]))
            return false;
    return true;
}

static bool core_is_ready(struct compiler *c, const struct core *core)
{
    if (!with_is_ready(c, core->with) || (core->out != NULL && !pattern_can_match(c, core->out)))
        return false;
    switch (core->kind) {
    case CORE_UNIFY:
        return unify_is_ready(c, core);
    case CORE_WALK:
        return walk_is_ready(c, core);
    case CORE_EQUAL:
    case CORE_TRUE:
    case CORE_CALL:
        return operands_are_bound(c, core);
    case CORE_NOT:
    case CORE_COLLECT: /* its operands are bound inside */
        return needs_are_bound(c, core);
    case CORE_EVERY:
        return pattern_is_bound(c, core->operands[0]) && needs_are_bound(c, core);
    }
    return false;
}

/* ---- what is unsafe ---- */

static void report_variable(struct compiler *c, uint32_t number, struct place place,
                            unsigned *reported)
{
    struct variable *variable = &c->frame.variables[number];
    if (variable->bound || variable->name == NULL)
        return;
    ++*reported;
    if (variable->reported)
        return;
    variable->reported = true;
    problem_add(c->problems, PROBLEM_UNSAFE, place, "var %s is unsafe",
                variable->name[0] == '$' ? "_" : variable->name);
}

static void report_pattern(struct compiler *c, const struct pattern *pattern, struct place place,
                           unsigned *reported)
{
    if (pattern == NULL)
        return;
    if (pattern->kind == PATTERN_VARIABLE)
        report_variable(c, pattern->variable, place, reported);
    for (size_t i = 0; i < pattern->count; i++)
        report_pattern(c, pattern->items[i], place, reported);
}

void pattern_check(struct compiler *c, const struct pattern *pattern, struct place place)
{
    unsigned reported = 0;
    report_pattern(c, pattern, place, &reported);
}

static void report_core(struct compiler *c, const struct core *core, unsigned *reported)
{
    bool has_needs = core->kind >= CORE_NOT;
    size_t operands = core->kind == CORE_COLLECT ? 0
                      : core->kind == CORE_EVERY ? 1
                                                 : core->operand_count;
    for (size_t i = 0; i < operands; i++)
        report_pattern(c, core->operands[i], core->place, reported);
    report_pattern(c, core->out, core->place, reported);
    for (size_t i = 0; core->kind == CORE_WALK && i < core->walk.element_count; i++)
        report_pattern(c, core->walk.elements[i], core->place, reported);
    for (size_t i = 0; has_needs && i < core->inner.need_count; i++)
        report_variable(c, core->inner.needs[i], core->place, reported);
    for (size_t i = 0; core->with != NULL && i < core->with->count; i++)
        report_pattern(c, core->with->values[i], core->place, reported);
}

static void report_unsafe(struct compiler *c, const struct core_body *body)
{
    unsigned reported = 0;
    const struct core *first = NULL;
    for (size_t i = 0; i < body->cores.count; i++) {
        const struct core *core = body->cores.items[i];
        if (core->done)
            continue;
        if (first == NULL)
            first = core;
        report_core(c, core, &reported);
    }
    if (first != NULL && reported == 0)
        problem_add(c->problems, PROBLEM_UNSAFE, first->place, "expression is unsafe");
}

/* ---- the order ---- */

/* As written, but for what has to wait for something further on: round after round. */
void body_order(struct compiler *c, struct core_body *body)
{
    const struct core_with *outer = c->open_with;
    c->open_with = NULL;
    size_t left = body->cores.count;
    for (size_t before = left + 1; left > 0 && left < before && !compile_failed(c);) {
        before = left;
        for (size_t i = 0; i < body->cores.count && !compile_failed(c); i++) {
            struct core *core = body->cores.items[i];
            if (core->done || !compile_look(c, core->place) || !core_is_ready(c, core))
                continue;
            with_switch(c, core->with, core->place);
            core_emit(c, core);
            core->done = true;
            left--;
        }
    }
    with_switch(c, NULL, (struct place){0});
    c->open_with = outer;
    if (left > 0 && !compile_failed(c))
        report_unsafe(c, body);
}
