/* Reading JSON (RFC 8259). The recursion is as deep as VALUE_DEPTH_MAX at most. */
#include <string.h>

#include "base/utf8.h"
#include "policy/number_form.h"
#include "policy/value_make.h"

struct reader {
    struct arena *arena;
    const char *begin, *at, *end;
    /* The elements of all collections that are being read: those of the innermost are on top. */
    struct value_list open;
    unsigned depth;
    struct lethe_error *err;
};

/* ---- what is wrong, and where ---- */

struct place {
    size_t line, column; /* from 1; columns are characters */
};

static struct place place_of(const struct reader *reader)
{
    struct place place = {.line = 1, .column = 1};
    for (const char *at = reader->begin; at < reader->at; at++) {
        if (*at == '\n')
            place = (struct place){.line = place.line + 1, .column = 1};
        else if (((unsigned char)*at & 0xc0) != 0x80)
            place.column++;
    }
    return place;
}

static lethe_result refuse(const struct reader *reader, const char *expected)
{
    struct place place = place_of(reader);
    return error_set(reader->err, LETHE_MALFORMED, "line %zu, column %zu: expected %s, found %s",
                     place.line, place.column, expected,
                     reader->at == reader->end ? "the end" : "something else");
}

static lethe_result refuse_as(const struct reader *reader, lethe_result result, const char *what)
{
    struct place place = place_of(reader);
    return error_set(reader->err, result, "line %zu, column %zu: %s", place.line, place.column,
                     what);
}

/* ---- white space and punctuation ---- */

static void skip_space(struct reader *reader)
{
    while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\n' ||
                                        *reader->at == '\r' || *reader->at == '\t'))
        reader->at++;
}

static bool take(struct reader *reader, char character)
{
    skip_space(reader);
    if (reader->at == reader->end || *reader->at != character)
        return false;
    reader->at++;
    return true;
}

/* ---- strings ---- */

static bool is_plain_byte(unsigned char byte)
{
    return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

#define EACH_BYTE(byte) (0x0101010101010101u * (byte))
/* The high bit of each byte that is below 0x20, above 0x7f, a quote or a backslash; right up to the
 * first of them, which is what it is for. */
static uint64_t special_bytes(uint64_t eight)
{
    uint64_t quote = eight ^ EACH_BYTE('"');
    uint64_t backslash = eight ^ EACH_BYTE('\\');
    uint64_t found =
        (eight - EACH_BYTE(0x20)) | (quote - EACH_BYTE(1)) | (backslash - EACH_BYTE(1)) | eight;
    return found & EACH_BYTE(0x80);
}

static const char *skip_plain(const char *at, const char *end)
{
    uint64_t eight;
    while (end - at >= (ptrdiff_t)sizeof eight) {
        memcpy(&eight, at, sizeof eight);
        if (special_bytes(eight) != 0)
            break;
        at += sizeof eight;
    }
    while (at < end && is_plain_byte((unsigned char)*at))
        at++;
    return at;
}

/* Where the string's closing quote is; UTF-8 is checked, escapes are only stepped over. */
static lethe_result find_end_of_string(struct reader *reader, const char **quote, bool *has_escapes)
{
    *has_escapes = false;
    for (;;) {
        reader->at = skip_plain(reader->at, reader->end);
        if (reader->at == reader->end)
            return refuse(reader, "a \" at the string's end");
        uint32_t character;
        size_t length = utf8_decode(reader->at, (size_t)(reader->end - reader->at), &character);
        if (length == 0)
            return refuse_as(reader, LETHE_MALFORMED, "a string is not UTF-8");
        if (character < 0x20)
            return refuse_as(reader, LETHE_MALFORMED,
                             "a control character in a string: it is written as an escape");
        *quote = reader->at;
        if (character == '"')
            return LETHE_OK;
        *has_escapes |= character == '\\';
        reader->at += MIN(length + (character == '\\'), (size_t)(reader->end - reader->at));
    }
}

static bool read_hex4(const char *at, const char *end, uint32_t *out)
{
    if (end - at < 4)
        return false;
    *out = 0;
    for (unsigned i = 0; i < 4; i++) {
        static const char digits[] = "0123456789abcdef";
        char lower = at[i] >= 'A' && at[i] <= 'F' ? (char)(at[i] | 0x20) : at[i];
        const char *digit = memchr(digits, lower, 16);
        if (digit == NULL)
            return false;
        *out = *out << 4 | (uint32_t)(digit - digits);
    }
    return true;
}

static bool is_surrogate(uint32_t character)
{
    return character >= 0xd800 && character <= 0xdfff;
}

/* From behind \u on: one character, of one escape or a pair of surrogates. Gives how many bytes
 * were read; 0: it is none. */
static size_t read_unicode_escape(const char *at, const char *end, uint32_t *character)
{
    uint32_t second;
    if (!read_hex4(at, end, character))
        return 0;
    if (!is_surrogate(*character))
        return 4;
    bool has_second = *character < 0xdc00 && end - at >= 10 && at[4] == '\\' && at[5] == 'u' &&
                      read_hex4(at + 6, end, &second);
    if (!has_second || second < 0xdc00 || second > 0xdfff)
        return 0;
    *character = 0x10000 + ((*character - 0xd800) << 10) + (second - 0xdc00);
    return 10;
}

static char *append_utf8(char *to, uint32_t character)
{
    if (character < 0x80) {
        *to++ = (char)character;
        return to;
    }
    unsigned behind = character < 0x800 ? 1 : character < 0x10000 ? 2 : 3;
    static const unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};
    *to++ = (char)(lead[behind] | character >> (6 * behind));
    while (behind-- > 0)
        *to++ = (char)(0x80 | (character >> (6 * behind) & 0x3f));
    return to;
}

/* One escape, from its backslash on; gives what is behind it, or NULL. */
static const char *take_escape(const char *at, const char *end, char **to)
{
    static const char letters[] = "\"\\/bfnrt", stand_for[] = "\"\\/\b\f\n\r\t";
    if (at[1] == 'u') {
        uint32_t character;
        size_t length = read_unicode_escape(at + 2, end, &character);
        if (length == 0)
            return NULL;
        *to = append_utf8(*to, character);
        return at + 2 + length;
    }
    const char *letter = memchr(letters, at[1], sizeof letters - 1);
    if (letter == NULL)
        return NULL;
    *(*to)++ = stand_for[letter - letters];
    return at + 2;
}

/* What an escape stands for is never longer than the escape. */
static lethe_result unescape(struct reader *reader, const char *from, const char *end, char *to,
                             size_t *size_bytes)
{
    const char *begin = to;
    while (from < end) {
        const char *plain_end = memchr(from, '\\', (size_t)(end - from));
        size_t plain = (size_t)((plain_end == NULL ? end : plain_end) - from);
        memcpy(to, from, plain);
        to += plain;
        from += plain;
        if (from == end)
            break;
        reader->at = from;
        from = take_escape(from, end, &to);
        if (from == NULL)
            return refuse_as(reader, LETHE_MALFORMED,
                             "no escape of JSON's, or half of a pair of surrogates");
    }
    *size_bytes = (size_t)(to - begin);
    return LETHE_OK;
}

/* From behind the opening quote on. */
static lethe_result read_string(struct reader *reader, const struct value **out)
{
    const char *begin = reader->at, *quote = NULL;
    bool has_escapes;
    TRY(find_end_of_string(reader, &quote, &has_escapes));
    struct value *made;
    size_t size_bytes = (size_t)(quote - begin);
    char *bytes = value_string_begin(reader->arena, size_bytes, &made);
    if (bytes == NULL)
        return arena_result(reader->arena, reader->err);
    if (has_escapes) {
        TRY(unescape(reader, begin, quote, bytes, &size_bytes));
        bytes[size_bytes] = '\0';
        made->count = (uint32_t)size_bytes;
    } else if (size_bytes > 0) {
        memcpy(bytes, begin, size_bytes);
    }
    reader->at = quote + 1;
    *out = made;
    return LETHE_OK;
}

/* ---- the other scalars ---- */

static lethe_result read_number(struct reader *reader, const struct value **out)
{
    size_t length = number_length(reader->at, (size_t)(reader->end - reader->at));
    if (length == 0)
        return refuse(reader, "a value");
    struct number number;
    if (!number_parse(reader->arena, reader->at, length, &number)) {
        TRY(arena_result(reader->arena, reader->err));
        return refuse_as(reader, LETHE_LIMIT, "a number is too large, too small or too long");
    }
    reader->at += length;
    *out = value_number(reader->arena, &number);
    return arena_result(reader->arena, reader->err);
}

static lethe_result read_word(struct reader *reader, const struct value **out)
{
    static const struct {
        const char *word;
        const struct value *value;
    } words[] = {{"null", &value_null}, {"true", &value_true}, {"false", &value_false}};
    size_t left = (size_t)(reader->end - reader->at);
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        size_t length = strlen(words[i].word);
        if (left < length || memcmp(reader->at, words[i].word, length) != 0)
            continue;
        reader->at += length;
        *out = words[i].value;
        return LETHE_OK;
    }
    return refuse(reader, "a value");
}

/* ---- collections ---- */

static lethe_result read_value(struct reader *reader, const struct value **out);

static lethe_result push(struct reader *reader, const struct value *value)
{
    if (!value_list_append(reader->arena, &reader->open, value))
        return arena_result(reader->arena, reader->err);
    return LETHE_OK;
}

/* A copy, of the size that it needs, of what was pushed since `mark`. NULL: no memory. */
static void *pop(struct reader *reader, size_t mark)
{
    size_t size_bytes = (reader->open.count - mark) * sizeof *reader->open.items;
    void *copy = arena_alloc(reader->arena, size_bytes);
    if (copy != NULL && size_bytes > 0)
        memcpy(copy, reader->open.items + mark, size_bytes);
    reader->open.count = mark;
    return copy;
}

static lethe_result read_array(struct reader *reader, const struct value **out)
{
    size_t mark = reader->open.count;
    if (take(reader, ']')) {
        *out = &value_empty_array;
        return LETHE_OK;
    }
    do {
        const struct value *item;
        TRY(read_value(reader, &item));
        TRY(push(reader, item));
    } while (take(reader, ','));
    if (!take(reader, ']'))
        return refuse(reader, "a comma or a ]");
    size_t count = reader->open.count - mark;
    const struct value *const *items = pop(reader, mark);
    *out = items == NULL ? NULL : value_array_of(reader->arena, items, count);
    return arena_result(reader->arena, reader->err);
}

static lethe_result read_pair(struct reader *reader)
{
    const struct value *key, *value;
    if (!take(reader, '"'))
        return refuse(reader, "a key, a string in \"");
    TRY(read_string(reader, &key));
    if (!take(reader, ':'))
        return refuse(reader, "a colon behind the key");
    TRY(read_value(reader, &value));
    TRY(push(reader, key));
    return push(reader, value);
}

static lethe_result make_object(struct reader *reader, size_t mark, const struct value **out)
{
    size_t count = (reader->open.count - mark) / 2;
    struct value_pair *pairs = pop(reader, mark);
    *out = pairs == NULL ? NULL : value_object_of(reader->arena, pairs, count, NULL);
    TRY(arena_result(reader->arena, reader->err));
    if ((*out)->count < count)
        return refuse_as(reader, LETHE_MALFORMED, "the object that ends here has a key twice");
    return LETHE_OK;
}

static lethe_result read_object(struct reader *reader, const struct value **out)
{
    size_t mark = reader->open.count;
    if (take(reader, '}')) {
        *out = &value_empty_object;
        return LETHE_OK;
    }
    do
        TRY(read_pair(reader));
    while (take(reader, ','));
    if (!take(reader, '}'))
        return refuse(reader, "a comma or a }");
    return make_object(reader, mark, out);
}

static lethe_result read_collection(struct reader *reader, const struct value **out)
{
    if (reader->depth == VALUE_DEPTH_MAX)
        return refuse_as(reader, LETHE_LIMIT, "arrays and objects are nested too deeply");
    reader->depth++;
    bool is_array = *reader->at++ == '[';
    TRY(is_array ? read_array(reader, out) : read_object(reader, out));
    reader->depth--;
    return LETHE_OK;
}

static lethe_result read_value(struct reader *reader, const struct value **out)
{
    skip_space(reader);
    if (reader->at == reader->end)
        return refuse(reader, "a value");
    switch (*reader->at) {
    case '[':
    case '{':
        return read_collection(reader, out);
    case '"':
        reader->at++;
        return read_string(reader, out);
    case 'n':
    case 't':
    case 'f':
        return read_word(reader, out);
    default:
        return read_number(reader, out);
    }
}

lethe_result value_parse_json(struct arena *arena, const char *text, size_t size_bytes,
                              const struct value **out, struct lethe_error *err)
{
    struct reader reader = {
        .arena = arena, .begin = text, .at = text, .end = text + size_bytes, .err = err};
    TRY(arena_result(arena, err));
    const struct value *read;
    TRY(read_value(&reader, &read));
    skip_space(&reader);
    if (reader.at != reader.end)
        return refuse(&reader, "nothing behind the value");
    *out = read;
    return LETHE_OK;
}
