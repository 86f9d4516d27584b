#include "policy/evaluate_inside.h"

#include "policy/evaluate_equal.h"

struct place rule_place(const struct plan_rule *rule)
{
    return rule->source == NULL ? (struct place){0} : rule->source->head_place;
}

static struct place rules_place(const struct plan_rules *rules)
{
    return rule_place(rules->count > 0 ? rules->rules[0] : rules->default_rule);
}

/* ---- which rules ---- */

static const struct value *subject_value(const struct evaluation *evaluation,
                                         const struct index_subject *subject,
                                         const struct value *const *arguments)
{
    if (subject->is_argument)
        return arguments[subject->argument];
    const struct value *value = evaluation->scope->input;
    for (size_t i = 0; i < subject->path_count && value != NULL; i++)
        value = value_get(value, subject->path[i]);
    return value;
}

struct index_rules rules_to_try(const struct evaluation *evaluation, const struct plan_rules *rules,
                                const struct value *const *arguments)
{
    const struct index_subject *subject = rules->index == NULL ? NULL : index_subject(rules->index);
    if (subject == NULL)
        return index_all(rules);
    return index_find(rules->index, rules, subject_value(evaluation, subject, arguments));
}

/* ---- running them ---- */

static enum outcome run_body(struct evaluation *evaluation, const struct plan_rule *rule,
                             const struct value *const *arguments, struct sink *sink)
{
    struct frame_stack frames = evaluation->frames;
    struct run run = {
        .evaluation = evaluation, .slots = frame_take(evaluation, rule->slot_count), .sink = sink};
    if (run.slots == NULL)
        return evaluation_exhausted(evaluation, rule_place(rule), evaluation->arena->failure);
    for (uint32_t i = 0; i < rule->argument_count; i++)
        run.slots[i] = arguments[i];
    enum outcome outcome = evaluate_steps(&run, rule->start);
    evaluation->frames = frames;
    return outcome;
}

/* A rule is one level and its body another: they take that much more of the stack. */
static enum outcome run_rule(struct evaluation *evaluation, const struct plan_rule *rule,
                             const struct value *const *arguments, struct sink *sink)
{
    if (!evaluation_enter(evaluation, rule_place(rule)))
        return OUTCOME_FAILED;
    enum outcome outcome = run_body(evaluation, rule, arguments, sink);
    evaluation_leave(evaluation);
    return outcome;
}

enum outcome run_chain(struct evaluation *evaluation, const struct plan_rule *rule,
                       const struct value *const *arguments, struct rule_sink *sink)
{
    enum outcome outcome = OUTCOME_MORE;
    sink->held = false;
    for (; rule != NULL && !sink->held && outcome != OUTCOME_FAILED; rule = rule->else_rule) {
        sink->rule = rule;
        outcome = run_rule(evaluation, rule, arguments, &sink->sink);
        if (sink->held)
            evaluation_cover(evaluation, rule->id);
    }
    return outcome;
}

/* ---- one value ---- */

struct value_sink {
    struct rule_sink base;
    const struct plan_rules *rules;
    const struct value *value;
};

static enum outcome conflict(struct run *run, const struct value_sink *sink)
{
    return evaluation_conflict(run->evaluation, rule_place(sink->base.rule),
                               sink->rules->kind == RULE_FUNCTION
                                   ? "functions must not produce multiple outputs for same inputs"
                                   : "complete rules must not produce multiple outputs");
}

static enum outcome yield_value(struct run *run, const struct step *step)
{
    struct value_sink *sink = (struct value_sink *)run->sink;
    const struct value *value = operand_value(run, &step->operands[0]);
    bool equal = true;
    lethe_result result = LETHE_OK;
    if (sink->value != NULL)
        result = metered_equal(&run->evaluation->meter, sink->value, value, &equal);
    if (result != LETHE_OK)
        return evaluation_exhausted(run->evaluation, step->place, result);
    if (!equal)
        return conflict(run, sink);
    sink->value = value;
    sink->base.held = true;
    return sink->base.rule->constant != NULL ? OUTCOME_STOP : OUTCOME_MORE;
}

/* A rule that could only say again what another has said. */
static bool adds_nothing(const struct plan_rule *rule, const struct value *value)
{
    return value != NULL && rule->constant != NULL && rule->else_rule == NULL &&
           value->depth == 0 && value_equal(rule->constant, value);
}

enum outcome complete_value(struct evaluation *evaluation, const struct plan_rules *rules,
                            const struct value *const *arguments, const struct value **out)
{
    struct value_sink sink = {.base.sink = {yield_value}, .rules = rules};
    struct index_rules to_try = rules_to_try(evaluation, rules, arguments);
    const struct plan_rule *rule;
    while ((rule = index_next(&to_try)) != NULL)
        if (!adds_nothing(rule, sink.value) &&
            run_chain(evaluation, rule, arguments, &sink.base) == OUTCOME_FAILED)
            return OUTCOME_FAILED;
    if (sink.value == NULL && rules->default_rule != NULL &&
        run_chain(evaluation, rules->default_rule, arguments, &sink.base) == OUTCOME_FAILED)
        return OUTCOME_FAILED;
    *out = sink.value;
    return sink.value == NULL ? OUTCOME_MORE : OUTCOME_NEXT;
}

enum outcome evaluate_function(struct evaluation *evaluation, const struct plan_rules *rules,
                               const struct value *const *arguments, const struct value **out)
{
    struct memory *memory = &evaluation->scope->calls;
    struct memory_key key = memory_key_make(rules, arguments, rules->argument_count);
    const struct memory_entry *known;
    lethe_result result = memory_find(memory, &key, &evaluation->meter, &known);
    if (result != LETHE_OK)
        return evaluation_exhausted(evaluation, rules_place(rules), result);
    if (known != NULL) {
        *out = known->value;
        return known->value == NULL ? OUTCOME_MORE : OUTCOME_NEXT;
    }
    *out = NULL;
    enum outcome outcome = complete_value(evaluation, rules, arguments, out);
    if (outcome != OUTCOME_FAILED && !memory_keep(memory, evaluation->arena, &key, *out, NULL))
        return evaluation_exhausted(evaluation, rules_place(rules), evaluation->arena->failure);
    return outcome;
}
