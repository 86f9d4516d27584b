#include "policy/compile_state.h"

#include <string.h>

/* ---- steps and operands ---- */

struct step *step_add(struct compiler *c, enum step_kind kind, struct place place)
{
    struct step *step = arena_zalloc(c->arena, 1, sizeof(*step));
    if (step == NULL)
        step = &c->scratch;
    step->kind = kind;
    step->place = place;
    step->slot = NO_SLOT;
    step->id = c->step_count++;
    *c->tail = step;
    c->tail = &step->next;
    return step;
}

void step_operands(struct compiler *c, struct step *step, const struct operand *operands,
                   size_t count)
{
    struct operand *copy = arena_alloc(c->arena, count * sizeof(*copy));
    if (copy == NULL || count == 0)
        return;
    memcpy(copy, operands, count * sizeof(*copy));
    step->operands = copy;
    step->operand_count = (uint32_t)count;
}

uint32_t slot_new(struct compiler *c)
{
    return c->frame.slot_count++;
}

struct operand operand_slot(uint32_t slot)
{
    return (struct operand){.slot = slot};
}

struct operand operand_constant(const struct value *value)
{
    return (struct operand){.constant = value, .slot = NO_SLOT};
}

/* ---- building collections ---- */

static const struct value *constant_pairs(struct compiler *c, const struct operand *operands,
                                          size_t count)
{
    struct value_pairs pairs = {0};
    for (size_t i = 0; i < count; i += 2)
        if (!value_pairs_append(c->arena, &pairs, operands[i].constant, operands[i + 1].constant))
            return NULL;
    const struct value *conflict = NULL;
    const struct value *object = value_object(c->arena, &pairs, &conflict);
    return conflict == NULL ? object : NULL;
}

/* Constants that share their parts can be far heavier than the text that made them: such are made
 * when the policy runs, where their weight is counted. */
#define FOLDED_WEIGHT_MAX 4096

static bool can_fold(const struct operand *operands, size_t count)
{
    uint64_t weight = 0;
    for (size_t i = 0; i < count; i++) {
        if (operands[i].constant == NULL)
            return false;
        weight += value_weight(operands[i].constant);
    }
    return weight <= FOLDED_WEIGHT_MAX;
}

/* NULL: not all operands are constants, or they make no value. */
static const struct value *constant_collection(struct compiler *c, enum pattern_kind kind,
                                               const struct operand *operands, size_t count)
{
    if (!can_fold(operands, count))
        return NULL;
    if (kind == PATTERN_OBJECT)
        return constant_pairs(c, operands, count);
    struct value_list list = {0};
    for (size_t i = 0; i < count; i++)
        if (!value_list_append(c->arena, &list, operands[i].constant))
            return NULL;
    return kind == PATTERN_ARRAY ? value_array(c->arena, &list) : value_set(c->arena, &list);
}

static struct operand collection_operand(struct compiler *c, const struct pattern *pattern,
                                         struct place place)
{
    static const enum step_kind kinds[] = {
        [PATTERN_ARRAY] = STEP_ARRAY,
        [PATTERN_SET] = STEP_SET,
        [PATTERN_OBJECT] = STEP_OBJECT,
    };
    struct operand *operands = arena_alloc(c->arena, pattern->count * sizeof(*operands));
    if (operands == NULL)
        return operand_constant(&value_null);
    for (size_t i = 0; i < pattern->count; i++)
        operands[i] = pattern_operand(c, pattern->items[i], place);
    const struct value *constant = constant_collection(c, pattern->kind, operands, pattern->count);
    if (constant != NULL)
        return operand_constant(constant);
    struct step *step = step_add(c, kinds[pattern->kind], place);
    step->operands = operands;
    step->operand_count = (uint32_t)pattern->count;
    step->slot = slot_new(c);
    return operand_slot(step->slot);
}

struct operand pattern_operand(struct compiler *c, const struct pattern *pattern,
                               struct place place)
{
    if (pattern->kind == PATTERN_CONSTANT)
        return operand_constant(pattern->constant);
    if (pattern->kind == PATTERN_VARIABLE)
        return c->frame.variables[pattern->variable].operand;
    return collection_operand(c, pattern, place);
}

/* ---- comparing ---- */

void never_emit(struct compiler *c, struct place place)
{
    struct operand operand = operand_constant(&value_false);
    step_operands(c, step_add(c, STEP_TRUE, place), &operand, 1);
}

void equal_emit(struct compiler *c, struct operand a, struct operand b, struct place place)
{
    if (a.constant != NULL && b.constant != NULL) {
        c->looks += value_weight(a.constant);
        if (!value_equal(a.constant, b.constant))
            never_emit(c, place);
        return;
    }
    if (a.constant == NULL && b.constant == NULL && a.slot == b.slot)
        return;
    const struct operand operands[] = {a, b};
    step_operands(c, step_add(c, STEP_EQUAL, place), operands, 2);
}

/* ---- matching ---- */

bool is_wildcard(const struct compiler *c, const struct pattern *pattern)
{
    if (pattern == NULL)
        return true;
    if (pattern->kind != PATTERN_VARIABLE)
        return false;
    const struct variable *variable = &c->frame.variables[pattern->variable];
    return variable->name != NULL && variable->name[0] == '$' && variable->mentions <= 1;
}

static void match_item(struct compiler *c, struct operand whole, struct operand key,
                       const struct pattern *item, struct place place)
{
    struct walk_element *element = arena_zalloc(c->arena, 1, sizeof(*element));
    if (element == NULL)
        return;
    element->key = key;
    struct step *step = step_add(c, STEP_WALK, place);
    step_operands(c, step, &whole, 1);
    step->walk.root = ROOT_OPERAND;
    step->walk.elements = element;
    step->walk.element_count = 1;
    if (is_wildcard(c, item))
        return;
    uint32_t slot = out_slot(c, item);
    step->slot = slot;
    out_match(c, slot, item, place);
}

static void match_array(struct compiler *c, struct operand value, const struct pattern *pattern,
                        struct place place)
{
    struct step *step = step_add(c, STEP_IS_ARRAY, place);
    step_operands(c, step, &value, 1);
    step->count = (uint32_t)pattern->count;
    for (size_t i = 0; i < pattern->count; i++)
        if (!is_wildcard(c, pattern->items[i]))
            match_item(c, value, operand_constant(value_small(c->arena, (int64_t)i)),
                       pattern->items[i], place);
}

static void match_object(struct compiler *c, struct operand value, const struct pattern *pattern,
                         struct place place)
{
    struct step *step = step_add(c, STEP_IS_OBJECT, place);
    step_operands(c, step, &value, 1);
    step->count = (uint32_t)pattern->count / 2;
    for (size_t i = 0; i < pattern->count; i += 2)
        match_item(c, value, pattern_operand(c, pattern->items[i], place), pattern->items[i + 1],
                   place);
}

void match_emit(struct compiler *c, struct operand value, const struct pattern *pattern,
                struct place place)
{
    if (pattern->kind == PATTERN_VARIABLE && !c->frame.variables[pattern->variable].bound)
        variable_bind(c, pattern->variable, value);
    else if (pattern_is_bound(c, pattern))
        equal_emit(c, value, pattern_operand(c, pattern, place), place);
    else if (pattern->kind == PATTERN_ARRAY)
        match_array(c, value, pattern, place);
    else
        match_object(c, value, pattern, place);
}

/* A slot of an unbound variable is bound before what comes after it is matched. */
uint32_t out_slot(struct compiler *c, const struct pattern *out)
{
    if (is_wildcard(c, out))
        return NO_SLOT;
    return slot_new(c);
}

void out_match(struct compiler *c, uint32_t slot, const struct pattern *out, struct place place)
{
    if (slot != NO_SLOT)
        match_emit(c, operand_slot(slot), out, place);
}
