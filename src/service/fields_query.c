/* The query of a request: "name=value&name=value", percent-encoded (WHATWG URL, section 5.1). */
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "base/validate.h"
#include "service/fields_values.h"

struct piece { /* still encoded */
    const uint8_t *name;
    size_t name_bytes;
    const uint8_t *value;
    size_t value_bytes;
};

/* False at the end. */
static bool next_piece(const uint8_t **at, const uint8_t *end, struct piece *out)
{
    if (*at >= end)
        return false;
    const uint8_t *ampersand = memchr(*at, '&', (size_t)(end - *at));
    const uint8_t *until = ampersand == NULL ? end : ampersand;
    const uint8_t *equals = memchr(*at, '=', (size_t)(until - *at));
    out->name = *at;
    out->name_bytes = (size_t)((equals == NULL ? until : equals) - *at);
    out->value = equals == NULL ? until : equals + 1;
    out->value_bytes = (size_t)(until - out->value);
    *at = ampersand == NULL ? end : ampersand + 1;
    return true;
}

static lethe_result decode_hex(const uint8_t *digits, size_t left, uint8_t *out)
{
    int high = left < 2 ? -1 : hex_digit_value((char)digits[0]);
    int low = left < 2 ? -1 : hex_digit_value((char)digits[1]);
    if (high < 0 || low < 0)
        return LETHE_MALFORMED;
    *out = (uint8_t)(high << 4 | low);
    return LETHE_OK;
}

/* `out` has room for as many bytes as are encoded. */
static lethe_result decode(const uint8_t *from, size_t size_bytes, uint8_t *out, size_t *length)
{
    size_t to = 0;
    for (size_t i = 0; i < size_bytes; i++) {
        uint8_t byte = from[i] == '+' ? ' ' : from[i];
        if (byte == '%') {
            TRY(decode_hex(from + i + 1, size_bytes - i - 1, &byte));
            i += 2;
        }
        out[to++] = byte;
    }
    *length = to;
    return text_is_utf8((const char *)out, to) ? LETHE_OK : LETHE_MALFORMED;
}

static lethe_result append_decoded(struct guarded *scratch, const uint8_t *from, size_t size_bytes,
                                   const char **text, size_t *length)
{
    size_t before = scratch->size_bytes;
    *text = "";
    *length = 0;
    if (size_bytes == 0)
        return LETHE_OK;
    uint8_t *out = guarded_extend(scratch, size_bytes);
    if (out == NULL)
        return scratch->failure;
    TRY(decode(from, size_bytes, out, length));
    guarded_truncate(scratch, before + *length);
    *text = (const char *)out;
    return LETHE_OK;
}

static lethe_result take(const struct field *table, const struct piece *piece,
                         struct guarded *scratch, struct field_value *values,
                         struct lethe_error *err)
{
    const struct field *field = field_find(table, piece->name, piece->name_bytes);
    const char *text;
    size_t length;
    if (field == NULL || values[field - table].given)
        return LETHE_OK;
    lethe_result result = append_decoded(scratch, piece->value, piece->value_bytes, &text, &length);
    if (result != LETHE_OK)
        return error_set(err, result, "the query's %s cannot be read", field->name);
    if (field_convert_text(field, text, length, &values[field - table]) != LETHE_OK)
        return field_refuse(field, err);
    return LETHE_OK;
}

/* The body beats the query, and what stands first what follows. There is room in the scratch. */
lethe_result fields_query(const struct field *table, const uint8_t *query, size_t query_bytes,
                          struct guarded *scratch, struct field_value *values,
                          struct lethe_error *err)
{
    const uint8_t *at = query;
    struct piece piece;
    while (next_piece(&at, query + query_bytes, &piece))
        TRY(take(table, &piece, scratch, values, err));
    return LETHE_OK;
}

bool fields_query_says(const uint8_t *query, size_t query_bytes, const char *name)
{
    const struct field table[] = {{name, FIELD_BOOLEAN, false, NULL, NULL}, {0}};
    struct field_value value;
    const uint8_t *at = query;
    struct piece piece;
    while (query_bytes > 0 && next_piece(&at, query + query_bytes, &piece)) {
        if (field_find(table, piece.name, piece.name_bytes) == table)
            return field_convert_text(table, (const char *)piece.value, piece.value_bytes,
                                      &value) == LETHE_OK &&
                   value.boolean;
    }
    return false;
}
