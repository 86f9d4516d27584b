#include <string.h>

#include "policy/parse_state.h"

/* How high the tree below a node is, kept behind the node: no part of the contract needs it. */
struct tall_term {
    struct term term;
    unsigned height;
};
struct tall_expression {
    struct expression expression;
    unsigned height;
};

static unsigned term_height(const struct term *term)
{
    return ((const struct tall_term *)term)->height;
}

static unsigned terms_height(const struct terms *terms)
{
    unsigned height = 0;
    for (size_t i = 0; i < terms->count; i++)
        height = MAX(height, term_height(terms->items[i]));
    return height;
}

static unsigned body_height(const struct body *body)
{
    unsigned height = 0;
    for (size_t i = 0; i < body->count; i++)
        height = MAX(height, ((const struct tall_expression *)body->items[i])->height);
    return height;
}

static bool check_height(struct parser *parser, unsigned height, struct place place)
{
    return height <= PARSE_DEPTH_MAX ||
           parse_fail(parser, place, "nested more than %d deep", PARSE_DEPTH_MAX);
}

/* ---- lists ---- */

void *parse_grow(struct parser *parser, void *items, size_t count, size_t *capacity,
                 size_t item_bytes)
{
    if (count < *capacity)
        return items;
    size_t more = *capacity == 0 ? 4 : *capacity * 2;
    items = arena_grow(parser->arena, items, *capacity * item_bytes, more * item_bytes);
    *capacity = more;
    return items;
}

bool term_list_append(struct parser *parser, struct term_list *list, const struct term *term)
{
    if (term == NULL)
        return false;
    const struct term **items =
        parse_grow(parser, list->items, list->count, &list->capacity, sizeof *items);
    if (items == NULL)
        return false;
    list->items = items;
    items[list->count++] = term;
    return true;
}

bool expression_list_append(struct parser *parser, struct expression_list *list,
                            const struct expression *expression)
{
    if (expression == NULL)
        return false;
    const struct expression **items =
        parse_grow(parser, list->items, list->count, &list->capacity, sizeof *items);
    if (items == NULL)
        return false;
    list->items = items;
    items[list->count++] = expression;
    return true;
}

/* ---- terms ---- */

static const struct term *term_new(struct parser *parser, const struct term *term, unsigned height)
{
    if (!check_height(parser, height, term->place))
        return NULL;
    struct tall_term *tall = arena_alloc(parser->arena, sizeof *tall);
    if (tall == NULL)
        return NULL;
    *tall = (struct tall_term){*term, height};
    return &tall->term;
}

const struct term *term_value(struct parser *parser, struct place place, const struct value *value)
{
    const struct term term = {.kind = TERM_VALUE, .place = place, .value = value};
    return value != NULL ? term_new(parser, &term, 1 + (unsigned)value->depth) : NULL;
}

const struct term *term_variable(struct parser *parser, struct place place, const char *name)
{
    const struct term term = {.kind = TERM_VARIABLE, .place = place, .name = name};
    return name != NULL ? term_new(parser, &term, 1) : NULL;
}

const struct term *term_text(struct parser *parser, struct place place, const char *bytes,
                             size_t size_bytes)
{
    return term_value(parser, place, value_string(parser->arena, bytes, size_bytes));
}

static bool all_values(const struct term_list *parts)
{
    for (size_t i = 0; i < parts->count; i++)
        if (parts->items[i]->kind != TERM_VALUE)
            return false;
    return true;
}

static const struct value *value_of_items(struct parser *parser, enum term_kind kind,
                                          const struct term_list *parts)
{
    struct value_list list = {0};
    for (size_t i = 0; i < parts->count; i++)
        if (!value_list_append(parser->arena, &list, parts->items[i]->value))
            return NULL;
    return kind == TERM_ARRAY ? value_array(parser->arena, &list) : value_set(parser->arena, &list);
}

/* A key that is there twice has the later value, as in OPA. */
static const struct value *value_of_pairs(struct parser *parser, const struct term_list *parts)
{
    struct value_pairs pairs = {0};
    const struct value *conflict = NULL;
    for (size_t i = 0; i + 1 < parts->count; i += 2)
        if (!value_pairs_append(parser->arena, &pairs, parts->items[i]->value,
                                parts->items[i + 1]->value))
            return NULL;
    return value_object(parser->arena, &pairs, &conflict);
}

const struct term *term_of(struct parser *parser, enum term_kind kind, struct place place,
                           const struct term_list *parts)
{
    bool is_collection = kind == TERM_ARRAY || kind == TERM_SET || kind == TERM_OBJECT;
    struct term term = {.kind = kind, .place = place, .parts = {parts->items, parts->count}};
    unsigned height = 1 + terms_height(&term.parts);
    if (!is_collection || !all_values(parts))
        return term_new(parser, &term, height);
    if (!check_height(parser, height, place))
        return NULL;
    return term_value(parser, place,
                      kind == TERM_OBJECT ? value_of_pairs(parser, parts)
                                          : value_of_items(parser, kind, parts));
}

const struct term *term_comprehension(struct parser *parser, enum term_kind kind,
                                      struct place place, const struct term_list *parts,
                                      const struct body *body)
{
    const struct term term = {
        .kind = kind, .place = place, .parts = {parts->items, parts->count}, .body = *body};
    return term_new(parser, &term, 1 + MAX(terms_height(&term.parts), body_height(body)));
}

static const struct term *function_term(struct parser *parser, struct place place,
                                        const struct function_name *function)
{
    struct term_list parts = {0};
    const struct term *first = term_variable(parser, place, function->first);
    if (function->second == NULL)
        return first;
    bool done =
        term_list_append(parser, &parts, first) &&
        term_list_append(parser, &parts,
                         term_text(parser, place, function->second, strlen(function->second)));
    return done ? term_of(parser, TERM_REF, place, &parts) : NULL;
}

const struct term *term_call(struct parser *parser, struct place place,
                             const struct function_name *function, const struct term_list *operands)
{
    struct term_list parts = {0};
    bool done = term_list_append(parser, &parts, function_term(parser, place, function));
    for (size_t i = 0; done && i < operands->count; i++)
        done = term_list_append(parser, &parts, operands->items[i]);
    return done ? term_of(parser, TERM_CALL, place, &parts) : NULL;
}

bool term_is_call_of(const struct term *term, const struct function_name *function)
{
    if (term->kind != TERM_CALL)
        return false;
    const struct term *name = term->parts.items[0];
    if (function->second == NULL)
        return name->kind == TERM_VARIABLE && strcmp(name->name, function->first) == 0;
    return name->kind == TERM_REF && name->parts.count == 2 &&
           name->parts.items[0]->kind == TERM_VARIABLE &&
           strcmp(name->parts.items[0]->name, function->first) == 0 &&
           name->parts.items[1]->kind == TERM_VALUE &&
           value_is_text(name->parts.items[1]->value, function->second);
}

/* ---- expressions ---- */

static unsigned withs_height(const struct expression *expression)
{
    unsigned height = 0;
    for (size_t i = 0; i < expression->with_count; i++) {
        height = MAX(height, term_height(expression->withs[i].target));
        height = MAX(height, term_height(expression->withs[i].value));
    }
    return height;
}

const struct expression *expression_of(struct parser *parser, const struct expression *expression)
{
    unsigned height = MAX(terms_height(&expression->terms), body_height(&expression->body));
    height = 1 + MAX(height, withs_height(expression));
    if (!check_height(parser, height, expression->place))
        return NULL;
    struct tall_expression *tall = arena_alloc(parser->arena, sizeof *tall);
    if (tall == NULL)
        return NULL;
    *tall = (struct tall_expression){*expression, height};
    return &tall->expression;
}

bool body_of_true(struct parser *parser, struct place place, struct body *body)
{
    struct term_list terms = {0};
    struct expression_list list = {0};
    if (!term_list_append(parser, &terms, term_value(parser, place, &value_true)))
        return false;
    const struct expression expression = {
        .kind = EXPRESSION_TERM, .place = place, .terms = {terms.items, terms.count}};
    if (!expression_list_append(parser, &list, expression_of(parser, &expression)))
        return false;
    *body = (struct body){list.items, list.count};
    return true;
}
