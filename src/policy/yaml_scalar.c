#include "policy/yaml_scalar.h"

#include <math.h>
#include <string.h>

#include "policy/number_form.h"

#define NUMBER_TEXT_MAX_BYTES (2 * (size_t)NUMBER_DIGITS_MAX)

/* ---- words ---- */

static const struct {
    const char *word;
    enum scalar_kind kind;
} words[] = {
    {"", SCALAR_NULL},           {"~", SCALAR_NULL},          {"null", SCALAR_NULL},
    {"Null", SCALAR_NULL},       {"NULL", SCALAR_NULL},       {"y", SCALAR_TRUE},
    {"Y", SCALAR_TRUE},          {"yes", SCALAR_TRUE},        {"Yes", SCALAR_TRUE},
    {"YES", SCALAR_TRUE},        {"true", SCALAR_TRUE},       {"True", SCALAR_TRUE},
    {"TRUE", SCALAR_TRUE},       {"on", SCALAR_TRUE},         {"On", SCALAR_TRUE},
    {"ON", SCALAR_TRUE},         {"n", SCALAR_FALSE},         {"N", SCALAR_FALSE},
    {"no", SCALAR_FALSE},        {"No", SCALAR_FALSE},        {"NO", SCALAR_FALSE},
    {"false", SCALAR_FALSE},     {"False", SCALAR_FALSE},     {"FALSE", SCALAR_FALSE},
    {"off", SCALAR_FALSE},       {"Off", SCALAR_FALSE},       {"OFF", SCALAR_FALSE},
    {".nan", SCALAR_NOT_FINITE}, {".NaN", SCALAR_NOT_FINITE}, {".NAN", SCALAR_NOT_FINITE},
    {".inf", SCALAR_NOT_FINITE}, {".Inf", SCALAR_NOT_FINITE}, {".INF", SCALAR_NOT_FINITE},
};

static enum scalar_kind kind_of_word(const char *text, size_t size_bytes)
{
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strlen(words[i].word) == size_bytes && memcmp(words[i].word, text, size_bytes) == 0)
            return words[i].kind;
    return SCALAR_TEXT;
}

static bool is_sign(char c)
{
    return c == '+' || c == '-';
}

/* An infinity may have a sign; a word, and what is no number, has none. */
static bool is_signed_infinity(const char *text, size_t size_bytes)
{
    return size_bytes == 5 && is_sign(text[0]) && text[1] == '.' && (text[2] | 0x20) == 'i' &&
           kind_of_word(text + 1, 4) == SCALAR_NOT_FINITE;
}

/* ---- numbers ---- */

/* A text of digits, in which underscores mean nothing where `skips`. */
struct digits {
    const char *at, *end;
    bool skips;
};

static char peek(struct digits *digits)
{
    while (digits->skips && digits->at < digits->end && *digits->at == '_')
        digits->at++;
    return digits->at < digits->end ? *digits->at : '\0';
}

static bool take_any(struct digits *digits, const char *characters)
{
    char c = peek(digits);
    if (c == '\0' || strchr(characters, c) == NULL)
        return false;
    digits->at++;
    return true;
}

static size_t take_decimals(struct digits *digits)
{
    size_t count = 0;
    while (take_any(digits, "0123456789"))
        count++;
    return count;
}

static bool at_end(struct digits *digits)
{
    return peek(digits) == '\0' && digits->at == digits->end;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool is_decimal(struct digits digits)
{
    take_any(&digits, "+-");
    size_t whole = take_decimals(&digits);
    size_t fraction = take_any(&digits, ".") ? take_decimals(&digits) : 0;
    if (whole + fraction == 0)
        return false;
    if (take_any(&digits, "eE")) {
        take_any(&digits, "+-");
        if (take_decimals(&digits) == 0)
            return false;
    }
    return at_end(&digits);
}

static unsigned digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? (unsigned)(lower - 'a') + 10 : 16;
}

/* Steps over 0x, 0o, 0b or 0; ten: it has none of them. */
static unsigned take_base(struct digits *digits)
{
    static const struct {
        char letter;
        unsigned base;
    } bases[] = {{'x', 16}, {'o', 8}, {'b', 2}};
    struct digits behind = *digits;
    if (!take_any(&behind, "0") || at_end(&behind))
        return 10;
    for (size_t i = 0; i < ARRAY_LEN(bases); i++) {
        if ((peek(&behind) | 0x20) != bases[i].letter)
            continue;
        behind.at++;
        *digits = behind;
        return bases[i].base;
    }
    *digits = behind;
    return 8;
}

struct magnitude {
    bool has_sign, is_negative;
    unsigned base;
    uint64_t value;
};

/* As Go's ParseInt and ParseUint together: below zero from -2^63 on, up to 2^64-1 without a sign,
 * with one up to 2^63-1. */
static bool read_integer(struct digits digits, struct magnitude *out)
{
    *out =
        (struct magnitude){.has_sign = is_sign(peek(&digits)), .is_negative = peek(&digits) == '-'};
    take_any(&digits, "+-");
    out->base = take_base(&digits);
    if (out->base == 10 || at_end(&digits))
        return false;
    for (; !at_end(&digits); digits.at++) {
        unsigned digit = digit_value(peek(&digits));
        if (digit >= out->base || __builtin_mul_overflow(out->value, out->base, &out->value) ||
            __builtin_add_overflow(out->value, digit, &out->value))
            return false;
    }
    return !out->has_sign || out->value <= (uint64_t)INT64_MAX + out->is_negative;
}

/* A point in front stands for itself: underscores are no digits there. */
static struct digits digits_of(const char *text, size_t size_bytes)
{
    return (struct digits){.at = text, .end = text + size_bytes, .skips = text[0] != '.'};
}

enum scalar_kind yaml_scalar_kind(const char *text, size_t size_bytes)
{
    if (size_bytes > 0 && strchr("yYnNtTfFoO~.+-0123456789", text[0]) == NULL)
        return SCALAR_TEXT;
    enum scalar_kind word = kind_of_word(text, size_bytes);
    if (word != SCALAR_TEXT)
        return word;
    if (is_signed_infinity(text, size_bytes))
        return SCALAR_NOT_FINITE;
    struct magnitude magnitude;
    struct digits digits = digits_of(text, size_bytes);
    if (read_integer(digits, &magnitude))
        return SCALAR_INTEGER;
    return is_decimal(digits) ? SCALAR_DECIMAL : SCALAR_TEXT;
}

/* ---- their values ---- */

static const struct value *integer_value(struct arena *arena, struct digits digits)
{
    struct magnitude magnitude;
    struct number number;
    (void)read_integer(digits, &magnitude);
    if (!number_from_magnitude(arena, magnitude.is_negative, magnitude.value, &number))
        return NULL;
    return value_number(arena, &number);
}

/* JSON wants a digit on both sides of a point, no zeros in front, and no plus. */
static void as_json(struct digits digits, struct buffer *out)
{
    if (peek(&digits) == '-')
        buffer_byte(out, '-');
    take_any(&digits, "+-");
    while (take_any(&digits, "0"))
        continue;
    if (peek(&digits) < '0' || peek(&digits) > '9')
        buffer_byte(out, '0');
    for (; !at_end(&digits); digits.at++) {
        char c = peek(&digits);
        struct digits behind = {digits.at + 1, digits.end, true};
        buffer_byte(out, (uint8_t)c);
        if (c == '.' && (at_end(&behind) || (peek(&behind) | 0x20) == 'e'))
            buffer_byte(out, '0');
    }
}

/* What overflows a double is a text to go-yaml, such as the hash 12e4567. */
static const struct value *decimal_value(struct arena *arena, const char *text, size_t size_bytes)
{
    CLEANUP(buffer_clear) struct buffer json = {0};
    struct number number;
    const char *digits = text;
    size_t length = size_bytes;
    if (size_bytes > NUMBER_TEXT_MAX_BYTES)
        return value_string(arena, text, size_bytes);
    if (number_length(text, size_bytes) != size_bytes) {
        as_json(digits_of(text, size_bytes), &json);
        if (json.failure != LETHE_OK)
            return value_buffer(arena, &json);
        digits = json.bytes;
        length = json.size_bytes;
    }
    if (number_parse(arena, digits, length, &number) && isfinite(number_to_double(&number)))
        return value_number(arena, &number);
    return value_string(arena, text, size_bytes);
}

const struct value *yaml_scalar_number(struct arena *arena, enum scalar_kind kind, const char *text,
                                       size_t size_bytes)
{
    if (kind == SCALAR_INTEGER)
        return integer_value(arena, digits_of(text, size_bytes));
    return decimal_value(arena, text, size_bytes);
}
