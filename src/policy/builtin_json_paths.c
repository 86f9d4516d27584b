/* policy/builtin_json_paths.c -- json.filter and json.remove: parts of a document, by their paths.
 *
 * Paths are arrays of keys, sorted. All that begin alike then lie side by side, the shortest first:
 * at each place of the document the paths that lead on from there are a range of the list. */
#include <stdio.h>
#include <string.h>

#include "policy/builtin_json.h"
#include "policy/builtin_text.h"

/* ---- reading paths ---- */

/* "~1" is a slash, "~0" a tilde (RFC 6901 section 4). */
static const struct value *unescape_key(struct arena *arena, const char *text, size_t size_bytes)
{
    char *key = arena_copy(arena, text, size_bytes);
    if (key == NULL)
        return NULL;
    size_t size = 0;
    for (size_t i = 0; i < size_bytes; i++) {
        bool escaped =
            text[i] == '~' && i + 1 < size_bytes && (text[i + 1] == '0' || text[i + 1] == '1');
        key[size++] = escaped ? (text[++i] == '1' ? '/' : '~') : text[i];
    }
    return value_string(arena, key, size);
}

static const struct value *split_path(struct arena *arena, const struct value *text)
{
    struct value_list keys = {0};
    const char *at = text->string;
    const char *end = at + text->count;
    while (at < end && *at == '/')
        at++;
    for (bool more = true; more;) {
        const char *slash = at < end ? memchr(at, '/', (size_t)(end - at)) : NULL;
        const char *stop = slash != NULL ? slash : end;
        if (!value_list_append(arena, &keys, unescape_key(arena, at, (size_t)(stop - at))))
            return NULL;
        more = slash != NULL;
        at = stop + more;
    }
    return value_array(arena, &keys);
}

lethe_result json_path(struct builtin_call *call, const struct value *path,
                       const struct value **out)
{
    *out = path->kind == VALUE_ARRAY ? path : NULL;
    if (path->kind != VALUE_STRING)
        return LETHE_OK;
    if (path->count == 0)
        return builtin_value(call, &value_empty_array, out);
    TRY(text_spend(call, (uint64_t)path->count * TEXT_BYTES_PER_STEP));
    return builtin_value(call, split_path(call->arena, path), out);
}

static lethe_result append_path(struct builtin_call *call, struct value_list *paths,
                                const struct value *operand)
{
    const struct value *path;
    TRY(builtin_spend(call, value_weight(operand)));
    TRY(json_path(call, operand, &path));
    if (path == NULL)
        return builtin_fail(call, BUILTIN_TYPE_ERROR,
                            "operand 2 must be one of {set, array} containing string paths or "
                            "array of path segments but got %s",
                            value_kind_name(operand->kind));
    if (path->count > 0 && !value_list_append(call->arena, paths, path))
        return arena_result(call->arena, NULL);
    return LETHE_OK;
}

/* ---- the walk ---- */

/* Paths that agree in their first `depth` keys. */
struct path_range {
    const struct value *const *paths;
    size_t count;
    size_t depth;
};

/* How many of the paths have a key here that is less than `key`, or, with `or_equal`, not more. */
static size_t count_below(struct path_range range, const struct value *key, bool or_equal)
{
    size_t low = 0, high = range.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (value_compare(range.paths[middle]->items[range.depth], key) < or_equal)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct path_range range_below(struct path_range range, const struct value *key)
{
    size_t first = count_below(range, key, false);
    size_t end = count_below(range, key, true);
    return (struct path_range){range.paths + first, end - first, range.depth + 1};
}

struct editing {
    struct builtin_call *call;
    bool keeps; /* what the paths name is kept, and nothing else; or it is what goes */
};

static lethe_result edit(const struct editing *editing, const struct value *value,
                         struct path_range range, const struct value **out);

/* *out: what stays of the value; NULL: nothing. */
static lethe_result edit_element(const struct editing *editing, const struct value *key,
                                 const struct value *value, struct path_range range,
                                 const struct value **out)
{
    TRY(builtin_spend(editing->call, value_weight(key)));
    struct path_range below = range_below(range, key);
    bool named = below.count > 0 && below.paths[0]->count == below.depth;
    if (below.count > 0 && !named)
        return edit(editing, value, below, out);
    *out = named == editing->keeps ? value : NULL;
    return LETHE_OK;
}

static lethe_result edit_object(const struct editing *editing, const struct value *object,
                                struct path_range range, const struct value **out)
{
    struct value_pairs pairs = {0};
    struct arena *arena = editing->call->arena;
    for (uint32_t i = 0; i < object->count; i++) {
        const struct value *left;
        TRY(edit_element(editing, object->pairs[i].key, object->pairs[i].value, range, &left));
        if (left != NULL && !value_pairs_append(arena, &pairs, object->pairs[i].key, left))
            return arena_result(arena, NULL);
    }
    return builtin_value(editing->call, value_object(arena, &pairs, NULL), out);
}

/* An element of an array is named by the text of its index. */
#define INDEX_TEXT_SIZE 12
static struct value index_key(uint32_t index, char text[INDEX_TEXT_SIZE])
{
    int length = snprintf(text, INDEX_TEXT_SIZE, "%u", index);
    return (struct value){.kind = VALUE_STRING, .count = (uint32_t)length, .string = text};
}

/* Arrays, and sets, whose elements are their own keys. */
static lethe_result edit_list(const struct editing *editing, const struct value *list,
                              struct path_range range, const struct value **out)
{
    struct value_list items = {0};
    struct arena *arena = editing->call->arena;
    for (uint32_t i = 0; i < list->count; i++) {
        char text[INDEX_TEXT_SIZE];
        struct value index = index_key(i, text);
        const struct value *key = list->kind == VALUE_ARRAY ? &index : list->items[i];
        const struct value *left;
        TRY(edit_element(editing, key, list->items[i], range, &left));
        if (left != NULL && !value_list_append(arena, &items, left))
            return arena_result(arena, NULL);
    }
    const struct value *value =
        list->kind == VALUE_ARRAY ? value_array(arena, &items) : value_set(arena, &items);
    return builtin_value(editing->call, value, out);
}

/* No deeper than the document, which is VALUE_DEPTH_MAX. A path that leads below what has no
 * parts names nothing, and the value stays, also where others go. */
static lethe_result edit(const struct editing *editing, const struct value *value,
                         struct path_range range, const struct value **out)
{
    switch (value->kind) {
    case VALUE_OBJECT:
        return edit_object(editing, value, range, out);
    case VALUE_ARRAY:
    case VALUE_SET:
        return edit_list(editing, value, range, out);
    default:
        *out = value;
        return LETHE_OK;
    }
}

/* What empty paths name is nothing. */
static lethe_result edit_document(const struct editing *editing,
                                  const struct value *const *operands, const struct value **out)
{
    struct value_list list = {0};
    const struct value *paths;
    for (uint32_t i = 0; i < operands[1]->count; i++)
        TRY(append_path(editing->call, &list, operands[1]->items[i]));
    TRY(builtin_value(editing->call, value_set(editing->call->arena, &list), &paths));
    struct path_range all = {.paths = paths->items, .count = paths->count};
    return edit(editing, operands[0], all, out);
}

lethe_result json_filter(struct builtin_call *call, const struct value *const *operands,
                         const struct value **out)
{
    return edit_document(&(struct editing){.call = call, .keeps = true}, operands, out);
}

lethe_result json_remove(struct builtin_call *call, const struct value *const *operands,
                         const struct value **out)
{
    return edit_document(&(struct editing){.call = call, .keeps = false}, operands, out);
}
