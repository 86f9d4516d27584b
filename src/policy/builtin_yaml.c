/* policy/builtin_yaml.c -- yaml.* */
#include "policy/builtin_text.h"
#include "policy/builtin_work.h"
#include "policy/yaml_value.h"

static size_t room_bytes(const struct arena *arena)
{
    return arena->limit_bytes == 0 ? BUFFER_LIMIT_BYTES : arena->limit_bytes - arena->used_bytes;
}

/* As OPA, by way of JSON: sets become arrays, keys become texts. */
static lethe_result as_json(struct builtin_call *call, const struct value *value,
                            struct arena *scratch, const struct value **out)
{
    CLEANUP(buffer_clear) struct buffer json = {0};
    TRY(builtin_spend_value(call, value));
    value_print_json(value, &json);
    TRY(text_fits(call, &json));
    TRY(text_spend(call, json.size_bytes));
    return value_parse_json(scratch, json.bytes, json.size_bytes, out, NULL);
}

static lethe_result yaml_marshal(struct builtin_call *call, const struct value *const *operands,
                                 const struct value **out)
{
    const struct value *plain = NULL;
    CLEANUP(buffer_clear) struct buffer text = {0};
    CLEANUP(arena_clear) struct arena scratch = {.limit_bytes = room_bytes(call->arena) + 1};
    TRY(as_json(call, operands[0], &scratch, &plain));
    TRY(value_print_yaml(plain, room_bytes(call->arena), call->meter, &text));
    return text_result(call, &text, out);
}

/* LETHE_INVALID: the text is no YAML, or too deep, and it is the text's fault. Otherwise the
 * evaluation ends. */
static lethe_result parse(struct builtin_call *call, const struct value *text, struct arena *arena,
                          const struct value **out, struct lethe_error *err)
{
    TRY(text_spend(call, text->count));
    const struct yaml_source source = {text->string, text->count, call->meter};
    lethe_result result = value_parse_yaml(arena, &source, out, err);
    TRY(arena_result(arena, NULL));
    TRY(builtin_spend(call, 0)); /* the meter's limit is no matter of the text */
    if (result == LETHE_MALFORMED || result == LETHE_LIMIT)
        return LETHE_INVALID;
    return result;
}

static lethe_result yaml_unmarshal(struct builtin_call *call, const struct value *const *operands,
                                   const struct value **out)
{
    struct lethe_error err = {0};
    lethe_result result = parse(call, operands[0], call->arena, out, &err);
    if (result != LETHE_INVALID)
        return result;
    *out = NULL;
    return builtin_fail(call, BUILTIN_ERROR, "%s", err.text);
}

static lethe_result yaml_is_valid(struct builtin_call *call, const struct value *const *operands,
                                  const struct value **out)
{
    const struct value *ignored;
    if (operands[0]->kind != VALUE_STRING)
        return builtin_value(call, &value_false, out);
    CLEANUP(arena_clear) struct arena scratch = {.limit_bytes = room_bytes(call->arena) + 1};
    lethe_result result = parse(call, operands[0], &scratch, &ignored, NULL);
    if (result != LETHE_OK && result != LETHE_INVALID)
        return result;
    return builtin_value(call, value_boolean(result == LETHE_OK), out);
}

static const struct builtin table[] = {
    {.name = "yaml.marshal", .arity = 1, .call = yaml_marshal},
    {.name = "yaml.unmarshal", .arity = 1, .operand_kinds = {KIND(STRING)}, .call = yaml_unmarshal},
    {.name = "yaml.is_valid", .arity = 1, .call = yaml_is_valid},
};
BUILTIN_FAMILY(yaml, table);
