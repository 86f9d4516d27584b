/* Whatever json_parse() takes, its canonical form is a fixed point. */
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lethe_error err = {0};
    CLEANUP(json_decref) json_t *first = NULL;
    CLEANUP(json_decref) json_t *second = NULL;
    CLEANUP(buffer_clear) struct buffer once = {0};
    CLEANUP(buffer_clear) struct buffer twice = {0};

    if (json_parse((const char *)data, size, &first, &err) != LETHE_OK)
        return 0;
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
