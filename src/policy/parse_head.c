#include "policy/parse_state.h"

/* Of a function: names of arguments are compared with each other, which takes their square. */
#define ARGUMENTS_MAX 1024

/* White space may stand behind the first part alone. */
static bool parse_head_name(struct parser *parser, struct head *head)
{
    if (!parse_at_name(parser))
        return parse_unexpected(parser, "expected rule head name");
    if (!term_list_append(parser, &head->parts, parse_variable(parser)))
        return false;
    while ((parse_at(parser, TOKEN_DOT) || parse_at(parser, TOKEN_BRACKET_OPEN)) &&
           (head->parts.count == 1 || !parser->token.space_before))
        if (!parse_ref_part(parser, &head->parts))
            return false;
    return true;
}

static bool parse_head_arguments(struct parser *parser, struct head *head)
{
    if (!parse_at(parser, TOKEN_PARENTHESIS_OPEN) ||
        (head->parts.count > 1 && parser->token.space_before))
        return true;
    parse_advance(parser);
    struct place place = parse_token_place(parser);
    if (!parse_terms(parser, TOKEN_PARENTHESIS_CLOSE, &head->arguments))
        return false;
    if (head->arguments.count > ARGUMENTS_MAX)
        return parse_fail(parser, place, "more than %d arguments", ARGUMENTS_MAX);
    head->has_arguments = head->arguments.count > 0;
    return true;
}

static bool parse_head_key(struct parser *parser, struct head *head)
{
    if (head->has_arguments)
        return parse_unexpected(
            parser, "the contains keyword can only be used with multi-value rule definitions "
                    "(e.g., p contains <VALUE> { ... })");
    parse_advance(parser);
    head->key = parse_infix(parser, INFIX_COMMA);
    return head->key != NULL;
}

static bool parse_head_value(struct parser *parser, struct head *head)
{
    if (parse_at(parser, TOKEN_CONTAINS))
        return parse_head_key(parser, head);
    if (parse_at(parser, TOKEN_EQUAL))
        return parse_unexpected(parser, "expected := and the rule's value");
    if (!parse_accept(parser, TOKEN_ASSIGN) && !parse_accept(parser, TOKEN_UNIFY))
        return true;
    head->value = parse_infix(parser, INFIX_COMMA);
    return head->value != NULL;
}

bool parse_head(struct parser *parser, struct head *head)
{
    uint32_t begin = parser->token.offset;
    if (!parse_head_name(parser, head) || !parse_head_arguments(parser, head) ||
        !parse_head_value(parser, head))
        return false;
    head->place = parse_place_since(parser, begin);
    return true;
}

/* ---- what a head means ---- */

static const struct term *name_of(struct parser *parser, const struct head *head, size_t count)
{
    const struct term_list parts = {head->parts.items, count, count};
    struct place place = parts.items[0]->place;
    const struct place last = parts.items[count - 1]->place;
    if (count == 1)
        return parts.items[0];
    place.length = last.offset + last.length - place.offset;
    return term_of(parser, TERM_REF, place, &parts);
}

static const struct term *value_of(struct parser *parser, const struct head *head)
{
    return head->value != NULL ? head->value : term_value(parser, head->place, &value_true);
}

/* The older p[x] and p.x, without value and `if`: an element of a set. */
static bool is_older_set(const struct head *head)
{
    return head->parts.count == 2 && head->value == NULL && head->key == NULL && !head->has_if &&
           !head->has_arguments && !head->is_default;
}

static bool fill_set(struct parser *parser, const struct head *head, struct rule *rule)
{
    bool is_older = head->key == NULL;
    if (is_older)
        parse_lapse(parser, head->place, "`contains` keyword is required for partial set rules");
    rule->kind = RULE_SET;
    rule->key = is_older ? head->parts.items[1] : head->key;
    rule->ref = name_of(parser, head, is_older ? 1 : head->parts.count);
    return rule->ref != NULL;
}

bool head_fill(struct parser *parser, const struct head *head, struct rule *rule)
{
    rule->head_place = head->place;
    rule->is_default = head->is_default;
    if (head->key != NULL || is_older_set(head))
        return fill_set(parser, head, rule);
    rule->kind = head->has_arguments ? RULE_FUNCTION : RULE_COMPLETE;
    rule->arguments = (struct terms){head->arguments.items, head->arguments.count};
    rule->ref = name_of(parser, head, head->parts.count);
    rule->value = value_of(parser, head);
    return rule->ref != NULL && rule->value != NULL;
}
