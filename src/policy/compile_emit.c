#include "policy/compile_state.h"

/* ---- calls ---- */

/* What a built-in can prepare of a constant, kept until the plan is released. */
static void *call_prepare(struct compiler *c, const struct builtin *builtin,
                          const struct operand *operands, size_t count)
{
    if (c->whole == NULL || builtin->prepare == NULL || count == 0 || operands[0].constant == NULL)
        return NULL;
    struct prepared *kept = arena_alloc(c->arena, sizeof(*kept));
    void *prepared = kept == NULL ? NULL : builtin->prepare(operands[0].constant, &c->preparation);
    if (prepared == NULL)
        return NULL;
    *kept = (struct prepared){c->whole->prepared, builtin, prepared};
    c->whole->prepared = kept;
    return prepared;
}

static void call_emit(struct compiler *c, const struct core *core)
{
    struct operand *operands = arena_alloc(c->arena, core->operand_count * sizeof(*operands));
    if (operands == NULL)
        return;
    for (size_t i = 0; i < core->operand_count; i++)
        operands[i] = pattern_operand(c, core->operands[i], core->place);
    const struct builtin *builtin = core->call.builtin;
    struct step *step = step_add(c, builtin != NULL ? STEP_CALL : STEP_APPLY, core->place);
    step->operands = operands;
    step->operand_count = (uint32_t)core->operand_count;
    if (builtin != NULL) {
        step->call.builtin = builtin;
        step->call.prepared = call_prepare(c, builtin, operands, core->operand_count);
    } else {
        step->function = core->call.function;
    }
    step->slot = out_slot(c, core->out);
    out_match(c, step->slot, core->out, core->place);
}

/* ---- bodies inside ---- */

struct step *yield_emit(struct compiler *c, const struct pattern *const *patterns, size_t count,
                        struct place place)
{
    struct operand *operands = arena_alloc(c->arena, count * sizeof(*operands));
    if (operands == NULL)
        return &c->scratch;
    for (size_t i = 0; i < count; i++)
        operands[i] = pattern_operand(c, patterns[i], place);
    struct step *step = step_add(c, STEP_YIELD, place);
    step->operands = operands;
    step->operand_count = (uint32_t)count;
    return step;
}

static void inner_emit(struct compiler *c, struct step *step, const struct core *core,
                       const struct pattern *const *yields, size_t count)
{
    const struct step **tail = c->tail;
    c->tail = &step->inner.start;
    size_t mark = c->bound.count;
    body_order(c, core->inner.body);
    for (size_t i = 0; i < count; i++)
        pattern_check(c, yields[i], core->place);
    if (!compile_failed(c))
        yield_emit(c, yields, count, core->place);
    variables_unbind(c, mark);
    c->tail = tail;
}

static void collect_emit(struct compiler *c, const struct core *core)
{
    struct step *step = step_add(c, STEP_COLLECT, core->place);
    step->inner.kind = core->inner.kind;
    inner_emit(c, step, core, core->operands, core->operand_count);
    step->slot = out_slot(c, core->out);
    out_match(c, step->slot, core->out, core->place);
}

static void every_emit(struct compiler *c, const struct core *core)
{
    struct operand domain = pattern_operand(c, core->operands[0], core->place);
    struct step *step = step_add(c, STEP_EVERY, core->place);
    step_operands(c, step, &domain, 1);
    step->slot = out_slot(c, core->operands[1]);
    step->inner.slot2 = slot_new(c);
    size_t mark = c->bound.count;
    out_match(c, step->slot, core->operands[1], core->place);
    out_match(c, step->inner.slot2, core->operands[2], core->place);
    inner_emit(c, step, core, NULL, 0);
    variables_unbind(c, mark);
}

/* ---- core expressions ---- */

static void unify_emit(struct compiler *c, const struct core *core)
{
    const struct pattern *a = core->operands[0], *b = core->operands[1];
    if (pattern_is_bound(c, a))
        match_emit(c, pattern_operand(c, a, core->place), b, core->place);
    else
        match_emit(c, pattern_operand(c, b, core->place), a, core->place);
}

static void equal_core_emit(struct compiler *c, const struct core *core)
{
    struct operand a = pattern_operand(c, core->operands[0], core->place);
    struct operand b = pattern_operand(c, core->operands[1], core->place);
    equal_emit(c, a, b, core->place);
}

static void true_emit(struct compiler *c, const struct core *core)
{
    struct operand operand = pattern_operand(c, core->operands[0], core->place);
    if (operand.constant == NULL || value_is_false(operand.constant))
        step_operands(c, step_add(c, STEP_TRUE, core->place), &operand, 1);
}

static void not_emit(struct compiler *c, const struct core *core)
{
    inner_emit(c, step_add(c, STEP_NOT, core->place), core, NULL, 0);
}

void core_emit(struct compiler *c, const struct core *core)
{
    static void (*const emits[])(struct compiler *, const struct core *) = {
        [CORE_UNIFY] = unify_emit,     [CORE_EQUAL] = equal_core_emit, [CORE_TRUE] = true_emit,
        [CORE_WALK] = walk_emit,       [CORE_CALL] = call_emit,        [CORE_NOT] = not_emit,
        [CORE_COLLECT] = collect_emit, [CORE_EVERY] = every_emit,
    };
    emits[core->kind](c, core);
}

/* ---- with ---- */

static void with_open(struct compiler *c, const struct core_with *with, struct place place)
{
    struct plan_with *items = arena_alloc(c->arena, with->count * sizeof(*items));
    if (items == NULL)
        return;
    for (size_t i = 0; i < with->count; i++) {
        items[i] = with->items[i];
        if (with->values[i] != NULL)
            items[i].value = pattern_operand(c, with->values[i], place);
    }
    struct step *step = step_add(c, STEP_WITH, place);
    step->with.items = items;
    step->with.count = with->count;
    c->tail = &step->with.start;
}

/* What is emitted from here on runs with these replacements; NULL: with none. */
void with_switch(struct compiler *c, const struct core_with *with, struct place place)
{
    if (c->open_with == with)
        return;
    if (c->open_with != NULL)
        step_add(c, STEP_WITHOUT, place);
    c->open_with = with;
    if (with != NULL)
        with_open(c, with, place);
}
