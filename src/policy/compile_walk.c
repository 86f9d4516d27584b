#include "policy/compile_state.h"

static bool is_compound(const struct pattern *pattern)
{
    return pattern != NULL && pattern->kind >= PATTERN_ARRAY;
}

static void element_bind(struct compiler *c, const struct pattern *pattern,
                         struct walk_element *element)
{
    element->binds = true;
    element->slot = out_slot(c, pattern);
    if (element->slot != NO_SLOT && pattern->kind == PATTERN_VARIABLE)
        variable_bind(c, pattern->variable, operand_slot(element->slot));
}

/* Compounds first: whether they are bound is what it was before the walk. */
static void elements_prepare(struct compiler *c, const struct core *core,
                             struct walk_element *elements)
{
    for (size_t i = 0; i < core->walk.element_count; i++) {
        const struct pattern *pattern = core->walk.elements[i];
        if (is_compound(pattern) && pattern_is_bound(c, pattern))
            elements[i].key = pattern_operand(c, pattern, core->place);
        else if (is_compound(pattern))
            element_bind(c, pattern, &elements[i]);
    }
    for (size_t i = 0; i < core->walk.element_count; i++) {
        const struct pattern *pattern = core->walk.elements[i];
        if (is_compound(pattern))
            continue;
        if (pattern != NULL && pattern_is_bound(c, pattern))
            elements[i].key = pattern_operand(c, pattern, core->place);
        else
            element_bind(c, pattern, &elements[i]);
    }
}

static void elements_match(struct compiler *c, const struct core *core,
                           const struct walk_element *elements)
{
    for (size_t i = 0; i < core->walk.element_count; i++)
        if (is_compound(core->walk.elements[i]) && elements[i].binds)
            match_emit(c, operand_slot(elements[i].slot), core->walk.elements[i], core->place);
}

/* As far down the tree as constants lead, not below rules. */
static void walk_node(const struct compiler *c, struct step *step)
{
    const struct plan_node *node = &c->root->plan;
    uint32_t depth = 0;
    while (depth < step->walk.element_count && node->rules == NULL) {
        const struct walk_element *element = &step->walk.elements[depth];
        const struct plan_node *child = element->binds || element->key.constant == NULL
                                            ? NULL
                                            : plan_child(node, element->key.constant);
        if (child == NULL)
            break;
        node = child;
        depth++;
    }
    step->walk.node = node;
    step->walk.node_depth = depth;
}

/* Where a constant leads by constants alone; NULL: not so, or nowhere. */
static bool walk_is_constant(const struct core *core, const struct walk_element *elements,
                             struct operand root)
{
    if (core->walk.root != ROOT_OPERAND || root.constant == NULL)
        return false;
    for (size_t i = 0; i < core->walk.element_count; i++)
        if (elements[i].binds || elements[i].key.constant == NULL)
            return false;
    return true;
}

static void walk_constant(struct compiler *c, const struct core *core,
                          const struct walk_element *elements, const struct value *value)
{
    for (size_t i = 0; i < core->walk.element_count && value != NULL; i++)
        value = value_get(value, elements[i].key.constant);
    if (value == NULL) {
        never_emit(c, core->place);
        value = &value_null; /* what comes after it is in order, and never runs */
    }
    if (!is_wildcard(c, core->out))
        match_emit(c, operand_constant(value), core->out, core->place);
}

void walk_emit(struct compiler *c, const struct core *core)
{
    struct walk_element *elements =
        arena_zalloc(c->arena, core->walk.element_count, sizeof(*elements));
    if (elements == NULL)
        return;
    struct operand root = {0};
    if (core->walk.root == ROOT_OPERAND)
        root = pattern_operand(c, core->operands[0], core->place);
    elements_prepare(c, core, elements);
    if (walk_is_constant(core, elements, root)) {
        walk_constant(c, core, elements, root.constant);
        return;
    }
    struct step *step = step_add(c, STEP_WALK, core->place);
    if (core->walk.root == ROOT_OPERAND)
        step_operands(c, step, &root, 1);
    step->walk.root = core->walk.root;
    step->walk.elements = elements;
    step->walk.element_count = (uint32_t)core->walk.element_count;
    if (core->walk.root == ROOT_DATA)
        walk_node(c, step);
    step->slot = out_slot(c, core->out);
    elements_match(c, core, elements);
    out_match(c, step->slot, core->out, core->place);
}
