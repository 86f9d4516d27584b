#include "policy/compile_state.h"

#include <string.h>

static const char not_replaceable[] =
    "with keyword target must reference existing input, data, or a function";

/* The path of the global, and the parts of the target behind it, which are constants. */
static bool target_path(struct compiler *c, const struct global *global, const struct term *target,
                        struct plan_with *item)
{
    size_t parts = target->kind == TERM_REF ? target->parts.count - 1 : 0;
    const struct value **path = arena_alloc(c->arena, (global->count + parts) * sizeof(*path));
    if (path == NULL)
        return false;
    if (global->count > 0)
        memcpy(path, global->path, global->count * sizeof(*path));
    for (size_t i = 0; i < parts; i++) {
        if (target->parts.items[i + 1]->kind != TERM_VALUE) {
            problem_add(c->problems, PROBLEM_TYPE, target->place, not_replaceable);
            return false;
        }
        path[global->count + i] = target->parts.items[i + 1]->value;
    }
    item->kind = global->root == ROOT_INPUT ? WITH_INPUT : WITH_DATA;
    item->path = path;
    item->path_count = global->count + parts;
    return true;
}

/* Only whole documents are replaced: what is inside of one that rules make is theirs to say. */
static bool below_rules(struct compiler *c, const struct plan_with *item)
{
    const struct plan_node *node = item->kind == WITH_DATA ? &c->root->plan : NULL;
    for (size_t i = 0; i + 1 < item->path_count && node != NULL; i++) {
        node = plan_child(node, item->path[i]);
        if (node != NULL && ((const struct tree_node *)node)->first_rule != NULL)
            return true;
    }
    return false;
}

static bool builtin_replaceable(struct compiler *c, const struct builtin *builtin,
                                struct place place)
{
    static const char internal[] = "internal.";
    if ((builtin->flags & BUILTIN_RELATION) != 0) {
        problem_add(c->problems, PROBLEM_COMPILE, place,
                    "with keyword replacing built-in function: target must not be a relation");
        return false;
    }
    if (strncmp(builtin->name, internal, strlen(internal)) == 0) {
        problem_add(c->problems, PROBLEM_COMPILE, place,
                    "with keyword replacing built-in function: replacement of internal function "
                    "\"%s\" invalid",
                    builtin->name);
        return false;
    }
    return true;
}

static bool target_lower(struct compiler *c, const struct term *target, struct plan_with *item)
{
    const struct term *head = term_head(target);
    struct name *name = head->kind == TERM_VARIABLE ? name_intern(c, head->name) : NULL;
    struct callee callee = callee_find(c, target);
    struct found_name found = {.global = NULL};
    if (callee.function != NULL || callee.builtin != NULL) {
        item->kind = callee.function != NULL ? WITH_FUNCTION : WITH_BUILTIN;
        item->function = callee.function;
        item->builtin = callee.builtin;
        return callee.builtin == NULL || builtin_replaceable(c, callee.builtin, target->place);
    }
    if (name == NULL || !name_find(c, name, &found) || found.global == NULL) {
        problem_add(c->problems, PROBLEM_TYPE, target->place, not_replaceable);
        return false;
    }
    if (!target_path(c, found.global, target, item))
        return false;
    if (below_rules(c, item)) {
        problem_add(c->problems, PROBLEM_COMPILE, target->place,
                    "with keyword cannot partially replace virtual document(s)");
        return false;
    }
    return true;
}

/* A function is replaced by a function with as many operands, or by a value. */
static bool replaced_by_function(struct compiler *c, const struct with *with,
                                 struct plan_with *item)
{
    bool is_name = with->value->kind == TERM_VARIABLE || with->value->kind == TERM_REF;
    if (!is_name || item->kind == WITH_INPUT || item->kind == WITH_DATA)
        return false;
    struct callee target = {.builtin = item->builtin, .function = item->function};
    struct callee by = callee_find(c, with->value);
    if (by.builtin == NULL && by.function == NULL)
        return false;
    if (callee_arity(&by) != callee_arity(&target))
        problem_add(c->problems, PROBLEM_TYPE, with->place,
                    "%s: arity mismatch (a function of %u operands is replaced by one of %u)",
                    by.name, (unsigned)callee_arity(&target), (unsigned)callee_arity(&by));
    item->by_builtin = by.builtin;
    item->by_function = by.function;
    return true;
}

const struct core_with *with_lower(struct compiler *c, const struct expression *expression)
{
    size_t count = expression->with_count;
    if (count == 0)
        return NULL;
    struct core_with *with = arena_zalloc(c->arena, 1, sizeof(*with));
    struct plan_with *items = arena_zalloc(c->arena, count, sizeof(*items));
    const struct pattern **values = patterns_new(c, count);
    if (with == NULL || items == NULL || values == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++)
        if (target_lower(c, expression->withs[i].target, &items[i]) &&
            !replaced_by_function(c, &expression->withs[i], &items[i]))
            values[i] = term_lower(c, expression->withs[i].value);
    *with = (struct core_with){.items = items, .values = values, .count = count};
    return with;
}
