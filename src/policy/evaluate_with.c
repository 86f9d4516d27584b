#include "policy/evaluate_inside.h"

/* ---- documents ---- */

/* {path[0]: {path[1]: ... value}} */
static const struct value *nested(struct arena *arena, const struct value *const *path,
                                  size_t path_count, const struct value *value)
{
    for (size_t i = path_count; i > 0 && value != NULL; i--)
        value = value_with(arena, &value_empty_object, path[i - 1], value);
    return value;
}

/* A copy of the document with another value at the path; what is no object on the way there gives
 * way to one. NULL: the arena has failed. */
static const struct value *patched(struct arena *arena, const struct value *document,
                                   const struct plan_with *with, const struct value *value)
{
    size_t known = 0; /* of the path: objects that exist */
    const struct value **levels = arena_alloc(arena, (with->path_count + 1) * sizeof *levels);
    if (levels == NULL)
        return NULL;
    for (const struct value *at = document;
         known < with->path_count && at != NULL && at->kind == VALUE_OBJECT; known++) {
        levels[known] = at;
        at = value_get(at, with->path[known]);
    }
    value = nested(arena, with->path + known, with->path_count - known, value);
    for (size_t i = known; i > 0 && value != NULL; i--)
        value = value_with(arena, levels[i - 1], with->path[i - 1], value);
    return value;
}

/* ---- scopes ---- */

static const struct plan_node *node_at(const struct plan_node *node,
                                       const struct value *const *path, size_t path_count)
{
    for (size_t i = 0; i < path_count && node != NULL; i++)
        node = plan_child(node, path[i]);
    return node;
}

/* false: the arena has failed. */
static bool hide(struct evaluation *evaluation, struct scope *scope, const struct plan_with *with)
{
    const struct plan_node *node = node_at(evaluation->plan->root, with->path, with->path_count);
    if (node == NULL)
        return true;
    struct hidden_node *hidden = arena_alloc(evaluation->arena, sizeof *hidden);
    if (hidden == NULL)
        return false;
    *hidden = (struct hidden_node){.older = scope->hidden, .node = node};
    scope->hidden = hidden;
    return true;
}

static bool replace_function(struct evaluation *evaluation, struct scope *scope,
                             const struct plan_with *with, const struct value *value)
{
    struct replaced_function *replaced = arena_alloc(evaluation->arena, sizeof *replaced);
    if (replaced == NULL)
        return false;
    bool by_function = with->by_function != NULL || with->by_builtin != NULL;
    *replaced = (struct replaced_function){
        .older = scope->functions, .with = with, .value = by_function ? NULL : value};
    scope->functions = replaced;
    return true;
}

static bool apply(struct run *run, struct scope *scope, const struct plan_with *with)
{
    struct evaluation *evaluation = run->evaluation;
    const struct value *value = NULL;
    if (with->by_function == NULL && with->by_builtin == NULL)
        value = operand_value(run, &with->value);
    switch (with->kind) {
    case WITH_INPUT:
        scope->input = patched(evaluation->arena, scope->input, with, value);
        return scope->input != NULL;
    case WITH_DATA:
        scope->data = patched(evaluation->arena, scope->data, with, value);
        return scope->data != NULL && hide(evaluation, scope, with);
    case WITH_BUILTIN:
    case WITH_FUNCTION:
        break;
    }
    return replace_function(evaluation, scope, with, value);
}

/* What was computed in the outer scope is not known here. NULL: the arena has failed. */
static struct scope *scope_in(struct evaluation *evaluation)
{
    struct scope *scope = arena_alloc(evaluation->arena, sizeof *scope);
    if (scope == NULL)
        return NULL;
    *scope = *evaluation->scope;
    scope->outer = evaluation->scope;
    scope->plain = NULL;
    scope->documents = (struct memory){0};
    scope->calls = (struct memory){.capacity_max = evaluation->scope->calls.capacity_max};
    return scope;
}

struct scope *scope_plain(struct evaluation *evaluation)
{
    struct scope *scope = evaluation->scope;
    if (scope->plain == NULL) {
        scope->plain = scope_in(evaluation);
        if (scope->plain != NULL)
            scope->plain->functions = NULL;
    }
    return scope->plain;
}

const struct replaced_function *replacement_of(const struct scope *scope,
                                               const struct builtin *builtin,
                                               const struct plan_rules *function)
{
    const struct replaced_function *replaced = scope->functions;
    for (; replaced != NULL; replaced = replaced->older)
        if (builtin != NULL ? replaced->with->builtin == builtin
                            : replaced->with->function == function)
            break;
    return replaced;
}

/* ---- steps ---- */

enum outcome step_with(struct run *run, const struct step *step)
{
    struct evaluation *evaluation = run->evaluation;
    struct scope *outer = evaluation->scope;
    struct scope *scope = scope_in(evaluation);
    for (size_t i = 0; i < step->with.count && scope != NULL; i++)
        if (!apply(run, scope, &step->with.items[i]))
            scope = NULL;
    if (scope == NULL)
        return evaluation_exhausted(evaluation, step->place, evaluation->arena->failure);
    evaluation_cover(evaluation, step->id);
    evaluation->scope = scope;
    enum outcome outcome = evaluate_steps(run, step->with.start);
    evaluation->scope = outer;
    return outcome;
}

enum outcome step_without(struct run *run, const struct step *step)
{
    struct evaluation *evaluation = run->evaluation;
    struct scope *inner = evaluation->scope;
    evaluation->scope = inner->outer;
    enum outcome outcome = evaluate_rest(run, step);
    evaluation->scope = inner;
    return outcome;
}
