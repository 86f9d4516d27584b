/* policy/builtin_regex.c -- regex.*, re_match: matching, finding and splitting; what replaces and
 * what has patterns of its own is in builtin_regex_*.c */
#include "policy/builtin_regex.h"

#include "policy/builtin_text.h"
#include "policy/regex.h"

static lethe_result match(struct builtin_call *call, const struct value *const *operands,
                          const struct value **out)
{
    CLEANUP(regex_clear) struct regex own = {0};
    const struct regex *regex;
    bool matches;
    TRY(regex_open(call, operands[0], &own, &regex));
    TRY(regex_matches(call, regex, operands[1], &matches));
    return builtin_value(call, value_boolean(matches), out);
}

static lethe_result is_valid(struct builtin_call *call, const struct value *const *operands,
                             const struct value **out)
{
    CLEANUP(regex_clear) struct regex own = {0};
    const struct regex *regex;
    if (operands[0]->kind != VALUE_STRING)
        return builtin_value(call, &value_false, out);
    lethe_result result = regex_open(call, operands[0], &own, &regex);
    if (result != LETHE_OK && result != LETHE_INVALID)
        return result;
    return builtin_value(call, value_boolean(result == LETHE_OK), out);
}

/* What a walk makes of each match. NULL: the arena has failed. */
typedef const struct value *(*match_value)(const struct regex_walk *walk);

static const struct value *whole_match(const struct regex_walk *walk)
{
    return regex_span_value(walk, walk->spans[0]);
}

static const struct value *match_and_groups(const struct regex_walk *walk)
{
    struct value_list parts = {0};
    for (unsigned i = 0; i < walk->span_count; i++)
        if (!value_list_append(walk->call->arena, &parts, regex_span_value(walk, walk->spans[i])))
            return NULL;
    return value_array(walk->call->arena, &parts);
}

/* As many as `most` says; all when it is negative. */
static lethe_result collect(struct regex_walk *walk, int64_t most, match_value make,
                            const struct value **out)
{
    struct value_list matches = {0};
    bool found = true;
    while (most < 0 || (int64_t)matches.count < most) {
        TRY(regex_walk_next(walk, &found));
        if (!found)
            break;
        TRY(builtin_spend(walk->call, walk->span_count));
        TRY(text_spend(walk->call, walk->spans[0].end - walk->spans[0].start));
        if (!value_list_append(walk->call->arena, &matches, make(walk)))
            return arena_result(walk->call->arena, NULL);
    }
    return builtin_value(walk->call, value_array(walk->call->arena, &matches), out);
}

static lethe_result find(struct builtin_call *call, const struct value *const *operands,
                         bool with_groups, const struct value **out)
{
    CLEANUP(regex_clear) struct regex own = {0};
    const struct regex *regex;
    struct regex_walk walk;
    int64_t most;
    TRY(builtin_integer(call, 3, operands[2], &most));
    TRY(regex_open(call, operands[0], &own, &regex));
    TRY(regex_walk_begin(call, regex, operands[1], with_groups, &walk));
    return collect(&walk, most, with_groups ? match_and_groups : whole_match, out);
}

static lethe_result find_n(struct builtin_call *call, const struct value *const *operands,
                           const struct value **out)
{
    return find(call, operands, false, out);
}

static lethe_result find_submatches(struct builtin_call *call, const struct value *const *operands,
                                    const struct value **out)
{
    return find(call, operands, true, out);
}

static lethe_result append_part(struct regex_walk *walk, struct value_list *parts, size_t start,
                                size_t end)
{
    TRY(text_spend(walk->call, end - start));
    const struct value *part = regex_span_value(walk, (struct re2_span){start, end});
    return value_list_append(walk->call->arena, parts, part)
               ? LETHE_OK
               : arena_result(walk->call->arena, NULL);
}

/* The texts between matches. An empty match at either end of the text cuts nothing off. */
static lethe_result split_at_matches(struct regex_walk *walk, struct value_list *parts)
{
    size_t start = 0, last_match = 0;
    bool found;
    for (;;) {
        TRY(regex_walk_next(walk, &found));
        if (!found)
            break;
        last_match = walk->spans[0].start;
        if (walk->spans[0].end > 0)
            TRY(append_part(walk, parts, start, last_match));
        start = walk->spans[0].end;
    }
    if (last_match == walk->search.size_bytes)
        return LETHE_OK;
    return append_part(walk, parts, start, walk->search.size_bytes);
}

static lethe_result split(struct builtin_call *call, const struct value *const *operands,
                          const struct value **out)
{
    CLEANUP(regex_clear) struct regex own = {0};
    const struct regex *regex;
    struct regex_walk walk;
    struct value_list parts = {0};
    TRY(regex_open(call, operands[0], &own, &regex));
    TRY(regex_walk_begin(call, regex, operands[1], false, &walk));
    if (operands[1]->count == 0 && operands[0]->count > 0)
        TRY(append_part(&walk, &parts, 0, 0));
    else
        TRY(split_at_matches(&walk, &parts));
    return builtin_value(call, value_array(call->arena, &parts), out);
}

#define TEXT KIND(STRING)
#define PREPARED .prepare = regex_prepare, .release = regex_release

static const struct builtin table[] = {
    {.name = "regex.match", .arity = 2, .operand_kinds = {TEXT, TEXT}, .call = match, PREPARED},
    {.name = "regex.is_valid", .arity = 1, .call = is_valid, PREPARED},
    {.name = "regex.find_n",
     .arity = 3,
     .operand_kinds = {TEXT, TEXT, KIND(NUMBER)},
     .call = find_n,
     PREPARED},
    {.name = "regex.find_all_string_submatch_n",
     .arity = 3,
     .operand_kinds = {TEXT, TEXT, KIND(NUMBER)},
     .call = find_submatches,
     PREPARED},
    {.name = "regex.split", .arity = 2, .operand_kinds = {TEXT, TEXT}, .call = split, PREPARED},
    {.name = "regex.replace",
     .arity = 3,
     .operand_kinds = {TEXT, TEXT, TEXT},
     .call = regex_replace},
    {.name = "regex.template_match",
     .arity = 4,
     .operand_kinds = {TEXT, TEXT, TEXT, TEXT},
     .call = regex_template_match},
    {.name = "regex.globs_match",
     .arity = 2,
     .operand_kinds = {TEXT, TEXT},
     .call = regex_globs_match},
    {.name = "re_match",
     .arity = 2,
     .flags = BUILTIN_V0,
     .operand_kinds = {TEXT, TEXT},
     .call = match,
     PREPARED},
};
BUILTIN_FAMILY(regex, table);
