#include <stdio.h>
#include <string.h>

#include "policy/parse_state.h"

/* ---- names ---- */

const char *parse_name(struct parser *parser)
{
    if (!parse_at(parser, TOKEN_IDENTIFIER) && !token_kind_is_word(parser->token.kind)) {
        parse_unexpected(parser, "expected identifier");
        return NULL;
    }
    const struct token *token = &parser->token;
    const char *name =
        arena_copy(parser->arena, parser->lexer.source->text + token->offset, token->length);
    parse_advance(parser);
    return name;
}

/* Each _ is a variable of its own: no name that can be written has a $. */
static const char *wildcard_name(struct parser *parser)
{
    char name[16];
    int length = snprintf(name, sizeof name, "$%u", parser->wildcard_count++);
    return arena_copy(parser->arena, name, (size_t)length);
}

const struct term *parse_variable(struct parser *parser)
{
    struct place place = parse_token_place(parser);
    const char *name = parse_name(parser);
    if (name != NULL && strcmp(name, "_") == 0)
        name = wildcard_name(parser);
    return term_variable(parser, place, name);
}

/* ---- constants ---- */

static const struct term *parse_word_constant(struct parser *parser)
{
    static const struct {
        enum token_kind token;
        const struct value *value;
    } constants[] = {
        {TOKEN_NULL, &value_null}, {TOKEN_TRUE, &value_true}, {TOKEN_FALSE, &value_false}};
    size_t i = 0;
    while (constants[i].token != parser->token.kind)
        i++;
    struct place place = parse_token_place(parser);
    parse_advance(parser);
    return term_value(parser, place, constants[i].value);
}

/* The text of a number as JSON has it: with its sign, and with a digit before the point. */
static const char *number_text(struct parser *parser, bool is_negative, size_t *length)
{
    const char *digits = parser->lexer.source->text + parser->token.offset;
    bool needs_zero = digits[0] == '.';
    size_t before = (size_t)is_negative + needs_zero;
    char *text = arena_alloc(parser->arena, before + parser->token.length);
    if (text == NULL)
        return NULL;
    if (is_negative)
        text[0] = '-';
    if (needs_zero)
        text[before - 1] = '0';
    memcpy(text + before, digits, parser->token.length);
    *length = before + parser->token.length;
    return text;
}

static const struct term *parse_number(struct parser *parser)
{
    uint32_t begin = parser->token.offset;
    bool is_negative = parse_accept(parser, TOKEN_MINUS);
    if (!parse_at(parser, TOKEN_NUMBER)) {
        parse_unexpected(parser, "expected number");
        return NULL;
    }
    size_t length;
    struct number number;
    const char *text = number_text(parser, is_negative, &length);
    if (text == NULL)
        return NULL;
    parse_advance(parser);
    struct place place = parse_place_since(parser, begin);
    if (!number_parse(parser->arena, text, length, &number)) {
        parse_fail(parser, place,
                   "number too big (at most %d digits, and an exponent of at most %d)",
                   NUMBER_DIGITS_MAX, NUMBER_EXPONENT_MAX);
        return NULL;
    }
    return term_value(parser, place, value_number(parser->arena, &number));
}

static const struct term *parse_raw_string(struct parser *parser)
{
    struct place place = parse_token_place(parser);
    const char *text = place.source->text + place.offset;
    parse_advance(parser);
    return term_text(parser, place, text + 1, place.length - 2);
}

const struct term *parse_escaped(struct parser *parser, struct place place,
                                 enum lex_quoting quoting)
{
    struct place inner = place;
    if (quoting == LEX_QUOTED)
        inner = (struct place){place.source, place.offset + 1, place.length - 2};
    char *out = arena_alloc(parser->arena, inner.length);
    size_t fault = 0;
    if (out == NULL)
        return NULL;
    size_t written =
        lex_unescape(inner.source->text + inner.offset, inner.length, quoting, out, &fault);
    if (written != SIZE_MAX)
        return term_text(parser, place, out, written);
    inner.offset += (uint32_t)fault;
    inner.length = 1;
    parse_fail(parser, inner, "illegal escape sequence");
    return NULL;
}

static const struct term *parse_string(struct parser *parser)
{
    struct place place = parse_token_place(parser);
    const char *text = place.source->text + place.offset + 1;
    size_t length = place.length - 2;
    parse_advance(parser);
    if (memchr(text, '\\', length) == NULL)
        return term_text(parser, place, text, length);
    return parse_escaped(parser, place, LEX_QUOTED);
}

/* ---- references and calls ---- */

static bool parse_dot_part(struct parser *parser, struct term_list *parts)
{
    parse_advance(parser);
    if (parser->token.space_before) {
        parse_unexpected(parser, "expected a name directly behind the .");
        return false;
    }
    struct place place = parse_token_place(parser);
    const char *name = parse_name(parser);
    return name != NULL &&
           term_list_append(parser, parts, term_text(parser, place, name, strlen(name)));
}

bool parse_ref_part(struct parser *parser, struct term_list *parts)
{
    if (parse_at(parser, TOKEN_DOT))
        return parse_dot_part(parser, parts);
    parse_advance(parser);
    const struct term *operand = parse_infix(parser, INFIX_COMMA);
    return operand != NULL && parse_expect(parser, TOKEN_BRACKET_CLOSE) &&
           term_list_append(parser, parts, operand);
}

bool parse_terms(struct parser *parser, enum token_kind close, struct term_list *terms)
{
    while (!parse_accept(parser, close)) {
        if (!term_list_append(parser, terms, parse_infix(parser, INFIX_NO_COMMA)))
            return false;
        if (!parse_at(parser, close) && !parse_accept(parser, TOKEN_COMMA)) {
            char expected[32];
            snprintf(expected, sizeof expected, "expected , or %s", token_kind_text(close));
            return parse_unexpected(parser, expected);
        }
    }
    return true;
}

/* What a reference may begin with; OPA's. */
static const char *why_no_head(const struct term *term)
{
    static const char *const kinds[] = {[TERM_REF] = "ref", [TERM_TEMPLATE] = "template-string"};
    if (term->kind == TERM_REF || term->kind == TERM_TEMPLATE)
        return kinds[term->kind];
    if (term->kind == TERM_VALUE && term->value->kind < VALUE_ARRAY)
        return value_kind_name((enum value_kind)term->value->kind);
    return NULL;
}

static const struct term *parse_call(struct parser *parser, const struct term *function)
{
    struct term_list parts = {0};
    if (function->kind != TERM_VARIABLE &&
        (function->kind != TERM_REF || function->parts.items[0]->kind != TERM_VARIABLE)) {
        parse_fail(parser, function->place, "illegal call (only a name can be called)");
        return NULL;
    }
    parse_advance(parser);
    if (!term_list_append(parser, &parts, function) ||
        !parse_terms(parser, TOKEN_PARENTHESIS_CLOSE, &parts))
        return NULL;
    struct place place = parse_place_since(parser, function->place.offset);
    if (parts.count == 1 && function->kind == TERM_VARIABLE && strcmp(function->name, "set") == 0)
        return term_value(parser, place, &value_empty_set);
    return term_of(parser, TERM_CALL, place, &parts);
}

static bool goes_on(const struct parser *parser, enum token_kind kind)
{
    return parse_at(parser, kind) && !parser->token.space_before;
}

static bool ref_goes_on(const struct parser *parser)
{
    return goes_on(parser, TOKEN_DOT) || goes_on(parser, TOKEN_BRACKET_OPEN);
}

static const struct term *parse_ref(struct parser *parser, const struct term *head)
{
    struct term_list parts = {0};
    const char *why = why_no_head(head);
    if (why != NULL) {
        parse_fail(parser, head->place, "illegal ref (head cannot be %s)", why);
        return NULL;
    }
    if (!term_list_append(parser, &parts, head))
        return NULL;
    while (ref_goes_on(parser))
        if (!parse_ref_part(parser, &parts))
            return NULL;
    return term_of(parser, TERM_REF, parse_place_since(parser, head->place.offset), &parts);
}

/* The rest of a reference or call, as long as it stands directly behind `head`. */
static const struct term *parse_rest(struct parser *parser, const struct term *head)
{
    bool was_call = false;
    while (head != NULL) {
        if (ref_goes_on(parser)) {
            head = parse_ref(parser, head);
            was_call = false;
        } else if (goes_on(parser, TOKEN_PARENTHESIS_OPEN) && !was_call) {
            head = parse_call(parser, head);
            was_call = true;
        } else {
            break;
        }
    }
    return head;
}

/* ---- any term ---- */

static const struct term *parse_in_parentheses(struct parser *parser)
{
    parse_advance(parser);
    const struct term *term = parse_infix(parser, INFIX_COMMA);
    if (term == NULL || parse_accept(parser, TOKEN_PARENTHESIS_CLOSE))
        return term;
    parse_unexpected(parser, "non-terminated expression");
    return NULL;
}

static const struct {
    enum token_kind begin;
    const struct term *(*parse)(struct parser *parser);
} beginnings[] = {
    {TOKEN_STRING, parse_string},
    {TOKEN_RAW_STRING, parse_raw_string},
    {TOKEN_NUMBER, parse_number},
    {TOKEN_MINUS, parse_number},
    {TOKEN_CONTAINS, parse_variable}, /* special in heads of rules only */
    {TOKEN_NULL, parse_word_constant},
    {TOKEN_TRUE, parse_word_constant},
    {TOKEN_FALSE, parse_word_constant},
    {TOKEN_BRACKET_OPEN, parse_array},
    {TOKEN_BRACE_OPEN, parse_set_or_object},
    {TOKEN_PARENTHESIS_OPEN, parse_in_parentheses},
    {TOKEN_TEMPLATE, parse_template},
    {TOKEN_RAW_TEMPLATE, parse_template},
};

static const struct term *parse_operand(struct parser *parser)
{
    if (parse_at_name(parser))
        return parse_variable(parser);
    for (size_t i = 0; i < ARRAY_LEN(beginnings); i++)
        if (parse_at(parser, beginnings[i].begin))
            return beginnings[i].parse(parser);
    parse_unexpected(parser, NULL);
    return NULL;
}

const struct term *parse_term(struct parser *parser)
{
    if (!parse_enter(parser))
        return NULL;
    const struct term *term = parse_rest(parser, parse_operand(parser));
    parse_leave(parser);
    return term;
}
