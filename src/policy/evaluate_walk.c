#include "policy/evaluate_inside.h"

static const struct place nowhere; /* what is no step of a policy */

/* ---- positions ---- */

struct position position_data(const struct evaluation *evaluation)
{
    return (struct position){.node = node_visible(evaluation, evaluation->plan->root),
                             .value = evaluation->scope->data};
}

static bool has_document(struct position position)
{
    return position.node != NULL && node_is_document(position.node);
}

static const struct value *base_at(const struct value *base, const struct value *key)
{
    return base == NULL ? NULL : value_get(base, key);
}

enum outcome position_down(struct evaluation *evaluation, struct position *position,
                           const struct value *key)
{
    if (evaluation_weigh(evaluation, nowhere, key) != OUTCOME_NEXT)
        return OUTCOME_FAILED;
    if (has_document(*position)) {
        const struct plan_node *node = position->node;
        *position = (struct position){0};
        return evaluate_document_at(evaluation, node, key, &position->value);
    }
    const struct plan_node *child =
        position->node == NULL ? NULL : node_visible(evaluation, plan_child(position->node, key));
    *position = (struct position){.node = child, .value = base_at(position->value, key)};
    return child == NULL && position->value == NULL ? OUTCOME_MORE : OUTCOME_NEXT;
}

/* ---- all that is at a place of data ---- */

/* What is below a node, as pairs of an object. A function has no value of its own. */
static enum outcome list_children(struct evaluation *evaluation, const struct plan_node *node,
                                  struct value_pairs *pairs)
{
    for (size_t i = 0; i < node->child_count; i++) {
        const struct plan_node *child = node_visible(evaluation, node->children[i]);
        if (child == NULL)
            continue;
        const struct value *value;
        enum outcome outcome = position_value(evaluation, (struct position){.node = child}, &value);
        if (outcome == OUTCOME_MORE)
            continue;
        if (outcome != OUTCOME_NEXT)
            return outcome;
        if (!value_pairs_append(evaluation->arena, pairs, child->key, value))
            return evaluation_exhausted(evaluation, nowhere, evaluation->arena->failure);
    }
    return OUTCOME_NEXT;
}

/* Base documents and what rules make, one object. Where both have a value that is no object, that
 * of the base document stays. NULL: the arena has failed. */
static const struct value *merged(struct arena *arena, const struct value *base,
                                  const struct value *made)
{
    if (base == NULL || made == NULL)
        return made;
    if (base->kind != VALUE_OBJECT || made->kind != VALUE_OBJECT)
        return base;
    struct value_pairs pairs = {0};
    for (uint32_t i = 0, j = 0; i < base->count || j < made->count;) {
        int order = i == base->count   ? 1
                    : j == made->count ? -1
                                       : value_compare(base->pairs[i].key, made->pairs[j].key);
        struct value_pair pair = order <= 0 ? base->pairs[i] : made->pairs[j];
        if (order == 0)
            pair.value = merged(arena, base->pairs[i].value, made->pairs[j].value);
        i += order <= 0;
        j += order >= 0;
        if (!value_pairs_append(arena, &pairs, pair.key, pair.value))
            return NULL;
    }
    return value_object(arena, &pairs, NULL);
}

static enum outcome tree_value(struct evaluation *evaluation, struct position position,
                               const struct value **out)
{
    struct value_pairs pairs = {0};
    enum outcome outcome = list_children(evaluation, position.node, &pairs);
    if (outcome != OUTCOME_NEXT)
        return outcome;
    struct arena *arena = evaluation->arena;
    *out = merged(arena, position.value, value_object(arena, &pairs, NULL));
    if (*out == NULL)
        return evaluation_exhausted(evaluation, nowhere, arena->failure);
    return evaluation_weigh(evaluation, nowhere, *out);
}

enum outcome position_value(struct evaluation *evaluation, struct position position,
                            const struct value **out)
{
    if (position.node == NULL) {
        *out = position.value;
        return OUTCOME_NEXT;
    }
    if (has_document(position))
        return evaluate_document(evaluation, position.node, out);
    bool function = position.node->rules != NULL && position.node->child_count == 0;
    if (function && position.value == NULL)
        return OUTCOME_MORE;
    if (!evaluation_enter(evaluation, nowhere))
        return OUTCOME_FAILED;
    enum outcome outcome = tree_value(evaluation, position, out);
    evaluation_leave(evaluation);
    return outcome;
}

/* ---- iterating ---- */

const struct value *element_key(struct arena *arena, const struct value *collection, uint32_t i)
{
    if (collection->kind == VALUE_ARRAY)
        return value_small(arena, i);
    return collection->kind == VALUE_OBJECT ? collection->pairs[i].key : collection->items[i];
}

static enum outcome walk_from(struct run *run, const struct step *step, uint32_t element,
                              struct position position);

/* One of the ways on from an element that binds. */
static enum outcome walk_branch(struct run *run, const struct step *step, uint32_t element,
                                struct position below)
{
    struct evaluation *evaluation = run->evaluation;
    lethe_result result = meter_spend(&evaluation->meter, 1);
    if (result != LETHE_OK)
        return evaluation_exhausted(evaluation, step->place, result);
    enum outcome outcome = walk_from(run, step, element + 1, below);
    return outcome == OUTCOME_NEXT ? evaluate_rest(run, step) : outcome;
}

static enum outcome walk_collection(struct run *run, const struct step *step, uint32_t element,
                                    const struct value *collection)
{
    uint32_t slot = step->walk.elements[element].slot;
    enum outcome outcome = OUTCOME_MORE;
    if (collection->kind < VALUE_ARRAY)
        return outcome;
    for (uint32_t i = 0; i < collection->count && outcome == OUTCOME_MORE; i++) {
        if (slot != NO_SLOT) {
            run->slots[slot] = element_key(run->evaluation->arena, collection, i);
            if (run->slots[slot] == NULL)
                return step_give(run, step, NULL);
        }
        outcome = walk_branch(run, step, element,
                              (struct position){.value = element_value(collection, i)});
    }
    return outcome;
}

/* Keys of the tree and of the base document, each once, in order. */
static enum outcome walk_tree(struct run *run, const struct step *step, uint32_t element,
                              struct position position)
{
    const struct plan_node *node = position.node;
    const struct value *base = position.value;
    size_t base_count = base != NULL && base->kind == VALUE_OBJECT ? base->count : 0;
    enum outcome outcome = OUTCOME_MORE;
    for (size_t i = 0, j = 0;
         (i < base_count || j < node->child_count) && outcome == OUTCOME_MORE;) {
        int order = i == base_count ? 1
                    : j == node->child_count
                        ? -1
                        : value_compare(base->pairs[i].key, node->children[j]->key);
        const struct value *key = order <= 0 ? base->pairs[i].key : node->children[j]->key;
        struct position below = {
            .node = order < 0 ? NULL : node_visible(run->evaluation, node->children[j]),
            .value = order <= 0 ? base->pairs[i].value : NULL,
        };
        i += order <= 0;
        j += order >= 0;
        slot_set(run, step->walk.elements[element].slot, key);
        if (below.node != NULL || below.value != NULL)
            outcome = walk_branch(run, step, element, below);
    }
    return outcome;
}

static enum outcome walk_each(struct run *run, const struct step *step, uint32_t element,
                              struct position position)
{
    if (position.node != NULL && !node_is_document(position.node))
        return walk_tree(run, step, element, position);
    const struct value *collection;
    enum outcome outcome = position_value(run->evaluation, position, &collection);
    return outcome == OUTCOME_NEXT ? walk_collection(run, step, element, collection) : outcome;
}

/* NEXT: there was one way only, and the slot is set. MORE: all ways have been gone, with what comes
 * after the step. */
static enum outcome walk_from(struct run *run, const struct step *step, uint32_t element,
                              struct position position)
{
    struct evaluation *evaluation = run->evaluation;
    const struct walk_element *elements = step->walk.elements;
    enum outcome outcome = OUTCOME_NEXT;
    for (uint32_t i = element; i < step->walk.element_count; i++) {
        if (elements[i].binds) {
            if (!evaluation_enter(evaluation, step->place))
                return OUTCOME_FAILED;
            outcome = walk_each(run, step, i, position);
            evaluation_leave(evaluation);
            return outcome;
        }
        outcome = position_down(evaluation, &position, operand_value(run, &elements[i].key));
        if (outcome != OUTCOME_NEXT)
            return outcome;
    }
    const struct value *value;
    outcome = position_value(evaluation, position, &value);
    if (outcome == OUTCOME_NEXT)
        slot_set(run, step->slot, value);
    return outcome;
}

/* ---- where a walk begins ---- */

static enum outcome walk_data(struct run *run, const struct step *step)
{
    struct evaluation *evaluation = run->evaluation;
    struct position position = position_data(evaluation);
    if (evaluation->scope->hidden != NULL || step->walk.node == NULL)
        return walk_from(run, step, 0, position);
    position.node = step->walk.node;
    if (!node_is_document(position.node))
        for (uint32_t i = 0; i < step->walk.node_depth && position.value != NULL; i++)
            position.value = value_get(position.value, step->walk.elements[i].key.constant);
    return walk_from(run, step, step->walk.node_depth, position);
}

enum outcome step_walk(struct run *run, const struct step *step)
{
    const struct value *value;
    switch (step->walk.root) {
    case ROOT_DATA:
        return walk_data(run, step);
    case ROOT_INPUT:
        value = run->evaluation->scope->input;
        break;
    default:
        value = operand_value(run, &step->operands[0]);
        break;
    }
    return value == NULL ? OUTCOME_MORE
                         : walk_from(run, step, 0, (struct position){.value = value});
}
