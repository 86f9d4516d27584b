/* One element of a list after another. What was read before is read again: it fits. */
#include <string.h>

#include "base/error.h"
#include "service/fields_values.h"

/* A scan that goes on where *at is; the list knows that it has begun. */
static lethe_result resume(const struct field_value *value, const char *at, uint8_t bracket,
                           struct guarded *scratch, struct scan *scan, struct scan_list *list)
{
    const char *from = at == NULL ? value->text : at;
    size_t left = value->length - (size_t)(from - value->text);
    *scan = scan_over(from, left, scratch, left);
    if (at == NULL)
        return scan_open(scan, bracket, list);
    *list = (struct scan_list){.begun = true};
    scan->depth = 1;
    return LETHE_OK;
}

static bool is_nothing(const struct field_value *value)
{
    return !value->given || value->length == 0;
}

static lethe_result broken(struct lethe_error *err)
{
    return error_set(err, LETHE_MALFORMED, "a list cannot be read");
}

/* ---- texts ----------------------------------------------------------------------------------- */

/* Parts between commas; empty ones are none. */
static lethe_result next_part(const struct field_value *list, const char **at,
                              struct field_value *out)
{
    const char *end = list->text + list->length;
    const char *from = *at == NULL ? list->text : *at;
    while (from < end) {
        const char *comma = memchr(from, ',', (size_t)(end - from));
        const char *until = comma == NULL ? end : comma;
        *out = (struct field_value){.given = true, .text = from, .length = (size_t)(until - from)};
        field_trim(out);
        from = comma == NULL ? end : comma + 1;
        *at = from;
        if (out->length > 0)
            return LETHE_OK;
    }
    return LETHE_NOT_FOUND;
}

/* A text, or the spelling of what is none, as in {"version": 2}. */
static lethe_result text_of(struct scan *scan, struct field_value *out, const char *what,
                            struct lethe_error *err)
{
    struct scan_value raw;
    if (scan_value(scan, &raw) != LETHE_OK)
        return broken(err);
    if (raw.kind == SCAN_OBJECT || raw.kind == SCAN_ARRAY || raw.kind == SCAN_NULL)
        return error_set(err, LETHE_INVALID, "%s has an element that is no text", what);
    lethe_result result = scan_unescape(scan, &raw);
    if (result != LETHE_OK)
        return error_set(err, result, "there is no memory for a text");
    *out = (struct field_value){.given = true, .text = (const char *)raw.at, .length = raw.length};
    return LETHE_OK;
}

lethe_result field_list_next(const struct field_value *list, const char **at,
                             struct guarded *scratch, struct field_value *out,
                             struct lethe_error *err)
{
    struct scan scan;
    struct scan_list elements;
    bool more;
    if (is_nothing(list))
        return LETHE_NOT_FOUND;
    if (list->boolean)
        return next_part(list, at, out);
    if (resume(list, *at, '[', scratch, &scan, &elements) != LETHE_OK ||
        scan_element(&scan, &elements, &more) != LETHE_OK)
        return broken(err);
    if (!more)
        return LETHE_NOT_FOUND;
    lethe_result result = text_of(&scan, out, "a list", err);
    *at = (const char *)scan.at;
    return result;
}

lethe_result field_map_next(const struct field_value *map, const char **at, struct guarded *scratch,
                            struct field_value *name, struct field_value *value,
                            struct lethe_error *err)
{
    struct scan scan;
    struct scan_list members;
    struct scan_value raw;
    bool more;
    if (is_nothing(map))
        return LETHE_NOT_FOUND;
    if (resume(map, *at, '{', scratch, &scan, &members) != LETHE_OK ||
        scan_member(&scan, &members, &raw, &more) != LETHE_OK)
        return broken(err);
    if (!more)
        return LETHE_NOT_FOUND;
    *name = (struct field_value){.given = true, .text = (const char *)raw.at, .length = raw.length};
    lethe_result result = text_of(&scan, value, "an object of texts", err);
    *at = (const char *)scan.at;
    return result;
}

/* ---- objects --------------------------------------------------------------------------------- */

static lethe_result read_item(const struct field *items, struct scan *scan,
                              struct field_value *values, struct lethe_error *err)
{
    struct scan start = *scan;
    struct scan_value ignored;
    lethe_result result = fields_members(items, scan, values, err);
    if (result != LETHE_MALFORMED)
        return result;
    *scan = start; /* something else than an object is stepped over */
    if (scan_value(scan, &ignored) != LETHE_OK || ignored.kind == SCAN_OBJECT)
        return broken(err);
    return error_set(err, LETHE_INVALID, "an element of the list is no object");
}

lethe_result field_item_next(const struct field *items, const struct field_value *list,
                             const char **at, struct guarded *scratch, struct field_value *values,
                             struct lethe_error *err)
{
    struct scan scan;
    struct scan_list elements;
    bool more;
    for (size_t i = 0; items[i].name != NULL; i++)
        values[i] = (struct field_value){0};
    if (is_nothing(list))
        return LETHE_NOT_FOUND;
    if (resume(list, *at, '[', scratch, &scan, &elements) != LETHE_OK ||
        scan_element(&scan, &elements, &more) != LETHE_OK)
        return broken(err);
    if (!more)
        return LETHE_NOT_FOUND;
    lethe_result result = read_item(items, &scan, values, err);
    *at = (const char *)scan.at;
    return result == LETHE_OK ? fields_required(items, values, err) : result;
}
