/* tests/policy/random_value.h -- values of all kinds, made by chance. */
#ifndef TESTS_POLICY_RANDOM_VALUE_H
#define TESTS_POLICY_RANDOM_VALUE_H

#include "check.h"

#include "chance.h"
#include "policy/value.h"

struct random_value_options {
    struct arena *arena;
    bool only_json; /* no sets, and keys that are strings */
};

static const struct value *random_scalar(struct arena *arena)
{
    static const char *const texts[] = {
        "", "a", "b", "ab", "\xc3\xa9", "\xf0\x9f\x98\x80", "\"\\\n", "<&>\xe2\x80\xa8"};
    struct number quotient, dividend = number_small((int64_t)chance(1000) - 500),
                            divisor = number_small((int64_t)chance(9) + 1);
    switch (chance(6)) {
    case 0:
        return &value_null;
    case 1:
        return value_boolean(chance(2) == 0);
    case 2:
        return value_small(arena, (int64_t)chance(5) - 2);
    case 3:
        return number_divide(arena, &dividend, &divisor, &quotient) ? value_number(arena, &quotient)
                                                                    : NULL;
    case 4:
        return value_string(arena, "a\0b", 3);
    default:
        return value_text(arena, texts[chance(ARRAY_LEN(texts))]);
    }
}

static const struct value *random_value(const struct random_value_options *options, unsigned depth);

static const struct value *random_list(const struct random_value_options *options, unsigned depth)
{
    struct value_list items = {0};
    bool is_set = !options->only_json && chance(2) == 0;
    for (size_t i = chance(5); i > 0; i--)
        value_list_append(options->arena, &items, random_value(options, depth - 1));
    return is_set ? value_set(options->arena, &items) : value_array(options->arena, &items);
}

static const struct value *random_object(const struct random_value_options *options, unsigned depth)
{
    struct value_pairs pairs = {0};
    for (size_t i = chance(5); i > 0; i--) {
        char name[8];
        snprintf(name, sizeof name, "k%zu", chance(20));
        const struct value *key = options->only_json ? value_text(options->arena, name)
                                                     : random_value(options, depth - 1);
        value_pairs_append(options->arena, &pairs, key, random_value(options, depth - 1));
    }
    return value_object(options->arena, &pairs, NULL);
}

static const struct value *random_value(const struct random_value_options *options, unsigned depth)
{
    size_t kind = depth == 0 ? 0 : chance(4);
    if (kind <= 1)
        return random_scalar(options->arena);
    return kind == 2 ? random_list(options, depth) : random_object(options, depth);
}

#endif
