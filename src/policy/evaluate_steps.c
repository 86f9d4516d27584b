#include "policy/evaluate_inside.h"

#include "policy/evaluate_equal.h"

enum outcome evaluate_rest(struct run *run, const struct step *step)
{
    evaluation_cover(run->evaluation, step->id);
    return evaluate_steps(run, step->next);
}

enum outcome step_give(struct run *run, const struct step *step, const struct value *value)
{
    if (value == NULL)
        return evaluation_exhausted(run->evaluation, step->place, run->evaluation->arena->failure);
    slot_set(run, step->slot, value);
    return evaluation_weigh(run->evaluation, step->place, value);
}

/* ---- one solution or none ---- */

static enum outcome holds_if(bool condition)
{
    return condition ? OUTCOME_NEXT : OUTCOME_MORE;
}

static enum outcome step_assign(struct run *run, const struct step *step)
{
    slot_set(run, step->slot, operand_value(run, &step->operands[0]));
    return OUTCOME_NEXT;
}

static enum outcome step_equal(struct run *run, const struct step *step)
{
    struct evaluation *evaluation = run->evaluation;
    bool equal;
    lethe_result result = metered_equal(&evaluation->meter, operand_value(run, &step->operands[0]),
                                        operand_value(run, &step->operands[1]), &equal);
    if (result != LETHE_OK)
        return evaluation_exhausted(evaluation, step->place, result);
    return holds_if(equal);
}

static enum outcome step_true(struct run *run, const struct step *step)
{
    return holds_if(!value_is_false(operand_value(run, &step->operands[0])));
}

static enum outcome step_is_array(struct run *run, const struct step *step)
{
    const struct value *value = operand_value(run, &step->operands[0]);
    return holds_if(value->kind == VALUE_ARRAY && value->count == step->count);
}

static enum outcome step_is_object(struct run *run, const struct step *step)
{
    const struct value *value = operand_value(run, &step->operands[0]);
    return holds_if(value->kind == VALUE_OBJECT && value->count == step->count);
}

/* ---- collections of operands ---- */

static bool list_operands(struct run *run, const struct step *step, struct value_list *list)
{
    for (uint32_t i = 0; i < step->operand_count; i++)
        if (!value_list_append(run->evaluation->arena, list,
                               operand_value(run, &step->operands[i])))
            return false;
    return true;
}

static enum outcome step_array(struct run *run, const struct step *step)
{
    struct value_list list = {0};
    bool ok = list_operands(run, step, &list);
    return step_give(run, step, ok ? value_array(run->evaluation->arena, &list) : NULL);
}

static enum outcome step_set(struct run *run, const struct step *step)
{
    struct value_list list = {0};
    bool ok = list_operands(run, step, &list);
    return step_give(run, step, ok ? value_set(run->evaluation->arena, &list) : NULL);
}

static enum outcome give_object(struct run *run, const struct step *step, struct value_pairs *pairs)
{
    const struct value *conflict = NULL;
    const struct value *object = value_object(run->evaluation->arena, pairs, &conflict);
    if (object != NULL && conflict != NULL)
        return evaluation_conflict(run->evaluation, step->place, "object keys must be unique");
    return step_give(run, step, object);
}

static enum outcome step_object(struct run *run, const struct step *step)
{
    struct value_pairs pairs = {0};
    for (uint32_t i = 0; i + 1 < step->operand_count; i += 2)
        if (!value_pairs_append(run->evaluation->arena, &pairs,
                                operand_value(run, &step->operands[i]),
                                operand_value(run, &step->operands[i + 1])))
            return step_give(run, step, NULL);
    return give_object(run, step, &pairs);
}

/* ---- sequences in a sequence: they have the same frame, and a sink of their own ---- */

static enum outcome run_inner(struct run *run, const struct step *step, struct sink *sink)
{
    struct sink *outer = run->sink;
    run->sink = sink;
    enum outcome outcome = evaluate_steps(run, step->inner.start);
    run->sink = outer;
    return outcome;
}

static enum outcome yield_first(struct run *run, const struct step *step)
{
    (void)run;
    (void)step;
    return OUTCOME_STOP;
}

static enum outcome step_not(struct run *run, const struct step *step)
{
    struct sink sink = {yield_first};
    enum outcome outcome = run_inner(run, step, &sink);
    if (outcome == OUTCOME_FAILED)
        return outcome;
    return holds_if(outcome != OUTCOME_STOP);
}

struct collect_sink {
    struct sink sink;
    struct value_list list;   /* arrays and sets */
    struct value_pairs pairs; /* objects */
};

static enum outcome collected(struct run *run, const struct step *step, bool ok)
{
    if (ok)
        return OUTCOME_MORE;
    return evaluation_exhausted(run->evaluation, step->place, run->evaluation->arena->failure);
}

static enum outcome yield_element(struct run *run, const struct step *step)
{
    struct collect_sink *sink = (struct collect_sink *)run->sink;
    return collected(run, step,
                     value_list_append(run->evaluation->arena, &sink->list,
                                       operand_value(run, &step->operands[0])));
}

static enum outcome yield_pair(struct run *run, const struct step *step)
{
    struct collect_sink *sink = (struct collect_sink *)run->sink;
    return collected(run, step,
                     value_pairs_append(run->evaluation->arena, &sink->pairs,
                                        operand_value(run, &step->operands[0]),
                                        operand_value(run, &step->operands[1])));
}

static enum outcome step_collect(struct run *run, const struct step *step)
{
    bool object = step->inner.kind == VALUE_OBJECT;
    struct collect_sink sink = {.sink = {object ? yield_pair : yield_element}};
    if (run_inner(run, step, &sink.sink) == OUTCOME_FAILED)
        return OUTCOME_FAILED;
    if (object)
        return give_object(run, step, &sink.pairs);
    struct arena *arena = run->evaluation->arena;
    return step_give(run, step,
                     step->inner.kind == VALUE_ARRAY ? value_array(arena, &sink.list)
                                                     : value_set(arena, &sink.list));
}

static enum outcome every_holds_at(struct run *run, const struct step *step,
                                   const struct value *collection, uint32_t i)
{
    if (step->slot != NO_SLOT) {
        enum outcome outcome =
            step_give(run, step, element_key(run->evaluation->arena, collection, i));
        if (outcome != OUTCOME_NEXT)
            return outcome;
    }
    slot_set(run, step->inner.slot2, element_value(collection, i));
    struct sink sink = {yield_first};
    enum outcome outcome = run_inner(run, step, &sink);
    return outcome == OUTCOME_STOP ? OUTCOME_NEXT : outcome;
}

static enum outcome step_every(struct run *run, const struct step *step)
{
    const struct value *collection = operand_value(run, &step->operands[0]);
    if (collection->kind < VALUE_ARRAY)
        return OUTCOME_MORE;
    enum outcome outcome = OUTCOME_NEXT;
    for (uint32_t i = 0; i < collection->count && outcome == OUTCOME_NEXT; i++)
        outcome = every_holds_at(run, step, collection, i);
    return outcome;
}

static enum outcome step_yield(struct run *run, const struct step *step)
{
    evaluation_cover(run->evaluation, step->id);
    return run->sink->yield(run, step);
}

/* ---- the runner ---- */

static enum outcome (*const runs[])(struct run *run, const struct step *step) = {
    [STEP_ASSIGN] = step_assign,       [STEP_EQUAL] = step_equal,
    [STEP_TRUE] = step_true,           [STEP_WALK] = step_walk,
    [STEP_CALL] = step_call,           [STEP_APPLY] = step_apply,
    [STEP_ARRAY] = step_array,         [STEP_SET] = step_set,
    [STEP_OBJECT] = step_object,       [STEP_IS_ARRAY] = step_is_array,
    [STEP_IS_OBJECT] = step_is_object, [STEP_NOT] = step_not,
    [STEP_COLLECT] = step_collect,     [STEP_EVERY] = step_every,
    [STEP_WITH] = step_with,           [STEP_WITHOUT] = step_without,
    [STEP_YIELD] = step_yield,
};

/* Steps with one solution at most go on in the loop; those with several call evaluate_rest. */
enum outcome evaluate_steps(struct run *run, const struct step *step)
{
    struct evaluation *evaluation = run->evaluation;
    if (!evaluation_enter(evaluation, step->place))
        return OUTCOME_FAILED;
    enum outcome outcome;
    for (;;) {
        lethe_result result = meter_spend(&evaluation->meter, 1);
        outcome = result == LETHE_OK ? runs[step->kind](run, step)
                                     : evaluation_exhausted(evaluation, step->place, result);
        if (outcome != OUTCOME_NEXT)
            break;
        evaluation_cover(evaluation, step->id);
        step = step->next;
    }
    evaluation_leave(evaluation);
    return outcome;
}
