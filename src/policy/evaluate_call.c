#include "policy/evaluate_inside.h"

/* ---- built-in functions ---- */

static enum outcome call_failed(struct evaluation *evaluation, const struct step *step,
                                lethe_result result, const struct builtin_error *error)
{
    if (result != LETHE_INVALID)
        return evaluation_exhausted(evaluation, step->place, result);
    if (!evaluation->options->strict_errors)
        return OUTCOME_MORE;
    return evaluation_builtin_error(evaluation, step->place, error);
}

static enum outcome invoke(struct evaluation *evaluation, const struct step *step,
                           const struct builtin *builtin, const struct value *const *operands,
                           const struct value **out)
{
    struct builtin_error error;
    error.text[0] = '\0';
    error.code = BUILTIN_ERROR;
    struct builtin_call call = {
        .builtin = builtin,
        .prepared =
            step->kind == STEP_CALL && step->call.builtin == builtin ? step->call.prepared : NULL,
        .arena = evaluation->arena,
        .world = &evaluation->world,
        .meter = &evaluation->meter,
        .error = &error,
    };
    lethe_result result = builtin_invoke(&call, operands, out);
    if (result != LETHE_OK)
        return call_failed(evaluation, step, result, &error);
    return *out == NULL ? OUTCOME_MORE : OUTCOME_NEXT;
}

/* Of one that is no function of its operands, equal calls give equal results all the same. */
static enum outcome invoke_once(struct evaluation *evaluation, const struct step *step,
                                const struct builtin *builtin, const struct value *const *operands,
                                const struct value **out)
{
    struct memory *memory = &evaluation->varying;
    struct memory_key key = memory_key_make(builtin, operands, builtin->arity);
    const struct memory_entry *known;
    lethe_result result = memory_find(memory, &key, &evaluation->meter, &known);
    if (result != LETHE_OK)
        return evaluation_exhausted(evaluation, step->place, result);
    if (known != NULL) {
        *out = known->value;
        return OUTCOME_NEXT;
    }
    enum outcome outcome = invoke(evaluation, step, builtin, operands, out);
    if (outcome == OUTCOME_NEXT && !memory_keep(memory, evaluation->arena, &key, *out, NULL))
        return evaluation_exhausted(evaluation, step->place, evaluation->arena->failure);
    return outcome;
}

static enum outcome call_builtin(struct evaluation *evaluation, const struct step *step,
                                 const struct builtin *builtin, const struct value *const *operands,
                                 const struct value **out)
{
    if (builtin->arity != step->operand_count)
        return OUTCOME_MORE;
    return (builtin->flags & BUILTIN_VARIES) != 0
               ? invoke_once(evaluation, step, builtin, operands, out)
               : invoke(evaluation, step, builtin, operands, out);
}

/* ---- what stands for another function ---- */

/* A function that stands for another sees no replaced functions itself. */
static enum outcome call_replacement(struct evaluation *evaluation, const struct step *step,
                                     const struct replaced_function *replaced,
                                     const struct value *const *operands, const struct value **out)
{
    const struct plan_with *with = replaced->with;
    *out = replaced->value;
    if (*out != NULL)
        return OUTCOME_NEXT;
    if (with->by_builtin != NULL)
        return call_builtin(evaluation, step, with->by_builtin, operands, out);
    if (with->by_function->argument_count != step->operand_count)
        return OUTCOME_MORE;
    struct scope *scope = evaluation->scope;
    struct scope *plain = scope_plain(evaluation);
    if (plain == NULL)
        return evaluation_exhausted(evaluation, step->place, evaluation->arena->failure);
    evaluation->scope = plain;
    enum outcome outcome = evaluate_function(evaluation, with->by_function, operands, out);
    evaluation->scope = scope;
    return outcome;
}

/* ---- steps ---- */

/* A relation gives its results in an array: each is a solution. */
static enum outcome give_each(struct run *run, const struct step *step, const struct value *results)
{
    enum outcome outcome = OUTCOME_MORE;
    for (uint32_t i = 0; i < results->count && outcome == OUTCOME_MORE; i++) {
        slot_set(run, step->slot, results->items[i]);
        outcome = evaluate_rest(run, step);
    }
    return outcome;
}

/* Operands of built-ins, which are few. */
static enum outcome call_with_operands(struct run *run, const struct step *step,
                                       const struct value *const *operands)
{
    struct evaluation *evaluation = run->evaluation;
    const struct builtin *builtin = step->call.builtin;
    const struct replaced_function *replaced =
        evaluation->scope->functions == NULL ? NULL
                                             : replacement_of(evaluation->scope, builtin, NULL);
    const struct value *value = NULL;
    enum outcome outcome = replaced != NULL
                               ? call_replacement(evaluation, step, replaced, operands, &value)
                               : call_builtin(evaluation, step, builtin, operands, &value);
    if (outcome != OUTCOME_NEXT)
        return outcome;
    if (replaced != NULL)
        builtin = replaced->with->by_builtin;
    if (builtin != NULL && (builtin->flags & BUILTIN_RELATION) != 0)
        return give_each(run, step, value);
    return step_give(run, step, value);
}

enum outcome step_call(struct run *run, const struct step *step)
{
    const struct value *operands[BUILTIN_OPERANDS_MAX];
    REQUIRE(step->operand_count <= BUILTIN_OPERANDS_MAX);
    for (uint32_t i = 0; i < step->operand_count; i++) {
        operands[i] = operand_value(run, &step->operands[i]);
        if (evaluation_weigh(run->evaluation, step->place, operands[i]) != OUTCOME_NEXT)
            return OUTCOME_FAILED;
    }
    return call_with_operands(run, step, operands);
}

static enum outcome apply_with_operands(struct run *run, const struct step *step,
                                        const struct value *const *operands)
{
    struct evaluation *evaluation = run->evaluation;
    const struct replaced_function *replaced =
        evaluation->scope->functions == NULL
            ? NULL
            : replacement_of(evaluation->scope, NULL, step->function);
    const struct value *value = NULL;
    enum outcome outcome = replaced != NULL
                               ? call_replacement(evaluation, step, replaced, operands, &value)
                               : evaluate_function(evaluation, step->function, operands, &value);
    return outcome == OUTCOME_NEXT ? step_give(run, step, value) : outcome;
}

enum outcome step_apply(struct run *run, const struct step *step)
{
    struct evaluation *evaluation = run->evaluation;
    struct frame_stack frames = evaluation->frames;
    const struct value **operands = frame_take(evaluation, step->operand_count);
    if (operands == NULL)
        return evaluation_exhausted(evaluation, step->place, evaluation->arena->failure);
    for (uint32_t i = 0; i < step->operand_count; i++)
        operands[i] = operand_value(run, &step->operands[i]);
    enum outcome outcome = apply_with_operands(run, step, operands);
    evaluation->frames = frames;
    return outcome;
}
