#include <string.h>

#include "policy/value.h"

static int compare_sizes(size_t a, size_t b)
{
    return (a > b) - (a < b);
}

static int compare_strings(const struct value *a, const struct value *b)
{
    int order = memcmp(a->string, b->string, MIN(a->count, b->count));
    return order != 0 ? order : compare_sizes(a->count, b->count);
}

static int compare_items(const struct value *a, const struct value *b)
{
    size_t common = MIN(a->count, b->count);
    for (size_t i = 0; i < common; i++) {
        int order = value_compare(a->items[i], b->items[i]);
        if (order != 0)
            return order;
    }
    return compare_sizes(a->count, b->count);
}

/* Pair by pair: the first key or value that differs decides. */
static int compare_pairs(const struct value *a, const struct value *b)
{
    size_t common = MIN(a->count, b->count);
    for (size_t i = 0; i < common; i++) {
        int order = value_compare(a->pairs[i].key, b->pairs[i].key);
        if (order == 0)
            order = value_compare(a->pairs[i].value, b->pairs[i].value);
        if (order != 0)
            return order;
    }
    return compare_sizes(a->count, b->count);
}

/* The recursion is as deep as the values, VALUE_DEPTH_MAX. */
int value_compare(const struct value *a, const struct value *b)
{
    if (a == b)
        return 0;
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    switch ((enum value_kind)a->kind) {
    case VALUE_NULL:
        return 0;
    case VALUE_BOOLEAN:
        return (int)a->boolean - (int)b->boolean;
    case VALUE_NUMBER:
        return number_compare(&a->number, &b->number);
    case VALUE_STRING:
        return compare_strings(a, b);
    case VALUE_OBJECT:
        return compare_pairs(a, b);
    case VALUE_ARRAY:
    case VALUE_SET:
        break;
    }
    return compare_items(a, b);
}

static const struct value *get_index(const struct value *array, const struct value *key)
{
    int64_t index;
    if (key->kind != VALUE_NUMBER || !number_to_int64(&key->number, &index))
        return NULL;
    return index >= 0 && index < (int64_t)array->count ? array->items[index] : NULL;
}

/* Most keys are strings. */
static inline int compare_keys(const struct value *a, const struct value *b)
{
    return a->kind == VALUE_STRING && b->kind == VALUE_STRING ? compare_strings(a, b)
                                                              : value_compare(a, b);
}

static const struct value *get_member(const struct value *set, const struct value *key)
{
    for (size_t low = 0, high = set->count; low < high;) {
        size_t middle = low + (high - low) / 2;
        int order = compare_keys(key, set->items[middle]);
        if (order == 0)
            return set->items[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

static const struct value *get_pair(const struct value *object, const struct value *key)
{
    for (size_t low = 0, high = object->count; low < high;) {
        size_t middle = low + (high - low) / 2;
        int order = compare_keys(key, object->pairs[middle].key);
        if (order == 0)
            return object->pairs[middle].value;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const struct value *value_get(const struct value *container, const struct value *key)
{
    switch ((enum value_kind)container->kind) {
    case VALUE_ARRAY:
        return get_index(container, key);
    case VALUE_OBJECT:
        return get_pair(container, key);
    case VALUE_SET:
        return get_member(container, key);
    case VALUE_NULL:
    case VALUE_BOOLEAN:
    case VALUE_NUMBER:
    case VALUE_STRING:
        break;
    }
    return NULL;
}

const struct value *value_get_text(const struct value *object, const char *key)
{
    if (object->kind != VALUE_OBJECT)
        return NULL;
    size_t length = strlen(key);
    if (length > UINT32_MAX)
        return NULL;
    struct value text = {.kind = VALUE_STRING, .count = (uint32_t)length, .string = key};
    return get_pair(object, &text);
}

bool value_is_text(const struct value *value, const char *text)
{
    return value->kind == VALUE_STRING && value->count == strlen(text) &&
           memcmp(value->string, text, value->count) == 0;
}
