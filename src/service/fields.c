#include "service/fields.h"

#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "service/fields_values.h"

lethe_result fields_malformed(const struct scan *scan, const char *what, struct lethe_error *err)
{
    return error_set(err, LETHE_MALFORMED, "%s is no JSON object: %s (byte %zu)", what,
                     scan->fault == NULL ? "it cannot be read" : scan->fault,
                     (size_t)(scan->at - scan->begin));
}

/* ---- an object ------------------------------------------------------------------------------- */

lethe_result fields_members(const struct field *table, struct scan *scan,
                            struct field_value *values, struct lethe_error *err)
{
    struct scan_list list;
    struct scan_value name, raw;
    lethe_result fits = LETHE_OK;
    bool more;
    TRY(scan_open(scan, '{', &list));
    for (;;) {
        TRY(scan_member(scan, &list, &name, &more));
        if (!more)
            return fits;
        TRY(scan_value(scan, &raw));
        const struct field *field = field_find(table, name.at, name.length);
        if (field == NULL)
            continue;
        lethe_result result = field_convert(field, scan, &raw, &values[field - table]);
        if (result == LETHE_INVALID && fits == LETHE_OK)
            fits = field_refuse(field, err);
        else if (result != LETHE_INVALID)
            TRY(result);
    }
}

lethe_result fields_required(const struct field *table, const struct field_value *values,
                             struct lethe_error *err)
{
    for (size_t i = 0; table[i].name != NULL; i++) {
        if (table[i].required && !values[i].given)
            return error_set(err, LETHE_INVALID, "field %s is missing", table[i].name);
    }
    return LETHE_OK;
}

static lethe_result read_body(const struct field *table, const struct fields_input *input,
                              struct guarded *scratch, struct field_value *values,
                              struct lethe_error *err)
{
    struct scan_names names;
    struct scan scan =
        scan_over(input->body, input->body_bytes, scratch, input->body_bytes + input->query_bytes);
    scan.names = &names;
    lethe_result result = fields_members(table, &scan, values, err);
    lethe_result end = result == LETHE_OK || result == LETHE_INVALID ? scan_end(&scan) : LETHE_OK;
    if (result == LETHE_MALFORMED || end != LETHE_OK)
        return fields_malformed(&scan, "the body", err);
    if (result != LETHE_OK && result != LETHE_INVALID)
        return error_set(err, result, "there is no memory for the fields");
    return result;
}

lethe_result fields_read(const struct field *table, const struct fields_input *input,
                         struct guarded *scratch, struct field_value *values,
                         struct lethe_error *err)
{
    static const struct field nothing[] = {{0}};
    const struct field *fields = table == NULL ? nothing : table;
    size_t count = 0;
    while (fields[count].name != NULL)
        count++;
    memset(values, 0, count * sizeof *values);
    guarded_reserve(scratch, scratch->size_bytes + input->query_bytes);
    if (input->body_bytes > 0)
        TRY(read_body(fields, input, scratch, values, err));
    if (input->query_bytes > 0)
        TRY(fields_query(fields, input->query, input->query_bytes, scratch, values, err));
    return fields_required(fields, values, err);
}

/* ---- base64 ---------------------------------------------------------------------------------- */

lethe_result field_decode(const struct field_value *value, struct guarded *out)
{
    size_t written;
    size_t before = out->size_bytes;
    if (value->length == 0)
        return LETHE_OK;
    uint8_t *bytes = guarded_extend(out, value->length / 4 * 3 + 3);
    if (bytes == NULL)
        return out->failure;
    lethe_result result =
        base64_decode(value->text, value->length, bytes, value->length / 4 * 3, &written);
    guarded_truncate(out, before + (result == LETHE_OK ? written : 0));
    return result;
}

void field_trim(struct field_value *value)
{
    while (value->length > 0 && *value->text == ' ') {
        value->text++;
        value->length--;
    }
    while (value->length > 0 && value->text[value->length - 1] == ' ')
        value->length--;
}

bool field_is(const struct field_value *value, const char *text)
{
    return value->length == strlen(text) && memcmp(value->text, text, value->length) == 0;
}

lethe_result field_copy(const struct field_value *value, const char *name, char *out,
                        size_t capacity, struct lethe_error *err)
{
    out[0] = '\0';
    if (value->length >= capacity)
        return error_set(err, LETHE_INVALID, "field %s is longer than %zu bytes", name,
                         capacity - 1);
    if (value->length > 0 && memchr(value->text, '\0', value->length) != NULL)
        return error_set(err, LETHE_INVALID, "field %s has a NUL in it", name);
    if (value->length > 0)
        memcpy(out, value->text, value->length);
    out[value->length] = '\0';
    return LETHE_OK;
}
