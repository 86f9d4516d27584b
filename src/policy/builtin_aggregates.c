/* policy/builtin_aggregates.c -- one value from all elements of a collection. */
#include "policy/builtin_work.h"
#include "policy/runes.h"
#include "policy/value_sort.h"

static lethe_result count(struct builtin_call *call, const struct value *const *operands,
                          const struct value **out)
{
    const struct value *collection = operands[0];
    if (collection->kind != VALUE_STRING)
        return builtin_value(call, value_small(call->arena, collection->count), out);
    TRY(builtin_spend(call, collection->count / WORK_BYTES_PER_STEP));
    size_t runes = runes_in(collection->string, collection->count);
    return builtin_value(call, value_small(call->arena, (int64_t)runes), out);
}

static lethe_result accumulate(struct builtin_call *call, const struct value *numbers,
                               number_operation operation, int64_t start, const struct value **out)
{
    struct number total = number_small(start);
    TRY(builtin_elements(call, 1, numbers, VALUE_NUMBER));
    for (uint32_t i = 0; i < numbers->count; i++) {
        TRY(builtin_spend(call, 1));
        struct number next;
        if (!operation(call->arena, &total, &numbers->items[i]->number, &next))
            return builtin_number(call, false, NULL, out);
        total = next;
    }
    return builtin_number(call, true, &total, out);
}

static lethe_result sum(struct builtin_call *call, const struct value *const *operands,
                        const struct value **out)
{
    return accumulate(call, operands[0], number_add, 0, out);
}

static lethe_result product(struct builtin_call *call, const struct value *const *operands,
                            const struct value **out)
{
    return accumulate(call, operands[0], number_multiply, 1, out);
}

/* The element that none is before, in the direction `sign`; a set is sorted already. */
static lethe_result extreme(struct builtin_call *call, const struct value *collection, int sign,
                            const struct value **out)
{
    if (collection->count == 0)
        return builtin_undefined(out);
    if (collection->kind == VALUE_SET)
        return builtin_value(call, collection->items[sign < 0 ? 0 : collection->count - 1], out);
    TRY(builtin_spend_value(call, collection));
    const struct value *best = collection->items[0];
    for (uint32_t i = 1; i < collection->count; i++)
        if (value_compare(collection->items[i], best) * sign > 0)
            best = collection->items[i];
    return builtin_value(call, best, out);
}

static lethe_result max(struct builtin_call *call, const struct value *const *operands,
                        const struct value **out)
{
    return extreme(call, operands[0], 1, out);
}

static lethe_result min(struct builtin_call *call, const struct value *const *operands,
                        const struct value **out)
{
    return extreme(call, operands[0], -1, out);
}

static unsigned bits_of(uint32_t n)
{
    return n == 0 ? 0 : 32 - (unsigned)__builtin_clz(n);
}

/* Every element is compared about as often as the number of elements has bits. */
static lethe_result sort(struct builtin_call *call, const struct value *const *operands,
                         const struct value **out)
{
    const struct value *collection = operands[0];
    struct value_list sorted;
    for (unsigned i = 0; collection->kind == VALUE_ARRAY && i < bits_of(collection->count); i++)
        TRY(builtin_spend_value(call, collection));
    TRY(builtin_spend(call, collection->count));
    if (!builtin_list(call, collection->count, &sorted))
        return builtin_failed(call);
    for (uint32_t i = 0; i < collection->count; i++)
        sorted.items[sorted.count++] = collection->items[i];
    if (collection->kind == VALUE_ARRAY &&
        !value_sort_items(call->arena, sorted.items, sorted.count))
        return builtin_failed(call);
    return builtin_value(call, value_array(call->arena, &sorted), out);
}

/* Whether an element is there that is true (`wanted`), or that is not. */
static lethe_result any_is(struct builtin_call *call, const struct value *collection, bool wanted,
                           bool *found)
{
    *found = false;
    if (collection->kind != VALUE_ARRAY && collection->kind != VALUE_SET)
        return builtin_fail_operand(call, 1, "one of {array, set}", collection);
    TRY(builtin_spend(call, collection->count));
    for (uint32_t i = 0; i < collection->count && !*found; i++)
        *found = value_equal(collection->items[i], &value_true) == wanted;
    return LETHE_OK;
}

static lethe_result all(struct builtin_call *call, const struct value *const *operands,
                        const struct value **out)
{
    bool other;
    TRY(any_is(call, operands[0], false, &other));
    return builtin_value(call, value_boolean(!other), out);
}

static lethe_result any(struct builtin_call *call, const struct value *const *operands,
                        const struct value **out)
{
    bool found;
    TRY(any_is(call, operands[0], true, &found));
    return builtin_value(call, value_boolean(found), out);
}

#define LIST (KIND(ARRAY) | KIND(SET))
#define COUNTABLE (KIND(STRING) | KIND(ARRAY) | KIND(SET) | KIND(OBJECT))
static const struct builtin table[] = {
    {.name = "count", .arity = 1, .operand_kinds = {COUNTABLE}, .call = count},
    {.name = "sum", .arity = 1, .operand_kinds = {LIST}, .call = sum},
    {.name = "product", .arity = 1, .operand_kinds = {LIST}, .call = product},
    {.name = "max", .arity = 1, .operand_kinds = {LIST}, .call = max},
    {.name = "min", .arity = 1, .operand_kinds = {LIST}, .call = min},
    {.name = "sort", .arity = 1, .operand_kinds = {LIST}, .call = sort},
    {.name = "all", .arity = 1, .flags = BUILTIN_V0, .call = all},
    {.name = "any", .arity = 1, .flags = BUILTIN_V0, .call = any},
};

BUILTIN_FAMILY(aggregates, table);
