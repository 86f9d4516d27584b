/* policy/builtin_regex_template.c -- regex.template_match: a text in which only the parts between
 * delimiters are regular expressions, "urn:foo:{.*}". */
#include <string.h>

#include "policy/builtin_regex.h"
#include "policy/builtin_text.h"
#include "policy/regex.h"

struct delimiters {
    char start, end;
};

static void append_quoted(struct buffer *out, const char *text, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++) {
        if (text[i] != '\0' && strchr("\\.+*?()|[]{}^$", text[i]) != NULL)
            buffer_byte(out, '\\');
        buffer_byte(out, (uint8_t)text[i]);
    }
}

/* Each part must be an expression of its own, so that none can reach into what is around it. */
static lethe_result append_part(struct builtin_call *call, struct buffer *out, const char *part,
                                size_t size_bytes)
{
    CLEANUP(regex_clear) struct regex ignored = {0};
    CLEANUP(buffer_clear) struct buffer alone = {0};
    buffer_byte(&alone, '^');
    buffer_append(&alone, part, size_bytes);
    buffer_byte(&alone, '$');
    TRY(buffer_result(&alone, NULL));
    TRY(regex_compile(call, alone.bytes, alone.size_bytes, &ignored));
    buffer_byte(out, '(');
    buffer_append(out, part, size_bytes);
    buffer_byte(out, ')');
    return LETHE_OK;
}

static lethe_result unbalanced(struct builtin_call *call, const struct value *template)
{
    return builtin_fail(call, BUILTIN_ERROR, "unbalanced braces in %s", text_quote(template).text);
}

/* Delimiters may be in each other: then the outer ones count. */
static lethe_result append_template(struct builtin_call *call, const struct value *template,
                                    struct delimiters delimiters, struct buffer *out)
{
    const char *text = template->string;
    uint32_t level = 0, done = 0, part = 0;
    for (uint32_t i = 0; i < template->count; i++) {
        if (text[i] == delimiters.start) {
            if (level++ == 0)
                part = i + 1;
        } else if (text[i] == delimiters.end) {
            if (level == 0)
                return unbalanced(call, template);
            if (--level > 0)
                continue;
            append_quoted(out, text + done, part - 1 - done);
            TRY(append_part(call, out, text + part, i - part));
            done = i + 1;
        }
    }
    if (level > 0)
        return unbalanced(call, template);
    append_quoted(out, text + done, template->count - done);
    return LETHE_OK;
}

static lethe_result read_delimiter(struct builtin_call *call, const struct value *operand,
                                   const char *which, char *out)
{
    *out = operand->string[0];
    if (operand->count == 1)
        return LETHE_OK;
    return builtin_fail(call, BUILTIN_ERROR,
                        "%s delimiter has to be exactly one character long but is %u long", which,
                        operand->count);
}

lethe_result regex_template_match(struct builtin_call *call, const struct value *const *operands,
                                  const struct value **out)
{
    CLEANUP(regex_clear) struct regex regex = {0};
    CLEANUP(buffer_clear) struct buffer pattern = {0};
    struct delimiters delimiters;
    bool matches;
    TRY(read_delimiter(call, operands[2], "start", &delimiters.start));
    TRY(read_delimiter(call, operands[3], "end", &delimiters.end));
    TRY(text_spend(call, operands[0]->count));
    buffer_byte(&pattern, '^');
    TRY(append_template(call, operands[0], delimiters, &pattern));
    buffer_byte(&pattern, '$');
    TRY(buffer_result(&pattern, NULL));
    TRY(regex_compile(call, pattern.bytes, pattern.size_bytes, &regex));
    TRY(regex_matches(call, &regex, operands[1], &matches));
    return builtin_value(call, value_boolean(matches), out);
}
