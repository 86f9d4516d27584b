/* policy/builtin_sets.c -- what several sets have in common, or have together. */
#include "policy/builtin_work.h"

static lethe_result common(struct builtin_call *call, const struct value *a, const struct value *b,
                           const struct value **out)
{
    const struct value *smaller = a->count <= b->count ? a : b;
    const struct value *larger = smaller == a ? b : a;
    struct value_list list;
    TRY(builtin_spend_value(call, smaller));
    if (!builtin_list(call, smaller->count, &list))
        return builtin_failed(call);
    for (uint32_t i = 0; i < smaller->count; i++)
        if (value_get(larger, smaller->items[i]) != NULL)
            list.items[list.count++] = smaller->items[i];
    return builtin_value(call, value_set(call->arena, &list), out);
}

static lethe_result together(struct builtin_call *call, const struct value *const *sets,
                             size_t set_count, const struct value **out)
{
    struct value_list list;
    uint64_t count = 0;
    for (size_t i = 0; i < set_count; i++) {
        TRY(builtin_spend_value(call, sets[i]));
        count += sets[i]->count;
    }
    if (!builtin_list(call, count, &list))
        return builtin_failed(call);
    for (size_t i = 0; i < set_count; i++)
        for (uint32_t j = 0; j < sets[i]->count; j++)
            list.items[list.count++] = sets[i]->items[j];
    return builtin_value(call, value_set(call->arena, &list), out);
}

static lethe_result set_and(struct builtin_call *call, const struct value *const *operands,
                            const struct value **out)
{
    return common(call, operands[0], operands[1], out);
}

static lethe_result set_or(struct builtin_call *call, const struct value *const *operands,
                           const struct value **out)
{
    return together(call, operands, 2, out);
}

/* Every element of operand 1 is a set, or the call fails. */
static lethe_result all_sets(struct builtin_call *call, const struct value *sets)
{
    TRY(builtin_spend(call, sets->count));
    for (uint32_t i = 0; i < sets->count; i++)
        if (sets->items[i]->kind != VALUE_SET)
            return builtin_fail_operand(call, 1, "set", sets->items[i]);
    return LETHE_OK;
}

static lethe_result intersection(struct builtin_call *call, const struct value *const *operands,
                                 const struct value **out)
{
    const struct value *sets = operands[0];
    const struct value *result = sets->count > 0 ? sets->items[0] : &value_empty_set;
    TRY(all_sets(call, sets));
    for (uint32_t i = 1; i < sets->count; i++)
        TRY(common(call, result, sets->items[i], &result));
    return builtin_value(call, result, out);
}

static lethe_result union_of(struct builtin_call *call, const struct value *const *operands,
                             const struct value **out)
{
    TRY(all_sets(call, operands[0]));
    return together(call, operands[0]->items, operands[0]->count, out);
}

static const struct builtin table[] = {
    {.name = "and", .arity = 2, .operand_kinds = {KIND(SET), KIND(SET)}, .call = set_and},
    {.name = "or", .arity = 2, .operand_kinds = {KIND(SET), KIND(SET)}, .call = set_or},
    {.name = "intersection", .arity = 1, .operand_kinds = {KIND(SET)}, .call = intersection},
    {.name = "union", .arity = 1, .operand_kinds = {KIND(SET)}, .call = union_of},
};

BUILTIN_FAMILY(sets, table);
