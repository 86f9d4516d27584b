/* policy/builtin_objects.c -- object.* but for subset. */
#include "policy/builtin_work.h"

/* An array leads down, one key after the other; anything else is a key. */
static lethe_result get(struct builtin_call *call, const struct value *const *operands,
                        const struct value **out)
{
    const struct value *at = operands[0], *path = operands[1];
    if (path->kind != VALUE_ARRAY)
        at = value_get(at, path);
    for (uint32_t i = 0; path->kind == VALUE_ARRAY && i < path->count && at != NULL; i++) {
        TRY(builtin_spend(call, 1));
        at = value_get(at, path->items[i]);
    }
    return builtin_value(call, at != NULL ? at : operands[2], out);
}

static lethe_result keys(struct builtin_call *call, const struct value *const *operands,
                         const struct value **out)
{
    const struct value *object = operands[0];
    struct value_list list;
    TRY(builtin_spend(call, object->count));
    if (!builtin_list(call, object->count, &list))
        return builtin_failed(call);
    for (; list.count < object->count; list.count++)
        list.items[list.count] = object->pairs[list.count].key;
    return builtin_value(call, value_set(call->arena, &list), out);
}

/* Keys are the elements of an array or set, or the keys of an object: as what is searched. */
static const struct value *set_of_keys(struct builtin_call *call, const struct value *keys)
{
    struct value_list list;
    if (keys->kind != VALUE_ARRAY)
        return keys;
    if (!builtin_list(call, keys->count, &list))
        return NULL;
    for (; list.count < keys->count; list.count++)
        list.items[list.count] = keys->items[list.count];
    return value_set(call->arena, &list);
}

/* The pairs of operand 1 whose key is among operand 2 (`kept`), or is not. */
static lethe_result select_pairs(struct builtin_call *call, const struct value *const *operands,
                                 bool kept, const struct value **out)
{
    const struct value *object = operands[0];
    TRY(builtin_spend(call, (uint64_t)object->count + operands[1]->count));
    const struct value *keys = set_of_keys(call, operands[1]);
    struct value_pairs pairs = {0};
    for (uint32_t i = 0; keys != NULL && i < object->count; i++) {
        const struct value_pair *pair = &object->pairs[i];
        if ((value_get(keys, pair->key) != NULL) == kept &&
            !value_pairs_append(call->arena, &pairs, pair->key, pair->value))
            return builtin_failed(call);
    }
    return builtin_value(call, keys != NULL ? value_object(call->arena, &pairs, NULL) : NULL, out);
}

static lethe_result filter(struct builtin_call *call, const struct value *const *operands,
                           const struct value **out)
{
    return select_pairs(call, operands, true, out);
}

static lethe_result remove_keys(struct builtin_call *call, const struct value *const *operands,
                                const struct value **out)
{
    return select_pairs(call, operands, false, out);
}

static lethe_result merge(struct builtin_call *call, const struct value *a, const struct value *b,
                          const struct value **out);

/* Both have the key: objects are merged, otherwise that of b stays. */
static lethe_result merge_values(struct builtin_call *call, const struct value *a,
                                 const struct value *b, const struct value **out)
{
    if (a->kind == VALUE_OBJECT && b->kind == VALUE_OBJECT)
        return merge(call, a, b, out);
    *out = b;
    return LETHE_OK;
}

/* Two sorted lists of pairs into one. As deep as values are. */
static lethe_result merge(struct builtin_call *call, const struct value *a, const struct value *b,
                          const struct value **out)
{
    struct value_pairs pairs = {0};
    uint32_t i = 0, j = 0;
    TRY(builtin_spend(call, (uint64_t)a->count + b->count));
    while (i < a->count || j < b->count) {
        int order = i == a->count   ? 1
                    : j == b->count ? -1
                                    : value_compare(a->pairs[i].key, b->pairs[j].key);
        const struct value *key = order <= 0 ? a->pairs[i].key : b->pairs[j].key;
        const struct value *value = order < 0 ? a->pairs[i].value : b->pairs[j].value;
        if (order == 0)
            TRY(merge_values(call, a->pairs[i].value, b->pairs[j].value, &value));
        if (!value_pairs_append(call->arena, &pairs, key, value))
            return builtin_failed(call);
        i += order <= 0;
        j += order >= 0;
    }
    return builtin_value(call, value_object(call->arena, &pairs, NULL), out);
}

static lethe_result object_union(struct builtin_call *call, const struct value *const *operands,
                                 const struct value **out)
{
    return merge(call, operands[0], operands[1], out);
}

static lethe_result object_union_n(struct builtin_call *call, const struct value *const *operands,
                                   const struct value **out)
{
    const struct value *objects = operands[0];
    const struct value *merged = &value_empty_object;
    TRY(builtin_elements(call, 1, objects, VALUE_OBJECT));
    for (uint32_t i = 0; i < objects->count; i++)
        TRY(merge(call, merged, objects->items[i], &merged));
    return builtin_value(call, merged, out);
}

#define KEYS (KIND(OBJECT) | KIND(SET) | KIND(ARRAY))
static const struct builtin table[] = {
    {.name = "object.get", .arity = 3, .operand_kinds = {KIND(OBJECT)}, .call = get},
    {.name = "object.keys", .arity = 1, .operand_kinds = {KIND(OBJECT)}, .call = keys},
    {.name = "object.filter", .arity = 2, .operand_kinds = {KIND(OBJECT), KEYS}, .call = filter},
    {.name = "object.remove",
     .arity = 2,
     .operand_kinds = {KIND(OBJECT), KEYS},
     .call = remove_keys},
    {.name = "object.union",
     .arity = 2,
     .operand_kinds = {KIND(OBJECT), KIND(OBJECT)},
     .call = object_union},
    {.name = "object.union_n", .arity = 1, .operand_kinds = {KIND(ARRAY)}, .call = object_union_n},
};

BUILTIN_FAMILY(objects, table);
