/* policy/builtin_glob.c -- glob.* */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "policy/builtin_text.h"
#include "policy/glob.h"

/* ---- operands ---- */

static lethe_result bad_delimiter(struct builtin_call *call, const char *expected,
                                  const struct value *element)
{
    return builtin_fail(call, BUILTIN_TYPE_ERROR,
                        "operand 2 must be array of %ss but got array containing %s", expected,
                        value_kind_name(element->kind));
}

static lethe_result read_delimiter(struct builtin_call *call, const struct value *element,
                                   uint32_t *out)
{
    if (element->kind != VALUE_STRING)
        return bad_delimiter(call, "string", element);
    size_t length = utf8_decode(element->string, element->count, out);
    if (length == 0 || length != element->count)
        return bad_delimiter(call, "rune", element);
    return LETHE_OK;
}

/* null: none; an empty list: the dot. */
static lethe_result read_delimiters(struct builtin_call *call, const struct value *operand,
                                    struct glob_delimiters *out)
{
    static const uint32_t dot = '.';
    if (operand->kind == VALUE_NULL)
        return LETHE_OK;
    if (operand->kind != VALUE_ARRAY)
        return builtin_fail_operand(call, 2, "one of {array, null}", operand);
    *out = (struct glob_delimiters){&dot, 1};
    if (operand->count == 0)
        return LETHE_OK;
    uint32_t *delimiters = arena_zalloc(call->arena, operand->count, sizeof *delimiters);
    TRY(arena_result(call->arena, NULL));
    TRY(builtin_spend(call, operand->count));
    for (uint32_t i = 0; i < operand->count; i++)
        TRY(read_delimiter(call, operand->items[i], &delimiters[i]));
    *out = (struct glob_delimiters){delimiters, operand->count};
    return LETHE_OK;
}

static lethe_result read_glob(struct builtin_call *call, const struct value *pattern,
                              struct glob *own, const struct glob **out)
{
    const char *wrong_because;
    *out = call->prepared;
    if (*out != NULL)
        return LETHE_OK;
    *out = own;
    if (pattern->count > GLOB_SIZE_MAX)
        return text_over_limit(call);
    TRY(text_spend(call, pattern->count));
    if (glob_parse(call->arena, pattern, own, &wrong_because))
        return LETHE_OK;
    TRY(arena_result(call->arena, NULL));
    return builtin_fail(call, BUILTIN_ERROR, "%s", wrong_because);
}

static lethe_result glob_match(struct builtin_call *call, const struct value *const *operands,
                               const struct value **out)
{
    struct glob own = {0};
    const struct glob *glob;
    struct glob_delimiters delimiters = {0};
    bool is_match;
    TRY(read_delimiters(call, operands[1], &delimiters));
    TRY(read_glob(call, operands[0], &own, &glob));
    TRY(glob_matches(call, glob, &delimiters, operands[2], &is_match));
    return builtin_value(call, value_boolean(is_match), out);
}

/* Its arena's first block, and instructions that are twice allocated when their list grows. */
#define PREPARED_BYTES_MIN 8192
#define PREPARED_BYTES_PER_BYTE 128

/* A pattern that was read when the policy was loaded, in memory of its own. */
struct prepared_glob {
    struct glob glob; /* first: what `call->prepared` is read as */
    struct arena arena;
};

static void release_glob(void *prepared)
{
    struct prepared_glob *own = prepared;
    arena_clear(&own->arena);
    free(own);
}

static void *prepare_glob(const struct value *pattern, struct builtin_preparation *left)
{
    const char *ignored;
    if (pattern->kind != VALUE_STRING || pattern->count > GLOB_SIZE_MAX ||
        !builtin_prepare_spend(left, 1 + pattern->count,
                               PREPARED_BYTES_MIN + PREPARED_BYTES_PER_BYTE * pattern->count))
        return NULL;
    struct prepared_glob *own = calloc(1, sizeof *own);
    if (own == NULL || glob_parse(&own->arena, pattern, &own->glob, &ignored))
        return own;
    release_glob(own);
    return NULL;
}

static lethe_result quote_meta(struct builtin_call *call, const struct value *const *operands,
                               const struct value **out)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    TRY(text_spend(call, operands[0]->count));
    for (uint32_t i = 0; i < operands[0]->count; i++) {
        char c = operands[0]->string[i];
        if (c != '\0' && strchr("*?\\[]{}", c) != NULL)
            buffer_byte(&text, '\\');
        buffer_byte(&text, (uint8_t)c);
    }
    return text_result(call, &text, out);
}

static const struct builtin table[] = {
    {.name = "glob.match",
     .arity = 3,
     .operand_kinds = {KIND(STRING), KIND_ANY, KIND(STRING)},
     .call = glob_match,
     .prepare = prepare_glob,
     .release = release_glob},
    {.name = "glob.quote_meta", .arity = 1, .operand_kinds = {KIND(STRING)}, .call = quote_meta},
};

BUILTIN_FAMILY(glob, table);
