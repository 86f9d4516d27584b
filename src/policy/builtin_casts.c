/* policy/builtin_casts.c -- numbers from other values, and what the older syntax casts. */
#include "policy/builtin_work.h"

#include <string.h>

/* What is looked at of a text that may be a number. */
struct scan {
    const char *at, *end;
};

static bool scan_any_of(struct scan *scan, const char *bytes)
{
    if (scan->at == scan->end || *scan->at == '\0' || strchr(bytes, *scan->at) == NULL)
        return false;
    scan->at++;
    return true;
}

static size_t scan_digits(struct scan *scan)
{
    const char *start = scan->at;
    while (scan_any_of(scan, "0123456789"))
        continue;
    return (size_t)(scan->at - start);
}

/* A decimal number as Go reads one (a sign, no digits before or behind the point), written as JSON
 * has it: without "+" and zeros in front, with digits around a point. */
static bool json_of_decimal(const struct value *text, struct buffer *json)
{
    struct scan scan = {text->string, text->string + text->count};
    if (scan_any_of(&scan, "+-") && scan.at[-1] == '-')
        buffer_byte(json, '-');
    const char *whole = scan.at;
    size_t whole_count = scan_digits(&scan);
    const char *fraction = scan_any_of(&scan, ".") ? scan.at : scan.end;
    size_t fraction_count = fraction == scan.end ? 0 : scan_digits(&scan);
    if (whole_count + fraction_count == 0)
        return false;
    for (; whole_count > 0 && *whole == '0'; whole_count--)
        whole++;
    buffer_append(json, whole_count > 0 ? whole : "0", MAX(whole_count, 1));
    buffer_text(json, fraction_count > 0 ? "." : "");
    buffer_append(json, fraction, fraction_count);
    const char *exponent = scan.at;
    if (scan_any_of(&scan, "eE")) {
        scan_any_of(&scan, "+-");
        if (scan_digits(&scan) == 0)
            return false;
    }
    buffer_append(json, exponent, (size_t)(scan.at - exponent));
    return scan.at == scan.end;
}

static lethe_result number_of_text(struct builtin_call *call, const struct value *text,
                                   const struct value **out)
{
    CLEANUP(buffer_clear) struct buffer json = {0};
    struct number number;
    TRY(builtin_spend(call, text->count));
    const char *wrong = "invalid syntax";
    if (json_of_decimal(text, &json)) {
        TRY(json.failure);
        if (number_parse(call->arena, json.bytes, json.size_bytes, &number))
            return builtin_number(call, true, &number, out);
        if (call->arena->failure != LETHE_OK)
            return call->arena->failure;
        wrong = "value out of range";
    }
    return builtin_fail(call, BUILTIN_ERROR, "parsing \"%.*s\": %s", (int)MIN(text->count, 64),
                        text->string, wrong);
}

static lethe_result to_number(struct builtin_call *call, const struct value *const *operands,
                              const struct value **out)
{
    const struct value *operand = operands[0];
    switch (operand->kind) {
    case VALUE_NULL:
        return builtin_value(call, value_small(call->arena, 0), out);
    case VALUE_BOOLEAN:
        return builtin_value(call, value_small(call->arena, operand->boolean), out);
    case VALUE_STRING:
        return number_of_text(call, operand, out);
    default:
        return builtin_value(call, operand, out);
    }
}

static lethe_result cast_list(struct builtin_call *call, const struct value *operand,
                              enum value_kind kind, const struct value **out)
{
    struct value_list list;
    if (operand->kind == kind)
        return builtin_value(call, operand, out);
    if (operand->kind != VALUE_ARRAY && operand->kind != VALUE_SET)
        return builtin_fail_operand(call, 1, "one of {array, set}", operand);
    TRY(builtin_spend_value(call, operand));
    if (!builtin_list(call, operand->count, &list))
        return builtin_failed(call);
    for (; list.count < operand->count; list.count++)
        list.items[list.count] = operand->items[list.count];
    const struct value *cast =
        kind == VALUE_SET ? value_set(call->arena, &list) : value_array(call->arena, &list);
    return builtin_value(call, cast, out);
}

static lethe_result cast_array(struct builtin_call *call, const struct value *const *operands,
                               const struct value **out)
{
    return cast_list(call, operands[0], VALUE_ARRAY, out);
}

static lethe_result cast_set(struct builtin_call *call, const struct value *const *operands,
                             const struct value **out)
{
    return cast_list(call, operands[0], VALUE_SET, out);
}

/* The kind of the operand has been checked: that is all of these casts. */
static lethe_result same(struct builtin_call *call, const struct value *const *operands,
                         const struct value **out)
{
    return builtin_value(call, operands[0], out);
}

#define NUMERIC (KIND(NULL) | KIND(BOOLEAN) | KIND(NUMBER) | KIND(STRING))
#define CAST_SAME(of, kinds)                                                                       \
    {                                                                                              \
        .name = "cast_" of, .arity = 1, .flags = BUILTIN_V0, .operand_kinds = {kinds},             \
        .call = same                                                                               \
    }
static const struct builtin table[] = {
    {.name = "to_number", .arity = 1, .operand_kinds = {NUMERIC}, .call = to_number},
    {.name = "cast_array", .arity = 1, .flags = BUILTIN_V0, .call = cast_array},
    {.name = "cast_set", .arity = 1, .flags = BUILTIN_V0, .call = cast_set},
    CAST_SAME("string", KIND(STRING)),
    CAST_SAME("boolean", KIND(BOOLEAN)),
    CAST_SAME("null", KIND(NULL)),
    CAST_SAME("object", KIND(OBJECT)),
};

BUILTIN_FAMILY(casts, table);
