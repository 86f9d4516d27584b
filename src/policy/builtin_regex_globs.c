/* policy/builtin_regex_globs.c -- regex.globs_match: whether any text matches both of two patterns
 *
 * Patterns of yashtewari/glob-intersection: a character, . (any), [abc] or [a-z], each alone or
 * with * or + behind it, and \ before what is meant as it is.
 *
 * Both patterns are walked side by side. A pair of places leads only to pairs that lie behind, so
 * one pass over all pairs, row by row, finds whether the pair of ends is reached: time is the
 * product of the two lengths. */
#include <string.h>

#include "base/utf8.h"
#include "policy/builtin_regex.h"
#include "policy/builtin_text.h"

#define GLOBS_SIZE_MAX 4096 /* bytes of a pattern */
#define CHARACTER_MAX 0x10ffff

struct token {
    bool repeats; /* any number of times; one with + is two tokens */
    uint32_t range, range_count;
};
struct span {
    uint32_t first, last;
};
struct pattern {
    struct token *tokens;
    uint32_t count;
    struct span *ranges; /* of all tokens */
    uint32_t range_count;
};

/* ---- reading ---- */

struct pattern_reader {
    struct builtin_call *call;
    const char *input, *at, *end;
    unsigned place; /* of `at`, in characters */
    struct pattern *pattern;
};

struct symbol {
    uint32_t character;
    bool escaped;
};

static lethe_result wrong(const struct pattern_reader *reader, const char *what)
{
    return builtin_fail(reader->call, BUILTIN_ERROR,
                        "input:%s, pos:%u, %s: the input provided is invalid", reader->input,
                        reader->place, what);
}

static uint32_t read_character(struct pattern_reader *reader)
{
    uint32_t character = 0;
    size_t length = utf8_decode(reader->at, (size_t)(reader->end - reader->at), &character);
    REQUIRE(length > 0);
    reader->at += length;
    reader->place++;
    return character;
}

static lethe_result read_symbol(struct pattern_reader *reader, struct symbol *out)
{
    out->escaped = *reader->at == '\\';
    if (out->escaped && reader->at + 1 == reader->end)
        return wrong(reader, "input ends with a \\ (escape) character");
    if (out->escaped)
        (void)read_character(reader);
    out->character = read_character(reader);
    return LETHE_OK;
}

static bool is_sign(struct symbol symbol, char sign)
{
    return !symbol.escaped && symbol.character == (uint8_t)sign;
}

static void append_range(struct pattern *pattern, uint32_t first, uint32_t last)
{
    pattern->ranges[pattern->range_count++] = (struct span){first, last};
    pattern->tokens[pattern->count].range_count++;
}

/* Behind the - of a set: the range that began with the character before. */
static lethe_result read_range(struct pattern_reader *reader, bool has_first)
{
    struct pattern *pattern = reader->pattern;
    struct symbol last = {0};
    if (!has_first)
        return wrong(reader, "range character '-' must be preceded by a Unicode character");
    if (reader->end - reader->at < 2)
        return wrong(reader, "range character '-' must be followed by a Unicode character");
    TRY(read_symbol(reader, &last));
    if (is_sign(last, ']') || is_sign(last, '-'))
        return wrong(reader, "range character '-' cannot be followed by a special symbol");
    struct span *range = &pattern->ranges[pattern->range_count - 1];
    if (last.character < range->first)
        return wrong(reader, "range is out of order");
    range->last = last.character;
    return LETHE_OK;
}

static lethe_result read_set(struct pattern_reader *reader)
{
    bool has_first = false;
    while (reader->at < reader->end) {
        struct symbol symbol = {0};
        TRY(read_symbol(reader, &symbol));
        if (is_sign(symbol, ']'))
            return LETHE_OK;
        bool is_range = is_sign(symbol, '-');
        if (is_range)
            TRY(read_range(reader, has_first));
        else
            append_range(reader->pattern, symbol.character, symbol.character);
        has_first = !is_range;
    }
    return wrong(reader, "found [ without matching ]");
}

static lethe_result read_token(struct pattern_reader *reader)
{
    struct pattern *pattern = reader->pattern;
    struct symbol symbol = {0};
    pattern->tokens[pattern->count] = (struct token){.range = pattern->range_count};
    TRY(read_symbol(reader, &symbol));
    if (is_sign(symbol, ']'))
        return wrong(reader, "set-close ']' with no preceding '['");
    if (is_sign(symbol, '+'))
        return wrong(reader, "flag '+' must be preceded by a non-flag");
    if (is_sign(symbol, '*'))
        return wrong(reader, "flag '*' must be preceded by a non-flag");
    if (is_sign(symbol, '['))
        return read_set(reader);
    bool any = is_sign(symbol, '.');
    append_range(pattern, any ? 0 : symbol.character, any ? CHARACTER_MAX : symbol.character);
    return LETHE_OK;
}

static void read_flag(struct pattern_reader *reader)
{
    struct pattern *pattern = reader->pattern;
    struct token *token = &pattern->tokens[pattern->count++];
    char flag = reader->at < reader->end ? *reader->at : '\0';
    if (flag != '*' && flag != '+')
        return;
    (void)read_character(reader);
    if (flag == '+') {
        token[1] = token[0];
        token = &pattern->tokens[pattern->count++];
    }
    token->repeats = true;
}

/* A token takes a byte, and its flag another. */
static lethe_result read_pattern(struct builtin_call *call, const struct value *text,
                                 struct pattern *out)
{
    struct pattern_reader reader = {.call = call,
                                    .input = text->string,
                                    .at = text->string,
                                    .end = text->string + text->count,
                                    .pattern = out};
    if (text->count > GLOBS_SIZE_MAX)
        return text_over_limit(call);
    TRY(text_spend(call, text->count));
    out->tokens = arena_zalloc(call->arena, text->count + 1u, sizeof *out->tokens);
    out->ranges = arena_zalloc(call->arena, text->count + 1u, sizeof *out->ranges);
    TRY(arena_result(call->arena, NULL));
    while (reader.at < reader.end) {
        TRY(read_token(&reader));
        read_flag(&reader);
    }
    return LETHE_OK;
}

/* ---- the pass ---- */

static bool share_a_character(const struct pattern *a, const struct token *in_a,
                              const struct pattern *b, const struct token *in_b)
{
    for (uint32_t i = 0; i < in_a->range_count; i++) {
        const struct span one = a->ranges[in_a->range + i];
        for (uint32_t j = 0; j < in_b->range_count; j++) {
            const struct span other = b->ranges[in_b->range + j];
            if (one.first <= other.last && other.first <= one.last)
                return true;
        }
    }
    return false;
}

struct pass {
    struct builtin_call *call;
    struct pattern patterns[2];
    uint8_t *row, *below; /* by place in the second pattern: reached, with the first at i, i + 1 */
};

/* From the pair of places (i, j). A token that repeats may be left without a character, and stays
 * when it takes one. */
static lethe_result lead_on(struct pass *pass, uint32_t i, uint32_t j)
{
    const struct pattern *a = &pass->patterns[0], *b = &pass->patterns[1];
    const struct token *in_a = i < a->count ? &a->tokens[i] : NULL;
    const struct token *in_b = j < b->count ? &b->tokens[j] : NULL;
    if (in_a != NULL && in_a->repeats)
        pass->below[j] = 1;
    if (in_b != NULL && in_b->repeats)
        pass->row[j + 1] = 1;
    if (in_a == NULL || in_b == NULL)
        return LETHE_OK;
    TRY(builtin_spend(pass->call, 1 + (uint64_t)in_a->range_count * in_b->range_count / 16));
    if (!share_a_character(a, in_a, b, in_b))
        return LETHE_OK;
    uint8_t *target = in_a->repeats ? pass->row : pass->below;
    target[in_b->repeats ? j : j + 1] = 1;
    return LETHE_OK;
}

static lethe_result walk(struct pass *pass, bool *out)
{
    const uint32_t rows = pass->patterns[0].count + 1, columns = pass->patterns[1].count + 1;
    pass->row[0] = 1;
    *out = false;
    for (uint32_t i = 0; i < rows; i++) {
        TRY(builtin_spend(pass->call, 1 + columns / TEXT_BYTES_PER_STEP));
        memset(pass->below, 0, columns);
        for (uint32_t j = 0; j < columns; j++)
            if (pass->row[j])
                TRY(lead_on(pass, i, j));
        *out = pass->row[columns - 1];
        uint8_t *done = pass->row;
        pass->row = pass->below;
        pass->below = done;
    }
    return LETHE_OK;
}

lethe_result regex_globs_match(struct builtin_call *call, const struct value *const *operands,
                               const struct value **out)
{
    struct pass pass = {.call = call};
    bool overlap;
    for (unsigned i = 0; i < 2; i++)
        TRY(read_pattern(call, operands[i], &pass.patterns[i]));
    size_t columns = pass.patterns[1].count + 1u;
    pass.row = arena_zalloc(call->arena, columns, sizeof *pass.row);
    pass.below = arena_zalloc(call->arena, columns, sizeof *pass.below);
    TRY(arena_result(call->arena, NULL));
    TRY(walk(&pass, &overlap));
    return builtin_value(call, value_boolean(overlap), out);
}
