#include "policy/compile_state.h"

#include <string.h>

/* {x | x = term}: empty where the term is undefined, which may not make all of it undefined. */
static const struct pattern *wrap(struct compiler *c, const struct term *term)
{
    struct nest outer = body_enter(c);
    const struct pattern *element = term_lower(c, term);
    struct core *core = body_leave(c, outer, CORE_COLLECT, term->place, 1);
    if (core == NULL)
        return NULL;
    core->operands[0] = element;
    core->inner.kind = VALUE_SET;
    return core_define(c, core);
}

static const struct value *set_of(struct compiler *c, const struct value *element)
{
    struct value_list list = {0};
    return value_list_append(c->arena, &list, element) ? value_set(c->arena, &list) : NULL;
}

/* Calls a built-in with one operand: the array of these. */
static const struct pattern *call_with_array(struct compiler *c, const char *name,
                                             const struct pattern **items, size_t count,
                                             struct place place)
{
    const struct pattern **operands = patterns_new(c, 1);
    struct pattern *array = arena_zalloc(c->arena, 1, sizeof(*array));
    struct callee callee = {.builtin = builtin_find(name, strlen(name), false), .name = name};
    if (operands == NULL || array == NULL || items == NULL)
        return NULL;
    REQUIRE(callee.builtin != NULL);
    *array = (struct pattern){.kind = PATTERN_ARRAY, .items = items, .count = count};
    operands[0] = array;
    return call_value(c, &callee, operands, 1, place);
}

const struct pattern *template_lower(struct compiler *c, const struct term *term)
{
    size_t count = term->parts.count;
    const struct pattern **items = patterns_new(c, count);
    for (size_t i = 0; i < count && items != NULL; i++) {
        const struct term *part = term->parts.items[i];
        /* A set would be taken for what a part can be. */
        if (part->kind == TERM_VALUE)
            items[i] = pattern_constant(c, value_is(part->value, VALUE_SET) ? set_of(c, part->value)
                                                                            : part->value);
        else
            items[i] = wrap(c, part);
    }
    return call_with_array(c, "internal.template_string", items, count, term->place);
}

void print_lower(struct compiler *c, const struct term *term)
{
    size_t count = term->parts.count - 1;
    const struct pattern **items = patterns_new(c, count);
    for (size_t i = 0; i < count && items != NULL; i++) {
        const struct term *part = term->parts.items[i + 1];
        items[i] =
            part->kind == TERM_VALUE ? pattern_constant(c, set_of(c, part->value)) : wrap(c, part);
    }
    call_with_array(c, "internal.print", items, count, term->place);
}
