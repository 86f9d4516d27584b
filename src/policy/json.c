/* Reading JSON (RFC 8259). The recursion is as deep as VALUE_DEPTH_MAX at most. */
#include <string.h>

#include "policy/json_read.h"
#include "policy/number_form.h"
#include "policy/value_make.h"

/* ---- what is wrong, and where ---- */

struct place {
    size_t line, column; /* from 1; columns are characters */
};

static struct place place_of(const struct json_reader *reader)
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

lethe_result json_refuse(const struct json_reader *reader, const char *expected)
{
    struct place place = place_of(reader);
    return error_set(reader->err, LETHE_MALFORMED, "line %zu, column %zu: expected %s, found %s",
                     place.line, place.column, expected,
                     reader->at == reader->end ? "the end" : "something else");
}

lethe_result json_refuse_as(const struct json_reader *reader, lethe_result result, const char *what)
{
    struct place place = place_of(reader);
    return error_set(reader->err, result, "line %zu, column %zu: %s", place.line, place.column,
                     what);
}

lethe_result json_no_value(const struct json_reader *reader)
{
    return error_not_ok(arena_result(reader->arena, reader->err));
}

static lethe_result give(const struct json_reader *reader, const struct value *made,
                         const struct value **out)
{
    if (made == NULL)
        return json_no_value(reader);
    *out = made;
    return LETHE_OK;
}

/* ---- white space and punctuation ---- */

static void skip_space(struct json_reader *reader)
{
    while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\n' ||
                                        *reader->at == '\r' || *reader->at == '\t'))
        reader->at++;
}

static bool take(struct json_reader *reader, char character)
{
    skip_space(reader);
    if (reader->at == reader->end || *reader->at != character)
        return false;
    reader->at++;
    return true;
}

/* ---- the other scalars ---- */

static lethe_result read_number(struct json_reader *reader, const struct value **out)
{
    size_t length = number_length(reader->at, (size_t)(reader->end - reader->at));
    if (length == 0)
        return json_refuse(reader, "a value");
    struct number number;
    if (!number_parse(reader->arena, reader->at, length, &number)) {
        TRY(arena_result(reader->arena, reader->err));
        return json_refuse_as(reader, LETHE_LIMIT, "a number is too large, too small or too long");
    }
    reader->at += length;
    return give(reader, value_number(reader->arena, &number), out);
}

static lethe_result read_word(struct json_reader *reader, const struct value **out)
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
    return json_refuse(reader, "a value");
}

/* ---- collections ---- */

static lethe_result read_value(struct json_reader *reader, const struct value **out);

static lethe_result push(struct json_reader *reader, const struct value *value)
{
    bool pushed = value_list_append(reader->arena, &reader->open, value);
    return pushed ? LETHE_OK : json_no_value(reader);
}

/* A copy, of the size that it needs, of what was pushed since `mark`. NULL: no memory. */
static void *pop(struct json_reader *reader, size_t mark)
{
    size_t size_bytes = (reader->open.count - mark) * sizeof *reader->open.items;
    void *copy = arena_alloc(reader->arena, size_bytes);
    if (copy != NULL && size_bytes > 0)
        memcpy(copy, reader->open.items + mark, size_bytes);
    reader->open.count = mark;
    return copy;
}

static lethe_result read_array(struct json_reader *reader, const struct value **out)
{
    size_t mark = reader->open.count;
    if (take(reader, ']')) {
        *out = &value_empty_array;
        return LETHE_OK;
    }
    do {
        const struct value *item = NULL;
        TRY(read_value(reader, &item));
        TRY(push(reader, item));
    } while (take(reader, ','));
    if (!take(reader, ']'))
        return json_refuse(reader, "a comma or a ]");
    size_t count = reader->open.count - mark;
    const struct value *const *items = pop(reader, mark);
    if (items == NULL)
        return json_no_value(reader);
    return give(reader, value_array_of(reader->arena, items, count), out);
}

static lethe_result read_pair(struct json_reader *reader)
{
    const struct value *key = NULL, *value = NULL;
    if (!take(reader, '"'))
        return json_refuse(reader, "a key, a string in \"");
    TRY(json_read_string(reader, &key));
    if (!take(reader, ':'))
        return json_refuse(reader, "a colon behind the key");
    TRY(read_value(reader, &value));
    TRY(push(reader, key));
    return push(reader, value);
}

static lethe_result make_object(struct json_reader *reader, size_t mark, const struct value **out)
{
    size_t count = (reader->open.count - mark) / 2;
    struct value_pair *pairs = pop(reader, mark);
    if (pairs == NULL)
        return json_no_value(reader);
    TRY(give(reader, value_object_of(reader->arena, pairs, count, NULL), out));
    if ((*out)->count < count)
        return json_refuse_as(reader, LETHE_MALFORMED, "the object that ends here has a key twice");
    return LETHE_OK;
}

static lethe_result read_object(struct json_reader *reader, const struct value **out)
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
        return json_refuse(reader, "a comma or a }");
    return make_object(reader, mark, out);
}

static lethe_result read_collection(struct json_reader *reader, const struct value **out)
{
    if (reader->depth == VALUE_DEPTH_MAX)
        return json_refuse_as(reader, LETHE_LIMIT, "arrays and objects are nested too deeply");
    reader->depth++;
    bool is_array = *reader->at++ == '[';
    TRY(is_array ? read_array(reader, out) : read_object(reader, out));
    reader->depth--;
    return LETHE_OK;
}

static lethe_result read_value(struct json_reader *reader, const struct value **out)
{
    skip_space(reader);
    if (reader->at == reader->end)
        return json_refuse(reader, "a value");
    switch (*reader->at) {
    case '[':
    case '{':
        return read_collection(reader, out);
    case '"':
        reader->at++;
        return json_read_string(reader, out);
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
    struct json_reader reader = {
        .arena = arena, .begin = text, .at = text, .end = text + size_bytes, .err = err};
    TRY(arena_result(arena, err));
    const struct value *read = NULL;
    TRY(read_value(&reader, &read));
    skip_space(&reader);
    if (reader.at != reader.end)
        return json_refuse(&reader, "nothing behind the value");
    *out = read;
    return LETHE_OK;
}
