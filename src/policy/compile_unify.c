#include "policy/compile_state.h"

#define PAIR_KEYS_MAX 64 /* objects with more keys are not taken apart here */

/* The core expression that a generated variable is the out of, when nothing else has used it yet.
 */
static struct core *definer(struct compiler *c, const struct pattern *pattern)
{
    if (pattern->kind != PATTERN_VARIABLE)
        return NULL;
    struct variable *variable = &c->frame.variables[pattern->variable];
    struct core *core = variable->definer;
    variable->definer = NULL;
    return core;
}

static void unify_values(struct compiler *c, const struct pattern *a, const struct pattern *b,
                         struct place place)
{
    if (value_equal(a->constant, b->constant))
        return;
    struct core *never = core_add(c, CORE_TRUE, place, 1);
    if (never != NULL)
        never->operands[0] = pattern_constant(c, &value_false);
}

static void core_add_pair(struct compiler *c, enum core_kind kind, const struct pattern *a,
                          const struct pattern *b, struct place place)
{
    struct core *core = core_add(c, kind, place, 2);
    if (core == NULL)
        return;
    core->operands[0] = a;
    core->operands[1] = b;
}

/* ---- arrays ---- */

static bool array_count(const struct pattern *pattern, size_t *count)
{
    *count = pattern->kind == PATTERN_ARRAY ? pattern->count : 0;
    if (pattern->kind == PATTERN_CONSTANT && value_is(pattern->constant, VALUE_ARRAY))
        *count = pattern->constant->count;
    else if (pattern->kind != PATTERN_ARRAY)
        return false;
    return true;
}

static const struct pattern *array_item(struct compiler *c, const struct pattern *pattern, size_t i)
{
    return pattern->kind == PATTERN_ARRAY ? pattern->items[i]
                                          : pattern_constant(c, pattern->constant->items[i]);
}

/* Of different lengths nothing is bound: whatever is in them has to be known otherwise. */
static bool unify_arrays(struct compiler *c, const struct pattern *a, const struct pattern *b,
                         struct place place)
{
    size_t a_count, b_count;
    if (!array_count(a, &a_count) || !array_count(b, &b_count))
        return false;
    if (a_count != b_count) {
        core_add_pair(c, CORE_EQUAL, a, b, place);
        return true;
    }
    for (size_t i = 0; i < a_count; i++)
        core_unify(c, array_item(c, a, i), array_item(c, b, i), place);
    return true;
}

/* ---- objects ---- */

static const struct pattern *object_value(struct compiler *c, const struct pattern *pattern,
                                          const struct value *key)
{
    if (pattern->kind == PATTERN_CONSTANT) {
        const struct value *value = value_get(pattern->constant, key);
        return value == NULL ? NULL : pattern_constant(c, value);
    }
    for (size_t i = 0; i < pattern->count; i += 2)
        if (value_equal(pattern->items[i]->constant, key))
            return pattern->items[i + 1];
    return NULL;
}

static bool has_constant_keys(const struct pattern *pattern)
{
    if (pattern->kind != PATTERN_OBJECT || pattern->count > 2 * PAIR_KEYS_MAX)
        return false;
    for (size_t i = 0; i < pattern->count; i += 2) {
        if (pattern->items[i] == NULL || pattern->items[i]->kind != PATTERN_CONSTANT)
            return false;
        for (size_t j = 0; j < i; j += 2)
            if (value_equal(pattern->items[j]->constant, pattern->items[i]->constant))
                return false;
    }
    return true;
}

/* `a` is an object with constant keys, `b` is one or a constant. */
static bool unify_objects(struct compiler *c, const struct pattern *a, const struct pattern *b,
                          struct place place)
{
    size_t keys = b->kind == PATTERN_OBJECT ? b->count / 2
                  : b->kind == PATTERN_CONSTANT && value_is(b->constant, VALUE_OBJECT)
                      ? b->constant->count
                      : SIZE_MAX;
    if (!has_constant_keys(a) || keys != a->count / 2 ||
        (b->kind == PATTERN_OBJECT && !has_constant_keys(b)))
        return false;
    for (size_t i = 0; i < a->count; i += 2)
        if (object_value(c, b, a->items[i]->constant) == NULL)
            return false;
    for (size_t i = 0; i < a->count; i += 2)
        core_unify(c, a->items[i + 1], object_value(c, b, a->items[i]->constant), place);
    return true;
}

void core_unify(struct compiler *c, const struct pattern *a, const struct pattern *b,
                struct place place)
{
    if (a == NULL || b == NULL || compile_failed(c))
        return;
    struct core *core = definer(c, b);
    if (core != NULL) {
        core->out = a;
        return;
    }
    core = definer(c, a);
    if (core != NULL) {
        core->out = b;
        return;
    }
    if (a->kind == PATTERN_CONSTANT && b->kind == PATTERN_CONSTANT)
        unify_values(c, a, b, place);
    else if (!unify_arrays(c, a, b, place) && !unify_objects(c, a, b, place) &&
             !unify_objects(c, b, a, place))
        core_add_pair(c, CORE_UNIFY, a, b, place);
}
