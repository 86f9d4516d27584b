#include "policy/evaluate_inside.h"

#include "policy/evaluate_equal.h"

#define ENTRIES_FIRST 8

bool object_entries_append(struct arena *arena, struct object_entries *entries,
                           const struct object_entry *entry)
{
    if (entries->count == entries->capacity) {
        size_t wanted = MAX(2 * entries->capacity, ENTRIES_FIRST);
        void *grown = arena_grow(arena, entries->items, entries->capacity * sizeof *entry,
                                 wanted * sizeof *entry);
        if (grown == NULL)
            return false;
        entries->items = grown;
        entries->capacity = wanted;
    }
    entries->items[entries->count++] = *entry;
    return true;
}

/* ---- sorting by path, a shorter one before those that begin with it ---- */

static int compare_paths(const struct object_entry *a, const struct object_entry *b)
{
    for (size_t i = 0; i < a->length && i < b->length; i++) {
        int order = value_compare(a->path[i], b->path[i]);
        if (order != 0)
            return order;
    }
    return (a->length > b->length) - (a->length < b->length);
}

static void merge(const struct object_entry *from, struct object_entry *to, size_t left,
                  size_t count)
{
    size_t a = 0, b = left;
    for (size_t i = 0; i < count; i++) {
        bool take_a = b == count || (a < left && compare_paths(&from[a], &from[b]) <= 0);
        to[i] = take_a ? from[a++] : from[b++];
    }
}

/* Merges runs of 1, 2, 4, ... entries. false: the arena has failed. */
static bool sort(struct arena *arena, struct object_entries *entries)
{
    size_t count = entries->count;
    struct object_entry *from = entries->items;
    struct object_entry *to = arena_alloc(arena, count * sizeof *to);
    if (to == NULL)
        return false;
    for (size_t run = 1; run < count; run *= 2) {
        for (size_t at = 0; at < count; at += 2 * run)
            merge(from + at, to + at, MIN(run, count - at), MIN(2 * run, count - at));
        struct object_entry *merged = to;
        to = from;
        from = merged;
    }
    entries->items = from;
    return true;
}

/* ---- putting together what is sorted ---- */

struct making {
    struct evaluation *evaluation;
    const struct object_entry *conflict;
};

static bool is_element(const struct object_entry *entry)
{
    return entry->rule != NULL && entry->rule->kind == RULE_SET;
}

static enum outcome give(struct making *making, const struct value *value, const struct value **out)
{
    *out = value;
    if (value != NULL)
        return OUTCOME_NEXT;
    return evaluation_exhausted(making->evaluation, (struct place){0},
                                making->evaluation->arena->failure);
}

static enum outcome make_set(struct making *making, const struct object_entry *entries,
                             size_t count, const struct value **out)
{
    struct value_list list = {0};
    struct arena *arena = making->evaluation->arena;
    for (size_t i = 0; i < count; i++) {
        if (!is_element(&entries[i])) {
            making->conflict = &entries[i];
            return OUTCOME_MORE;
        }
        if (!value_list_append(arena, &list, entries[i].value))
            return give(making, NULL, out);
    }
    return give(making, value_set(arena, &list), out);
}

/* All of them are for one place: a set's elements, or one value however often. */
static enum outcome make_leaf(struct making *making, const struct object_entry *entries,
                              size_t count, const struct value **out)
{
    if (is_element(&entries[0]))
        return make_set(making, entries, count, out);
    for (size_t i = 1; i < count; i++) {
        bool equal = false;
        lethe_result result = LETHE_OK;
        if (!is_element(&entries[i]))
            result = metered_equal(&making->evaluation->meter, entries[0].value, entries[i].value,
                                   &equal);
        if (result != LETHE_OK)
            return evaluation_exhausted(making->evaluation, (struct place){0}, result);
        if (!equal) {
            making->conflict = &entries[i];
            return OUTCOME_MORE;
        }
    }
    *out = entries[0].value;
    return OUTCOME_NEXT;
}

static size_t count_same_key(const struct object_entry *entries, size_t count, size_t depth)
{
    size_t same = 1;
    while (same < count && value_equal(entries[0].path[depth], entries[same].path[depth]))
        same++;
    return same;
}

static enum outcome make_at(struct making *making, const struct object_entry *entries, size_t count,
                            size_t depth, const struct value **out);

static enum outcome make_level(struct making *making, const struct object_entry *entries,
                               size_t count, size_t depth, const struct value **out)
{
    struct value_pairs pairs = {0};
    struct arena *arena = making->evaluation->arena;
    for (size_t at = 0, same; at < count; at += same) {
        same = count_same_key(entries + at, count - at, depth);
        const struct value *value;
        enum outcome outcome = make_at(making, entries + at, same, depth + 1, &value);
        if (outcome != OUTCOME_NEXT)
            return outcome;
        if (!value_pairs_append(arena, &pairs, entries[at].path[depth], value))
            return give(making, NULL, out);
    }
    return give(making, value_object(arena, &pairs, NULL), out);
}

/* Entries whose paths agree up to `depth`; that end there come first. */
static enum outcome make_at(struct making *making, const struct object_entry *entries, size_t count,
                            size_t depth, const struct value **out)
{
    if (count > 0 && entries[0].length == depth) {
        const struct object_entry *longest = &entries[count - 1];
        if (longest->length == depth)
            return make_leaf(making, entries, count, out);
        making->conflict = longest;
        return OUTCOME_MORE;
    }
    if (!evaluation_enter(making->evaluation, (struct place){0}))
        return OUTCOME_FAILED;
    enum outcome outcome = make_level(making, entries, count, depth, out);
    evaluation_leave(making->evaluation);
    return outcome;
}

enum outcome object_make(struct evaluation *evaluation, struct object_entries *entries,
                         const struct value **out, const struct object_entry **conflict)
{
    struct making making = {.evaluation = evaluation};
    if (!sort(evaluation->arena, entries))
        return give(&making, NULL, out);
    enum outcome outcome = make_at(&making, entries->items, entries->count, 0, out);
    *conflict = making.conflict;
    return outcome;
}
