#include "policy/compile_state.h"

#include <stdlib.h>
#include <string.h>

/* ---- lists ---- */

static bool grow(struct arena *arena, void **items, size_t *capacity, size_t item_bytes)
{
    size_t wanted = *capacity == 0 ? 8 : 2 * *capacity;
    void *grown = arena_grow(arena, *items, *capacity * item_bytes, wanted * item_bytes);
    if (grown == NULL)
        return false;
    *items = grown;
    *capacity = wanted;
    return true;
}

bool list_add(struct arena *arena, struct list *list, void *item)
{
    void *items = list->items;
    if (list->count == list->capacity && !grow(arena, &items, &list->capacity, sizeof(void *)))
        return false;
    list->items = items;
    list->items[list->count++] = item;
    return true;
}

bool numbers_add(struct arena *arena, struct numbers *list, uint32_t number)
{
    void *items = list->items;
    if (list->count == list->capacity && !grow(arena, &items, &list->capacity, sizeof(uint32_t)))
        return false;
    list->items = items;
    list->items[list->count++] = number;
    return true;
}

/* ---- paths: what is to stand in the tree ---- */

struct path_entry {
    const struct value **keys;
    size_t count;
    size_t package_count; /* how many of them are the package */
    size_t sequence;      /* in the order of the modules: what is equal stays in it */
    const struct module *module;
    struct tree_rule *rule; /* NULL: the package itself */
};

static size_t ground_parts(const struct terms *parts)
{
    size_t count = 1;
    while (count < parts->count && parts->items[count]->kind == TERM_VALUE)
        count++;
    return count;
}

static bool path_too_long(struct compiler *c, struct place place, size_t count)
{
    if (count <= PATH_PARTS_MAX)
        return false;
    problem_add(c->problems, PROBLEM_COMPILE, place, "a path of %zu parts (at most %d)", count,
                PATH_PARTS_MAX);
    return true;
}

/* The package's keys: its parts behind `data`, each a constant string. */
static bool package_keys(struct compiler *c, const struct module *module, struct path_entry *entry)
{
    const struct terms *parts = &module->package->parts;
    if (path_too_long(c, module->package_place, parts->count))
        return false;
    entry->module = module;
    entry->count = entry->package_count = parts->count - 1;
    entry->keys = arena_alloc(c->arena, entry->count * sizeof(*entry->keys));
    if (entry->keys == NULL)
        return false;
    for (size_t i = 0; i < entry->count; i++)
        entry->keys[i] = parts->items[i + 1]->value;
    return true;
}

static struct tree_rule *tree_rule_new(struct compiler *c, const struct module *module,
                                       const struct rule *rule, size_t ground)
{
    struct tree_rule *made = arena_zalloc(c->arena, 1, sizeof(*made));
    if (made == NULL)
        return NULL;
    made->rule = rule;
    made->module = module;
    list_add(c->arena, &c->definitions, made);
    if (rule->ref->kind == TERM_REF) {
        made->suffix = rule->ref->parts.items + ground;
        made->suffix_count = rule->ref->parts.count - ground;
    }
    return made;
}

static bool rule_entry(struct compiler *c, const struct path_entry *package,
                       const struct rule *rule, struct path_entry *entry)
{
    size_t ground = rule->ref->kind == TERM_REF ? ground_parts(&rule->ref->parts) : 1;
    *entry = *package;
    entry->count = package->count + ground;
    if (path_too_long(c, rule->head_place, entry->count))
        return false;
    entry->keys = arena_alloc(c->arena, entry->count * sizeof(*entry->keys));
    entry->rule = tree_rule_new(c, package->module, rule, ground);
    struct name *first = name_intern(c, term_head(rule->ref)->name);
    if (entry->keys == NULL || entry->rule == NULL || first == NULL)
        return false;
    memcpy(entry->keys, package->keys, package->count * sizeof(*entry->keys));
    entry->keys[package->count] = first->value;
    for (size_t i = 1; i < ground; i++)
        entry->keys[package->count + i] = rule->ref->parts.items[i]->value;
    return true;
}

static struct path_entry *list_entries(struct compiler *c, const struct module *const *modules,
                                       size_t module_count, size_t *count)
{
    size_t total = module_count;
    for (size_t i = 0; i < module_count; i++)
        total += modules[i]->rule_count;
    struct path_entry *entries = arena_zalloc(c->arena, total, sizeof(*entries));
    if (entries == NULL)
        return NULL;
    size_t n = 0;
    for (size_t i = 0; i < module_count; i++) {
        struct path_entry *package = &entries[n];
        if (!package_keys(c, modules[i], package))
            continue;
        package->sequence = n++;
        for (size_t r = 0; r < modules[i]->rule_count; r++)
            if (rule_entry(c, package, modules[i]->rules[r], &entries[n])) {
                entries[n].sequence = n;
                n++;
            }
    }
    *count = n;
    return entries;
}

static int entry_order(const void *a_, const void *b_)
{
    const struct path_entry *a = a_, *b = b_;
    for (size_t i = 0; i < a->count && i < b->count; i++) {
        int order = value_compare(a->keys[i], b->keys[i]);
        if (order != 0)
            return order;
    }
    if (a->count != b->count)
        return a->count < b->count ? -1 : 1;
    return a->sequence < b->sequence ? -1 : 1;
}

/* ---- the tree ---- */

/* Entries come sorted, so that a child is the newest one or new. */
static struct tree_node *child_grow(struct compiler *c, struct tree_node *node,
                                    const struct value *key)
{
    struct tree_node *last = node->last_child;
    if (last != NULL && value_equal(last->plan.key, key))
        return last;
    struct tree_node *child = arena_zalloc(c->arena, 1, sizeof(*child));
    if (child == NULL)
        return NULL;
    child->plan.key = key;
    child->plan.parent = &node->plan;
    if (last == NULL)
        node->first_child = child;
    else
        last->sibling = child;
    node->last_child = child;
    node->plan.child_count++;
    return child;
}

static void node_add_rule(struct tree_node *node, struct tree_rule *rule)
{
    if (node->first_rule == NULL)
        node->first_rule = rule;
    else
        node->last_rule->next = rule;
    node->last_rule = rule;
    node->rule_count++;
}

static bool entry_place(struct compiler *c, const struct path_entry *entry)
{
    struct tree_node *node = c->root, *package = c->root;
    for (size_t i = 0; i < entry->count && node != NULL; i++) {
        node = child_grow(c, node, entry->keys[i]);
        if (node != NULL && i == entry->package_count)
            node->names_rule = true;
        if (i + 1 == entry->package_count)
            package = node;
    }
    if (node == NULL)
        return false;
    if (entry->rule != NULL) {
        entry->rule->package = package;
        entry->rule->node = node;
        node_add_rule(node, entry->rule);
    } else if (node->package_of == NULL) {
        node->package_of = entry->module;
        node->package_place = entry->module->package_place;
    }
    return true;
}

struct tree_node *tree_next(const struct tree_node *node, const struct tree_node *top)
{
    if (node->first_child != NULL)
        return node->first_child;
    while (node != top && node->sibling == NULL)
        node = (const struct tree_node *)node->plan.parent;
    return node == top ? NULL : node->sibling;
}

/* Children as the sorted array that a plan has. */
static bool node_freeze(struct compiler *c, struct tree_node *node)
{
    const struct plan_node **children =
        arena_alloc(c->arena, node->plan.child_count * sizeof(*children));
    if (children == NULL)
        return false;
    size_t n = 0;
    for (struct tree_node *child = node->first_child; child != NULL; child = child->sibling)
        children[n++] = &child->plan;
    node->plan.children = children;
    return true;
}

lethe_result tree_build(struct compiler *c, const struct module *const *modules, size_t count)
{
    size_t entry_count = 0;
    struct path_entry *entries = list_entries(c, modules, count, &entry_count);
    c->root = arena_zalloc(c->arena, 1, sizeof(*c->root));
    if (entries == NULL || c->root == NULL)
        return compile_result(c);
    c->root->plan.key = &value_empty_string;
    if (entry_count > 1)
        qsort(entries, entry_count, sizeof(*entries), entry_order);
    bool ok = true;
    for (size_t i = 0; i < entry_count && ok; i++)
        ok = entry_place(c, &entries[i]);
    for (struct tree_node *node = c->root; node != NULL && ok; node = tree_next(node, c->root))
        ok = node_freeze(c, node);
    return compile_result(c);
}

void tree_number(struct compiler *c, struct plan *plan)
{
    for (struct tree_node *node = c->root; node != NULL; node = tree_next(node, c->root))
        node->plan.number = (uint32_t)plan->node_count++;
}
