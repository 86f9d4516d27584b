#include "policy/parse_state.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void parse_begin(struct parser *parser, const struct source *source)
{
    parser->lexer = lex_begin(source, parser->v0 ? 0 : WORDS_ALL);
    parser->token = lex_next(&parser->lexer);
}

void parse_advance(struct parser *parser)
{
    parser->previous_end = parser->token.offset + parser->token.length;
    parser->token = lex_next(&parser->lexer);
}

bool parse_at_name(const struct parser *parser)
{
    return parse_at(parser, TOKEN_IDENTIFIER) ||
           (parser->token.opens_ref && token_kind_is_word(parser->token.kind));
}

bool parse_accept(struct parser *parser, enum token_kind kind)
{
    if (!parse_at(parser, kind))
        return false;
    parse_advance(parser);
    return true;
}

bool parse_expect(struct parser *parser, enum token_kind kind)
{
    char expected[32];
    if (parse_accept(parser, kind))
        return true;
    snprintf(expected, sizeof expected, "expected %s", token_kind_text(kind));
    return parse_unexpected(parser, expected);
}

struct place parse_place_since(const struct parser *parser, uint32_t offset)
{
    uint32_t end = MAX(parser->previous_end, offset);
    return (struct place){parser->lexer.source, offset, end - offset};
}

struct place parse_token_place(const struct parser *parser)
{
    return (struct place){parser->lexer.source, parser->token.offset, parser->token.length};
}

bool(parse_fail)(struct parser *parser, struct place place, const char *format, ...)
{
    char text[256];
    va_list arguments;
    if (parser->trying || parser->arena->failure != LETHE_OK)
        return false;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    parser->failed = true;
    (void)problem_add(parser->problems, PROBLEM_PARSE, place, "%s", text);
    return false;
}

/* Operators of other languages, and words that the older syntax does not know without an import. */
static const char *hint(const struct parser *parser)
{
    static const struct {
        const char *text, *hint;
        bool is_identifier;
    } hints[] = {
        {"if", " (hint: `import rego.v1` or `import future.keywords.if`)", true},
        {"contains", " (hint: `import rego.v1` or `import future.keywords.contains`)", true},
        {"in", " (hint: `import rego.v1` or `import future.keywords.in`)", true},
        {"every", " (hint: `import rego.v1` or `import future.keywords.every`)", true},
        {"=", " (hint: a comparison is written ==)", false},
        {":=", " (hint: := stands in an expression of its own; a comparison is written ==)", false},
        {"&", " (hint: expressions that must all hold stand in lines of their own)", false},
        {"/", " (hint: a comment begins with #)", false},
        {"|", " (hint: alternatives are rules of one name)", false},
    };
    const char *at = parser->lexer.source->text + parser->token.offset;
    for (size_t i = 0; i < ARRAY_LEN(hints); i++)
        if (hints[i].is_identifier == parse_at(parser, TOKEN_IDENTIFIER) &&
            strlen(hints[i].text) == parser->token.length &&
            memcmp(hints[i].text, at, parser->token.length) == 0)
            return hints[i].hint;
    return "";
}

bool(parse_unexpected)(struct parser *parser, const char *expected)
{
    const struct token *token = &parser->token;
    struct place place = parse_token_place(parser);
    if (token->kind == TOKEN_ILLEGAL)
        return parse_fail(parser, place, "%s", parser->lexer.fault);
    const char *colon = expected != NULL ? ": " : "";
    expected = expected != NULL ? expected : "";
    if (token->kind == TOKEN_IDENTIFIER)
        return parse_fail(parser, place, "unexpected identifier %.*s%s%s%s",
                          (int)MIN(token->length, 64u), place.source->text + token->offset, colon,
                          expected, hint(parser));
    return parse_fail(parser, place, "unexpected %s %s%s%s%s", token_kind_text(token->kind),
                      token_kind_is_word(token->kind) ? "keyword" : "token", colon, expected,
                      hint(parser));
}

void parse_lapse(struct parser *parser, struct place place, const char *text)
{
    struct lapses *lapses = &parser->lapses;
    if (!parser->v0)
        parse_fail(parser, place, "%s (hint: %s)", text,
                   parser->v1_imported ? "`import rego.v1` requires it"
                                       : "this looks like the older syntax: use --v0");
    else if (lapses->count < ARRAY_LEN(lapses->items))
        lapses->items[lapses->count++] = (struct lapse){place, text};
}

void parse_become_v1(struct parser *parser)
{
    const struct lapses lapses = parser->lapses;
    if (!parser->v0)
        return;
    parser->v0 = false;
    parser->v1_imported = true;
    for (size_t i = 0; i < lapses.count; i++)
        parse_lapse(parser, lapses.items[i].place, lapses.items[i].text);
}

bool parse_enter(struct parser *parser)
{
    if (parser->depth >= PARSE_DEPTH_MAX)
        return parse_fail(parser, parse_token_place(parser), "nested more than %d deep",
                          PARSE_DEPTH_MAX);
    parser->depth++;
    return true;
}
