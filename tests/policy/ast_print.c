#include "ast_print.h"

static const char *const kind_names[] = {
    [TERM_REF] = "ref",
    [TERM_ARRAY] = "array",
    [TERM_SET] = "set",
    [TERM_OBJECT] = "object",
    [TERM_ARRAY_COMPREHENSION] = "array|",
    [TERM_SET_COMPREHENSION] = "set|",
    [TERM_OBJECT_COMPREHENSION] = "object|",
    [TERM_TEMPLATE] = "template",
};

static bool has_body(enum term_kind kind)
{
    return kind >= TERM_ARRAY_COMPREHENSION && kind <= TERM_OBJECT_COMPREHENSION;
}

static void print_parts(const struct term *term, struct buffer *out)
{
    buffer_byte(out, '(');
    if (term->kind != TERM_CALL)
        buffer_text(out, kind_names[term->kind]);
    for (size_t i = 0; i < term->parts.count; i++) {
        if (i > 0 || term->kind != TERM_CALL)
            buffer_byte(out, ' ');
        print_term(term->parts.items[i], out);
    }
    if (has_body(term->kind)) {
        buffer_byte(out, ' ');
        print_body(&term->body, out);
    }
    buffer_byte(out, ')');
}

void print_term(const struct term *term, struct buffer *out)
{
    if (term->kind == TERM_VALUE)
        value_print_term(term->value, out);
    else if (term->kind == TERM_VARIABLE)
        buffer_text(out, term->name);
    else
        print_parts(term, out);
}

static void print_expression(const struct expression *expression, struct buffer *out)
{
    static const char *const names[] = {[EXPRESSION_SOME] = "(some",
                                        [EXPRESSION_SOME_IN] = "(some-in",
                                        [EXPRESSION_EVERY] = "(every",
                                        [EXPRESSION_NOT_BODY] = "(not"};
    bool is_term = expression->kind == EXPRESSION_TERM;
    buffer_text(out, expression->negated ? "not " : "");
    if (!is_term)
        buffer_text(out, names[expression->kind]);
    for (size_t i = 0; i < expression->terms.count; i++) {
        buffer_text(out, is_term ? "" : " ");
        print_term(expression->terms.items[i], out);
    }
    if (expression->body.count > 0) {
        buffer_byte(out, ' ');
        print_body(&expression->body, out);
    }
    buffer_text(out, is_term ? "" : ")");
    for (size_t i = 0; i < expression->with_count; i++) {
        buffer_text(out, " with ");
        print_term(expression->withs[i].target, out);
        buffer_text(out, " as ");
        print_term(expression->withs[i].value, out);
    }
}

void print_body(const struct body *body, struct buffer *out)
{
    buffer_byte(out, '{');
    for (size_t i = 0; i < body->count; i++) {
        buffer_text(out, i > 0 ? "; " : "");
        print_expression(body->items[i], out);
    }
    buffer_byte(out, '}');
}

static void print_arguments(const struct terms *arguments, struct buffer *out)
{
    buffer_byte(out, '(');
    for (size_t i = 0; i < arguments->count; i++) {
        buffer_text(out, i > 0 ? ", " : "");
        print_term(arguments->items[i], out);
    }
    buffer_byte(out, ')');
}

void print_rule(const struct rule *rule, struct buffer *out)
{
    static const char *const kinds[] = {"complete ", "set ", "function "};
    buffer_text(out, rule->is_default ? "default " : "");
    buffer_text(out, kinds[rule->kind]);
    print_term(rule->ref, out);
    if (rule->kind == RULE_FUNCTION)
        print_arguments(&rule->arguments, out);
    buffer_text(out, rule->kind == RULE_SET ? " contains " : " = ");
    print_term(rule->kind == RULE_SET ? rule->key : rule->value, out);
    buffer_byte(out, ' ');
    print_body(&rule->body, out);
    for (const struct rule *other = rule->else_rule; other != NULL; other = other->else_rule) {
        buffer_text(out, " else ");
        print_term(other->value, out);
        buffer_byte(out, ' ');
        print_body(&other->body, out);
    }
}

void print_module(const struct module *module, struct buffer *out)
{
    buffer_text(out, "package ");
    print_term(module->package, out);
    buffer_text(out, "\n");
    for (size_t i = 0; i < module->import_count; i++) {
        buffer_text(out, "import ");
        print_term(module->imports[i].path, out);
        buffer_format(out, " as %s\n", module->imports[i].alias);
    }
    for (size_t i = 0; i < module->rule_count; i++) {
        print_rule(module->rules[i], out);
        buffer_text(out, "\n");
    }
}
