#include "policy/evaluate_equal.h"

#include <string.h>

#define STRING_BYTES_PER_STEP 256

static lethe_result equal_strings(struct builtin_meter *meter, const struct value *a,
                                  const struct value *b, bool *equal)
{
    *equal = memcmp(a->string, b->string, a->count) == 0;
    return meter_spend(meter, a->count / STRING_BYTES_PER_STEP);
}

static lethe_result equal_items(struct builtin_meter *meter, const struct value *a,
                                const struct value *b, bool *equal)
{
    for (uint32_t i = 0; i < a->count && *equal; i++)
        TRY(metered_equal(meter, a->items[i], b->items[i], equal));
    return LETHE_OK;
}

static lethe_result equal_pairs(struct builtin_meter *meter, const struct value *a,
                                const struct value *b, bool *equal)
{
    for (uint32_t i = 0; i < a->count && *equal; i++) {
        TRY(metered_equal(meter, a->pairs[i].key, b->pairs[i].key, equal));
        if (*equal)
            TRY(metered_equal(meter, a->pairs[i].value, b->pairs[i].value, equal));
    }
    return LETHE_OK;
}

/* The recursion is as deep as the values, VALUE_DEPTH_MAX. */
lethe_result metered_equal(struct builtin_meter *meter, const struct value *a,
                           const struct value *b, bool *equal)
{
    *equal = a == b;
    if (a == b || a->kind != b->kind || a->depth != b->depth || a->count != b->count)
        return LETHE_OK;
    if (a->kind < VALUE_STRING) {
        *equal = value_compare(a, b) == 0;
        return LETHE_OK;
    }
    if (a->kind == VALUE_STRING)
        return equal_strings(meter, a, b, equal);
    TRY(meter_spend(meter, 1 + (uint64_t)a->count));
    *equal = true;
    if (a->kind == VALUE_OBJECT)
        return equal_pairs(meter, a, b, equal);
    return equal_items(meter, a, b, equal);
}
