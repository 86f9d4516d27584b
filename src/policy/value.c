#include "policy/value.h"

#include <string.h>

#include "base/validate.h"
#include "policy/value_make.h"
#include "policy/value_sort.h"

#define LIST_FIRST_CAPACITY 8

const struct value value_null = {.kind = VALUE_NULL};
const struct value value_true = {.kind = VALUE_BOOLEAN, .boolean = true};
const struct value value_false = {.kind = VALUE_BOOLEAN, .boolean = false};
const struct value value_empty_array = {.kind = VALUE_ARRAY, .depth = 1};
const struct value value_empty_object = {.kind = VALUE_OBJECT, .depth = 1};
const struct value value_empty_set = {.kind = VALUE_SET, .depth = 1};
const struct value value_empty_string = {.kind = VALUE_STRING, .string = ""};

const char *value_kind_name(enum value_kind kind)
{
    static const char *const names[VALUE_KIND_COUNT] = {
        [VALUE_NULL] = "null",     [VALUE_BOOLEAN] = "boolean", [VALUE_NUMBER] = "number",
        [VALUE_STRING] = "string", [VALUE_ARRAY] = "array",     [VALUE_OBJECT] = "object",
        [VALUE_SET] = "set",
    };
    return names[kind];
}

static void fail(struct arena *arena, lethe_result failure)
{
    if (arena->failure == LETHE_OK)
        arena->failure = failure;
}

/* ---- scalars ---- */

const struct value *value_number(struct arena *arena, const struct number *number)
{
    struct value *made = arena_alloc(arena, sizeof *made);
    if (made != NULL)
        *made = (struct value){.kind = VALUE_NUMBER, .number = *number};
    return made;
}

const struct value *value_small(struct arena *arena, int64_t number)
{
    struct number small = number_small(number);
    return value_number(arena, &small);
}

char *value_string_begin(struct arena *arena, size_t size_bytes, struct value **made)
{
    *made = NULL;
    if (size_bytes >= UINT32_MAX) {
        fail(arena, LETHE_LIMIT);
        return NULL;
    }
    struct value *value = arena_alloc(arena, sizeof *value + size_bytes + 1);
    if (value == NULL)
        return NULL;
    char *bytes = (char *)(value + 1);
    bytes[size_bytes] = '\0';
    *value = (struct value){.kind = VALUE_STRING, .count = (uint32_t)size_bytes, .string = bytes};
    *made = value;
    return bytes;
}

const struct value *value_string(struct arena *arena, const char *bytes, size_t size_bytes)
{
    if (!text_is_utf8(bytes, size_bytes)) {
        fail(arena, LETHE_MALFORMED);
        return NULL;
    }
    struct value *made;
    char *copy = value_string_begin(arena, size_bytes, &made);
    if (copy != NULL && size_bytes > 0)
        memcpy(copy, bytes, size_bytes);
    return made;
}

const struct value *value_text(struct arena *arena, const char *text)
{
    return value_string(arena, text, strlen(text));
}

const struct value *value_buffer(struct arena *arena, const struct buffer *text)
{
    if (text->failure == LETHE_OK)
        return value_string(arena, text->bytes, text->size_bytes);
    fail(arena, text->failure);
    return NULL;
}

/* ---- lists ---- */

/* The items with room for one more, or NULL. */
static void *with_room(struct arena *arena, void *items, size_t *capacity, size_t item_bytes)
{
    size_t wanted = *capacity == 0 ? LIST_FIRST_CAPACITY : 2 * *capacity;
    if (wanted > UINT32_MAX) {
        fail(arena, LETHE_LIMIT);
        return NULL;
    }
    void *grown = arena_grow(arena, items, *capacity * item_bytes, wanted * item_bytes);
    if (grown != NULL)
        *capacity = wanted;
    return grown;
}

bool value_list_append(struct arena *arena, struct value_list *list, const struct value *value)
{
    if (value == NULL)
        return false;
    if (list->count == list->capacity) {
        void *grown = with_room(arena, list->items, &list->capacity, sizeof *list->items);
        if (grown == NULL)
            return false;
        list->items = grown;
    }
    list->items[list->count++] = value;
    return true;
}

bool value_pairs_append(struct arena *arena, struct value_pairs *pairs, const struct value *key,
                        const struct value *value)
{
    if (key == NULL || value == NULL)
        return false;
    if (pairs->count == pairs->capacity) {
        void *grown = with_room(arena, pairs->items, &pairs->capacity, sizeof *pairs->items);
        if (grown == NULL)
            return false;
        pairs->items = grown;
    }
    pairs->items[pairs->count++] = (struct value_pair){.key = key, .value = value};
    return true;
}

/* ---- collections ---- */

/* What a collection has of its elements. */
struct sum {
    unsigned depth;
    uint64_t weight;
};

static void add_up(struct sum *sum, const struct value *element)
{
    sum->depth = MAX(sum->depth, element->depth);
    sum->weight += value_weight(element);
}

static struct value *make_collection(struct arena *arena, enum value_kind kind, size_t count,
                                     const struct sum *sum)
{
    if (arena->failure != LETHE_OK)
        return NULL;
    if (sum->depth >= VALUE_DEPTH_MAX || sum->weight >= VALUE_WEIGHT_MAX || count > UINT32_MAX) {
        fail(arena, LETHE_LIMIT);
        return NULL;
    }
    struct value *made = arena_alloc(arena, sizeof *made);
    if (made != NULL)
        *made = (struct value){.kind = (uint8_t)kind,
                               .depth = (uint16_t)(sum->depth + 1),
                               .count = (uint32_t)count,
                               .weight_of_elements = sum->weight};
    return made;
}

static const struct value *make_of_items(struct arena *arena, enum value_kind kind,
                                         const struct value *const *items, size_t count)
{
    struct sum sum = {0};
    for (size_t i = 0; i < count; i++)
        add_up(&sum, items[i]);
    struct value *made = make_collection(arena, kind, count, &sum);
    if (made != NULL)
        made->items = items;
    return made;
}

static const struct value *make_of_pairs(struct arena *arena, const struct value_pair *pairs,
                                         size_t count)
{
    struct sum sum = {0};
    for (size_t i = 0; i < count; i++) {
        add_up(&sum, pairs[i].key);
        add_up(&sum, pairs[i].value);
    }
    struct value *made = make_collection(arena, VALUE_OBJECT, count, &sum);
    if (made != NULL)
        made->pairs = pairs;
    return made;
}

const struct value *value_array_of(struct arena *arena, const struct value *const *items,
                                   size_t count)
{
    return make_of_items(arena, VALUE_ARRAY, items, count);
}

const struct value *value_array(struct arena *arena, struct value_list *list)
{
    struct value_list taken = *list;
    *list = (struct value_list){0};
    return make_of_items(arena, VALUE_ARRAY, taken.items, taken.count);
}

static size_t drop_repeated_items(const struct value **items, size_t count)
{
    size_t kept = MIN(count, 1);
    for (size_t i = 1; i < count; i++)
        if (!value_equal(items[kept - 1], items[i]))
            items[kept++] = items[i];
    return kept;
}

const struct value *value_set(struct arena *arena, struct value_list *list)
{
    struct value_list taken = *list;
    *list = (struct value_list){0};
    if (!value_sort_items(arena, taken.items, taken.count))
        return NULL;
    size_t count = drop_repeated_items(taken.items, taken.count);
    return make_of_items(arena, VALUE_SET, taken.items, count);
}

/* Of equal keys the values are in the order in which they came. */
static size_t drop_repeated_keys(struct value_pair *pairs, size_t count,
                                 const struct value **conflict)
{
    size_t kept = MIN(count, 1);
    for (size_t i = 1; i < count; i++) {
        struct value_pair *last = &pairs[kept - 1];
        if (!value_equal(last->key, pairs[i].key)) {
            pairs[kept++] = pairs[i];
        } else if (!value_equal(last->value, pairs[i].value)) {
            last->value = pairs[i].value;
            if (conflict != NULL)
                *conflict = last->key;
        }
    }
    return kept;
}

const struct value *value_object_of(struct arena *arena, struct value_pair *pairs, size_t count,
                                    const struct value **conflict)
{
    if (!value_sort_pairs(arena, pairs, count))
        return NULL;
    return make_of_pairs(arena, pairs, drop_repeated_keys(pairs, count, conflict));
}

const struct value *value_object(struct arena *arena, struct value_pairs *pairs,
                                 const struct value **conflict)
{
    struct value_pairs taken = *pairs;
    *pairs = (struct value_pairs){0};
    return value_object_of(arena, taken.items, taken.count, conflict);
}

/* Where `key` is among the pairs, or where it would be. */
static size_t position_of(const struct value *object, const struct value *key)
{
    size_t low = 0;
    for (size_t high = object->count; low < high;) {
        size_t middle = low + (high - low) / 2;
        if (value_compare(key, object->pairs[middle].key) > 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_key_at(const struct value *object, size_t at, const struct value *key)
{
    return at < object->count && value_equal(object->pairs[at].key, key);
}

/* Of an empty object there is nothing to point into. */
static void copy_pairs(struct value_pair *to, const struct value *from, size_t at, size_t count)
{
    if (count > 0)
        memcpy(to, from->pairs + at, count * sizeof *to);
}

const struct value *value_with(struct arena *arena, const struct value *object,
                               const struct value *key, const struct value *value)
{
    if (object == NULL || key == NULL || value == NULL)
        return NULL;
    size_t at = position_of(object, key);
    size_t behind = at + is_key_at(object, at, key);
    struct value_pair *pairs = arena_alloc(arena, ((size_t)object->count + 1) * sizeof *pairs);
    if (pairs == NULL)
        return NULL;
    copy_pairs(pairs, object, 0, at);
    pairs[at] = (struct value_pair){.key = key, .value = value};
    copy_pairs(pairs + at + 1, object, behind, object->count - behind);
    return make_of_pairs(arena, pairs, at + 1 + object->count - behind);
}

const struct value *value_without(struct arena *arena, const struct value *object,
                                  const struct value *key)
{
    if (object == NULL || key == NULL)
        return NULL;
    size_t at = position_of(object, key);
    if (!is_key_at(object, at, key))
        return object;
    struct value_pair *pairs = arena_alloc(arena, object->count * sizeof *pairs);
    if (pairs == NULL)
        return NULL;
    copy_pairs(pairs, object, 0, at);
    copy_pairs(pairs + at, object, at + 1, object->count - at - 1);
    return make_of_pairs(arena, pairs, object->count - 1u);
}
