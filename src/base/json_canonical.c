/* JSON out: RFC 8785, JSON Canonicalization Scheme. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/validate.h"

/* RFC 8785 section 3.2.2.2: the short escapes, \u00xx for the other control characters, and
 * nothing else. */
static void append_escaped(struct buffer *out, char c)
{
    static const char letters[] = "btnfr\"\\";
    static const char characters[] = "\b\t\n\f\r\"\\";
    const char *known = strchr(characters, c);
    if (c != '\0' && known != NULL)
        buffer_format(out, "\\%c", letters[known - characters]);
    else
        buffer_format(out, "\\u%04x", (unsigned)c);
}

void json_append_string(struct buffer *out, const char *text, size_t size_bytes)
{
    buffer_byte(out, '"');
    size_t plain = 0; /* where the run of characters that need no escape starts */
    for (size_t i = 0; i < size_bytes; i++) {
        if ((uint8_t)text[i] >= 0x20 && text[i] != '"' && text[i] != '\\')
            continue;
        buffer_append(out, text + plain, i - plain);
        append_escaped(out, text[i]);
        plain = i + 1;
    }
    buffer_append(out, text + plain, size_bytes - plain);
    buffer_byte(out, '"');
}

/* RFC 8785 section 3.2.3 sorts by UTF-16 code units. Bytes of UTF-8 sort like code points, which
 * differs in one place: U+E000 to U+FFFF (lead bytes ee and ef) come behind the characters that
 * need a surrogate pair (lead bytes f0 to f4). */
static int utf16_rank(char byte)
{
    int value = (uint8_t)byte;
    return value == 0xee || value == 0xef ? value + 0x10 : value;
}

static int compare_names(const void *left, const void *right)
{
    const char *a = *(const char *const *)left;
    const char *b = *(const char *const *)right;
    while (*a != '\0' && *a == *b)
        a++, b++;
    return utf16_rank(*a) - utf16_rank(*b);
}

static lethe_result append_value(struct buffer *out, const json_t *value, unsigned depth,
                                 struct lethe_error *err);

static lethe_result append_text(struct buffer *out, const char *text, size_t size_bytes,
                                struct lethe_error *err)
{
    if (!text_is_utf8(text, size_bytes))
        return error_set(err, LETHE_INVALID, "a string for canonical JSON is not UTF-8");
    json_append_string(out, text, size_bytes);
    return LETHE_OK;
}

static lethe_result append_integer(struct buffer *out, json_int_t value, struct lethe_error *err)
{
    const json_int_t limit = (json_int_t)JSON_INTEGER_MAX;
    if (value < -limit || value > limit)
        return error_set(err, LETHE_INVALID,
                         "an integer for canonical JSON is beyond 2^53 - 1; write it as text");
    buffer_format(out, "%lld", (long long)value);
    return LETHE_OK;
}

static lethe_result append_real(struct buffer *out, double value, struct lethe_error *err)
{
    if (!isfinite(value))
        return error_set(err, LETHE_INVALID, "a number for canonical JSON is not finite");
    json_append_double(out, value);
    return LETHE_OK;
}

static lethe_result append_array(struct buffer *out, const json_t *array, unsigned depth,
                                 struct lethe_error *err)
{
    buffer_byte(out, '[');
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (i > 0)
            buffer_byte(out, ',');
        TRY(append_value(out, json_array_get(array, i), depth + 1, err));
    }
    buffer_byte(out, ']');
    return LETHE_OK;
}

static lethe_result append_object(struct buffer *out, const json_t *object, unsigned depth,
                                  struct lethe_error *err)
{
    size_t count = json_object_size(object);
    CLEANUP(memory_free) const char **names = calloc(MAX(count, 1), sizeof *names);
    if (names == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory to sort %zu names", count);
    const char *name;
    json_t *value;
    size_t at = 0;
    json_object_foreach((json_t *)object, name, value) names[at++] = name;
    qsort(names, count, sizeof *names, compare_names);

    buffer_byte(out, '{');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buffer_byte(out, ',');
        TRY(append_text(out, names[i], strlen(names[i]), err));
        buffer_byte(out, ':');
        TRY(append_value(out, json_object_get(object, names[i]), depth + 1, err));
    }
    buffer_byte(out, '}');
    return LETHE_OK;
}

static lethe_result append_value(struct buffer *out, const json_t *value, unsigned depth,
                                 struct lethe_error *err)
{
    if (depth > JSON_DEPTH_MAX)
        return error_set(err, LETHE_INVALID, "JSON is nested deeper than %d levels",
                         JSON_DEPTH_MAX);
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return append_object(out, value, depth, err);
    case JSON_ARRAY:
        return append_array(out, value, depth, err);
    case JSON_STRING:
        return append_text(out, json_string_value(value), json_string_length(value), err);
    case JSON_INTEGER:
        return append_integer(out, json_integer_value(value), err);
    case JSON_REAL:
        return append_real(out, json_real_value(value), err);
    case JSON_TRUE:
        buffer_text(out, "true");
        return LETHE_OK;
    case JSON_FALSE:
        buffer_text(out, "false");
        return LETHE_OK;
    case JSON_NULL:
        buffer_text(out, "null");
        return LETHE_OK;
    }
    REQUIRE(!"a JSON type that jansson does not have");
    return LETHE_FAILED;
}

lethe_result json_canonical(const json_t *json, struct buffer *out, struct lethe_error *err)
{
    size_t before = out->size_bytes;
    lethe_result result = append_value(out, json, 0, err);
    if (result == LETHE_OK)
        result = buffer_result(out, err);
    if (result != LETHE_OK)
        buffer_truncate(out, before);
    return result;
}
