/* policy/builtin_bits.c -- bits.*: of integers in two's complement of any width */
#include "policy/builtin_work.h"

/* OPA has words of its own here: "integer" for other kinds, "integer number" for fractions. */
static lethe_result check_integer(struct builtin_call *call, unsigned n,
                                  const struct value *operand)
{
    if (!value_is(operand, VALUE_NUMBER))
        return builtin_fail_operand(call, n, "integer", operand);
    return builtin_whole(call, n, operand);
}

static lethe_result give_number(struct builtin_call *call, bool computed,
                                const struct number *number, const struct value **out)
{
    if (!computed && call->arena->failure == LETHE_OK)
        return builtin_fail(call, BUILTIN_ERROR, "the result has more than %d digits",
                            NUMBER_DIGITS_MAX);
    return builtin_value(call, computed ? value_number(call->arena, number) : NULL, out);
}

static lethe_result of_two(struct builtin_call *call, const struct value *const *operands,
                           number_operation operation, const struct value **out)
{
    struct number number;
    TRY(check_integer(call, 1, operands[0]));
    TRY(check_integer(call, 2, operands[1]));
    TRY(builtin_spend(call, NUMBER_DIGITS_MAX / 64));
    bool computed = operation(call->arena, &operands[0]->number, &operands[1]->number, &number);
    return give_number(call, computed, &number, out);
}

static lethe_result shift(struct builtin_call *call, const struct value *const *operands,
                          number_operation operation, const struct value **out)
{
    const struct number zero = number_small(0);
    TRY(check_integer(call, 1, operands[0]));
    TRY(check_integer(call, 2, operands[1]));
    if (number_compare(&operands[1]->number, &zero) < 0)
        return builtin_fail(
            call, BUILTIN_TYPE_ERROR,
            "operand 2 must be an unsigned integer number but got a negative integer");
    return of_two(call, operands, operation, out);
}

static lethe_result bits_and(struct builtin_call *call, const struct value *const *operands,
                             const struct value **out)
{
    return of_two(call, operands, number_bits_and, out);
}

static lethe_result bits_or(struct builtin_call *call, const struct value *const *operands,
                            const struct value **out)
{
    return of_two(call, operands, number_bits_or, out);
}

static lethe_result bits_xor(struct builtin_call *call, const struct value *const *operands,
                             const struct value **out)
{
    return of_two(call, operands, number_bits_xor, out);
}

static lethe_result bits_lsh(struct builtin_call *call, const struct value *const *operands,
                             const struct value **out)
{
    return shift(call, operands, number_shift_left, out);
}

static lethe_result bits_rsh(struct builtin_call *call, const struct value *const *operands,
                             const struct value **out)
{
    return shift(call, operands, number_shift_right, out);
}

static lethe_result bits_negate(struct builtin_call *call, const struct value *const *operands,
                                const struct value **out)
{
    struct number number;
    TRY(check_integer(call, 1, operands[0]));
    TRY(builtin_spend(call, NUMBER_DIGITS_MAX / 64));
    bool computed = number_bits_negate(call->arena, &operands[0]->number, &number);
    return give_number(call, computed, &number, out);
}

static const struct builtin table[] = {
    {.name = "bits.and", .arity = 2, .call = bits_and},
    {.name = "bits.lsh", .arity = 2, .call = bits_lsh},
    {.name = "bits.negate", .arity = 1, .call = bits_negate},
    {.name = "bits.or", .arity = 2, .call = bits_or},
    {.name = "bits.rsh", .arity = 2, .call = bits_rsh},
    {.name = "bits.xor", .arity = 2, .call = bits_xor},
};
BUILTIN_FAMILY(bits, table);
