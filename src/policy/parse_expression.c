#include <stdio.h>

#include "policy/parse_state.h"

static const struct expression *make(struct parser *parser, struct expression *expression,
                                     const struct term_list *terms, uint32_t begin)
{
    expression->terms = (struct terms){terms->items, terms->count};
    expression->place = parse_place_since(parser, begin);
    return expression_of(parser, expression);
}

/* ---- with ---- */

static bool parse_with(struct parser *parser, struct with *with)
{
    uint32_t begin = parser->token.offset;
    parse_advance(parser);
    if (!parse_at_name(parser))
        return parse_unexpected(parser, "expected input, data or the name of a function");
    with->target = parse_term(parser);
    if (with->target == NULL)
        return false;
    if (with->target->kind != TERM_REF && with->target->kind != TERM_VARIABLE)
        return parse_fail(parser, with->target->place, "expected with target path");
    if (!parse_accept(parser, TOKEN_AS))
        return parse_unexpected(parser, "expected as keyword");
    with->value = parse_infix(parser, INFIX_COMMA);
    with->place = parse_place_since(parser, begin);
    return with->value != NULL;
}

static bool parse_withs(struct parser *parser, struct expression *expression)
{
    struct with *withs = NULL;
    size_t capacity = 0;
    while (parse_at_word(parser, TOKEN_WITH)) {
        withs = parse_grow(parser, withs, expression->with_count, &capacity, sizeof *withs);
        if (withs == NULL || !parse_with(parser, &withs[expression->with_count]))
            return false;
        expression->with_count++;
    }
    expression->withs = withs;
    return true;
}

/* ---- some, every ---- */

/* Declared variables: the first, the second when it was read already, and more behind commas. */
static const struct expression *parse_declared(struct parser *parser, uint32_t begin,
                                               const struct term *first, const struct term *second)
{
    struct expression expression = {.kind = EXPRESSION_SOME};
    struct term_list terms = {0};
    const struct term *next = first;
    if (first->kind == TERM_CALL) {
        parse_fail(parser, first->place, "expected `x in xs` or `x, y in xs` expression");
        return NULL;
    }
    while (next != NULL) {
        if (next->kind != TERM_VARIABLE) {
            parse_fail(parser, next->place, "expected var");
            return NULL;
        }
        if (!term_list_append(parser, &terms, next))
            return NULL;
        if (next == first && second != NULL)
            next = second;
        else if (!parse_accept(parser, TOKEN_COMMA))
            return make(parser, &expression, &terms, begin);
        else
            next = parse_term(parser);
    }
    return NULL;
}

/* [key,] value, collection of a call of a member function. */
static bool member_operands(struct parser *parser, const struct term *call, struct term_list *terms)
{
    for (size_t i = 1; i < call->parts.count; i++)
        if (!term_list_append(parser, terms, call->parts.items[i]))
            return false;
    return true;
}

static bool is_member(const struct term *term)
{
    return (term_is_call_of(term, &function_member_2) && term->parts.count == 3) ||
           (term_is_call_of(term, &function_member_3) && term->parts.count == 4);
}

static const struct expression *parse_some(struct parser *parser)
{
    struct expression expression = {.kind = EXPRESSION_SOME_IN};
    struct term_list terms = {0};
    const struct term *second;
    uint32_t begin = parser->token.offset;
    parse_advance(parser);
    const struct term *term = parse_infix_some(parser, &second);
    if (term == NULL)
        return NULL;
    if (second != NULL || !is_member(term))
        return parse_declared(parser, begin, term, second);
    if (!member_operands(parser, term, &terms) || !parse_withs(parser, &expression))
        return NULL;
    return make(parser, &expression, &terms, begin);
}

static bool check_every(struct parser *parser, const struct term *term)
{
    if (!is_member(term))
        return parse_fail(parser, term->place, "expected `x[, y] in xs { ... }` expression");
    for (size_t i = 1; i + 1 < term->parts.count; i++)
        if (term->parts.items[i]->kind != TERM_VARIABLE)
            return parse_fail(parser, term->parts.items[i]->place, "expected %s to be a variable",
                              i + 2 < term->parts.count ? "key" : "value");
    return true;
}

static const struct expression *parse_every(struct parser *parser)
{
    struct expression expression = {.kind = EXPRESSION_EVERY};
    struct term_list terms = {0};
    uint32_t begin = parser->token.offset;
    parse_advance(parser);
    const struct term *term = parse_infix(parser, INFIX_COMMA);
    if (term == NULL || !check_every(parser, term))
        return NULL;
    if (!parse_at(parser, TOKEN_BRACE_OPEN)) {
        parse_unexpected(parser, "missing body");
        return NULL;
    }
    if (!member_operands(parser, term, &terms) || !parse_braced_body(parser, &expression.body) ||
        !parse_withs(parser, &expression))
        return NULL;
    return make(parser, &expression, &terms, begin);
}

/* ---- terms, unification, negation ---- */

static const struct term *parse_equation(struct parser *parser, const struct term *left)
{
    static const struct function_name eq = {"eq", NULL}, assign = {"assign", NULL};
    const struct function_name *function = parse_at(parser, TOKEN_UNIFY) ? &eq : &assign;
    parse_advance(parser);
    const struct term *right = parse_infix(parser, INFIX_COMMA);
    if (right == NULL)
        return NULL;
    const struct term *both[] = {left, right};
    const struct term_list operands = {both, 2, 2};
    return term_call(parser, parse_place_since(parser, left->place.offset), function, &operands);
}

static const struct expression *parse_of_term(struct parser *parser, uint32_t begin,
                                              bool is_negated, struct twin *twin)
{
    struct expression expression = {.kind = EXPRESSION_TERM, .negated = is_negated};
    struct term_list terms = {0};
    const struct term *term =
        twin != NULL ? parse_infix_twin(parser, twin) : parse_infix(parser, INFIX_COMMA);
    if (term != NULL && (parse_at(parser, TOKEN_UNIFY) || parse_at(parser, TOKEN_ASSIGN)))
        term = parse_equation(parser, term);
    if (!term_list_append(parser, &terms, term) || !parse_withs(parser, &expression))
        return NULL;
    return make(parser, &expression, &terms, begin);
}

static const struct expression *parse_not_body(struct parser *parser, uint32_t begin)
{
    struct expression expression = {.kind = EXPRESSION_NOT_BODY};
    struct term_list terms = {0};
    if (!parse_braced_body(parser, &expression.body) || !parse_withs(parser, &expression))
        return NULL;
    return make(parser, &expression, &terms, begin);
}

static const struct expression *parse_not(struct parser *parser)
{
    uint32_t begin = parser->token.offset;
    parse_advance(parser);
    if (parse_at_word(parser, TOKEN_SOME) || parse_at_word(parser, TOKEN_EVERY)) {
        parse_unexpected(parser, parse_at(parser, TOKEN_SOME) ? "illegal negation of 'some'"
                                                              : "illegal negation of 'every'");
        return NULL;
    }
    if (parser->keyword_not && parse_at(parser, TOKEN_BRACE_OPEN))
        return parse_not_body(parser, begin);
    return parse_of_term(parser, begin, true, NULL);
}

const struct expression *parse_literal(struct parser *parser, struct twin *twin)
{
    if (parse_at_word(parser, TOKEN_NOT))
        return parse_not(parser);
    if (parse_at_word(parser, TOKEN_SOME))
        return parse_some(parser);
    if (parse_at_word(parser, TOKEN_EVERY))
        return parse_every(parser);
    return parse_of_term(parser, parser->token.offset, false, twin);
}

/* ---- bodies ---- */

/* Whether another expression may follow: a semicolon, or a newline, stands between. */
static bool parse_separator(struct parser *parser, enum token_kind close)
{
    if (parse_accept(parser, TOKEN_SEMICOLON) || parser->token.newline_before)
        return true;
    char expected[40];
    snprintf(expected, sizeof expected, "expected \\n or ; or %s", token_kind_text(close));
    return parse_unexpected(parser, expected);
}

static bool parse_expressions(struct parser *parser, enum token_kind close, struct twin *twin,
                              struct expression_list *list)
{
    for (;;) {
        if (!expression_list_append(parser, list, parse_literal(parser, twin)))
            return false;
        twin = NULL; /* a list would have shown by now */
        if (parse_accept(parser, close))
            return true;
        if (!parse_separator(parser, close))
            return false;
    }
}

bool parse_body(struct parser *parser, enum token_kind close, struct twin *twin, struct body *body)
{
    struct expression_list list = {0};
    if (parse_at(parser, close))
        return parse_fail(parser, parse_token_place(parser), "found empty body");
    if (!parse_enter(parser))
        return false;
    bool done = parse_expressions(parser, close, twin, &list);
    parse_leave(parser);
    *body = (struct body){list.items, list.count};
    return done;
}

bool parse_braced_body(struct parser *parser, struct body *body)
{
    parse_advance(parser);
    return parse_body(parser, TOKEN_BRACE_CLOSE, NULL, body);
}
