#include <string.h>

#include "policy/parse_state.h"

#define OLDER_BODY_RULE "`if` keyword is required before rule body"
#define OLDER_BODY_FUNCTION "`if` keyword is required before function body"
#define OLDER_SET "`contains` keyword is required for partial set rules"
#define NOTHING_SAID "rule must have value assignment and/or body declaration"

/* What stands in front of a rule's body, as written. */
struct head {
    struct term_list parts; /* of the name: p, or p.q[x] */
    struct term_list arguments;
    bool is_default, has_arguments, has_if;
    const struct term *key; /* behind `contains` */
    const struct term *value;
    struct place place;
};

/* ---- heads ---- */

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
    if (!parse_terms(parser, TOKEN_PARENTHESIS_CLOSE, &head->arguments))
        return false;
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

static bool parse_head(struct parser *parser, struct head *head)
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
        parse_lapse(parser, head->place, OLDER_SET);
    rule->kind = RULE_SET;
    rule->key = is_older ? head->parts.items[1] : head->key;
    rule->ref = name_of(parser, head, is_older ? 1 : head->parts.count);
    return rule->ref != NULL;
}

static bool fill_head(struct parser *parser, const struct head *head, struct rule *rule)
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

/* ---- bodies ---- */

/* Behind `if`: a body in braces, or one expression. { true } could be either: it is a body, as a
 * set would always hold. What is no set, but begins with a brace, is an expression. */
static bool is_expression_in_braces(struct parser *parser, const struct expression *expression)
{
    if (expression == NULL)
        return false;
    const struct term *term = expression->terms.items[0];
    if (expression->kind != EXPRESSION_TERM || term->kind == TERM_SET)
        return expression->kind != EXPRESSION_TERM;
    return term->kind != TERM_VALUE || !value_is(term->value, VALUE_SET);
}

static bool body_of_one(struct parser *parser, const struct expression *expression,
                        struct body *body)
{
    struct expression_list list = {0};
    if (!expression_list_append(parser, &list, expression))
        return false;
    *body = (struct body){list.items, list.count};
    return true;
}

static bool parse_body_behind_if(struct parser *parser, struct body *body)
{
    if (!parse_at(parser, TOKEN_BRACE_OPEN))
        return body_of_one(parser, parse_literal(parser, NULL), body);
    struct parser before = *parser;
    parser->trying = true;
    const struct expression *expression = parse_literal(parser, NULL);
    parser->trying = false;
    if (is_expression_in_braces(parser, expression))
        return body_of_one(parser, expression, body);
    *parser = before;
    return parse_braced_body(parser, body);
}

static bool parse_older_body(struct parser *parser, bool is_function, struct body *body)
{
    struct place place = parse_token_place(parser);
    parse_lapse(parser, place, is_function ? OLDER_BODY_FUNCTION : OLDER_BODY_RULE);
    return parse_braced_body(parser, body);
}

/* ---- else ---- */

static bool check_else(struct parser *parser, const struct rule *rule)
{
    if (rule->kind == RULE_SET)
        return parse_fail(parser, parse_token_place(parser),
                          "else keyword cannot be used on multi-value rules");
    for (size_t i = 1; rule->ref->kind == TERM_REF && i < rule->ref->parts.count; i++)
        if (rule->ref->parts.items[i]->kind != TERM_VALUE)
            return parse_fail(parser, parse_token_place(parser),
                              "else keyword cannot be used on rules with variables in head");
    return true;
}

static bool parse_else_body(struct parser *parser, const struct rule *rule, struct rule *branch,
                            bool has_value)
{
    bool is_function = rule->kind == RULE_FUNCTION;
    if (parse_at_word(parser, TOKEN_IF)) {
        parse_advance(parser);
        return parse_at(parser, TOKEN_BRACE_OPEN)
                   ? parse_braced_body(parser, &branch->body)
                   : body_of_one(parser, parse_literal(parser, NULL), &branch->body);
    }
    if (parse_at(parser, TOKEN_BRACE_OPEN))
        return parse_older_body(parser, is_function, &branch->body);
    if (!has_value)
        return parse_unexpected(parser, "expected else value term or rule body");
    return body_of_true(parser, branch->head_place, &branch->body);
}

static struct rule *parse_else(struct parser *parser, const struct rule *rule)
{
    struct rule *branch = arena_zalloc(parser->arena, 1, sizeof *branch);
    uint32_t begin = parser->token.offset;
    if (branch == NULL)
        return NULL;
    *branch = (struct rule){.kind = rule->kind, .ref = rule->ref, .arguments = rule->arguments};
    parse_advance(parser);
    bool has_value = parse_accept(parser, TOKEN_ASSIGN) || parse_accept(parser, TOKEN_UNIFY);
    branch->value = has_value ? parse_infix(parser, INFIX_COMMA)
                              : term_value(parser, rule->head_place, &value_true);
    branch->head_place = parse_place_since(parser, begin);
    if (branch->value == NULL || !parse_else_body(parser, rule, branch, has_value))
        return NULL;
    branch->place = parse_place_since(parser, begin);
    return branch;
}

/* Each hangs on the one before: others walk down the chain, so it is no longer than depth allows.
 */
static bool parse_elses(struct parser *parser, struct rule *rule)
{
    struct rule *last = rule;
    for (unsigned count = 0; parse_at_word(parser, TOKEN_ELSE); count++) {
        if (!check_else(parser, rule))
            return false;
        if (count >= PARSE_DEPTH_MAX)
            return parse_fail(parser, parse_token_place(parser), "more than %d else in one rule",
                              PARSE_DEPTH_MAX);
        struct rule *branch = parse_else(parser, rule);
        if (branch == NULL)
            return false;
        last->else_rule = branch;
        last = branch;
    }
    return true;
}

/* ---- default rules ---- */

static const char *const term_names[] = {
    [TERM_VARIABLE] = "var",
    [TERM_REF] = "ref",
    [TERM_CALL] = "call",
};

/* Comprehensions may hold what they like: they are closed. Depth is bounded by that of terms. */
static bool check_default_value(struct parser *parser, const struct term *term)
{
    if (term->kind == TERM_VARIABLE || term->kind == TERM_REF || term->kind == TERM_CALL)
        return parse_fail(parser, term->place, "illegal default rule (value cannot contain %s)",
                          term_names[term->kind]);
    if (term->kind == TERM_VALUE || term->kind == TERM_ARRAY_COMPREHENSION ||
        term->kind == TERM_SET_COMPREHENSION || term->kind == TERM_OBJECT_COMPREHENSION)
        return true;
    for (size_t i = 0; i < term->parts.count; i++)
        if (!check_default_value(parser, term->parts.items[i]))
            return false;
    return true;
}

static bool check_default_arguments(struct parser *parser, const struct terms *arguments)
{
    for (size_t i = 0; i < arguments->count; i++) {
        const struct term *argument = arguments->items[i];
        if (argument->kind != TERM_VARIABLE)
            return parse_fail(parser, argument->place,
                              "illegal default rule (arguments must be variables)");
        for (size_t k = 0; k < i; k++)
            if (strcmp(arguments->items[k]->name, argument->name) == 0)
                return parse_fail(parser, argument->place,
                                  "illegal default rule (arguments cannot be repeated %s)",
                                  argument->name);
    }
    return true;
}

static bool finish_default(struct parser *parser, const struct head *head, struct rule *rule)
{
    if (head->value == NULL)
        return parse_fail(parser, head->place, "illegal default rule (must have a value)");
    return check_default_value(parser, head->value) &&
           check_default_arguments(parser, &rule->arguments) &&
           body_of_true(parser, head->place, &rule->body);
}

/* ---- rules ---- */

/* A head alone: p := 1, p contains 1, or the older p["a"]. */
static bool finish_bodiless(struct parser *parser, const struct head *head, struct rule *rule)
{
    if (head->value == NULL && head->key == NULL && !head->has_arguments) {
        if (head->parts.count == 1)
            return parse_fail(parser, head->place, "var cannot be used for rule name");
        if (head->parts.count > 2)
            parse_lapse(parser, head->place, NOTHING_SAID);
    }
    return body_of_true(parser, head->place, &rule->body);
}

static struct rule *rule_new(struct parser *parser, const struct rule *like)
{
    struct rule *rule = arena_alloc(parser->arena, sizeof *rule);
    if (rule != NULL)
        *rule = *like;
    return rule;
}

static bool rule_list_append(struct parser *parser, struct rule_list *list, const struct rule *rule)
{
    const struct rule **items =
        parse_grow(parser, list->items, list->count, &list->capacity, sizeof *items);
    if (items == NULL)
        return false;
    list->items = items;
    items[list->count++] = rule;
    return true;
}

/* The older p { } { }: each further body is a rule with the same head. */
static bool parse_further_bodies(struct parser *parser, struct rule_list *rules,
                                 const struct rule *first)
{
    while (parse_at(parser, TOKEN_BRACE_OPEN)) {
        if (first->else_rule != NULL)
            return parse_unexpected(parser, "expected else keyword");
        struct rule *rule = rule_new(parser, first);
        uint32_t begin = parser->token.offset;
        if (rule == NULL || !parse_older_body(parser, rule->kind == RULE_FUNCTION, &rule->body))
            return false;
        rule->place = parse_place_since(parser, begin);
        if (!rule_list_append(parser, rules, rule))
            return false;
    }
    return true;
}

static bool parse_bodies(struct parser *parser, const struct head *head, struct rule_list *rules,
                         struct rule *rule)
{
    uint32_t begin = head->place.offset;
    if (head->has_if)
        parse_advance(parser);
    bool done = head->has_if ? parse_body_behind_if(parser, &rule->body)
                             : parse_older_body(parser, rule->kind == RULE_FUNCTION, &rule->body);
    if (!done || !parse_elses(parser, rule))
        return false;
    rule->place = parse_place_since(parser, begin);
    return rule_list_append(parser, rules, rule) && parse_further_bodies(parser, rules, rule);
}

bool parse_rule(struct parser *parser, struct rule_list *rules)
{
    struct head head = {0};
    if (parse_at_word(parser, TOKEN_DEFAULT)) {
        parse_advance(parser);
        head.is_default = true;
    }
    if (!parse_head(parser, &head))
        return false;
    head.has_if = !head.is_default && parse_at_word(parser, TOKEN_IF);
    struct rule *rule = arena_zalloc(parser->arena, 1, sizeof *rule);
    if (rule == NULL || !fill_head(parser, &head, rule))
        return false;
    rule->place = head.place;
    if (!head.is_default && (head.has_if || parse_at(parser, TOKEN_BRACE_OPEN)))
        return parse_bodies(parser, &head, rules, rule);
    bool done = head.is_default ? finish_default(parser, &head, rule)
                                : finish_bodiless(parser, &head, rule);
    return done && rule_list_append(parser, rules, rule);
}
