/* policy/builtin_json.c -- json.*: texts of JSON; the rest is in builtin_json_paths.c and _patch.c
 */
#include "policy/builtin_json.h"

#include <string.h>

#include "policy/builtin_text.h"
#include "policy/builtin_work.h"

static lethe_result print(struct builtin_call *call, const struct value *value, struct buffer *out)
{
    TRY(builtin_spend_value(call, value));
    value_print_json(value, out);
    return text_fits(call, out);
}

static lethe_result json_marshal(struct builtin_call *call, const struct value *const *operands,
                                 const struct value **out)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    TRY(print(call, operands[0], &text));
    return text_result(call, &text, out);
}

/* ---- on many lines ---- */

struct layout {
    struct builtin_call *call;
    const struct value *prefix; /* in front of each line */
    const struct value *indent; /* and this for each level */
    unsigned level;
};

static lethe_result line_start(const struct layout *layout, struct buffer *out)
{
    uint64_t size = layout->prefix->count + (uint64_t)layout->level * layout->indent->count;
    TRY(text_spend(layout->call, size));
    TRY(text_fits(layout->call, out));
    buffer_append(out, layout->prefix->string, layout->prefix->count);
    for (unsigned i = 0; i < layout->level; i++)
        buffer_append(out, layout->indent->string, layout->indent->count);
    return LETHE_OK;
}

static lethe_result line_break(const struct layout *layout, struct buffer *out)
{
    buffer_byte(out, '\n');
    return line_start(layout, out);
}

/* The length of what stays together at the beginning: a string with its quotes, or one byte. */
static size_t token_length(const char *text)
{
    size_t length = 1;
    if (text[0] != '"')
        return length;
    while (text[length] != '"')
        length += text[length] == '\\' ? 2 : 1;
    return length + 1;
}

static lethe_result lay_out_token(struct layout *layout, const char *token, size_t length,
                                  struct buffer *out)
{
    bool empty = token[0] == '[' ? token[1] == ']' : token[0] == '{' && token[1] == '}';
    bool closes = token[0] == ']' || token[0] == '}';
    if (closes && token[-1] != '[' && token[-1] != '{') {
        layout->level--;
        TRY(line_break(layout, out));
    }
    buffer_append(out, token, length);
    if (token[0] == ':')
        buffer_byte(out, ' ');
    if ((token[0] == '[' || token[0] == '{') && !empty) {
        layout->level++;
        return line_break(layout, out);
    }
    return token[0] == ',' ? line_break(layout, out) : LETHE_OK;
}

static lethe_result lay_out(struct layout *layout, const struct buffer *compact, struct buffer *out)
{
    TRY(line_start(layout, out));
    for (size_t at = 0; at < compact->size_bytes;) {
        size_t length = token_length(compact->bytes + at);
        TRY(builtin_spend(layout->call, 1));
        TRY(lay_out_token(layout, compact->bytes + at, length, out));
        at += length;
    }
    return text_fits(layout->call, out);
}

struct marshal_options {
    const struct value *prefix, *indent;
    bool pretty, pretty_given;
};

static lethe_result text_option(struct builtin_call *call, const struct value_pair *option,
                                unsigned place, const struct value **out)
{
    if (option->value->kind != VALUE_STRING)
        return builtin_fail(call, BUILTIN_TYPE_ERROR,
                            "operand 2 key %s failed cast to string: operand %u must be string "
                            "but got %s",
                            text_quote(option->key).text, place,
                            value_kind_name(option->value->kind));
    *out = option->value;
    return LETHE_OK;
}

static lethe_result read_option(struct builtin_call *call, const struct value_pair *option,
                                unsigned place, struct marshal_options *out)
{
    TRY(builtin_spend_value(call, option->key));
    struct text_quoted key = text_quote(option->key);
    if (option->key->kind != VALUE_STRING)
        return builtin_fail(call, BUILTIN_TYPE_ERROR,
                            "operand 2 failed to stringify key %s at index %u: operand %u must be "
                            "string but got %s",
                            key.text, place, place, value_kind_name(option->key->kind));
    if (value_is_text(option->key, "prefix"))
        return text_option(call, option, place, &out->prefix);
    if (value_is_text(option->key, "indent"))
        return text_option(call, option, place, &out->indent);
    if (!value_is_text(option->key, "pretty"))
        return builtin_fail(call, BUILTIN_TYPE_ERROR, "operand 2 object contained unknown key %s",
                            key.text);
    if (option->value->kind != VALUE_BOOLEAN)
        return builtin_fail(call, BUILTIN_TYPE_ERROR, "operand 2 key %s failed cast to bool",
                            key.text);
    out->pretty = option->value->boolean;
    out->pretty_given = true;
    return LETHE_OK;
}

/* A prefix or an indent asks for many lines, unless "pretty" says otherwise. */
static lethe_result json_marshal_with_options(struct builtin_call *call,
                                              const struct value *const *operands,
                                              const struct value **out)
{
    static const struct value tab = {.kind = VALUE_STRING, .count = 1, .string = "\t"};
    struct marshal_options options = {0};
    for (uint32_t i = 0; i < operands[1]->count; i++)
        TRY(read_option(call, &operands[1]->pairs[i], i, &options));
    if (!options.pretty_given)
        options.pretty = options.prefix != NULL || options.indent != NULL;
    if (!options.pretty)
        return json_marshal(call, operands, out);
    CLEANUP(buffer_clear) struct buffer compact = {0};
    CLEANUP(buffer_clear) struct buffer text = {0};
    struct layout layout = {
        .call = call,
        .prefix = options.prefix != NULL ? options.prefix : &value_empty_string,
        .indent = options.indent != NULL ? options.indent : &tab,
    };
    TRY(print(call, operands[0], &compact));
    TRY(lay_out(&layout, &compact, &text));
    return text_result(call, &text, out);
}

/* ---- reading ---- */

/* A document that is too deep is the document's fault; one that is too large for the arena ends the
 * evaluation. */
static lethe_result json_unmarshal(struct builtin_call *call, const struct value *const *operands,
                                   const struct value **out)
{
    struct lethe_error err = {0};
    TRY(text_spend(call, operands[0]->count));
    lethe_result result =
        value_parse_json(call->arena, operands[0]->string, operands[0]->count, out, &err);
    if (result == LETHE_OK)
        return LETHE_OK;
    *out = NULL;
    TRY(arena_result(call->arena, NULL));
    if (result == LETHE_NO_MEMORY)
        return result;
    return builtin_fail(call, BUILTIN_ERROR, "%s", err.text);
}

static lethe_result json_is_valid(struct builtin_call *call, const struct value *const *operands,
                                  const struct value **out)
{
    const struct value *text = operands[0];
    const struct value *ignored;
    if (text->kind != VALUE_STRING)
        return builtin_value(call, &value_false, out);
    TRY(text_spend(call, text->count));
    CLEANUP(arena_clear) struct arena scratch = {0};
    if (call->arena->limit_bytes != 0)
        scratch.limit_bytes = call->arena->limit_bytes - call->arena->used_bytes + 1;
    lethe_result result = value_parse_json(&scratch, text->string, text->count, &ignored, NULL);
    if (scratch.failure != LETHE_OK)
        return call->arena->failure = scratch.failure;
    if (result == LETHE_NO_MEMORY)
        return result;
    return builtin_value(call, value_boolean(result == LETHE_OK), out);
}

static const struct builtin table[] = {
    {.name = "json.marshal", .arity = 1, .call = json_marshal},
    {.name = "json.marshal_with_options",
     .arity = 2,
     .operand_kinds = {KIND_ANY, KIND(OBJECT)},
     .call = json_marshal_with_options},
    {.name = "json.unmarshal", .arity = 1, .operand_kinds = {KIND(STRING)}, .call = json_unmarshal},
    {.name = "json.is_valid", .arity = 1, .call = json_is_valid},
    {.name = "json.filter",
     .arity = 2,
     .operand_kinds = {KIND(OBJECT), KIND(SET) | KIND(ARRAY)},
     .call = json_filter},
    {.name = "json.remove",
     .arity = 2,
     .operand_kinds = {KIND(OBJECT), KIND(SET) | KIND(ARRAY)},
     .call = json_remove},
    {.name = "json.patch",
     .arity = 2,
     .operand_kinds = {KIND_ANY, KIND(ARRAY)},
     .call = json_patch},
};
BUILTIN_FAMILY(json, table);
