/* Objects read by a table of their fields. */
#include <string.h>

#include "base/error.h"
#include "base/json.h"

static const char *const kind_words[] = {
    [JSON_FIELD_TEXT] = "a string",
    [JSON_FIELD_UINT] = "an integer from 0 to 2^53 - 1",
    [JSON_FIELD_ARRAY] = "an array",
    [JSON_FIELD_OBJECT] = "an object",
};

/* Fills the target; false when the value is not of the field's kind. */
static bool read_value(const struct json_field *field, const json_t *value)
{
    switch (field->kind) {
    case JSON_FIELD_TEXT:
        if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value))
            return false;
        *(const char **)field->target = json_string_value(value);
        return true;
    case JSON_FIELD_UINT:
        if (!json_is_integer(value) || json_integer_value(value) < 0 ||
            (uint64_t)json_integer_value(value) > JSON_INTEGER_MAX)
            return false;
        *(uint64_t *)field->target = (uint64_t)json_integer_value(value);
        return true;
    case JSON_FIELD_ARRAY:
    case JSON_FIELD_OBJECT:
        if (json_typeof(value) != (field->kind == JSON_FIELD_ARRAY ? JSON_ARRAY : JSON_OBJECT))
            return false;
        *(const json_t **)field->target = value;
        return true;
    }
    return false;
}

lethe_result json_read_fields(const json_t *object, const char *what,
                              const struct json_field *fields, size_t count,
                              struct lethe_error *err)
{
    if (!json_is_object(object))
        return error_set(err, LETHE_MALFORMED, "%s is not a JSON object", what);
    size_t present = 0;
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_object_get(object, fields[i].name);
        if (value == NULL && fields[i].optional)
            continue;
        if (value == NULL)
            return error_set(err, LETHE_MALFORMED, "%s: the field \"%s\" is missing", what,
                             fields[i].name);
        if (!read_value(&fields[i], value))
            return error_set(err, LETHE_MALFORMED, "%s: the field \"%s\" is not %s", what,
                             fields[i].name, kind_words[fields[i].kind]);
        present++;
    }
    /* An unknown name may be anything, so it is counted, not quoted. */
    if (present != json_object_size(object))
        return error_set(err, LETHE_MALFORMED, "%s has %zu fields that its format does not know",
                         what, json_object_size(object) - present);
    return LETHE_OK;
}
