#include "policy/parse_state.h"

const struct function_name function_member_2 = {"internal", "member_2"};
const struct function_name function_member_3 = {"internal", "member_3"};

/* From what binds least to what binds most. */
enum level { LEVEL_NONE, LEVEL_IN, LEVEL_COMPARE, LEVEL_OR, LEVEL_AND, LEVEL_ADD, LEVEL_MULTIPLY };
#define LEVELS LEVEL_MULTIPLY

struct infix {
    enum token_kind token;
    enum level level;
    struct function_name function;
};
static const struct infix infixes[] = {
    {TOKEN_IN, LEVEL_IN, {"internal", "member_2"}},
    {TOKEN_EQUAL, LEVEL_COMPARE, {"equal", NULL}},
    {TOKEN_NOT_EQUAL, LEVEL_COMPARE, {"neq", NULL}},
    {TOKEN_LESS, LEVEL_COMPARE, {"lt", NULL}},
    {TOKEN_LESS_EQUAL, LEVEL_COMPARE, {"lte", NULL}},
    {TOKEN_GREATER, LEVEL_COMPARE, {"gt", NULL}},
    {TOKEN_GREATER_EQUAL, LEVEL_COMPARE, {"gte", NULL}},
    {TOKEN_OR, LEVEL_OR, {"or", NULL}},
    {TOKEN_AND, LEVEL_AND, {"and", NULL}},
    {TOKEN_PLUS, LEVEL_ADD, {"plus", NULL}},
    {TOKEN_MINUS, LEVEL_ADD, {"minus", NULL}},
    {TOKEN_MULTIPLY, LEVEL_MULTIPLY, {"mul", NULL}},
    {TOKEN_DIVIDE, LEVEL_MULTIPLY, {"div", NULL}},
    {TOKEN_REMAINDER, LEVEL_MULTIPLY, {"rem", NULL}},
};

static const struct infix *find_infix(enum token_kind token)
{
    for (size_t i = 0; i < ARRAY_LEN(infixes); i++)
        if (infixes[i].token == token)
            return &infixes[i];
    return NULL;
}

/* Operands that wait for what stands behind them. Operators that wait bind more and more from left
 * to right, so there are never more than there are levels. */
struct chain {
    const struct term *operands[LEVELS + 1];
    const struct infix *infixes[LEVELS];
    unsigned infix_count;
};

static struct chain chain_begin(const struct term *first)
{
    return (struct chain){.operands = {first}};
}

static const struct term *binary_call(struct parser *parser, const struct function_name *function,
                                      const struct term *left, const struct term *right)
{
    const struct term *both[] = {left, right};
    const struct term_list operands = {both, 2, 2};
    uint32_t end = right->place.offset + right->place.length;
    struct place place = left->place;
    place.length = end - place.offset;
    return term_call(parser, place, function, &operands);
}

/* Makes calls of the operators that bind at least as much as `level`. */
static bool chain_fold(struct parser *parser, struct chain *chain, enum level level)
{
    while (chain->infix_count > 0 && chain->infixes[chain->infix_count - 1]->level >= level) {
        unsigned n = chain->infix_count--;
        chain->operands[n - 1] = binary_call(parser, &chain->infixes[n - 1]->function,
                                             chain->operands[n - 1], chain->operands[n]);
        if (chain->operands[n - 1] == NULL)
            return false;
    }
    return true;
}

static bool chain_infix(struct parser *parser, struct chain *chain, const struct infix *infix)
{
    if (!chain_fold(parser, chain, infix->level))
        return false;
    chain->infixes[chain->infix_count++] = infix;
    return true;
}

static void chain_operand(struct chain *chain, const struct term *operand)
{
    chain->operands[chain->infix_count] = operand;
}

static const struct term *chain_end(struct parser *parser, struct chain *chain)
{
    return chain_fold(parser, chain, LEVEL_NONE) ? chain->operands[0] : NULL;
}

/* The operator that is looked at, when it binds at least as much as `least`. */
static const struct infix *infix_here(const struct parser *parser, enum level least)
{
    const struct infix *infix = find_infix(parser->token.kind);
    if (infix == NULL || infix->level < least)
        return NULL;
    return infix->token != TOKEN_IN || parse_at_word(parser, TOKEN_IN) ? infix : NULL;
}

/* Operators and operands, as long as there are any, into a chain and its twin (or NULL). */
static bool chain_run(struct parser *parser, struct chain *chain, struct chain *twin,
                      enum level least)
{
    const struct infix *infix;
    while ((infix = infix_here(parser, least)) != NULL) {
        parse_advance(parser);
        if (!chain_infix(parser, chain, infix) ||
            (twin != NULL && !chain_infix(parser, twin, infix)))
            return false;
        const struct term *operand = parse_term(parser);
        if (operand == NULL)
            return false;
        chain_operand(chain, operand);
        if (twin != NULL)
            chain_operand(twin, operand);
    }
    return true;
}

static const struct term *run_behind(struct parser *parser, const struct term *first,
                                     enum level least)
{
    if (first == NULL)
        return NULL;
    struct chain chain = chain_begin(first);
    return chain_run(parser, &chain, NULL, least) ? chain_end(parser, &chain) : NULL;
}

const struct term *parse_infix_behind(struct parser *parser, const struct term *first)
{
    return run_behind(parser, first, LEVEL_IN);
}

static const struct term *parse_relation(struct parser *parser)
{
    return run_behind(parser, parse_term(parser), LEVEL_COMPARE);
}

/* Behind `key, value`: in xs, and what may follow. */
static const struct term *member_with_key(struct parser *parser, const struct term *key,
                                          const struct term *value)
{
    parse_advance(parser);
    const struct term *collection = parse_relation(parser);
    if (collection == NULL)
        return NULL;
    const struct term *items[] = {key, value, collection};
    const struct term_list operands = {items, 3, 3};
    struct place place = parse_place_since(parser, key->place.offset);
    return parse_infix_behind(parser, term_call(parser, place, &function_member_3, &operands));
}

/* `first` has a comma behind it: only `first, second in xs` makes sense of it. Without `in`,
 * *second is what stands behind the comma, and `first` is given. */
static const struct term *behind_comma(struct parser *parser, const struct term *first,
                                       const struct term **second)
{
    parse_advance(parser);
    *second = parse_relation(parser);
    if (*second == NULL)
        return NULL;
    if (!parse_at_word(parser, TOKEN_IN))
        return first;
    const struct term *value = *second;
    *second = NULL;
    return member_with_key(parser, first, value);
}

const struct term *parse_infix_some(struct parser *parser, const struct term **second)
{
    *second = NULL;
    const struct term *first = parse_relation(parser);
    if (first != NULL && parse_at(parser, TOKEN_COMMA))
        return behind_comma(parser, first, second);
    return parse_infix_behind(parser, first);
}

const struct term *parse_infix(struct parser *parser, enum infix_commas commas)
{
    const struct term *first = parse_relation(parser);
    if (first == NULL || commas == INFIX_NO_COMMA || !parse_at(parser, TOKEN_COMMA))
        return parse_infix_behind(parser, first);
    struct token comma = parser->token;
    const struct term *second;
    const struct term *term = behind_comma(parser, first, &second);
    if (term == NULL || second == NULL)
        return term;
    parse_fail(parser, (struct place){parser->lexer.source, comma.offset, comma.length},
               "unexpected , token");
    return NULL;
}

/* The comma belongs to a list, unless `, y in xs` follows. */
static const struct term *twin_comma(struct parser *parser, const struct term *alone,
                                     struct chain *behind_left, struct twin *twin)
{
    twin->element = chain_end(parser, behind_left);
    if (twin->element == NULL)
        return NULL;
    struct lexer behind = parser->lexer;
    enum token_kind next = lex_next(&behind).kind;
    if (alone != NULL && next != TOKEN_BRACKET_CLOSE && next != TOKEN_BRACE_CLOSE) {
        const struct term *term = behind_comma(parser, alone, &twin->next);
        if (term == NULL || twin->next == NULL)
            return term;
    }
    twin->is_list = true;
    return NULL;
}

const struct term *parse_infix_twin(struct parser *parser, struct twin *twin)
{
    const struct term *first = parse_term(parser);
    if (first == NULL)
        return NULL;
    struct chain alone = chain_begin(first), behind_left = chain_begin(twin->left);
    if (!chain_infix(parser, &behind_left, find_infix(TOKEN_OR)))
        return NULL;
    chain_operand(&behind_left, first);
    if (!chain_run(parser, &alone, &behind_left, LEVEL_COMPARE))
        return NULL;
    const struct term *relation = chain_end(parser, &alone);
    if (relation == NULL || parse_at(parser, TOKEN_COMMA))
        return relation != NULL ? twin_comma(parser, relation, &behind_left, twin) : NULL;
    if (!chain_run(parser, &alone, &behind_left, LEVEL_IN))
        return NULL;
    if (parse_at(parser, TOKEN_COMMA))
        return twin_comma(parser, NULL, &behind_left, twin);
    return chain_end(parser, &alone);
}
