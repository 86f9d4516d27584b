#include "policy/compile_state.h"
#include "policy/index.h"

/* ---- what stands at each node ---- */

static void rules_kind(const struct tree_node *node, struct plan_rules *rules)
{
    rules->kind = node->first_rule->rule->kind;
    for (const struct tree_rule *rule = node->first_rule; rule != NULL; rule = rule->next) {
        rules->suffix_max = MAX(rules->suffix_max, (uint32_t)rule->suffix_count);
        if (rule->rule->kind != RULE_FUNCTION && rule->suffix_count > 0)
            rules->kind = RULE_COMPLETE;
    }
    rules->argument_count = (uint32_t)node->first_rule->rule->arguments.count;
}

lethe_result rules_declare(struct compiler *c, struct plan *plan)
{
    for (struct tree_node *node = c->root; node != NULL; node = tree_next(node, c->root)) {
        if (node->first_rule == NULL)
            continue;
        struct plan_rules *rules = arena_zalloc(c->arena, 1, sizeof(*rules));
        const struct plan_rule **items = arena_alloc(c->arena, node->rule_count * sizeof(*items));
        if (rules == NULL || items == NULL)
            break;
        rules->path = tree_path(c->arena, &node->plan);
        rules->rules = items;
        rules->number = (uint32_t)plan->rules_count++;
        rules_kind(node, rules);
        node->items = items;
        node->rules = rules;
        node->plan.rules = rules;
    }
    return compile_result(c);
}

/* ---- one definition ---- */

static void arguments_lower(struct compiler *c, const struct rule *rule)
{
    size_t count = rule->arguments.count;
    const struct term *const *arguments = rule->arguments.items;
    c->frame.slot_count = (uint32_t)count;
    for (size_t i = 0; i < count; i++)
        term_declare(c, arguments[i], OCCURRENCE_ARGUMENT);
    for (size_t i = 0; i < count; i++) {
        uint32_t variable = variable_new(c, NULL, arguments[i]->place);
        const struct pattern *argument = pattern_variable(c, variable);
        const struct pattern *pattern = term_lower(c, arguments[i]);
        if (compile_failed(c))
            return;
        variable_bind(c, variable, operand_slot((uint32_t)i));
        core_unify(c, argument, pattern, arguments[i]->place);
    }
}

/* What a solution yields: the suffix, then the value or element. */
static const struct pattern **head_lower(struct compiler *c, const struct tree_rule *definition,
                                         const struct rule *rule)
{
    const struct pattern **yields = patterns_new(c, definition->suffix_count + 1);
    for (size_t i = 0; i < definition->suffix_count && yields != NULL; i++)
        yields[i] = term_lower(c, definition->suffix[i]);
    if (yields != NULL)
        yields[definition->suffix_count] =
            term_lower(c, definition->rule->kind == RULE_SET ? rule->key : rule->value);
    return yields;
}

static void rule_emit(struct compiler *c, const struct tree_rule *definition,
                      const struct pattern *const *yields, struct plan_rule *out)
{
    c->tail = &out->start;
    c->open_with = NULL;
    struct place place = definition->rule->head_place;
    body_order(c, c->body);
    for (size_t i = 0; i <= definition->suffix_count; i++)
        pattern_check(c, yields[i], place);
    if (compile_failed(c))
        return;
    const struct step *yield = yield_emit(c, yields, definition->suffix_count + 1, place);
    if (definition->rule->kind != RULE_SET && definition->suffix_count == 0 &&
        yield->operand_count > 0)
        out->constant = yield->operands[0].constant;
}

/* `rule` is the definition's or an `else` of it, which has the same arguments. */
static struct plan_rule *rule_compile(struct compiler *c, const struct tree_rule *definition,
                                      const struct rule *rule)
{
    struct plan_rule *out = arena_zalloc(c->arena, 1, sizeof(*out));
    struct core_body *body = arena_zalloc(c->arena, 1, sizeof(*body));
    if (out == NULL || body == NULL || !list_add(c->arena, &c->rules, out))
        return NULL;
    unsigned problems = c->problems->count;
    frame_begin(c);
    c->body = body;
    struct scope outer = scope_open(c);
    body_announce(c, &rule->body, 1);
    arguments_lower(c, definition->rule);
    body_lower(c, &rule->body);
    const struct pattern **yields = head_lower(c, definition, rule);
    body_announce(c, &rule->body, -1);
    scope_close(c, outer);
    body_finish(c, body);
    if (compile_failed(c))
        return NULL;
    /* What is unsafe because of another mistake is not worth a problem of its own. */
    if (c->problems->count == problems)
        rule_emit(c, definition, yields, out);
    variables_unbind(c, 0);
    out->source = rule;
    out->kind = definition->rule->kind;
    out->slot_count = c->frame.slot_count;
    out->argument_count = (uint32_t)definition->rule->arguments.count;
    out->suffix_count = (uint32_t)definition->suffix_count;
    return out;
}

static void definition_compile(struct compiler *c, const struct tree_rule *definition)
{
    struct plan_rule *first = rule_compile(c, definition, definition->rule), *last = first;
    for (const struct rule *rule = definition->rule->else_rule; rule != NULL && last != NULL;
         rule = rule->else_rule) {
        struct plan_rule *next = rule_compile(c, definition, rule);
        last->else_rule = next;
        last = next;
    }
    struct tree_node *node = definition->node;
    if (definition->rule->is_default)
        node->rules->default_rule = first;
    else
        node->items[node->rules->count++] = first;
}

static void module_enter(struct compiler *c, const struct module *module)
{
    c->module = module;
    c->v0 = module->v0;
    c->keyword_not = module->keyword_not;
    names_import(c, module);
}

static void rules_index(struct compiler *c)
{
    for (struct tree_node *node = c->root; node != NULL && !compile_failed(c);
         node = tree_next(node, c->root))
        if (node->rules != NULL)
            node->rules->index = index_create(c->arena, node->rules);
}

lethe_result rules_compile(struct compiler *c)
{
    for (size_t i = 0; i < c->definitions.count && !compile_failed(c); i++) {
        const struct tree_rule *definition = c->definitions.items[i];
        if (definition->node == NULL)
            continue;
        if (c->module != definition->module)
            module_enter(c, definition->module);
        c->package = definition->package;
        definition_compile(c, definition);
    }
    if (c->problems->count == 0)
        rules_index(c);
    for (size_t i = 0; i < c->rules.count; i++)
        ((struct plan_rule *)c->rules.items[i])->id = c->step_count + (uint32_t)i;
    return compile_result(c);
}
