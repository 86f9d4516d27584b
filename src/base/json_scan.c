#include "base/json_scan.h"

#include <string.h>

#include "base/error.h"
#include "base/json_escape.h"
#include "base/utf8.h"
#include "base/validate.h"

/* Where the reading is. After a fault `fault` says what is wrong at `at`. */
struct reader {
    const char *at;
    const char *end;
    const char *fault;
    unsigned depth;
};

static bool fault(struct reader *reader, const char *text)
{
    reader->fault = text;
    return false;
}

static bool has(const struct reader *reader, char c)
{
    return reader->at < reader->end && *reader->at == c;
}

static bool take(struct reader *reader, char c)
{
    bool is_there = has(reader, c);
    reader->at += is_there ? 1 : 0;
    return is_there;
}

static void skip_space(struct reader *reader)
{
    while (has(reader, ' ') || has(reader, '\t') || has(reader, '\n') || has(reader, '\r'))
        reader->at++;
}

/* ---- texts ----------------------------------------------------------------------------------- */

/* One character of a text, as UTF-8; behind a backslash what that stands for. */
static bool read_character(struct reader *reader, char out[4], size_t *count)
{
    uint32_t code;
    *count = 1;
    if ((unsigned char)*reader->at < ' ')
        return fault(reader, "there is a control character in a text");
    out[0] = *reader->at++;
    if (out[0] != '\\')
        return true;
    size_t read =
        json_escape_read(reader->at, (size_t)(reader->end - reader->at), &code, &reader->fault);
    if (read == 0)
        return false;
    if (code == 0)
        return fault(reader, "there is a NUL in a text");
    reader->at += read;
    *count = utf8_encode(code, out);
    return true;
}

/* Behind the first quote, up to and with the second. */
static bool read_text(struct reader *reader, struct json_piece *out)
{
    char character[4];
    size_t count;
    *out = (struct json_piece){.kind = JSON_PIECE_TEXT, .at = reader->at};
    while (reader->at < reader->end && *reader->at != '"') {
        if (!read_character(reader, character, &count))
            return false;
    }
    out->length = (size_t)(reader->at - out->at);
    return take(reader, '"') || fault(reader, "a text does not end");
}

/* ---- other values ---------------------------------------------------------------------------- */

static size_t skip_digits(struct reader *reader)
{
    const char *begin = reader->at;
    while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9')
        reader->at++;
    return (size_t)(reader->at - begin);
}

static bool read_number(struct reader *reader, struct json_piece *out)
{
    *out = (struct json_piece){.kind = JSON_PIECE_NUMBER, .at = reader->at};
    (void)take(reader, '-');
    bool leads_with_zero = has(reader, '0');
    size_t digits = skip_digits(reader);
    bool good = digits > 0 && (!leads_with_zero || digits == 1);
    if (good && take(reader, '.'))
        good = skip_digits(reader) > 0;
    if (good && (take(reader, 'e') || take(reader, 'E'))) {
        if (!take(reader, '+'))
            (void)take(reader, '-');
        good = skip_digits(reader) > 0;
    }
    out->length = (size_t)(reader->at - out->at);
    return good || fault(reader, "there is no value");
}

static bool read_value(struct reader *reader, struct json_piece *out);

static bool read_name(struct reader *reader, struct json_piece *name)
{
    skip_space(reader);
    if (!take(reader, '"'))
        return fault(reader, "there is no name");
    if (!read_text(reader, name))
        return false;
    skip_space(reader);
    return take(reader, ':') || fault(reader, "there is no colon behind a name");
}

/* Behind the first bracket, up to and with the last. */
static bool read_members(struct reader *reader, char close, bool has_names)
{
    struct json_piece name;
    struct json_piece value;
    skip_space(reader);
    if (take(reader, close))
        return true;
    do {
        if ((has_names && !read_name(reader, &name)) || !read_value(reader, &value))
            return false;
    } while (take(reader, ','));
    return take(reader, close) || fault(reader, "a bracket is not closed");
}

static bool read_container(struct reader *reader, struct json_piece *out)
{
    bool is_object = has(reader, '{');
    *out = (struct json_piece){.kind = is_object ? JSON_PIECE_OBJECT : JSON_PIECE_ARRAY,
                               .at = reader->at++};
    if (++reader->depth > JSON_SCAN_DEPTH_MAX)
        return fault(reader, "it is nested too deeply");
    if (!read_members(reader, is_object ? '}' : ']', is_object))
        return false;
    reader->depth--;
    out->length = (size_t)(reader->at - out->at);
    return true;
}

static bool read_word(struct reader *reader, struct json_piece *out)
{
    static const struct {
        const char *text;
        enum json_piece_kind kind;
    } words[] = {{"null", JSON_PIECE_NULL}, {"true", JSON_PIECE_TRUE}, {"false", JSON_PIECE_FALSE}};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        size_t length = strlen(words[i].text);
        if ((size_t)(reader->end - reader->at) < length ||
            memcmp(reader->at, words[i].text, length) != 0)
            continue;
        *out = (struct json_piece){words[i].kind, reader->at, length};
        reader->at += length;
        return true;
    }
    return read_number(reader, out);
}

/* With the white space around it. */
static bool read_value(struct reader *reader, struct json_piece *out)
{
    bool good;
    skip_space(reader);
    if (take(reader, '"'))
        good = read_text(reader, out);
    else if (has(reader, '{') || has(reader, '['))
        good = read_container(reader, out);
    else
        good = read_word(reader, out);
    if (good)
        skip_space(reader);
    return good;
}

lethe_result json_scan(const void *text, size_t size_bytes, struct json_piece *out,
                       struct lethe_error *err)
{
    if (size_bytes == 0)
        return error_set(err, LETHE_MALFORMED, "there is no JSON");
    struct reader reader = {.at = text, .end = (const char *)text + size_bytes};
    bool good = text_is_utf8(text, size_bytes) || fault(&reader, "it is not UTF-8");
    good = good && read_value(&reader, out);
    if (good && reader.at != reader.end)
        good = fault(&reader, "something is behind the value");
    if (good)
        return LETHE_OK;
    return error_set(err, LETHE_MALFORMED, "byte %zu of the JSON: %s",
                     (size_t)(reader.at - (const char *)text), reader.fault);
}

/* ---- looking up ------------------------------------------------------------------------------ */

struct json_walk json_walk_over(const struct json_piece *piece)
{
    bool is_container = piece->kind == JSON_PIECE_OBJECT || piece->kind == JSON_PIECE_ARRAY;
    REQUIRE(is_container && piece->length >= 2);
    return (struct json_walk){.at = piece->at + 1,
                              .end = piece->at + piece->length - 1,
                              .has_names = piece->kind == JSON_PIECE_OBJECT};
}

lethe_result json_walk_next(struct json_walk *walk, struct json_piece *name,
                            struct json_piece *value)
{
    struct reader reader = {.at = walk->at, .end = walk->end};
    *name = (struct json_piece){.kind = JSON_PIECE_TEXT, .at = walk->at};
    (void)take(&reader, ',');
    skip_space(&reader);
    if (reader.at == reader.end)
        return LETHE_NOT_FOUND;
    REQUIRE((!walk->has_names || read_name(&reader, name)) && read_value(&reader, value));
    walk->at = reader.at;
    return LETHE_OK;
}

/* Compares what a text stands for, without making it. */
static bool text_is(const struct json_piece *piece, const char *text, size_t length)
{
    struct reader reader = {.at = piece->at, .end = piece->at + piece->length};
    char character[4];
    size_t count;
    if (piece->kind != JSON_PIECE_TEXT)
        return false;
    while (reader.at < reader.end) {
        REQUIRE(read_character(&reader, character, &count));
        if (count > length || memcmp(character, text, count) != 0)
            return false;
        text += count;
        length -= count;
    }
    return length == 0;
}

bool json_piece_is(const struct json_piece *piece, const char *text)
{
    return text_is(piece, text, strlen(text));
}

static lethe_result find_member(const struct json_piece *object, const char *name, size_t length,
                                struct json_piece *out)
{
    if (object->kind != JSON_PIECE_OBJECT)
        return LETHE_MALFORMED;
    struct json_walk walk = json_walk_over(object);
    struct json_piece found = {0};
    struct json_piece at_name;
    struct json_piece value;
    while (json_walk_next(&walk, &at_name, &value) == LETHE_OK) {
        if (!text_is(&at_name, name, length))
            continue;
        if (found.at != NULL)
            return LETHE_MALFORMED;
        found = value;
    }
    *out = found;
    return found.at != NULL ? LETHE_OK : LETHE_NOT_FOUND;
}

lethe_result json_piece_find(const struct json_piece *object, const char *path,
                             struct json_piece *out)
{
    struct json_piece at = *object;
    for (;;) {
        size_t length = strcspn(path, "/");
        TRY(find_member(&at, path, length, &at));
        if (path[length] == '\0')
            break;
        path += length + 1;
    }
    *out = at;
    return LETHE_OK;
}

lethe_result json_piece_text(const struct json_piece *piece, char *out, size_t capacity,
                             size_t *length)
{
    struct reader reader = {.at = piece->at, .end = piece->at + piece->length};
    char character[4];
    size_t count;
    *length = 0;
    if (piece->kind != JSON_PIECE_TEXT)
        return LETHE_MALFORMED;
    while (reader.at < reader.end) {
        REQUIRE(read_character(&reader, character, &count));
        if (count > capacity - *length)
            return LETHE_LIMIT;
        memcpy(out + *length, character, count);
        *length += count;
    }
    return LETHE_OK;
}

lethe_result json_piece_unsigned(const struct json_piece *piece, uint64_t *out)
{
    uint64_t number = 0;
    if (piece->kind != JSON_PIECE_NUMBER)
        return LETHE_MALFORMED;
    for (size_t i = 0; i < piece->length; i++) {
        char digit = piece->at[i];
        if (digit < '0' || digit > '9' || __builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(digit - '0'), &number))
            return LETHE_MALFORMED;
    }
    *out = number;
    return LETHE_OK;
}
