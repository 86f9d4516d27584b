/* policy/builtin_urlquery.c -- urlquery.*: as Go's net/url */
#include <string.h>

#include "base/text.h"
#include "policy/builtin_text.h"
#include "policy/builtin_work.h"

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-_.~", c) != NULL);
}

static void append_escaped(struct buffer *out, const struct value *text)
{
    for (uint32_t i = 0; i < text->count; i++) {
        char c = text->string[i];
        if (is_unreserved(c) || c == ' ')
            buffer_byte(out, (uint8_t)(c == ' ' ? '+' : c));
        else
            buffer_format(out, "%%%02X", (uint8_t)c);
    }
}

static lethe_result encode(struct builtin_call *call, const struct value *const *operands,
                           const struct value **out)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    TRY(text_spend(call, operands[0]->count));
    append_escaped(&text, operands[0]);
    return text_result(call, &text, out);
}

/* The bad escape is shown, up to its three characters. */
static lethe_result append_unescaped(struct builtin_call *call, struct buffer *out,
                                     const char *text, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++) {
        if (text[i] != '%') {
            buffer_byte(out, (uint8_t)(text[i] == '+' ? ' ' : text[i]));
            continue;
        }
        int high = i + 1 < size_bytes ? hex_digit_value(text[i + 1]) : -1;
        int low = i + 2 < size_bytes ? hex_digit_value(text[i + 2]) : -1;
        if (high < 0 || low < 0)
            return builtin_fail(call, BUILTIN_ERROR, "invalid URL escape \"%.*s\"",
                                (int)MIN(3, size_bytes - i), text + i);
        buffer_byte(out, (uint8_t)(high << 4 | low));
        i += 2;
    }
    return LETHE_OK;
}

static lethe_result decode(struct builtin_call *call, const struct value *const *operands,
                           const struct value **out)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    TRY(text_spend(call, operands[0]->count));
    TRY(append_unescaped(call, &text, operands[0]->string, operands[0]->count));
    return text_result(call, &text, out);
}

/* ---- objects ---- */

static lethe_result append_parameter(struct builtin_call *call, struct buffer *out,
                                     const struct value *key, const struct value *value)
{
    if (value->kind != VALUE_STRING)
        return builtin_fail(call, BUILTIN_TYPE_ERROR,
                            "operand 1 values must be string, array[string], or set[string]");
    TRY(text_spend(call, (uint64_t)key->count + value->count));
    buffer_text(out, out->size_bytes > 0 ? "&" : "");
    append_escaped(out, key);
    buffer_byte(out, '=');
    append_escaped(out, value);
    return text_fits(call, out);
}

static lethe_result append_parameters(struct builtin_call *call, struct buffer *out,
                                      const struct value_pair *pair)
{
    if (pair->value->kind != VALUE_ARRAY && pair->value->kind != VALUE_SET)
        return append_parameter(call, out, pair->key, pair->value);
    for (uint32_t i = 0; i < pair->value->count; i++)
        TRY(append_parameter(call, out, pair->key, pair->value->items[i]));
    return LETHE_OK;
}

static lethe_result text_key(struct builtin_call *call, const struct value *key,
                             const struct value **out)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    *out = key;
    if (key->kind == VALUE_STRING)
        return LETHE_OK;
    TRY(builtin_spend_value(call, key));
    value_print_json(key, &text);
    return text_result(call, &text, out);
}

/* A key that is no string is the text of its JSON, and takes its place among the others. */
static lethe_result with_text_keys(struct builtin_call *call, const struct value *object,
                                   const struct value **out)
{
    struct value_pairs pairs = {0};
    for (uint32_t i = 0; i < object->count; i++) {
        const struct value *key;
        TRY(text_key(call, object->pairs[i].key, &key));
        if (!value_pairs_append(call->arena, &pairs, key, object->pairs[i].value))
            return arena_result(call->arena, NULL);
    }
    return builtin_value(call, value_object(call->arena, &pairs, NULL), out);
}

static bool has_text_keys(const struct value *object)
{
    for (uint32_t i = 0; i < object->count; i++)
        if (object->pairs[i].key->kind != VALUE_STRING)
            return false;
    return true;
}

static lethe_result encode_object(struct builtin_call *call, const struct value *const *operands,
                                  const struct value **out)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    const struct value *object = operands[0];
    TRY(builtin_spend(call, object->count));
    if (!has_text_keys(object))
        TRY(with_text_keys(call, object, &object));
    for (uint32_t i = 0; i < object->count; i++)
        TRY(append_parameters(call, &text, &object->pairs[i]));
    return text_result(call, &text, out);
}

static lethe_result unescaped(struct builtin_call *call, const char *text, size_t size_bytes,
                              const struct value **out)
{
    CLEANUP(buffer_clear) struct buffer bytes = {0};
    TRY(append_unescaped(call, &bytes, text, size_bytes));
    return text_result(call, &bytes, out);
}

/* A parameter while they are sorted: [key, its place in the query, value]. */
enum { PARAMETER_KEY, PARAMETER_PLACE, PARAMETER_VALUE, PARAMETER_PARTS };

static lethe_result append_parts(struct builtin_call *call, const struct value *const *parts,
                                 struct value_list *out)
{
    struct value_list list = {0};
    for (size_t i = 0; i < PARAMETER_PARTS; i++)
        if (!value_list_append(call->arena, &list, parts[i]))
            return arena_result(call->arena, NULL);
    const struct value *parameter = value_array(call->arena, &list);
    return value_list_append(call->arena, out, parameter) ? LETHE_OK
                                                          : arena_result(call->arena, NULL);
}

static lethe_result read_parameter(struct builtin_call *call, const char *text, size_t size_bytes,
                                   struct value_list *out)
{
    const struct value *parts[PARAMETER_PARTS];
    if (size_bytes == 0)
        return LETHE_OK;
    if (memchr(text, ';', size_bytes) != NULL)
        return builtin_fail(call, BUILTIN_ERROR, "invalid semicolon separator in query");
    const char *equals = memchr(text, '=', size_bytes);
    size_t key_size = equals != NULL ? (size_t)(equals - text) : size_bytes;
    size_t value_at = MIN(key_size + 1, size_bytes);
    TRY(unescaped(call, text, key_size, &parts[PARAMETER_KEY]));
    TRY(unescaped(call, text + value_at, size_bytes - value_at, &parts[PARAMETER_VALUE]));
    parts[PARAMETER_PLACE] = value_small(call->arena, (int64_t)out->count);
    return append_parts(call, parts, out);
}

static lethe_result read_parameters(struct builtin_call *call, const struct value *query,
                                    struct value_list *out)
{
    const char *at = query->string;
    const char *end = at + query->count;
    TRY(text_spend(call, query->count));
    while (at < end) {
        const char *ampersand = memchr(at, '&', (size_t)(end - at));
        const char *stop = ampersand != NULL ? ampersand : end;
        TRY(builtin_spend(call, 1));
        TRY(read_parameter(call, at, (size_t)(stop - at), out));
        at = ampersand != NULL ? stop + 1 : end;
    }
    return LETHE_OK;
}

/* Of sorted parameters: those with the key of the first, from *at on. */
static const struct value *values_of_key(struct arena *arena, const struct value *sorted,
                                         uint32_t *at)
{
    struct value_list values = {0};
    const struct value *key = sorted->items[*at]->items[PARAMETER_KEY];
    while (*at < sorted->count && value_equal(sorted->items[*at]->items[PARAMETER_KEY], key))
        if (!value_list_append(arena, &values, sorted->items[(*at)++]->items[PARAMETER_VALUE]))
            return NULL;
    return value_array(arena, &values);
}

static lethe_result decode_object(struct builtin_call *call, const struct value *const *operands,
                                  const struct value **out)
{
    struct value_list parameters = {0};
    struct value_pairs pairs = {0};
    const struct value *sorted;
    TRY(read_parameters(call, operands[0], &parameters));
    TRY(builtin_value(call, value_set(call->arena, &parameters), &sorted));
    for (uint32_t i = 0; i < sorted->count;) {
        const struct value *key = sorted->items[i]->items[PARAMETER_KEY];
        TRY(builtin_spend(call, 1));
        if (!value_pairs_append(call->arena, &pairs, key, values_of_key(call->arena, sorted, &i)))
            return arena_result(call->arena, NULL);
    }
    return builtin_value(call, value_object(call->arena, &pairs, NULL), out);
}

static const struct builtin table[] = {
    {.name = "urlquery.encode", .arity = 1, .operand_kinds = {KIND(STRING)}, .call = encode},
    {.name = "urlquery.decode", .arity = 1, .operand_kinds = {KIND(STRING)}, .call = decode},
    {.name = "urlquery.encode_object",
     .arity = 1,
     .operand_kinds = {KIND(OBJECT)},
     .call = encode_object},
    {.name = "urlquery.decode_object",
     .arity = 1,
     .operand_kinds = {KIND(STRING)},
     .call = decode_object},
};
BUILTIN_FAMILY(urlquery, table);
