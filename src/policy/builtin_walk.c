/* policy/builtin_walk.c -- every path into a value, with what is there. */
#include "policy/builtin_work.h"

struct walk {
    struct value_list found; /* [path, value], in the order in which they are met */
    const struct value *path[VALUE_DEPTH_MAX + 1];
    size_t depth;
};

static lethe_result add_found(struct builtin_call *call, struct walk *walk,
                              const struct value *value)
{
    struct value_list path, pair;
    TRY(builtin_spend(call, 1 + walk->depth));
    if (!builtin_list(call, walk->depth, &path) || !builtin_list(call, 2, &pair))
        return builtin_failed(call);
    for (; path.count < walk->depth; path.count++)
        path.items[path.count] = walk->path[path.count];
    const struct value *path_value = value_array(call->arena, &path);
    bool added = value_list_append(call->arena, &pair, path_value) &&
                 value_list_append(call->arena, &pair, value) &&
                 value_list_append(call->arena, &walk->found, value_array(call->arena, &pair));
    return added ? LETHE_OK : builtin_failed(call);
}

static lethe_result visit(struct builtin_call *call, struct walk *walk, const struct value *value);

static lethe_result visit_below(struct builtin_call *call, struct walk *walk,
                                const struct value *key, const struct value *value)
{
    if (key == NULL)
        return builtin_failed(call);
    walk->path[walk->depth++] = key;
    TRY(visit(call, walk, value));
    walk->depth--;
    return LETHE_OK;
}

/* A value before what is in it. As deep as values are. */
static lethe_result visit(struct builtin_call *call, struct walk *walk, const struct value *value)
{
    TRY(add_found(call, walk, value));
    for (uint32_t i = 0; value->kind > VALUE_STRING && i < value->count; i++) {
        if (value->kind == VALUE_OBJECT)
            TRY(visit_below(call, walk, value->pairs[i].key, value->pairs[i].value));
        else if (value->kind == VALUE_SET)
            TRY(visit_below(call, walk, value->items[i], value->items[i]));
        else
            TRY(visit_below(call, walk, value_small(call->arena, i), value->items[i]));
    }
    return LETHE_OK;
}

static lethe_result walk(struct builtin_call *call, const struct value *const *operands,
                         const struct value **out)
{
    struct walk walk;
    walk.found = (struct value_list){0};
    walk.depth = 0;
    REQUIRE(operands[0]->depth <= VALUE_DEPTH_MAX);
    TRY(visit(call, &walk, operands[0]));
    return builtin_value(call, value_array(call->arena, &walk.found), out);
}

static const struct builtin table[] = {
    {.name = "walk", .arity = 1, .flags = BUILTIN_RELATION, .call = walk},
};

BUILTIN_FAMILY(walk, table);
