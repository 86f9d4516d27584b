/* policy/builtin_search.c -- texts in texts: whether, where, and how often. */
#include <string.h>

#include "policy/builtin_work.h"
#include "policy/runes.h"

static bool has_prefix(const struct value *text, const struct value *prefix)
{
    return prefix->count <= text->count && memcmp(text->string, prefix->string, prefix->count) == 0;
}

static bool has_suffix(const struct value *text, const struct value *suffix)
{
    return suffix->count <= text->count &&
           memcmp(text->string + text->count - suffix->count, suffix->string, suffix->count) == 0;
}

/* Counts a search: libc's memmem takes time in proportion to both lengths, whatever they hold. */
static lethe_result spend_search(struct builtin_call *call, size_t text_bytes,
                                 const struct value *wanted)
{
    return builtin_spend(call, 1 + (text_bytes + wanted->count) / WORK_BYTES_PER_STEP);
}

static lethe_result contains(struct builtin_call *call, const struct value *const *operands,
                             const struct value **out)
{
    const struct value *text = operands[0], *wanted = operands[1];
    TRY(spend_search(call, text->count, wanted));
    bool found = memmem(text->string, text->count, wanted->string, wanted->count) != NULL;
    return builtin_value(call, value_boolean(found), out);
}

static lethe_result startswith(struct builtin_call *call, const struct value *const *operands,
                               const struct value **out)
{
    TRY(spend_search(call, 0, operands[1]));
    return builtin_value(call, value_boolean(has_prefix(operands[0], operands[1])), out);
}

static lethe_result endswith(struct builtin_call *call, const struct value *const *operands,
                             const struct value **out)
{
    TRY(spend_search(call, 0, operands[1]));
    return builtin_value(call, value_boolean(has_suffix(operands[0], operands[1])), out);
}

/* What is left of a text, and how many characters came before it. */
struct rest {
    const char *at, *end;
    size_t runes_before;
};

static struct rest rest_of(const struct value *text)
{
    return (struct rest){.at = text->string, .end = text->string + text->count};
}

static void skip_to(struct rest *rest, const char *at)
{
    rest->runes_before += runes_in(rest->at, (size_t)(at - rest->at));
    rest->at = at;
}

/* Goes to where `wanted` next is; *found false: nowhere. */
static lethe_result search(struct builtin_call *call, struct rest *rest, const struct value *wanted,
                           bool *found)
{
    size_t left_bytes = (size_t)(rest->end - rest->at);
    const char *at = memmem(rest->at, left_bytes, wanted->string, wanted->count);
    *found = at != NULL;
    TRY(spend_search(call, at != NULL ? (size_t)(at - rest->at) : left_bytes, wanted));
    if (at != NULL)
        skip_to(rest, at);
    return LETHE_OK;
}

static lethe_result indexof(struct builtin_call *call, const struct value *const *operands,
                            const struct value **out)
{
    struct rest rest = rest_of(operands[0]);
    bool found;
    if (operands[1]->count == 0)
        return builtin_fail(call, BUILTIN_ERROR, "empty search character");
    TRY(search(call, &rest, operands[1], &found));
    int64_t index = found ? (int64_t)rest.runes_before : -1;
    return builtin_value(call, value_small(call->arena, index), out);
}

/* All places, also those that overlap. */
static lethe_result indexof_n(struct builtin_call *call, const struct value *const *operands,
                              const struct value **out)
{
    struct rest rest = rest_of(operands[0]);
    struct value_list list = {0};
    bool found;
    if (operands[1]->count == 0)
        return builtin_fail(call, BUILTIN_ERROR, "empty search character");
    TRY(search(call, &rest, operands[1], &found));
    while (found) {
        const struct value *index = value_small(call->arena, (int64_t)rest.runes_before);
        if (!value_list_append(call->arena, &list, index))
            return builtin_failed(call);
        skip_to(&rest, rest.at + rune_bytes(rest.at, (size_t)(rest.end - rest.at)));
        TRY(search(call, &rest, operands[1], &found));
    }
    return builtin_value(call, value_array(call->arena, &list), out);
}

/* Places that do not overlap; the empty text is before every character and at the end. */
static lethe_result count(struct builtin_call *call, const struct value *const *operands,
                          const struct value **out)
{
    struct rest rest = rest_of(operands[0]);
    int64_t count = (int64_t)runes_in(operands[0]->string, operands[0]->count) + 1;
    bool found = operands[1]->count > 0;
    if (found)
        count = 0;
    TRY(builtin_spend(call, 1 + operands[0]->count / WORK_BYTES_PER_STEP));
    while (found) {
        TRY(search(call, &rest, operands[1], &found));
        count += found;
        if (found)
            skip_to(&rest, rest.at + operands[1]->count);
    }
    return builtin_value(call, value_small(call->arena, count), out);
}

/* An operand that is one string or a list of them. */
struct texts {
    const struct value *const *items;
    uint32_t count;
};

static lethe_result texts_of(struct builtin_call *call, unsigned n,
                             const struct value *const *operand, struct texts *texts)
{
    if ((*operand)->kind == VALUE_STRING) {
        *texts = (struct texts){operand, 1};
        return LETHE_OK;
    }
    *texts = (struct texts){(*operand)->items, (*operand)->count};
    return builtin_elements(call, n, *operand, VALUE_STRING);
}

static lethe_result any_match(struct builtin_call *call, const struct value *const *operands,
                              bool (*matches)(const struct value *, const struct value *),
                              const struct value **out)
{
    struct texts texts, affixes;
    bool found = false;
    TRY(texts_of(call, 1, &operands[0], &texts));
    TRY(texts_of(call, 2, &operands[1], &affixes));
    for (uint32_t i = 0; i < texts.count && !found; i++) {
        TRY(builtin_spend(call, 1));
        for (uint32_t j = 0; j < affixes.count && !found; j++) {
            TRY(spend_search(call, 0, affixes.items[j]));
            found = matches(texts.items[i], affixes.items[j]);
        }
    }
    return builtin_value(call, value_boolean(found), out);
}

static lethe_result any_prefix_match(struct builtin_call *call, const struct value *const *operands,
                                     const struct value **out)
{
    return any_match(call, operands, has_prefix, out);
}

static lethe_result any_suffix_match(struct builtin_call *call, const struct value *const *operands,
                                     const struct value **out)
{
    return any_match(call, operands, has_suffix, out);
}

#define STRINGS                                                                                    \
    {                                                                                              \
        KIND(STRING), KIND(STRING)                                                                 \
    }
#define TEXTS (KIND(STRING) | KIND(SET) | KIND(ARRAY))
static const struct builtin table[] = {
    {.name = "contains", .arity = 2, .operand_kinds = STRINGS, .call = contains},
    {.name = "startswith", .arity = 2, .operand_kinds = STRINGS, .call = startswith},
    {.name = "endswith", .arity = 2, .operand_kinds = STRINGS, .call = endswith},
    {.name = "indexof", .arity = 2, .operand_kinds = STRINGS, .call = indexof},
    {.name = "indexof_n", .arity = 2, .operand_kinds = STRINGS, .call = indexof_n},
    {.name = "strings.count", .arity = 2, .operand_kinds = STRINGS, .call = count},
    {.name = "strings.any_prefix_match",
     .arity = 2,
     .operand_kinds = {TEXTS, TEXTS},
     .call = any_prefix_match},
    {.name = "strings.any_suffix_match",
     .arity = 2,
     .operand_kinds = {TEXTS, TEXTS},
     .call = any_suffix_match},
};

BUILTIN_FAMILY(search, table);
