#include "policy/parse_state.h"

/* Arrays, sets, objects and their comprehensions. The first term (of an object, its first value) is
 * read without operators: a | behind it begins a comprehension's body, unless a comma shows that it
 * was an operator (see struct twin). */
struct collection {
    uint32_t begin;
    enum token_kind close;
    bool may_be_comprehension; /* not with a comma in front, which OPA lets pass */
    struct term_list parts;
};

static const struct term *finish(struct parser *parser, struct collection *collection,
                                 enum term_kind kind)
{
    return term_of(parser, kind, parse_place_since(parser, collection->begin), &collection->parts);
}

/* Behind an element: more of them, up to the end. */
static bool parse_more(struct parser *parser, struct collection *collection)
{
    if (!parse_at(parser, collection->close) && !parse_accept(parser, TOKEN_COMMA)) {
        const char *expected =
            collection->close == TOKEN_BRACKET_CLOSE ? "expected , or ]" : "expected , or }";
        return parse_unexpected(parser, expected);
    }
    return parse_terms(parser, collection->close, &collection->parts);
}

static const struct term *parse_elements(struct parser *parser, struct collection *collection,
                                         enum term_kind kind, const struct term *first)
{
    bool done =
        term_list_append(parser, &collection->parts, first) && parse_more(parser, collection);
    return done ? finish(parser, collection, kind) : NULL;
}

/* At the | behind the last of parts, which are a head. Gives the comprehension; NULL with
 * twin->is_list when the | was an operator: the last part is what it made then. */
static const struct term *parse_comprehension(struct parser *parser, struct collection *collection,
                                              enum term_kind kind, struct twin *twin)
{
    struct body body;
    size_t last = collection->parts.count - 1;
    *twin = (struct twin){.left = collection->parts.items[last]};
    parse_advance(parser);
    if (!parse_body(parser, collection->close, twin, &body)) {
        collection->parts.items[last] = twin->element;
        return NULL;
    }
    return term_comprehension(parser, kind, parse_place_since(parser, collection->begin),
                              &collection->parts, &body);
}

static const struct term *comprehension_or_elements(struct parser *parser,
                                                    struct collection *collection,
                                                    enum term_kind kind, const struct term *first)
{
    struct twin twin;
    enum term_kind comprehension =
        kind == TERM_ARRAY ? TERM_ARRAY_COMPREHENSION : TERM_SET_COMPREHENSION;
    if (!term_list_append(parser, &collection->parts, first))
        return NULL;
    const struct term *term = parse_comprehension(parser, collection, comprehension, &twin);
    if (term != NULL || !twin.is_list)
        return term;
    if (twin.next != NULL && !term_list_append(parser, &collection->parts, twin.next))
        return NULL;
    return parse_more(parser, collection) ? finish(parser, collection, kind) : NULL;
}

static bool is_comprehension_here(const struct parser *parser, const struct collection *collection)
{
    return collection->may_be_comprehension && parse_at(parser, TOKEN_OR);
}

static struct collection collection_begin(struct parser *parser, enum token_kind close)
{
    struct collection collection = {.begin = parser->token.offset, .close = close};
    parse_advance(parser);
    collection.may_be_comprehension = !parse_accept(parser, TOKEN_COMMA);
    return collection;
}

const struct term *parse_array(struct parser *parser)
{
    struct collection collection = collection_begin(parser, TOKEN_BRACKET_CLOSE);
    if (collection.may_be_comprehension && parse_accept(parser, TOKEN_BRACKET_CLOSE))
        return finish(parser, &collection, TERM_ARRAY);
    const struct term *first = parse_term(parser);
    if (first == NULL)
        return NULL;
    if (is_comprehension_here(parser, &collection))
        return comprehension_or_elements(parser, &collection, TERM_ARRAY, first);
    return parse_elements(parser, &collection, TERM_ARRAY, parse_infix_behind(parser, first));
}

/* ---- objects ---- */

static bool parse_value_of_key(struct parser *parser, struct collection *object)
{
    return parse_expect(parser, TOKEN_COLON) &&
           term_list_append(parser, &object->parts, parse_infix(parser, INFIX_NO_COMMA));
}

/* Behind a value: more pairs, up to the end. */
static bool parse_more_pairs(struct parser *parser, struct collection *object)
{
    while (!parse_accept(parser, TOKEN_BRACE_CLOSE)) {
        if (!parse_accept(parser, TOKEN_COMMA))
            return parse_unexpected(parser, "expected , or }");
        if (parse_accept(parser, TOKEN_BRACE_CLOSE))
            return true;
        if (!term_list_append(parser, &object->parts, parse_infix(parser, INFIX_NO_COMMA)) ||
            !parse_value_of_key(parser, object))
            return false;
    }
    return true;
}

static const struct term *comprehension_or_pairs(struct parser *parser, struct collection *object)
{
    struct twin twin;
    const struct term *term = parse_comprehension(parser, object, TERM_OBJECT_COMPREHENSION, &twin);
    if (term != NULL || !twin.is_list)
        return term;
    if (twin.next != NULL && (!term_list_append(parser, &object->parts, twin.next) ||
                              !parse_value_of_key(parser, object)))
        return NULL;
    return parse_more_pairs(parser, object) ? finish(parser, object, TERM_OBJECT) : NULL;
}

/* At the colon behind the first key. */
static const struct term *parse_object(struct parser *parser, struct collection *object,
                                       const struct term *key)
{
    parse_advance(parser);
    const struct term *value = parse_term(parser);
    if (value == NULL || !term_list_append(parser, &object->parts, key))
        return NULL;
    if (is_comprehension_here(parser, object))
        return term_list_append(parser, &object->parts, value)
                   ? comprehension_or_pairs(parser, object)
                   : NULL;
    bool done = term_list_append(parser, &object->parts, parse_infix_behind(parser, value)) &&
                parse_more_pairs(parser, object);
    return done ? finish(parser, object, TERM_OBJECT) : NULL;
}

const struct term *parse_set_or_object(struct parser *parser)
{
    struct collection collection = collection_begin(parser, TOKEN_BRACE_CLOSE);
    if (collection.may_be_comprehension && parse_accept(parser, TOKEN_BRACE_CLOSE))
        return finish(parser, &collection, TERM_OBJECT);
    const struct term *first = parse_term(parser);
    if (first == NULL)
        return NULL;
    if (is_comprehension_here(parser, &collection))
        return comprehension_or_elements(parser, &collection, TERM_SET, first);
    first = parse_infix_behind(parser, first);
    if (first != NULL && parse_at(parser, TOKEN_COLON))
        return parse_object(parser, &collection, first);
    return parse_elements(parser, &collection, TERM_SET, first);
}
