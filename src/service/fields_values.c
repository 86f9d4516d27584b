#include "service/fields_values.h"

#include <string.h>

#include "base/error.h"

const struct field *field_find(const struct field *table, const uint8_t *name, size_t length)
{
    for (const struct field *field = table; field != NULL && field->name != NULL; field++) {
        if (length > 0 && field->name[0] == (char)name[0] && strlen(field->name) == length &&
            memcmp(field->name, name, length) == 0)
            return field;
    }
    return NULL;
}

/* ---- texts ----------------------------------------------------------------------------------- */

typedef lethe_result convert_text(const char *text, size_t length, struct field_value *out);

static lethe_result text_of_text(const char *text, size_t length, struct field_value *out)
{
    out->text = text;
    out->length = length;
    return LETHE_OK;
}

static lethe_result list_of_text(const char *text, size_t length, struct field_value *out)
{
    out->boolean = true;
    return text_of_text(text, length, out);
}

static lethe_result nothing_of_text(const char *text, size_t length, struct field_value *out)
{
    (void)text;
    (void)out;
    return length == 0 ? LETHE_OK : LETHE_INVALID;
}

static lethe_result add_digit(int64_t *number, char digit)
{
    bool overflows = __builtin_mul_overflow(*number, 10, number) ||
                     __builtin_add_overflow(*number, digit - '0', number);
    return overflows ? LETHE_INVALID : LETHE_OK;
}

/* Digits at *at, at least one. */
static lethe_result read_digits(const char *text, size_t length, size_t *at, int64_t *out)
{
    size_t first = *at;
    *out = 0;
    for (; *at < length && text[*at] >= '0' && text[*at] <= '9'; ++*at)
        TRY(add_digit(out, text[*at]));
    return *at > first ? LETHE_OK : LETHE_INVALID;
}

static lethe_result integer_of_text(const char *text, size_t length, struct field_value *out)
{
    bool negative = length > 0 && text[0] == '-';
    size_t at = negative ? 1 : 0;
    TRY(read_digits(text, length, &at, &out->integer));
    if (negative)
        out->integer = -out->integer;
    return at == length ? LETHE_OK : LETHE_INVALID;
}

/* The spellings of Go's strconv.ParseBool, which Vault's clients rely on. */
static lethe_result boolean_of_text(const char *text, size_t length, struct field_value *out)
{
    static const struct {
        const char *word;
        bool means;
    } words[] = {{"true", true}, {"false", false}, {"1", true},    {"0", false},
                 {"t", true},    {"f", false},     {"T", true},    {"F", false},
                 {"TRUE", true}, {"FALSE", false}, {"True", true}, {"False", false}};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strlen(words[i].word) != length || memcmp(words[i].word, text, length) != 0)
            continue;
        out->boolean = words[i].means;
        return LETHE_OK;
    }
    return LETHE_INVALID;
}

static int64_t unit_seconds(char unit)
{
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (units[i].unit == unit)
            return units[i].seconds;
    }
    return 0;
}

/* "90", "90s", "1h30m". */
static lethe_result duration_of_text(const char *text, size_t length, struct field_value *out)
{
    size_t at = 0;
    int64_t number;
    TRY(read_digits(text, length, &at, &out->integer));
    if (at == length)
        return LETHE_OK;
    at = 0;
    out->integer = 0;
    while (at < length) {
        TRY(read_digits(text, length, &at, &number));
        int64_t seconds = at < length ? unit_seconds(text[at++]) : 0;
        if (seconds == 0 || __builtin_mul_overflow(number, seconds, &number) ||
            __builtin_add_overflow(out->integer, number, &out->integer))
            return LETHE_INVALID;
    }
    return LETHE_OK;
}

static const struct {
    convert_text *of_text;
    const char *expected;
} types[] = {
    [FIELD_TEXT] = {text_of_text, "a text"},
    [FIELD_BASE64] = {text_of_text, "a text in base64"},
    [FIELD_INTEGER] = {integer_of_text, "a whole number"},
    [FIELD_BOOLEAN] = {boolean_of_text, "true or false"},
    [FIELD_DURATION] = {duration_of_text, "seconds, or a duration such as \"10m\""},
    [FIELD_LIST] = {list_of_text, "a list of texts"},
    [FIELD_MAP] = {nothing_of_text, "an object of texts"},
    [FIELD_ITEMS] = {nothing_of_text, "a list of objects"},
};

lethe_result field_refuse(const struct field *field, struct lethe_error *err)
{
    return error_set(err, LETHE_INVALID, "field %s: expected %s", field->name,
                     types[field->type].expected);
}

lethe_result field_convert_text(const struct field *field, const char *text, size_t length,
                                struct field_value *out)
{
    *out = (struct field_value){.given = true};
    lethe_result result = types[field->type].of_text(text, length, out);
    bool is_nothing = types[field->type].of_text == nothing_of_text;
    if (result != LETHE_OK || is_nothing)
        *out = (struct field_value){0};
    return result;
}

/* ---- other values ---------------------------------------------------------------------------- */

/* A list or an object stays as it is, and is read by those who want it. */
static lethe_result convert_nested(const struct field *field, const struct scan_value *raw,
                                   struct field_value *out)
{
    bool is_object = raw->kind == SCAN_OBJECT;
    size_t count_max = field->type == FIELD_ITEMS ? FIELD_ITEMS_MAX : FIELD_LIST_MAX;
    bool fits = is_object ? field->type == FIELD_MAP
                          : field->type == FIELD_LIST || field->type == FIELD_ITEMS;
    if (!fits || raw->count > count_max)
        return LETHE_INVALID;
    *out =
        (struct field_value){.given = true, .text = (const char *)raw->at, .length = raw->length};
    return LETHE_OK;
}

/* Whether the spelling of a number, or of true and false, may stand for the field's text. */
static bool takes_plain(const struct field *field, enum scan_kind kind)
{
    if (kind == SCAN_NUMBER)
        return field->type != FIELD_BASE64 && field->type != FIELD_LIST;
    return field->type == FIELD_BOOLEAN;
}

lethe_result field_convert(const struct field *field, struct scan *scan,
                           const struct scan_value *raw, struct field_value *out)
{
    struct scan_value text = *raw;
    switch (raw->kind) {
    case SCAN_NULL:
        return LETHE_OK;
    case SCAN_OBJECT:
    case SCAN_ARRAY:
        return convert_nested(field, raw, out);
    case SCAN_TEXT:
        TRY(scan_unescape(scan, &text));
        break;
    default:
        if (!takes_plain(field, raw->kind))
            return LETHE_INVALID;
        break;
    }
    return field_convert_text(field, (const char *)text.at, text.length, out);
}
