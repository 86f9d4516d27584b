/* policy/builtin_subset.c -- object.subset: of objects, sets and arrays, and of what is in them. */
#include "policy/builtin_work.h"

static lethe_result subset_of(struct builtin_call *call, const struct value *super,
                              const struct value *sub, bool *is_subset);

/* Each key of `sub` is there, and its value is equal, or a subset where both are collections. */
static lethe_result subset_of_object(struct builtin_call *call, const struct value *super,
                                     const struct value *sub, bool *is_subset)
{
    *is_subset = true;
    for (uint32_t i = 0; i < sub->count && *is_subset; i++) {
        TRY(builtin_spend(call, 1));
        const struct value *value = value_get(super, sub->pairs[i].key);
        *is_subset = value != NULL;
        if (value != NULL)
            TRY(subset_of(call, value, sub->pairs[i].value, is_subset));
    }
    return LETHE_OK;
}

static lethe_result subset_of_set(struct builtin_call *call, const struct value *super,
                                  const struct value *sub, bool *is_subset)
{
    TRY(builtin_spend_value(call, sub));
    *is_subset = sub->count <= super->count;
    for (uint32_t i = 0; i < sub->count && *is_subset; i++)
        *is_subset = value_get(super, sub->items[i]) != NULL;
    return LETHE_OK;
}

static lethe_result starts_at(struct builtin_call *call, const struct value *super, uint32_t at,
                              const struct value *sub, bool *matches)
{
    *matches = true;
    for (uint32_t i = 0; i < sub->count && *matches; i++) {
        TRY(builtin_spend_value(call, sub->items[i]));
        *matches = value_equal(super->items[at + i], sub->items[i]);
    }
    return LETHE_OK;
}

/* The elements of `sub` are in `super` one behind the other. */
static lethe_result subset_of_array(struct builtin_call *call, const struct value *super,
                                    const struct value *sub, bool *is_subset)
{
    *is_subset = sub->count == 0;
    for (uint32_t at = 0; !*is_subset && (uint64_t)at + sub->count <= super->count; at++)
        TRY(starts_at(call, super, at, sub, is_subset));
    return LETHE_OK;
}

/* As deep as values are. */
static lethe_result subset_of(struct builtin_call *call, const struct value *super,
                              const struct value *sub, bool *is_subset)
{
    if (super->kind == VALUE_OBJECT && sub->kind == VALUE_OBJECT)
        return subset_of_object(call, super, sub, is_subset);
    if (super->kind == VALUE_SET && sub->kind == VALUE_SET)
        return subset_of_set(call, super, sub, is_subset);
    if (super->kind == VALUE_ARRAY && sub->kind == VALUE_ARRAY)
        return subset_of_array(call, super, sub, is_subset);
    TRY(builtin_spend_value(call, sub));
    *is_subset = value_equal(super, sub);
    return LETHE_OK;
}

/* Each element of the set `sub` is somewhere in the array `super`. */
static lethe_result set_in_array(struct builtin_call *call, const struct value *super,
                                 const struct value *sub, const struct value **out)
{
    struct value_list list;
    bool is_subset;
    TRY(builtin_spend_value(call, super));
    if (!builtin_list(call, super->count, &list))
        return builtin_failed(call);
    for (; list.count < super->count; list.count++)
        list.items[list.count] = super->items[list.count];
    const struct value *set = value_set(call->arena, &list);
    if (set == NULL)
        return builtin_failed(call);
    TRY(subset_of_set(call, set, sub, &is_subset));
    return builtin_value(call, value_boolean(is_subset), out);
}

static lethe_result subset(struct builtin_call *call, const struct value *const *operands,
                           const struct value **out)
{
    const struct value *super = operands[0], *sub = operands[1];
    bool is_subset;
    if (super->kind == VALUE_ARRAY && sub->kind == VALUE_SET)
        return set_in_array(call, super, sub, out);
    if (super->kind != sub->kind || super->kind < VALUE_ARRAY)
        return builtin_fail(
            call, BUILTIN_TYPE_ERROR,
            "both arguments object.subset must be of the same type or array and set");
    TRY(subset_of(call, super, sub, &is_subset));
    return builtin_value(call, value_boolean(is_subset), out);
}

static const struct builtin table[] = {
    {.name = "object.subset", .arity = 2, .call = subset},
};

BUILTIN_FAMILY(subset, table);
