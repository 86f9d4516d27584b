#include "policy/compile_state.h"

#define CONFLICTS_NAMED_MAX 8

static bool is_partial(const struct tree_rule *rule)
{
    return rule->rule->kind == RULE_SET || rule->suffix_count > 0;
}

/* ---- rules of one path ---- */

static bool rules_agree(const struct tree_node *node)
{
    const struct tree_rule *first = node->first_rule;
    for (const struct tree_rule *rule = first; rule != NULL; rule = rule->next)
        if ((rule->rule->kind == RULE_SET) != (first->rule->kind == RULE_SET) ||
            (rule->rule->kind == RULE_FUNCTION) != (first->rule->kind == RULE_FUNCTION) ||
            rule->rule->arguments.count != first->rule->arguments.count ||
            is_partial(rule) != is_partial(first))
            return false;
    return true;
}

static void check_agreement(struct compiler *c, const struct tree_node *node)
{
    if (!rules_agree(node))
        problem_add(c->problems, PROBLEM_TYPE, node->first_rule->rule->place,
                    "conflicting rules %s found", tree_path(c->arena, &node->plan));
}

static void print_place(struct buffer *text, struct place place)
{
    unsigned row, column;
    place_row_column(place, &row, &column);
    buffer_format(text, "%s:%u", place.source == NULL ? "?" : place.source->name, row);
}

/* Rows are found by counting lines: only of what is reported. */
static void report_defaults(struct compiler *c, const struct tree_node *node,
                            const struct tree_rule *first)
{
    CLEANUP(buffer_clear) struct buffer places = {0};
    unsigned count = 0;
    for (const struct tree_rule *rule = first; rule != NULL && count < CONFLICTS_NAMED_MAX;
         rule = rule->next) {
        if (!rule->rule->is_default)
            continue;
        buffer_text(&places, count++ > 0 ? ", " : "");
        print_place(&places, rule->rule->place);
    }
    if (places.failure == LETHE_OK)
        problem_add(c->problems, PROBLEM_TYPE, first->rule->place,
                    "multiple default rules %s found at %s", tree_path(c->arena, &node->plan),
                    places.bytes);
}

static void check_defaults(struct compiler *c, const struct tree_node *node)
{
    const struct tree_rule *first = NULL;
    for (const struct tree_rule *rule = node->first_rule; rule != NULL; rule = rule->next) {
        if (!rule->rule->is_default)
            continue;
        if (first != NULL) {
            report_defaults(c, node, first);
            return;
        }
        first = rule;
    }
}

/* ---- rules below a rule ---- */

/* A rule whose ref is constant to its end has its whole value there: nothing else may be below. */
static void check_below(struct compiler *c, const struct tree_node *node)
{
    const struct tree_rule *whole = node->first_rule;
    while (whole != NULL && whole->suffix_count > 0)
        whole = whole->next;
    if (whole == NULL)
        return;
    CLEANUP(buffer_clear) struct buffer below = {0};
    unsigned count = 0;
    const struct tree_node *at = tree_next(node, node);
    for (; at != NULL && count < CONFLICTS_NAMED_MAX; at = tree_next(at, node)) {
        if (at->first_rule == NULL)
            continue;
        buffer_text(&below, count++ > 0 ? " " : "");
        buffer_text(&below, tree_path(c->arena, &at->plan));
    }
    if (count > 0 && below.failure == LETHE_OK)
        problem_add(c->problems, PROBLEM_TYPE, whole->rule->place, "rule %s conflicts with [%s]",
                    tree_path(c->arena, &node->plan), below.bytes);
}

/* ---- rules and packages ---- */

static void check_package(struct compiler *c, const struct tree_node *node)
{
    const struct tree_rule *whole = node->first_rule;
    while (whole != NULL && whole->suffix_count > 0)
        whole = whole->next;
    if (whole == NULL || node->package_of == NULL)
        return;
    const char *path = tree_path(c->arena, &node->plan);
    CLEANUP(buffer_clear) struct buffer place = {0};
    print_place(&place, whole->rule->place);
    if (place.failure == LETHE_OK)
        problem_add(c->problems, PROBLEM_TYPE, node->package_place,
                    "package %s conflicts with rule %s defined at %s", path, path, place.bytes);
}

void conflict_check(struct compiler *c)
{
    for (const struct tree_node *node = c->root; node != NULL && !problems_are_full(c->problems);
         node = tree_next(node, c->root)) {
        if (node->first_rule == NULL)
            continue;
        check_below(c, node);
        check_agreement(c, node);
        check_defaults(c, node);
        check_package(c, node);
    }
}

/* ---- rules and base documents ---- */

/* Whether a base document has a value where the rule's is to be, or one on the way there that
 * nothing can be below of. */
static bool data_in_the_way(const struct value *base, const struct plan_node *node)
{
    const struct value *keys[2 * PATH_PARTS_MAX];
    size_t count = 0;
    for (; node->parent != NULL; node = node->parent) {
        if (!value_is(node->key, VALUE_STRING))
            return false;
        keys[count++] = node->key;
    }
    while (count > 0 && base != NULL && value_is(base, VALUE_OBJECT))
        base = value_get(base, keys[--count]);
    return base != NULL;
}

lethe_result compile_check_data(struct arena *arena, const struct plan *plan,
                                struct problems *problems)
{
    const struct tree_node *root = (const struct tree_node *)plan->root;
    for (const struct tree_node *node = root; node != NULL; node = tree_next(node, root))
        if (node->first_rule != NULL && data_in_the_way(plan->data, &node->plan))
            problem_add(problems, PROBLEM_COMPILE, node->first_rule->rule->place,
                        "conflicting rule for data path %s found", tree_path(arena, &node->plan));
    return problems->count > 0 ? LETHE_INVALID : arena->failure;
}
