/* policy/builtin_replace.c -- texts with parts of them replaced. */
#include <string.h>

#include "policy/builtin_work.h"
#include "policy/runes.h"

static lethe_result append_value(struct builtin_call *call, struct buffer *text,
                                 const struct value *string)
{
    return builtin_append(call, text, string->string, string->count);
}

/* The empty text is before every character and at the end. */
static lethe_result replace_empty(struct builtin_call *call, const struct value *text,
                                  const struct value *with, struct buffer *replaced)
{
    size_t bytes;
    TRY(append_value(call, replaced, with));
    for (size_t at = 0; at < text->count; at += bytes) {
        bytes = rune_bytes(text->string + at, text->count - at);
        TRY(builtin_append(call, replaced, text->string + at, bytes));
        TRY(append_value(call, replaced, with));
    }
    return LETHE_OK;
}

static lethe_result replace_all(struct builtin_call *call, const struct value *text,
                                const struct value *old, const struct value *with,
                                struct buffer *replaced)
{
    const char *at = text->string, *end = text->string + text->count, *found;
    while ((found = memmem(at, (size_t)(end - at), old->string, old->count)) != NULL) {
        TRY(builtin_spend(call, 1 + old->count / WORK_BYTES_PER_STEP));
        TRY(builtin_append(call, replaced, at, (size_t)(found - at)));
        TRY(append_value(call, replaced, with));
        at = found + old->count;
    }
    return builtin_append(call, replaced, at, (size_t)(end - at));
}

static lethe_result replace(struct builtin_call *call, const struct value *const *operands,
                            const struct value **out)
{
    const struct value *text = operands[0], *old = operands[1], *with = operands[2];
    CLEANUP(buffer_clear) struct buffer replaced = {0};
    if (old->count == 0)
        TRY(replace_empty(call, text, with, &replaced));
    else
        TRY(replace_all(call, text, old, with, &replaced));
    return builtin_text(call, &replaced, out);
}

static lethe_result check_patterns(struct builtin_call *call, const struct value *patterns)
{
    TRY(builtin_spend(call, patterns->count));
    for (uint32_t i = 0; i < patterns->count; i++) {
        if (patterns->pairs[i].key->kind != VALUE_STRING)
            return builtin_fail(call, BUILTIN_TYPE_ERROR,
                                "operand 1 non-string key found in pattern object");
        if (patterns->pairs[i].value->kind != VALUE_STRING)
            return builtin_fail(call, BUILTIN_TYPE_ERROR,
                                "operand 1 non-string value found in pattern object");
    }
    return LETHE_OK;
}

/* The first key, in their order, that stands at `at`; empty ones do not count when `no_empty`. */
static const struct value_pair *pattern_at(const struct value *patterns, const char *at,
                                           size_t left_bytes, bool no_empty)
{
    for (uint32_t i = no_empty && patterns->count > 0 && patterns->pairs[0].key->count == 0;
         i < patterns->count; i++) {
        const struct value *key = patterns->pairs[i].key;
        if (key->count <= left_bytes && memcmp(key->string, at, key->count) == 0)
            return &patterns->pairs[i];
    }
    return NULL;
}

/* From left to right, and never twice at one place: what was replaced is not looked at again. */
static lethe_result replace_patterns(struct builtin_call *call, const struct value *patterns,
                                     const struct value *text, struct buffer *replaced)
{
    size_t at = 0, kept = 0;
    bool after_empty = false;
    while (at <= text->count) {
        TRY(builtin_spend(call, 1 + (uint64_t)patterns->count));
        const struct value_pair *pattern =
            pattern_at(patterns, text->string + at, text->count - at, after_empty);
        after_empty = pattern != NULL && pattern->key->count == 0;
        if (pattern != NULL) {
            TRY(builtin_append(call, replaced, text->string + kept, at - kept));
            TRY(append_value(call, replaced, pattern->value));
            at += pattern->key->count;
            kept = at;
        } else {
            at += at < text->count ? rune_bytes(text->string + at, text->count - at) : 1;
        }
    }
    return builtin_append(call, replaced, text->string + kept, text->count - kept);
}

static lethe_result replace_n(struct builtin_call *call, const struct value *const *operands,
                              const struct value **out)
{
    CLEANUP(buffer_clear) struct buffer replaced = {0};
    TRY(check_patterns(call, operands[0]));
    TRY(replace_patterns(call, operands[0], operands[1], &replaced));
    return builtin_text(call, &replaced, out);
}

static const struct builtin table[] = {
    {.name = "replace",
     .arity = 3,
     .operand_kinds = {KIND(STRING), KIND(STRING), KIND(STRING)},
     .call = replace},
    {.name = "strings.replace_n",
     .arity = 2,
     .operand_kinds = {KIND(OBJECT), KIND(STRING)},
     .call = replace_n},
};

BUILTIN_FAMILY(replace, table);
