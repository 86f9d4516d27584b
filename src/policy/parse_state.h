/* policy/parse_state.h -- what the files of the parser share (inside of the room).
 *
 * Recursive descent with one token of look-ahead. Functions that parse give NULL (or false) when
 * they could not; the problem is noted by then, or the arena has failed. Left-associative operators
 * are loops, and nothing is parsed again but the body of a rule that might be a set (parse_rule.c),
 * which cannot be nested: time is linear in the text.
 *
 * Depth is bounded twice by PARSE_DEPTH_MAX: `depth` is that of the parser's own recursion, and the
 * height of every node that is made is that of what others will walk down. */
#ifndef POLICY_PARSE_STATE_H
#define POLICY_PARSE_STATE_H

#include "policy/lex.h"
#include "policy/parse.h"

/* A rule that only the older syntax allows: a problem once the module turns out to be newer. */
struct lapse {
    struct place place;
    const char *text;
};
struct lapses {
    struct lapse items[PROBLEMS_MAX];
    size_t count;
};

struct parser {
    struct arena *arena;
    struct lexer lexer;
    struct token token;    /* the one that is looked at */
    uint32_t previous_end; /* of the token before it */
    unsigned depth;
    unsigned wildcard_count;
    bool v0;
    bool v1_imported; /* into a module of the older syntax */
    bool keyword_not; /* not { } is a body */
    bool trying;      /* problems are not noted: another reading will be tried */
    bool failed;      /* a problem was noted, or would have been had there been room */
    struct lapses lapses;
    struct problems *problems;
};

/* ---- parse_state.c: tokens, problems, depth ---- */

void parse_begin(struct parser *parser, const struct source *source);
void parse_advance(struct parser *parser);
static inline bool parse_at(const struct parser *parser, enum token_kind kind)
{
    return parser->token.kind == kind;
}
/* A word that is no name here: `in` of `x in xs`, but not of in[x]. */
static inline bool parse_at_word(const struct parser *parser, enum token_kind word)
{
    return parser->token.kind == word && !parser->token.opens_ref;
}
/* A name, or a word that is one because a reference goes on behind it. */
bool parse_at_name(const struct parser *parser);
/* Steps over the token when it is there. */
bool parse_accept(struct parser *parser, enum token_kind kind);
/* As parse_accept, but its absence is a problem: "unexpected ...: expected <it>". */
bool parse_expect(struct parser *parser, enum token_kind kind);
/* As far as the token before the one that is looked at. */
struct place parse_place_since(const struct parser *parser, uint32_t offset);
struct place parse_token_place(const struct parser *parser);

bool parse_fail(struct parser *parser, struct place place, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* "unexpected <what is looked at>: <expected>"; expected may be NULL. */
bool parse_unexpected(struct parser *parser, const char *expected);
/* That both give false is said here, where analyzers see it at every call. */
static inline bool parse_false(bool given)
{
    (void)given;
    return false;
}
#define parse_fail(...) parse_false(parse_fail(__VA_ARGS__))
#define parse_unexpected(...) parse_false(parse_unexpected(__VA_ARGS__))
/* Of v1 only: notes it now, or keeps it for when the module turns out to be v1. */
void parse_lapse(struct parser *parser, struct place place, const char *text);
/* The module is of the newer syntax: what was kept are problems now. */
void parse_become_v1(struct parser *parser);

bool parse_enter(struct parser *parser);
static inline void parse_leave(struct parser *parser)
{
    parser->depth--;
}

/* ---- parse_node.c: nodes and lists ---- */

struct term_list {
    const struct term **items;
    size_t count, capacity;
};
bool term_list_append(struct parser *parser, struct term_list *list, const struct term *term);
struct expression_list {
    const struct expression **items;
    size_t count, capacity;
};
bool expression_list_append(struct parser *parser, struct expression_list *list,
                            const struct expression *expression);
/* Room for one more of `item_bytes`; NULL: the arena has failed. */
void *parse_grow(struct parser *parser, void *items, size_t count, size_t *capacity,
                 size_t item_bytes);

const struct term *term_value(struct parser *parser, struct place place, const struct value *value);
const struct term *term_variable(struct parser *parser, struct place place, const char *name);
/* Copies the bytes. */
const struct term *term_text(struct parser *parser, struct place place, const char *bytes,
                             size_t size_bytes);
/* Anything of parts; arrays, sets and objects of constants become values. */
const struct term *term_of(struct parser *parser, enum term_kind kind, struct place place,
                           const struct term_list *parts);
const struct term *term_comprehension(struct parser *parser, enum term_kind kind,
                                      struct place place, const struct term_list *parts,
                                      const struct body *body);
/* The call of a function by name: operators. `right` may be NULL. */
struct function_name {
    const char *first, *second; /* second: NULL, or as in internal.member_2 */
};
const struct term *term_call(struct parser *parser, struct place place,
                             const struct function_name *function,
                             const struct term_list *operands);
bool term_is_call_of(const struct term *term, const struct function_name *function);
/* Takes what is in `expression`; NULL as well when what it holds is too high. */
const struct expression *expression_of(struct parser *parser, const struct expression *expression);
bool body_of_true(struct parser *parser, struct place place, struct body *body);

/* ---- parse_infix.c ---- */

/* `[x | y, z]` is an array of two, `[x | y]` a comprehension: which one it is shows at the comma.
 * While the first expression of a body is read, its operators are folded twice: alone, and behind
 * `left |`. */
struct twin {
    const struct term *left;
    bool is_list;               /* it was a list of terms */
    const struct term *element; /* its first: `left | ...` */
    const struct term *next;    /* its second when that was read already, else NULL */
};
/* Whether `k, v in xs` is looked for. */
enum infix_commas { INFIX_NO_COMMA, INFIX_COMMA };

/* A term with its operators, but for = and :=. */
const struct term *parse_infix(struct parser *parser, enum infix_commas commas);
/* The same when its first operand has been read. */
const struct term *parse_infix_behind(struct parser *parser, const struct term *first);
/* The same at the begin of a comprehension's body; NULL without a problem when twin->is_list. */
const struct term *parse_infix_twin(struct parser *parser, struct twin *twin);
/* For `some`: where `, y` follows without an `in`, *second gets y (otherwise NULL). */
const struct term *parse_infix_some(struct parser *parser, const struct term **second);
extern const struct function_name function_member_2, function_member_3;

/* ---- parse_term.c, parse_collection.c, parse_template.c ---- */

const struct term *parse_term(struct parser *parser);
/* .name and [term] behind a head, without calls. */
bool parse_ref_part(struct parser *parser, struct term_list *parts);
/* Terms up to `close`, which is stepped over. */
bool parse_terms(struct parser *parser, enum token_kind close, struct term_list *terms);
/* The name that is looked at: an identifier or a word; NULL when it is neither. */
const char *parse_name(struct parser *parser);
const struct term *parse_variable(struct parser *parser);
/* A text with escapes; `place` is that of the string, or of the text alone in templates. */
const struct term *parse_escaped(struct parser *parser, struct place place,
                                 enum lex_quoting quoting);

const struct term *parse_array(struct parser *parser);
const struct term *parse_set_or_object(struct parser *parser);
const struct term *parse_template(struct parser *parser);

/* ---- parse_expression.c ---- */

const struct expression *parse_literal(struct parser *parser, struct twin *twin);
/* Expressions up to `close`, which is stepped over. `twin` as in parse_infix_twin, or NULL. */
bool parse_body(struct parser *parser, enum token_kind close, struct twin *twin, struct body *body);
/* { ... }, of which { is looked at. */
bool parse_braced_body(struct parser *parser, struct body *body);

/* ---- parse_head.c, parse_rule.c, parse_module.c ---- */

/* What stands in front of a rule's body, as written. */
struct head {
    struct term_list parts; /* of the name: p, or p.q[x] */
    struct term_list arguments;
    bool is_default, has_arguments, has_if;
    const struct term *key; /* behind `contains` */
    const struct term *value;
    struct place place;
};

bool parse_head(struct parser *parser, struct head *head);
/* Kind, ref, key, value and arguments of the rule that the head begins. */
bool head_fill(struct parser *parser, const struct head *head, struct rule *rule);

struct rule_list {
    const struct rule **items;
    size_t count, capacity;
};
/* One statement: a rule, or as many as it has bodies. */
bool parse_rule(struct parser *parser, struct rule_list *rules);
bool parse_statements(struct parser *parser, struct module *module);

#endif
