#include "plan_print.h"

static void print_steps(const struct step *step, struct buffer *out);

/* ---- operands ---- */

static void print_operand(const struct operand *operand, struct buffer *out)
{
    if (operand->constant != NULL)
        value_print_term(operand->constant, out);
    else
        buffer_format(out, "s%u", (unsigned)operand->slot);
}

static void print_operands(const struct step *step, const char *between, struct buffer *out)
{
    for (uint32_t i = 0; i < step->operand_count; i++) {
        buffer_text(out, i > 0 ? between : "");
        print_operand(&step->operands[i], out);
    }
}

static void print_listed(const struct step *step, const char *open, const char *close,
                         struct buffer *out)
{
    buffer_text(out, open);
    print_operands(step, ", ", out);
    buffer_text(out, close);
}

static void print_inner(const char *name, const struct step *start, struct buffer *out)
{
    buffer_text(out, name);
    buffer_text(out, " {");
    print_steps(start, out);
    buffer_text(out, "}");
}

/* ---- steps ---- */

static void print_element(const struct walk_element *element, struct buffer *out)
{
    if (!element->binds && element->key.constant != NULL &&
        value_is(element->key.constant, VALUE_STRING)) {
        buffer_format(out, ".%s", element->key.constant->string);
        return;
    }
    buffer_text(out, element->binds ? "[*" : "[");
    if (!element->binds)
        print_operand(&element->key, out);
    else if (element->slot != NO_SLOT)
        buffer_format(out, "s%u", (unsigned)element->slot);
    buffer_text(out, "]");
}

static void print_walk(const struct step *step, struct buffer *out)
{
    if (step->walk.root == ROOT_OPERAND)
        print_operand(&step->operands[0], out);
    else
        buffer_text(out, step->walk.root == ROOT_INPUT ? "input" : "data");
    for (uint32_t i = 0; i < step->walk.element_count; i++)
        print_element(&step->walk.elements[i], out);
}

static void print_call(const struct step *step, struct buffer *out)
{
    buffer_text(out, step->call.builtin->name);
    if (step->call.prepared != NULL)
        buffer_text(out, "!");
    print_listed(step, "(", ")", out);
}

static void print_apply(const struct step *step, struct buffer *out)
{
    buffer_text(out, step->function->path);
    print_listed(step, "(", ")", out);
}

static void print_collect(const struct step *step, struct buffer *out)
{
    print_inner(value_kind_name(step->inner.kind), step->inner.start, out);
}

static void print_every(const struct step *step, struct buffer *out)
{
    buffer_format(out, "every s%u in ", (unsigned)step->inner.slot2);
    print_operands(step, "", out);
    print_inner("", step->inner.start, out);
}

static void print_replacement(const struct plan_with *item, struct buffer *out)
{
    static const char *const roots[] = {[WITH_INPUT] = "input", [WITH_DATA] = "data"};
    if (item->kind == WITH_BUILTIN || item->kind == WITH_FUNCTION)
        buffer_text(out, item->builtin != NULL ? item->builtin->name : item->function->path);
    else
        buffer_text(out, roots[item->kind]);
    for (size_t i = 0; i < item->path_count; i++)
        buffer_format(out, ".%s", item->path[i]->string);
    buffer_text(out, " as ");
    if (item->by_builtin != NULL)
        buffer_text(out, item->by_builtin->name);
    else if (item->by_function != NULL)
        buffer_text(out, item->by_function->path);
    else
        print_operand(&item->value, out);
}

static void print_with(const struct step *step, struct buffer *out)
{
    buffer_text(out, "with ");
    for (size_t i = 0; i < step->with.count; i++) {
        buffer_text(out, i > 0 ? ", " : "");
        print_replacement(&step->with.items[i], out);
    }
    buffer_text(out, ": ");
    print_steps(step->with.start, out);
}

static void print_what(const struct step *step, struct buffer *out)
{
    switch (step->kind) {
    case STEP_ASSIGN:
        print_operands(step, "", out);
        return;
    case STEP_EQUAL:
        print_operands(step, " = ", out);
        return;
    case STEP_TRUE:
        print_operands(step, "", out);
        return;
    case STEP_WALK:
        print_walk(step, out);
        return;
    case STEP_CALL:
        print_call(step, out);
        return;
    case STEP_APPLY:
        print_apply(step, out);
        return;
    case STEP_ARRAY:
        print_listed(step, "[", "]", out);
        return;
    case STEP_SET:
        print_listed(step, "{", "}", out);
        return;
    case STEP_OBJECT:
        print_listed(step, "object(", ")", out);
        return;
    case STEP_IS_ARRAY:
    case STEP_IS_OBJECT:
        print_operands(step, "", out);
        buffer_format(out, " is %s of %u", step->kind == STEP_IS_ARRAY ? "array" : "object",
                      (unsigned)step->count);
        return;
    case STEP_NOT:
        print_inner("not", step->inner.start, out);
        return;
    case STEP_COLLECT:
        print_collect(step, out);
        return;
    case STEP_EVERY:
        print_every(step, out);
        return;
    case STEP_WITH:
        print_with(step, out);
        return;
    case STEP_WITHOUT:
        buffer_text(out, "without");
        return;
    case STEP_YIELD:
        buffer_text(out, "yield ");
        print_operands(step, ", ", out);
        return;
    }
}

static void print_steps(const struct step *step, struct buffer *out)
{
    for (; step != NULL; step = step->next) {
        if (step->slot != NO_SLOT)
            buffer_format(out, "s%u = ", (unsigned)step->slot);
        print_what(step, out);
        buffer_text(out, step->next != NULL ? "; " : "");
    }
}

/* ---- plans ---- */

static void print_rule(const struct plan_rule *rule, struct buffer *out)
{
    for (; rule != NULL; rule = rule->else_rule) {
        print_inner(rule->constant != NULL ? " constant" : "", rule->start, out);
        buffer_text(out, rule->else_rule != NULL ? " else" : "");
    }
}

static void print_rules(const struct plan_rules *rules, struct buffer *out)
{
    static const char *const kinds[] = {
        [RULE_COMPLETE] = "complete", [RULE_SET] = "set", [RULE_FUNCTION] = "function"};
    buffer_format(out, "%s: %s", rules->path, kinds[rules->kind]);
    for (size_t i = 0; i < rules->count; i++)
        print_rule(rules->rules[i], out);
    if (rules->default_rule != NULL)
        buffer_text(out, " default");
    print_rule(rules->default_rule, out);
    buffer_text(out, "\n");
}

static void print_node(const struct plan_node *node, struct buffer *out)
{
    if (node->rules != NULL)
        print_rules(node->rules, out);
    for (size_t i = 0; i < node->child_count; i++)
        print_node(node->children[i], out);
}

void print_plan(const struct plan *plan, struct buffer *out)
{
    print_node(plan->root, out);
}

void print_query(const struct plan_query *query, struct buffer *out)
{
    print_inner("", query->start, out);
    for (size_t i = 0; i < query->binding_count; i++)
        buffer_format(out, " %s=s%u", query->bindings[i].name, (unsigned)query->bindings[i].slot);
    buffer_text(out, " |");
    for (size_t i = 0; i < query->expression_count; i++)
        if (query->expressions[i].slot == NO_SLOT)
            buffer_text(out, " -");
        else
            buffer_format(out, " s%u", (unsigned)query->expressions[i].slot);
}
