#include "rego_shuffle.h"

#include <stdlib.h>

/* SplitMix64. */
static size_t draw(uint64_t *state, size_t bound)
{
    uint64_t mixed = *state += 0x9e3779b97f4a7c15;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    return (size_t)((mixed ^ (mixed >> 31)) % bound);
}

void shuffle_indexes(uint64_t *state, size_t *indexes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t other = draw(state, i + 1);
        indexes[i] = indexes[other];
        indexes[other] = i;
    }
}

static void print_array(const struct value *array, uint64_t *state, struct buffer *out)
{
    buffer_byte(out, '[');
    for (uint32_t i = 0; i < array->count; i++) {
        if (i > 0)
            buffer_byte(out, ',');
        shuffle_print_json(array->items[i], state, out);
    }
    buffer_byte(out, ']');
}

static void print_object(const struct value *object, uint64_t *state, struct buffer *out)
{
    CLEANUP(memory_free) size_t *order = calloc(object->count + 1, sizeof *order);
    REQUIRE(order != NULL);
    shuffle_indexes(state, order, object->count);
    buffer_byte(out, '{');
    for (uint32_t i = 0; i < object->count; i++) {
        const struct value_pair *pair = &object->pairs[order[i]];
        if (i > 0)
            buffer_byte(out, ',');
        value_print_json(pair->key, out);
        buffer_byte(out, ':');
        shuffle_print_json(pair->value, state, out);
    }
    buffer_byte(out, '}');
}

void shuffle_print_json(const struct value *value, uint64_t *state, struct buffer *out)
{
    if (value_is(value, VALUE_OBJECT))
        print_object(value, state, out);
    else if (value_is(value, VALUE_ARRAY))
        print_array(value, state, out);
    else
        value_print_json(value, out);
}
