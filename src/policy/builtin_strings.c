/* policy/builtin_strings.c -- texts joined, cut and turned round. */
#include <string.h>

#include "policy/builtin_work.h"
#include "policy/runes.h"

static lethe_result concat(struct builtin_call *call, const struct value *const *operands,
                           const struct value **out)
{
    const struct value *separator = operands[0], *parts = operands[1];
    CLEANUP(buffer_clear) struct buffer joined = {0};
    TRY(builtin_elements(call, 2, parts, VALUE_STRING));
    for (uint32_t i = 0; i < parts->count; i++) {
        if (i > 0)
            TRY(builtin_append(call, &joined, separator->string, separator->count));
        TRY(builtin_append(call, &joined, parts->items[i]->string, parts->items[i]->count));
    }
    return builtin_text(call, &joined, out);
}

static lethe_result append_part(struct builtin_call *call, struct value_list *parts, const char *at,
                                size_t size_bytes)
{
    TRY(builtin_spend(call, 1 + size_bytes / WORK_BYTES_PER_STEP));
    const struct value *part = value_string(call->arena, at, size_bytes);
    return value_list_append(call->arena, parts, part) ? LETHE_OK : builtin_failed(call);
}

static lethe_result split_characters(struct builtin_call *call, const struct value *text,
                                     struct value_list *parts)
{
    size_t bytes;
    for (size_t at = 0; at < text->count; at += bytes) {
        bytes = rune_bytes(text->string + at, text->count - at);
        TRY(append_part(call, parts, text->string + at, bytes));
    }
    return LETHE_OK;
}

static lethe_result split_parts(struct builtin_call *call, const struct value *text,
                                const struct value *delimiter, struct value_list *parts)
{
    const char *at = text->string, *end = text->string + text->count, *found;
    if (delimiter->count == 0)
        return split_characters(call, text, parts);
    while ((found = memmem(at, (size_t)(end - at), delimiter->string, delimiter->count)) != NULL) {
        TRY(builtin_spend(call, delimiter->count / WORK_BYTES_PER_STEP));
        TRY(append_part(call, parts, at, (size_t)(found - at)));
        at = found + delimiter->count;
    }
    return append_part(call, parts, at, (size_t)(end - at));
}

static lethe_result split(struct builtin_call *call, const struct value *const *operands,
                          const struct value **out)
{
    struct value_list parts = {0};
    TRY(split_parts(call, operands[0], operands[1], &parts));
    return builtin_value(call, value_array(call->arena, &parts), out);
}

/* The first n parts, or the last -n. */
static lethe_result split_n(struct builtin_call *call, const struct value *const *operands,
                            const struct value **out)
{
    struct value_list parts = {0};
    int64_t n;
    TRY(builtin_integer(call, 3, operands[2], &n));
    TRY(split_parts(call, operands[0], operands[1], &parts));
    uint64_t wanted = n < 0 ? -(uint64_t)n : (uint64_t)n;
    size_t count = (size_t)MIN(wanted, parts.count);
    if (n < 0 && count > 0)
        memmove(parts.items, parts.items + parts.count - count, count * sizeof(*parts.items));
    parts.count = count;
    return builtin_value(call, value_array(call->arena, &parts), out);
}

/* Offset and length are in characters; a negative length is all that is left. */
static lethe_result substring(struct builtin_call *call, const struct value *const *operands,
                              const struct value **out)
{
    const struct value *text = operands[0];
    int64_t offset, length;
    TRY(builtin_integer(call, 2, operands[1], &offset));
    TRY(builtin_integer(call, 3, operands[2], &length));
    if (offset < 0)
        return builtin_fail(call, BUILTIN_ERROR, "negative offset");
    TRY(builtin_spend(call, 1 + text->count / WORK_BYTES_PER_STEP));
    size_t start = runes_bytes(text->string, text->count, (size_t)offset);
    size_t left_bytes = text->count - start;
    size_t size_bytes =
        length < 0 ? left_bytes : runes_bytes(text->string + start, left_bytes, (size_t)length);
    return builtin_value(call, value_string(call->arena, text->string + start, size_bytes), out);
}

static lethe_result reverse(struct builtin_call *call, const struct value *const *operands,
                            const struct value **out)
{
    const struct value *text = operands[0];
    CLEANUP(buffer_clear) struct buffer reversed = {0};
    size_t bytes;
    TRY(builtin_spend(call, 1 + text->count / WORK_BYTES_PER_STEP));
    char *end = buffer_extend(&reversed, text->count);
    if (end == NULL)
        return reversed.failure;
    end += text->count;
    for (size_t at = 0; at < text->count; at += bytes) {
        bytes = rune_bytes(text->string + at, text->count - at);
        end -= bytes;
        memcpy(end, text->string + at, bytes);
    }
    return builtin_text(call, &reversed, out);
}

static const struct builtin table[] = {
    {.name = "concat",
     .arity = 2,
     .operand_kinds = {KIND(STRING), KIND(SET) | KIND(ARRAY)},
     .call = concat},
    {.name = "split", .arity = 2, .operand_kinds = {KIND(STRING), KIND(STRING)}, .call = split},
    {.name = "strings.split_n",
     .arity = 3,
     .operand_kinds = {KIND(STRING), KIND(STRING), KIND(NUMBER)},
     .call = split_n},
    {.name = "substring",
     .arity = 3,
     .operand_kinds = {KIND(STRING), KIND(NUMBER), KIND(NUMBER)},
     .call = substring},
    {.name = "strings.reverse", .arity = 1, .operand_kinds = {KIND(STRING)}, .call = reverse},
};

BUILTIN_FAMILY(strings, table);
