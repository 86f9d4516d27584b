/* policy/builtin_comparison.c -- comparing, and membership. */
#include "policy/builtin_work.h"

static bool is_collection(const struct value *value)
{
    return value->kind > VALUE_STRING;
}

/* Counts what comparing costs: at most the smaller of two collections of a kind is looked at. */
static lethe_result spend_compare(struct builtin_call *call, const struct value *a,
                                  const struct value *b)
{
    if (a == b || a->kind != b->kind)
        return builtin_spend(call, 1);
    const struct value *smaller = a->count < b->count ? a : b;
    if (is_collection(a))
        return builtin_spend_value(call, smaller);
    return builtin_spend(call,
                         a->kind == VALUE_STRING ? 1 + smaller->count / WORK_BYTES_PER_STEP : 1);
}

static lethe_result equals(struct builtin_call *call, const struct value *a, const struct value *b,
                           bool *equal)
{
    *equal = false;
    if (a->kind != b->kind || (is_collection(a) && a->count != b->count))
        return builtin_spend(call, 1);
    TRY(spend_compare(call, a, b));
    *equal = value_equal(a, b);
    return LETHE_OK;
}

static lethe_result equal(struct builtin_call *call, const struct value *const *operands,
                          const struct value **out)
{
    bool equal;
    TRY(equals(call, operands[0], operands[1], &equal));
    return builtin_value(call, value_boolean(equal), out);
}

static lethe_result neq(struct builtin_call *call, const struct value *const *operands,
                        const struct value **out)
{
    bool equal;
    TRY(equals(call, operands[0], operands[1], &equal));
    return builtin_value(call, value_boolean(!equal), out);
}

/* a < b; lte, gt and gte are made of it. */
static lethe_result before(struct builtin_call *call, const struct value *a, const struct value *b,
                           bool wanted, const struct value **out)
{
    TRY(spend_compare(call, a, b));
    return builtin_value(call, value_boolean((value_compare(a, b) < 0) == wanted), out);
}

static lethe_result lt(struct builtin_call *call, const struct value *const *operands,
                       const struct value **out)
{
    return before(call, operands[0], operands[1], true, out);
}

static lethe_result lte(struct builtin_call *call, const struct value *const *operands,
                        const struct value **out)
{
    return before(call, operands[1], operands[0], false, out);
}

static lethe_result gt(struct builtin_call *call, const struct value *const *operands,
                       const struct value **out)
{
    return before(call, operands[1], operands[0], true, out);
}

static lethe_result gte(struct builtin_call *call, const struct value *const *operands,
                        const struct value **out)
{
    return before(call, operands[0], operands[1], false, out);
}

static const struct value *element_at(const struct value *collection, uint32_t i)
{
    return collection->kind == VALUE_OBJECT ? collection->pairs[i].value : collection->items[i];
}

/* x in xs: an element of an array or set, or the value of a key. */
static lethe_result member(struct builtin_call *call, const struct value *const *operands,
                           const struct value **out)
{
    const struct value *collection = operands[1];
    if (collection->kind == VALUE_SET)
        return builtin_value(call, value_boolean(value_get(collection, operands[0]) != NULL), out);
    bool found = false;
    for (uint32_t i = 0; is_collection(collection) && i < collection->count && !found; i++)
        TRY(equals(call, operands[0], element_at(collection, i), &found));
    return builtin_value(call, value_boolean(found), out);
}

/* k, v in xs */
static lethe_result member_with_key(struct builtin_call *call, const struct value *const *operands,
                                    const struct value **out)
{
    bool found = false;
    const struct value *value =
        is_collection(operands[2]) ? value_get(operands[2], operands[0]) : NULL;
    if (value != NULL)
        TRY(equals(call, operands[1], value, &found));
    return builtin_value(call, value_boolean(found), out);
}

static const struct builtin table[] = {
    {.name = "equal", .arity = 2, .call = equal},
    {.name = "neq", .arity = 2, .call = neq},
    {.name = "lt", .arity = 2, .call = lt},
    {.name = "lte", .arity = 2, .call = lte},
    {.name = "gt", .arity = 2, .call = gt},
    {.name = "gte", .arity = 2, .call = gte},
    {.name = "internal.member_2", .arity = 2, .call = member},
    {.name = "internal.member_3", .arity = 3, .call = member_with_key},
};

BUILTIN_FAMILY(comparison, table);
