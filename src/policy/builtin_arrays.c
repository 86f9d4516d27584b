/* policy/builtin_arrays.c -- arrays made of arrays. */
#include "policy/builtin_work.h"
#include "policy/value_make.h"

static void append_all(struct value_list *list, const struct value *array)
{
    for (uint32_t i = 0; i < array->count; i++)
        list->items[list->count++] = array->items[i];
}

static lethe_result concat(struct builtin_call *call, const struct value *const *operands,
                           const struct value **out)
{
    struct value_list joined;
    size_t count = (size_t)operands[0]->count + operands[1]->count;
    TRY(builtin_spend(call, count));
    if (!builtin_list(call, count, &joined))
        return builtin_failed(call);
    append_all(&joined, operands[0]);
    append_all(&joined, operands[1]);
    return builtin_value(call, value_array(call->arena, &joined), out);
}

/* Bounds outside of the array are those of the array; none are left when stop is before start. */
static lethe_result slice(struct builtin_call *call, const struct value *const *operands,
                          const struct value **out)
{
    int64_t start, stop;
    TRY(builtin_integer(call, 2, operands[1], &start));
    TRY(builtin_integer(call, 3, operands[2], &stop));
    start = MAX(start, 0);
    stop = MIN(stop, (int64_t)operands[0]->count);
    size_t count = stop > start ? (size_t)(stop - start) : 0;
    TRY(builtin_spend(call, 1 + count));
    if (count == 0)
        return builtin_value(call, &value_empty_array, out);
    return builtin_value(call, value_array_of(call->arena, &operands[0]->items[start], count), out);
}

static lethe_result reverse(struct builtin_call *call, const struct value *const *operands,
                            const struct value **out)
{
    const struct value *array = operands[0];
    struct value_list reversed;
    TRY(builtin_spend(call, array->count));
    if (!builtin_list(call, array->count, &reversed))
        return builtin_failed(call);
    for (uint32_t left = array->count; left > 0; left--)
        reversed.items[reversed.count++] = array->items[left - 1];
    return builtin_value(call, value_array(call->arena, &reversed), out);
}

/* One level: arrays in the array are replaced by their elements. */
static lethe_result flatten(struct builtin_call *call, const struct value *const *operands,
                            const struct value **out)
{
    const struct value *array = operands[0];
    size_t count = 0;
    TRY(builtin_spend(call, array->count));
    for (uint32_t i = 0; i < array->count; i++)
        count += array->items[i]->kind == VALUE_ARRAY ? array->items[i]->count : 1;
    struct value_list flat;
    TRY(builtin_spend(call, count));
    if (!builtin_list(call, count, &flat))
        return builtin_failed(call);
    for (uint32_t i = 0; i < array->count; i++) {
        if (array->items[i]->kind == VALUE_ARRAY)
            append_all(&flat, array->items[i]);
        else
            flat.items[flat.count++] = array->items[i];
    }
    return builtin_value(call, value_array(call->arena, &flat), out);
}

static const struct builtin table[] = {
    {.name = "array.concat",
     .arity = 2,
     .operand_kinds = {KIND(ARRAY), KIND(ARRAY)},
     .call = concat},
    {.name = "array.slice",
     .arity = 3,
     .operand_kinds = {KIND(ARRAY), KIND(NUMBER), KIND(NUMBER)},
     .call = slice},
    {.name = "array.reverse", .arity = 1, .operand_kinds = {KIND(ARRAY)}, .call = reverse},
    {.name = "array.flatten", .arity = 1, .operand_kinds = {KIND(ARRAY)}, .call = flatten},
};

BUILTIN_FAMILY(arrays, table);
