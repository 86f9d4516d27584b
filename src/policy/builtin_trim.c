/* policy/builtin_trim.c -- texts without what is at their ends. */
#include <string.h>

#include "base/utf8.h"
#include "policy/builtin_work.h"
#include "policy/runes.h"

struct part {
    const char *at, *end;
};

/* The part as a value: the operand itself when nothing was taken away. */
static lethe_result part_value(struct builtin_call *call, const struct value *whole,
                               struct part part, const struct value **out)
{
    size_t size_bytes = (size_t)(part.end - part.at);
    TRY(builtin_spend(call, 1 + size_bytes / WORK_BYTES_PER_STEP));
    if (size_bytes == whole->count)
        return builtin_value(call, whole, out);
    return builtin_value(call, value_string(call->arena, part.at, size_bytes), out);
}

/* Whether the character that begins at `at` is among those to be taken away. */
typedef bool (*is_trimmed)(const char *at, size_t size_bytes, const struct value *cutset);

static bool is_in_cutset(const char *at, size_t size_bytes, const struct value *cutset)
{
    return memmem(cutset->string, cutset->count, at, size_bytes) != NULL;
}

/* Unicode's White_Space. */
static bool is_space(const char *at, size_t size_bytes, const struct value *cutset)
{
    uint32_t c;
    (void)cutset;
    utf8_decode(at, size_bytes, &c);
    return (c >= '\t' && c <= '\r') || c == ' ' || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
           c == 0x205F || c == 0x3000;
}

static size_t last_rune_bytes(struct part part)
{
    size_t bytes = 1;
    while (!rune_starts_with(part.end[-(ptrdiff_t)bytes]))
        bytes++;
    return bytes;
}

enum ends { LEFT = 1, RIGHT = 2, BOTH = LEFT | RIGHT };

static lethe_result trim_ends(struct builtin_call *call, const struct value *const *operands,
                              is_trimmed trimmed, enum ends ends, const struct value **out)
{
    const struct value *text = operands[0];
    const struct value *cutset = trimmed == is_in_cutset ? operands[1] : &value_empty_string;
    struct part part = {text->string, text->string + text->count};
    uint64_t steps = 1 + cutset->count / WORK_BYTES_PER_STEP;
    while ((ends & LEFT) != 0 && part.at < part.end) {
        size_t bytes = rune_bytes(part.at, (size_t)(part.end - part.at));
        TRY(builtin_spend(call, steps));
        if (!trimmed(part.at, bytes, cutset))
            break;
        part.at += bytes;
    }
    while ((ends & RIGHT) != 0 && part.at < part.end) {
        size_t bytes = last_rune_bytes(part);
        TRY(builtin_spend(call, steps));
        if (!trimmed(part.end - bytes, bytes, cutset))
            break;
        part.end -= bytes;
    }
    return part_value(call, text, part, out);
}

static lethe_result trim(struct builtin_call *call, const struct value *const *operands,
                         const struct value **out)
{
    return trim_ends(call, operands, is_in_cutset, BOTH, out);
}

static lethe_result trim_left(struct builtin_call *call, const struct value *const *operands,
                              const struct value **out)
{
    return trim_ends(call, operands, is_in_cutset, LEFT, out);
}

static lethe_result trim_right(struct builtin_call *call, const struct value *const *operands,
                               const struct value **out)
{
    return trim_ends(call, operands, is_in_cutset, RIGHT, out);
}

static lethe_result trim_space(struct builtin_call *call, const struct value *const *operands,
                               const struct value **out)
{
    return trim_ends(call, operands, is_space, BOTH, out);
}

static lethe_result trim_prefix(struct builtin_call *call, const struct value *const *operands,
                                const struct value **out)
{
    const struct value *text = operands[0], *prefix = operands[1];
    struct part part = {text->string, text->string + text->count};
    if (prefix->count <= text->count && memcmp(part.at, prefix->string, prefix->count) == 0)
        part.at += prefix->count;
    return part_value(call, text, part, out);
}

static lethe_result trim_suffix(struct builtin_call *call, const struct value *const *operands,
                                const struct value **out)
{
    const struct value *text = operands[0], *suffix = operands[1];
    struct part part = {text->string, text->string + text->count};
    if (suffix->count <= text->count &&
        memcmp(part.end - suffix->count, suffix->string, suffix->count) == 0)
        part.end -= suffix->count;
    return part_value(call, text, part, out);
}

#define STRINGS                                                                                    \
    {                                                                                              \
        KIND(STRING), KIND(STRING)                                                                 \
    }
static const struct builtin table[] = {
    {.name = "trim", .arity = 2, .operand_kinds = STRINGS, .call = trim},
    {.name = "trim_left", .arity = 2, .operand_kinds = STRINGS, .call = trim_left},
    {.name = "trim_right", .arity = 2, .operand_kinds = STRINGS, .call = trim_right},
    {.name = "trim_prefix", .arity = 2, .operand_kinds = STRINGS, .call = trim_prefix},
    {.name = "trim_suffix", .arity = 2, .operand_kinds = STRINGS, .call = trim_suffix},
    {.name = "trim_space", .arity = 1, .operand_kinds = {KIND(STRING)}, .call = trim_space},
};

BUILTIN_FAMILY(trim, table);
