#include <string.h>

#include "policy/builtin.h"
#include "policy/parse_state.h"

#define OLDER_BODY_RULE "`if` keyword is required before rule body"
#define OLDER_BODY_FUNCTION "`if` keyword is required before function body"
#define NOTHING_SAID "rule must have value assignment and/or body declaration"

/* ---- bodies ---- */

/* Behind `if`: a body in braces, or one expression. { true } could be either: it is a body, as a
 * set would always hold. What is no set, but begins with a brace, is an expression. */
static bool is_expression_in_braces(const struct expression *expression)
{
    if (expression == NULL)
        return false;
    const struct term *term = expression->terms.items[0];
    return term->kind != TERM_SET &&
           (term->kind != TERM_VALUE || !value_is(term->value, VALUE_SET));
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
    if (is_expression_in_braces(expression))
        return body_of_one(parser, expression, body);
    *parser = before;
    return parse_braced_body(parser, body);
}

static bool parse_older_body(struct parser *parser, const struct rule *rule, struct body *body)
{
    parse_lapse(parser, parse_token_place(parser),
                rule->kind == RULE_FUNCTION ? OLDER_BODY_FUNCTION : OLDER_BODY_RULE);
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
    if (parse_at_word(parser, TOKEN_IF)) {
        parse_advance(parser);
        return parse_at(parser, TOKEN_BRACE_OPEN)
                   ? parse_braced_body(parser, &branch->body)
                   : body_of_one(parser, parse_literal(parser, NULL), &branch->body);
    }
    if (parse_at(parser, TOKEN_BRACE_OPEN))
        return parse_older_body(parser, rule, &branch->body);
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

/* Whether the name is that of a built-in: a call that stands alone is no definition then. */
static bool is_builtin(const struct parser *parser, const struct term_list *name)
{
    CLEANUP(buffer_clear) struct buffer dotted = {0};
    for (size_t i = 0; i < name->count; i++) {
        const struct term *part = name->items[i];
        if (i > 0 && (part->kind != TERM_VALUE || !value_is(part->value, VALUE_STRING)))
            return false;
        buffer_text(&dotted, i > 0 ? "." : "");
        buffer_text(&dotted, i > 0 ? part->value->string : part->name);
    }
    return dotted.bytes != NULL &&
           builtin_find(dotted.bytes, dotted.size_bytes, parser->v0) != NULL;
}

/* A head alone: p := 1, p contains 1, or the older p["a"]. */
static bool finish_bodiless(struct parser *parser, const struct head *head, struct rule *rule)
{
    if (head->value == NULL && head->key == NULL && !head->has_arguments) {
        if (!parser->token.newline_before && !parse_at(parser, TOKEN_END))
            return parse_unexpected(parser, "expected := or a body");
        if (head->parts.count == 1)
            return parse_fail(parser, head->place, "var cannot be used for rule name");
        if (head->parts.count > 2)
            parse_lapse(parser, head->place, NOTHING_SAID);
    }
    if (head->has_arguments && head->value == NULL && is_builtin(parser, &head->parts))
        return parse_fail(parser, head->place, "rule name conflicts with built-in function");
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

/* The older p { } { }: each further body is a rule with the same head, its `if` included. */
static bool parse_further_bodies(struct parser *parser, const struct head *head,
                                 struct rule_list *rules, const struct rule *first)
{
    while (parse_at(parser, TOKEN_BRACE_OPEN)) {
        if (first->else_rule != NULL)
            return parse_unexpected(parser, "expected else keyword");
        struct rule *rule = rule_new(parser, first);
        uint32_t begin = parser->token.offset;
        if (rule == NULL)
            return false;
        bool done = head->has_if ? parse_braced_body(parser, &rule->body)
                                 : parse_older_body(parser, rule, &rule->body);
        if (!done)
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
                             : parse_older_body(parser, rule, &rule->body);
    if (!done || !parse_elses(parser, rule))
        return false;
    rule->place = parse_place_since(parser, begin);
    return rule_list_append(parser, rules, rule) && parse_further_bodies(parser, head, rules, rule);
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
    if (rule == NULL || !head_fill(parser, &head, rule))
        return false;
    rule->place = head.place;
    if (!head.is_default && (head.has_if || parse_at(parser, TOKEN_BRACE_OPEN)))
        return parse_bodies(parser, &head, rules, rule);
    bool done = head.is_default ? finish_default(parser, &head, rule)
                                : finish_bodiless(parser, &head, rule);
    return done && rule_list_append(parser, rules, rule);
}
