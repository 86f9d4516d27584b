#include "plan_sound.h"

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

/* Which slots of a frame have a value. What a sequence inside gives is gone behind it. */
struct frame_state {
    const struct plan *plan;
    bool *given;
    uint32_t slot_count;
};

enum ending { ENDS_WITH_YIELD, ENDS_WITHOUT };

static const struct step *check_steps(struct frame_state *frame, const struct step *step,
                                      enum ending ending, uint32_t yield_count);

/* ---- slots ---- */

static void check_read(const struct frame_state *frame, const struct operand *operand)
{
    FUZZ_PROPERTY(operand->constant != NULL ||
                  (operand->slot < frame->slot_count && frame->given[operand->slot]));
}

static void give(struct frame_state *frame, uint32_t slot)
{
    if (slot == NO_SLOT)
        return;
    FUZZ_PROPERTY(slot < frame->slot_count);
    frame->given[slot] = true;
}

/* ---- steps ---- */

static void check_walk(struct frame_state *frame, const struct step *step)
{
    FUZZ_PROPERTY(step->operand_count == (step->walk.root == ROOT_OPERAND));
    for (uint32_t i = 0; i < step->walk.element_count; i++) {
        const struct walk_element *element = &step->walk.elements[i];
        if (element->binds)
            give(frame, element->slot);
        else
            check_read(frame, &element->key);
    }
    if (step->walk.root != ROOT_DATA)
        return;
    const struct plan_node *node = frame->plan->root;
    for (uint32_t i = 0; i < step->walk.node_depth; i++) {
        FUZZ_PROPERTY(i < step->walk.element_count && node != NULL && node->rules == NULL);
        node = plan_child(node, step->walk.elements[i].key.constant);
    }
    FUZZ_PROPERTY(node == step->walk.node);
}

static void check_inner(struct frame_state *frame, const struct step *step, uint32_t yield_count)
{
    size_t size = frame->slot_count * sizeof *frame->given;
    bool *outer = malloc(size + 1);
    if (outer == NULL)
        abort();
    memcpy(outer, frame->given, size);
    if (step->kind == STEP_EVERY) {
        give(frame, step->slot);
        give(frame, step->inner.slot2);
    }
    check_steps(frame, step->inner.start, ENDS_WITH_YIELD, yield_count);
    memcpy(frame->given, outer, size);
    free(outer);
}

static uint32_t yields_of(const struct step *step)
{
    if (step->kind != STEP_COLLECT)
        return 0;
    return step->inner.kind == VALUE_OBJECT ? 2 : 1;
}

static void check_operand_count(const struct step *step)
{
    if (step->kind == STEP_CALL)
        FUZZ_PROPERTY(step->operand_count == step->call.builtin->arity);
    else if (step->kind == STEP_APPLY)
        FUZZ_PROPERTY(step->operand_count == step->function->argument_count);
    else if (step->kind == STEP_OBJECT)
        FUZZ_PROPERTY(step->operand_count % 2 == 0);
    else if (step->kind == STEP_EQUAL)
        FUZZ_PROPERTY(step->operand_count == 2);
}

static void check_with(struct frame_state *frame, const struct step *step)
{
    for (size_t i = 0; i < step->with.count; i++) {
        const struct plan_with *item = &step->with.items[i];
        if (item->by_builtin == NULL && item->by_function == NULL)
            check_read(frame, &item->value);
    }
}

static void check_step(struct frame_state *frame, const struct step *step)
{
    FUZZ_PROPERTY(step->kind <= STEP_YIELD);
    for (uint32_t i = 0; i < step->operand_count; i++)
        check_read(frame, &step->operands[i]);
    check_operand_count(step);
    if (step->kind == STEP_WALK)
        check_walk(frame, step);
    else if (step->kind == STEP_NOT || step->kind == STEP_COLLECT || step->kind == STEP_EVERY)
        check_inner(frame, step, yields_of(step));
    else if (step->kind == STEP_WITH)
        check_with(frame, step);
    if (step->kind != STEP_EVERY)
        give(frame, step->slot);
}

/* What is behind the STEP_WITHOUT that it ends with; NULL when it ends with a YIELD. */
static const struct step *check_steps(struct frame_state *frame, const struct step *step,
                                      enum ending ending, uint32_t yield_count)
{
    for (;;) {
        FUZZ_PROPERTY(step != NULL);
        check_step(frame, step);
        if (step->kind == STEP_YIELD) {
            FUZZ_PROPERTY(ending == ENDS_WITH_YIELD && step->operand_count == yield_count);
            FUZZ_PROPERTY(step->next == NULL);
            return NULL;
        }
        if (step->kind == STEP_WITHOUT) {
            FUZZ_PROPERTY(ending == ENDS_WITHOUT);
            return step->next;
        }
        step = step->kind == STEP_WITH
                   ? check_steps(frame, step->with.start, ENDS_WITHOUT, yield_count)
                   : step->next;
    }
}

/* ---- rules and the tree ---- */

static struct frame_state frame_of(const struct plan *plan, uint32_t slot_count)
{
    struct frame_state frame = {plan, calloc(slot_count + 1, sizeof(bool)), slot_count};
    if (frame.given == NULL)
        abort();
    return frame;
}

static void check_rule(const struct plan *plan, const struct plan_rule *rule)
{
    for (; rule != NULL; rule = rule->else_rule) {
        struct frame_state frame = frame_of(plan, rule->slot_count);
        for (uint32_t i = 0; i < rule->argument_count; i++)
            give(&frame, i);
        check_steps(&frame, rule->start, ENDS_WITH_YIELD, rule->suffix_count + 1);
        FUZZ_PROPERTY(rule->id < plan->id_count);
        free(frame.given);
    }
}

static void check_rules(const struct plan *plan, const struct plan_rules *rules)
{
    FUZZ_PROPERTY(rules->number < plan->rules_count);
    for (size_t i = 0; i < rules->count; i++) {
        FUZZ_PROPERTY(rules->rules[i]->argument_count == rules->argument_count);
        FUZZ_PROPERTY(rules->rules[i]->suffix_count <= rules->suffix_max);
        check_rule(plan, rules->rules[i]);
    }
    check_rule(plan, rules->default_rule);
}

/* As deep as a package's path and a rule's ref can be. */
static void check_node(const struct plan *plan, const struct plan_node *node)
{
    FUZZ_PROPERTY(node->number < plan->node_count);
    if (node->rules != NULL)
        check_rules(plan, node->rules);
    for (size_t i = 0; i < node->child_count; i++) {
        FUZZ_PROPERTY(node->children[i]->parent == node);
        FUZZ_PROPERTY(plan_child(node, node->children[i]->key) == node->children[i]);
        check_node(plan, node->children[i]);
    }
}

void plan_check(const struct plan *plan)
{
    check_node(plan, plan->root);
}

void plan_check_query(const struct plan *plan, const struct plan_query *query)
{
    struct frame_state frame = frame_of(plan, query->slot_count);
    check_steps(&frame, query->start, ENDS_WITH_YIELD, 0);
    for (size_t i = 0; i < query->binding_count; i++)
        check_read(&frame, &(struct operand){.slot = query->bindings[i].slot});
    for (size_t i = 0; i < query->expression_count; i++)
        if (query->expressions[i].slot != NO_SLOT)
            check_read(&frame, &(struct operand){.slot = query->expressions[i].slot});
    free(frame.given);
}
