/* policy/builtin_letters.c -- lower and upper: each character alone, in no language. */
#include "base/utf8.h"
#include "policy/builtin_work.h"
#include "policy/letters_table.h"
#include "policy/runes.h"

static uint32_t other_case(const struct letter_run *runs, size_t count, uint32_t character)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (runs[middle].last < character)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == count || character < runs[low].first ||
        (character - runs[low].first) % runs[low].stride != 0)
        return character;
    return (uint32_t)((int64_t)character + runs[low].distance);
}

/* How to change ASCII (letters from `first`, by `distance`), and everything else. */
struct letter_case {
    char first;
    int distance;
    const struct letter_run *runs;
    size_t run_count;
};
static const struct letter_case lower_case = {'A', 'a' - 'A', to_lower, ARRAY_LEN(to_lower)};
static const struct letter_case upper_case = {'a', 'A' - 'a', to_upper, ARRAY_LEN(to_upper)};

/* Changes ASCII in place as far as there is only ASCII; gives how far. */
static size_t change_ascii(const struct letter_case *to, char *bytes, const char *text,
                           size_t size_bytes)
{
    size_t i = 0;
    for (; i < size_bytes && (unsigned char)text[i] < 0x80; i++) {
        bool letter = (unsigned)(text[i] - to->first) < 26;
        bytes[i] = (char)(text[i] + (letter ? to->distance : 0));
    }
    return i;
}

static lethe_result change_rest(struct builtin_call *call, const struct letter_case *to,
                                const struct value *text, struct buffer *changed)
{
    uint32_t character;
    size_t bytes;
    for (size_t at = changed->size_bytes; at < text->count; at += bytes) {
        char encoded[RUNE_BYTES_MAX];
        bytes = utf8_decode(text->string + at, text->count - at, &character);
        size_t encoded_bytes = rune_encode(other_case(to->runs, to->run_count, character), encoded);
        TRY(builtin_append(call, changed, encoded, encoded_bytes));
    }
    return LETHE_OK;
}

static lethe_result change(struct builtin_call *call, const struct letter_case *to,
                           const struct value *text, const struct value **out)
{
    CLEANUP(buffer_clear) struct buffer changed = {0};
    TRY(builtin_spend(call, 1 + text->count / WORK_BYTES_PER_STEP));
    char *bytes = buffer_extend(&changed, text->count);
    if (bytes == NULL)
        return changed.failure;
    buffer_truncate(&changed, change_ascii(to, bytes, text->string, text->count));
    TRY(change_rest(call, to, text, &changed));
    return builtin_text(call, &changed, out);
}

static lethe_result lower(struct builtin_call *call, const struct value *const *operands,
                          const struct value **out)
{
    return change(call, &lower_case, operands[0], out);
}

static lethe_result upper(struct builtin_call *call, const struct value *const *operands,
                          const struct value **out)
{
    return change(call, &upper_case, operands[0], out);
}

static const struct builtin table[] = {
    {.name = "lower", .arity = 1, .operand_kinds = {KIND(STRING)}, .call = lower},
    {.name = "upper", .arity = 1, .operand_kinds = {KIND(STRING)}, .call = upper},
};

BUILTIN_FAMILY(letters, table);
