#include <stdio.h>
#include <string.h>

#include "policy/parse_state.h"

/* $"text {expression} text": texts, and what stands in braces. */
struct template
{
    bool is_raw;
    uint32_t begin;
    struct term_list parts;
};

/* The text up to the next brace or the end; what ended it is looked at then. */
static bool parse_text(struct parser *parser, struct template *template)
{
    parser->token = lex_template_text(&parser->lexer, template->is_raw);
    if (parse_at(parser, TOKEN_ILLEGAL))
        return parse_unexpected(parser, NULL);
    struct place place = parse_token_place(parser);
    enum lex_quoting quoting = template->is_raw ? LEX_RAW_TEMPLATE : LEX_TEMPLATE;
    return place.length == 0 ||
           term_list_append(parser, &template->parts, parse_escaped(parser, place, quoting));
}

static const char *why_not_in_template(const struct expression *expression)
{
    static const struct function_name eq = {"eq", NULL}, assign = {"assign", NULL};
    if (expression->negated || expression->kind == EXPRESSION_NOT_BODY)
        return "negation ('not')";
    if (expression->kind == EXPRESSION_EVERY)
        return "'every'";
    if (expression->kind != EXPRESSION_TERM)
        return "'some'";
    if (term_is_call_of(expression->terms.items[0], &eq))
        return "unification ('=')";
    return term_is_call_of(expression->terms.items[0], &assign) ? "assignment (':=')" : NULL;
}

/* An expression with `with` as a term: [x | x = expression with ...][0], which is undefined when
 * the expression is. */
static const struct term *term_of_with(struct parser *parser, const struct expression *expression)
{
    static const struct function_name eq = {"eq", NULL};
    struct place place = expression->place;
    char name[16];
    int length = snprintf(name, sizeof name, "$%u", parser->wildcard_count++);
    const struct term *variable =
        term_variable(parser, place, arena_copy(parser->arena, name, (size_t)length));
    struct term_list operands = {0}, head = {0}, call = {0}, parts = {0};
    struct expression_list body = {0};
    if (!term_list_append(parser, &operands, variable) ||
        !term_list_append(parser, &operands, expression->terms.items[0]) ||
        !term_list_append(parser, &head, variable) ||
        !term_list_append(parser, &call, term_call(parser, place, &eq, &operands)))
        return NULL;
    struct expression unified = *expression;
    unified.terms = (struct terms){call.items, call.count};
    if (!expression_list_append(parser, &body, expression_of(parser, &unified)))
        return NULL;
    const struct body of = {body.items, body.count};
    bool done =
        term_list_append(parser, &parts,
                         term_comprehension(parser, TERM_ARRAY_COMPREHENSION, place, &head, &of)) &&
        term_list_append(parser, &parts, term_value(parser, place, value_small(parser->arena, 0)));
    return done ? term_of(parser, TERM_REF, place, &parts) : NULL;
}

/* In braces. The } is looked at afterwards, and the text goes on directly behind it. */
static bool parse_braced(struct parser *parser, struct template *template)
{
    parse_advance(parser);
    const struct expression *expression = parse_literal(parser, NULL);
    if (expression == NULL)
        return false;
    const char *why = why_not_in_template(expression);
    if (why != NULL)
        return parse_fail(parser, expression->place, "unexpected %s in template-string expression",
                          why);
    if (!parse_at(parser, TOKEN_BRACE_CLOSE))
        return parse_unexpected(parser, "expected } to end template string expression");
    return term_list_append(parser, &template->parts,
                            expression->with_count > 0 ? term_of_with(parser, expression)
                                                       : expression->terms.items[0]);
}

const struct term *parse_template(struct parser *parser)
{
    struct template template = {.is_raw = parse_at(parser, TOKEN_RAW_TEMPLATE),
                                .begin = parser->token.offset};
    for (;;) {
        if (!parse_text(parser, &template))
            return NULL;
        if (parse_at(parser, TOKEN_TEMPLATE_END))
            break;
        if (!parse_braced(parser, &template))
            return NULL;
    }
    parser->token.length = (uint32_t)parser->lexer.at - parser->token.offset;
    parse_advance(parser);
    return term_of(parser, TERM_TEMPLATE, parse_place_since(parser, template.begin),
                   &template.parts);
}
