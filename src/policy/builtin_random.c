/* policy/builtin_random.c -- rand.intn */
#include "policy/builtin.h"

static const struct random_source *random_of(const struct builtin_call *call)
{
    return call->world->random != NULL ? call->world->random : &random_system;
}

/* Every number below `bound` is equally likely: draws that would favour the smaller ones are
 * thrown away. */
static lethe_result random_below(struct builtin_call *call, uint64_t bound, uint64_t *out)
{
    uint64_t uneven = -bound % bound; /* 2^64 mod bound */
    uint64_t drawn = 0;
    do {
        TRY(builtin_spend(call, 16));
        if (random_fill(random_of(call), &drawn, sizeof drawn) != LETHE_OK)
            return builtin_fail(call, BUILTIN_ERROR, "the system has no randomness to give");
    } while (drawn < uneven);
    *out = drawn % bound;
    return LETHE_OK;
}

/* operands: a name for the draw, and a bound of which the sign does not matter */
static lethe_result rand_intn(struct builtin_call *call, const struct value *const *operands,
                              const struct value **out)
{
    int64_t bound;
    uint64_t drawn = 0;
    TRY(builtin_integer(call, 2, operands[1], &bound));
    if (bound == 0)
        return builtin_value(call, value_small(call->arena, 0), out);
    TRY(random_below(call, bound < 0 ? -(uint64_t)bound : (uint64_t)bound, &drawn));
    return builtin_value(call, value_small(call->arena, (int64_t)drawn), out);
}

static const struct builtin table[] = {
    {.name = "rand.intn",
     .arity = 2,
     .flags = BUILTIN_VARIES,
     .operand_kinds = {KIND(STRING), KIND(NUMBER)},
     .call = rand_intn},
};
BUILTIN_FAMILY(random, table);
