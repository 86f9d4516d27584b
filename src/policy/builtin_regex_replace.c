/* policy/builtin_regex_replace.c -- regex.replace, with the templates of Go's Regexp.Expand: $1,
 * ${1}, $name, ${name}, $$. */
#include <string.h>

#include "policy/builtin_regex.h"
#include "policy/builtin_text.h"
#include "policy/regex.h"

struct template
{
    const char *at, *end;
};

static bool is_name_byte(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

struct reference {
    const char *name;
    size_t length;
};

/* Behind a $: a name as long as it can be, or one in braces. false: the $ means itself, and nothing
 * was taken. */
static bool take_reference(struct template *template, struct reference *out)
{
    const char *at = template->at;
    bool braces = at < template->end && *at == '{';
    out->name = at + braces;
    for (at = out->name; at < template->end && is_name_byte(*at);)
        at++;
    out->length = (size_t)(at - out->name);
    if (out->length == 0 || (braces && (at == template->end || *at != '}')))
        return false;
    template->at = at + braces;
    return true;
}

#define GROUP_DIGITS_MAX 8

/* Digits without a zero in front are a number; what is none, or a group that does not exist, is
 * RE2_NO_SPAN, like a group without a part in the match. */
static lethe_result resolve(const struct regex_walk *walk, struct reference reference,
                            struct re2_span *out)
{
    unsigned group = 0;
    bool is_number =
        reference.length <= GROUP_DIGITS_MAX && (reference.length == 1 || reference.name[0] != '0');
    for (size_t i = 0; is_number && i < reference.length; i++) {
        char c = reference.name[i];
        is_number = c >= '0' && c <= '9';
        group = group * 10 + (unsigned)(c - '0');
    }
    *out = (struct re2_span){RE2_NO_SPAN, RE2_NO_SPAN};
    if (!is_number) {
        TRY(re2_regex_group_named(walk->regex->re2, reference.name, reference.length, &group));
        if (group == 0)
            return LETHE_OK;
    }
    if (group < walk->span_count)
        *out = walk->spans[group];
    return LETHE_OK;
}

static lethe_result append_span(const struct regex_walk *walk, struct re2_span span,
                                struct buffer *out)
{
    if (span.start == RE2_NO_SPAN)
        return LETHE_OK;
    TRY(text_spend(walk->call, span.end - span.start));
    buffer_append(out, walk->search.text + span.start, span.end - span.start);
    return LETHE_OK;
}

static lethe_result expand(const struct regex_walk *walk, struct template template,
                           struct buffer *out)
{
    TRY(text_spend(walk->call, (uint64_t)(template.end - template.at)));
    while (template.at < template.end) {
        struct reference reference;
        struct re2_span span;
        const char c = *template.at++;
        if (c == '$' && take_reference(&template, &reference)) {
            TRY(builtin_spend(walk->call, 1));
            TRY(resolve(walk, reference, &span));
            TRY(append_span(walk, span, out));
            continue;
        }
        bool doubled = c == '$' && template.at < template.end && *template.at == '$';
        template.at += doubled;
        buffer_byte(out, (uint8_t)c);
    }
    return text_fits(walk->call, out);
}

static lethe_result replace_matches(struct regex_walk *walk, const struct value *replacement,
                                    struct buffer *out)
{
    struct template template = {replacement->string, replacement->string + replacement->count};
    struct re2_span between = {0};
    bool found;
    for (;;) {
        TRY(regex_walk_next(walk, &found));
        if (!found)
            break;
        between.end = walk->spans[0].start;
        TRY(append_span(walk, between, out));
        TRY(expand(walk, template, out));
        between.start = walk->spans[0].end;
    }
    between.end = walk->search.size_bytes;
    return append_span(walk, between, out);
}

lethe_result regex_replace(struct builtin_call *call, const struct value *const *operands,
                           const struct value **out)
{
    CLEANUP(regex_clear) struct regex own = {0};
    CLEANUP(buffer_clear) struct buffer text = {0};
    const struct regex *regex;
    struct regex_walk walk;
    TRY(regex_open(call, operands[1], &own, &regex));
    TRY(regex_walk_begin(call, regex, operands[0], true, &walk));
    TRY(replace_matches(&walk, operands[2], &text));
    return text_result(call, &text, out);
}
