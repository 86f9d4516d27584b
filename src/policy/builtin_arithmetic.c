/* policy/builtin_arithmetic.c -- operators on numbers; minus is also the difference of sets. */
#include "policy/builtin_work.h"

static lethe_result binary(struct builtin_call *call, const struct value *const *operands,
                           number_operation operation, const struct value **out)
{
    struct number result;
    TRY(builtin_spend(call, 1));
    bool done = operation(call->arena, &operands[0]->number, &operands[1]->number, &result);
    return builtin_number(call, done, &result, out);
}

static lethe_result plus(struct builtin_call *call, const struct value *const *operands,
                         const struct value **out)
{
    return binary(call, operands, number_add, out);
}

static lethe_result difference(struct builtin_call *call, const struct value *from,
                               const struct value *without, const struct value **out)
{
    struct value_list left;
    TRY(builtin_spend_value(call, from));
    if (!builtin_list(call, from->count, &left))
        return builtin_failed(call);
    for (uint32_t i = 0; i < from->count; i++)
        if (value_get(without, from->items[i]) == NULL)
            left.items[left.count++] = from->items[i];
    return builtin_value(call, value_set(call->arena, &left), out);
}

static lethe_result minus(struct builtin_call *call, const struct value *const *operands,
                          const struct value **out)
{
    if (operands[0]->kind != operands[1]->kind)
        return builtin_fail_operand(call, 2, value_kind_name(operands[0]->kind), operands[1]);
    if (operands[0]->kind == VALUE_SET)
        return difference(call, operands[0], operands[1], out);
    return binary(call, operands, number_subtract, out);
}

static lethe_result set_diff(struct builtin_call *call, const struct value *const *operands,
                             const struct value **out)
{
    return difference(call, operands[0], operands[1], out);
}

static lethe_result mul(struct builtin_call *call, const struct value *const *operands,
                        const struct value **out)
{
    return binary(call, operands, number_multiply, out);
}

static bool is_zero(const struct number *number)
{
    return number->form == NUMBER_SMALL && number->small == 0;
}

static lethe_result divide(struct builtin_call *call, const struct value *const *operands,
                           const struct value **out)
{
    if (is_zero(&operands[1]->number))
        return builtin_fail(call, BUILTIN_ERROR, "divide by zero");
    return binary(call, operands, number_divide, out);
}

static lethe_result rem(struct builtin_call *call, const struct value *const *operands,
                        const struct value **out)
{
    if (!number_is_integer(&operands[0]->number) || !number_is_integer(&operands[1]->number))
        return builtin_fail(call, BUILTIN_ERROR, "modulo on floating-point number");
    if (is_zero(&operands[1]->number))
        return builtin_fail(call, BUILTIN_ERROR, "modulo by zero");
    return binary(call, operands, number_remainder, out);
}

static lethe_result unary(struct builtin_call *call, const struct value *operand,
                          bool (*operation)(struct arena *, const struct number *, struct number *),
                          const struct value **out)
{
    struct number result;
    TRY(builtin_spend(call, 1));
    bool done = operation(call->arena, &operand->number, &result);
    return builtin_number(call, done, &result, out);
}

static lethe_result absolute(struct builtin_call *call, const struct value *const *operands,
                             const struct value **out)
{
    return unary(call, operands[0], number_abs, out);
}

static lethe_result round_half(struct builtin_call *call, const struct value *const *operands,
                               const struct value **out)
{
    return unary(call, operands[0], number_round, out);
}

static lethe_result round_up(struct builtin_call *call, const struct value *const *operands,
                             const struct value **out)
{
    return unary(call, operands[0], number_ceil, out);
}

static lethe_result round_down(struct builtin_call *call, const struct value *const *operands,
                               const struct value **out)
{
    return unary(call, operands[0], number_floor, out);
}

#define NUMBERS                                                                                    \
    {                                                                                              \
        KIND(NUMBER), KIND(NUMBER)                                                                 \
    }
#define NUMBER_OR_SET (KIND(NUMBER) | KIND(SET))
static const struct builtin table[] = {
    {.name = "plus", .arity = 2, .operand_kinds = NUMBERS, .call = plus},
    {.name = "minus", .arity = 2, .operand_kinds = {NUMBER_OR_SET}, .call = minus},
    {.name = "mul", .arity = 2, .operand_kinds = NUMBERS, .call = mul},
    {.name = "div", .arity = 2, .operand_kinds = NUMBERS, .call = divide},
    {.name = "rem", .arity = 2, .operand_kinds = NUMBERS, .call = rem},
    {.name = "abs", .arity = 1, .operand_kinds = {KIND(NUMBER)}, .call = absolute},
    {.name = "round", .arity = 1, .operand_kinds = {KIND(NUMBER)}, .call = round_half},
    {.name = "ceil", .arity = 1, .operand_kinds = {KIND(NUMBER)}, .call = round_up},
    {.name = "floor", .arity = 1, .operand_kinds = {KIND(NUMBER)}, .call = round_down},
    {.name = "set_diff",
     .arity = 2,
     .flags = BUILTIN_V0,
     .operand_kinds = {KIND(SET), KIND(SET)},
     .call = set_diff},
};

BUILTIN_FAMILY(arithmetic, table);
