/* Whatever json_parse() takes has no name twice and no great depth, and its canonical form is a
 * fixed point. */
#include <string.h>

#include "base/json.h"

#include "fuzz.h"

static void read_some_fields(const json_t *json)
{
    const char *text = NULL;
    uint64_t number = 0;
    const json_t *array = NULL;
    const json_t *object = NULL;
    const struct json_field fields[] = {
        {"a", JSON_FIELD_TEXT, true, &text},
        {"b", JSON_FIELD_UINT, true, &number},
        {"c", JSON_FIELD_ARRAY, true, &array},
        {"d", JSON_FIELD_OBJECT, true, &object},
    };
    struct lethe_error err = {0};
    if (json_read_fields(json, "input", fields, ARRAY_LEN(fields), &err) == LETHE_OK)
        FUZZ_PROPERTY(number <= JSON_INTEGER_MAX);
}

/* Names and depth of the tree. */
struct shape {
    size_t names;
    size_t depth;
};

static struct shape shape_of(const json_t *json)
{
    struct shape all = {0};
    if (json_is_string(json))
        FUZZ_PROPERTY(strlen(json_string_value(json)) == json_string_length(json));
    bool nests = json_is_object(json) || json_is_array(json);
    void *at = json_object_iter((json_t *)json);
    for (size_t i = 0; i < json_array_size(json) || at != NULL; i++) {
        struct shape one =
            shape_of(at != NULL ? json_object_iter_value(at) : json_array_get(json, i));
        all.names += one.names + (at != NULL);
        all.depth = MAX(all.depth, one.depth);
        at = at != NULL ? json_object_iter_next((json_t *)json, at) : NULL;
    }
    all.depth += nests;
    return all;
}

/* As many names as the text has colons outside strings: none was there twice. */
static void check_shape(const json_t *json, const char *text, size_t size)
{
    const struct shape shape = shape_of(json);
    size_t colons = 0;
    bool in_string = false;
    for (size_t i = 0; i < size; i++) {
        if (in_string && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            in_string = !in_string;
        else
            colons += !in_string && text[i] == ':';
    }
    FUZZ_PROPERTY(shape.names == colons);
    FUZZ_PROPERTY(shape.depth <= JSON_DEPTH_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lethe_error err = {0};
    CLEANUP(json_decref) json_t *first = NULL;
    CLEANUP(json_decref) json_t *second = NULL;
    CLEANUP(buffer_clear) struct buffer once = {0};
    CLEANUP(buffer_clear) struct buffer twice = {0};

    if (json_parse((const char *)data, size, &first, &err) != LETHE_OK)
        return 0;
    check_shape(first, (const char *)data, size);
    read_some_fields(first);
    if (json_canonical(first, &once, &err) != LETHE_OK)
        return 0;
    /* A real of 2^53 or more is written without a point, so it may come back as too large. */
    if (json_parse(once.bytes, once.size_bytes, &second, &err) != LETHE_OK ||
        json_canonical(second, &twice, &err) != LETHE_OK)
        return 0;
    FUZZ_PROPERTY(once.size_bytes == twice.size_bytes);
    FUZZ_PROPERTY(memcmp(once.bytes, twice.bytes, once.size_bytes) == 0);
    return 0;
}
