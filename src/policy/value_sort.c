#include "policy/value_sort.h"

#include <string.h>

#define RUN_LENGTH 8 /* so many are sorted by insertion; merging starts there */
#define SCRATCH_ON_STACK 64

/* A merge sort from the bottom up: no recursion, and no input makes it slow. Written once for both
 * kinds of elements, which differ in their type and in where the key is. */
#define KEY_OF_ITEM(item) (item)
#define KEY_OF_PAIR(pair) ((pair).key)
#define DEFINE_SORT(name, element, KEY)                                                            \
    static bool name##_in_order(const element *elements, size_t count)                             \
    {                                                                                              \
        for (size_t i = 1; i < count; i++)                                                         \
            if (value_compare(KEY(elements[i - 1]), KEY(elements[i])) > 0)                         \
                return false;                                                                      \
        return true;                                                                               \
    }                                                                                              \
    static void name##_insert(element *elements, size_t count)                                     \
    {                                                                                              \
        for (size_t i = 1; i < count; i++) {                                                       \
            element moving = elements[i];                                                          \
            size_t to = i;                                                                         \
            for (; to > 0 && value_compare(KEY(elements[to - 1]), KEY(moving)) > 0; to--)          \
                elements[to] = elements[to - 1];                                                   \
            elements[to] = moving;                                                                 \
        }                                                                                          \
    }                                                                                              \
    /* Merges the first `left` of `count` elements with the others. */                             \
    static void name##_merge(const element *from, element *to, size_t left, size_t count)          \
    {                                                                                              \
        size_t a = 0, b = left;                                                                    \
        for (size_t i = 0; i < count; i++) {                                                       \
            bool take_a =                                                                          \
                b == count || (a < left && value_compare(KEY(from[a]), KEY(from[b])) <= 0);        \
            to[i] = take_a ? from[a++] : from[b++];                                                \
        }                                                                                          \
    }                                                                                              \
    static void name##_merge_runs(element *elements, element *scratch, size_t count)               \
    {                                                                                              \
        element *from = elements, *to = scratch;                                                   \
        for (size_t run = RUN_LENGTH; run < count; run *= 2) {                                     \
            for (size_t at = 0; at < count; at += 2 * run)                                         \
                name##_merge(from + at, to + at, MIN(run, count - at), MIN(2 * run, count - at));  \
            element *merged = to;                                                                  \
            to = from;                                                                             \
            from = merged;                                                                         \
        }                                                                                          \
        if (from != elements)                                                                      \
            memcpy(elements, from, count * sizeof *elements);                                      \
    }                                                                                              \
    static bool name(struct arena *arena, element *elements, size_t count)                         \
    {                                                                                              \
        if (name##_in_order(elements, count))                                                      \
            return true;                                                                           \
        element on_stack[SCRATCH_ON_STACK], *scratch = on_stack;                                   \
        if (count > SCRATCH_ON_STACK)                                                              \
            scratch = arena_alloc(arena, count * sizeof *scratch);                                 \
        if (scratch == NULL)                                                                       \
            return false;                                                                          \
        for (size_t at = 0; at < count; at += RUN_LENGTH)                                          \
            name##_insert(elements + at, MIN(RUN_LENGTH, count - at));                             \
        name##_merge_runs(elements, scratch, count);                                               \
        return true;                                                                               \
    }                                                                                              \
    struct sort_needs_semicolon_##name

typedef const struct value *value_item;
DEFINE_SORT(sort_items, value_item, KEY_OF_ITEM);
DEFINE_SORT(sort_pairs, struct value_pair, KEY_OF_PAIR);

bool value_sort_items(struct arena *arena, const struct value **items, size_t count)
{
    return sort_items(arena, items, count);
}

bool value_sort_pairs(struct arena *arena, struct value_pair *pairs, size_t count)
{
    return sort_pairs(arena, pairs, count);
}
