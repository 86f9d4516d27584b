/* policy/builtin_numbers.c -- ranges, and integers as text. */
#include "policy/builtin_work.h"

/* From `first` by `step` until `last` is passed: upwards, or downwards when last is less. */
static lethe_result range(struct builtin_call *call, const struct value *const *bounds,
                          const struct number *step, const struct value **out)
{
    const struct number *last = &bounds[1]->number;
    struct number at = bounds[0]->number;
    bool up = number_compare(&at, last) <= 0;
    number_operation advance = up ? number_add : number_subtract;
    struct value_list list = {0};
    while (up ? number_compare(&at, last) <= 0 : number_compare(&at, last) >= 0) {
        struct number next;
        TRY(builtin_spend(call, 1));
        if (!value_list_append(call->arena, &list, value_number(call->arena, &at)))
            return builtin_failed(call);
        if (!advance(call->arena, &at, step, &next))
            return builtin_number(call, false, NULL, out);
        at = next;
    }
    return builtin_value(call, value_array(call->arena, &list), out);
}

static lethe_result numbers_range(struct builtin_call *call, const struct value *const *operands,
                                  const struct value **out)
{
    struct number one = number_small(1);
    TRY(builtin_whole(call, 1, operands[0]));
    TRY(builtin_whole(call, 2, operands[1]));
    return range(call, operands, &one, out);
}

static lethe_result numbers_range_step(struct builtin_call *call,
                                       const struct value *const *operands,
                                       const struct value **out)
{
    struct number zero = number_small(0);
    for (unsigned i = 0; i < 3; i++)
        TRY(builtin_whole(call, i + 1, operands[i]));
    if (number_compare(&operands[2]->number, &zero) <= 0)
        return builtin_fail(call, BUILTIN_ERROR, "step must be a positive integer");
    return range(call, operands, &operands[2]->number, out);
}

static lethe_result format_int(struct builtin_call *call, const struct value *const *operands,
                               const struct value **out)
{
    int64_t base;
    if (!number_to_int64(&operands[1]->number, &base) ||
        (base != 2 && base != 8 && base != 10 && base != 16))
        return builtin_fail(call, BUILTIN_TYPE_ERROR, "operand 2 must be one of {2, 8, 10, 16}");
    CLEANUP(buffer_clear) struct buffer text = {0};
    TRY(builtin_spend(call, 1));
    number_print_base(&operands[0]->number, (unsigned)base, &text);
    return builtin_text(call, &text, out);
}

static const struct builtin table[] = {
    {.name = "numbers.range",
     .arity = 2,
     .operand_kinds = {KIND(NUMBER), KIND(NUMBER)},
     .call = numbers_range},
    {.name = "numbers.range_step",
     .arity = 3,
     .operand_kinds = {KIND(NUMBER), KIND(NUMBER), KIND(NUMBER)},
     .call = numbers_range_step},
    {.name = "format_int",
     .arity = 2,
     .operand_kinds = {KIND(NUMBER), KIND(NUMBER)},
     .call = format_int},
};

BUILTIN_FAMILY(numbers, table);
