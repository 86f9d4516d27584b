/* policy/ast.h -- a module of Rego as it was written.
 *
 * Made by policy/parse.h in an arena, read by policy/compile.h, changed by nobody. Lists are arrays
 * with a count. Names are texts with a NUL behind; two names are equal when their bytes are.
 *
 * What the parser has already made simpler:
 * - operators are calls: x + y is plus(x, y); = is eq, := is assign, == is equal, != neq, < lt,
 *   <= lte, > gt, >= gte, + plus, - minus, * mul, / div, % rem, & and, | or; `k, v in xs` and
 *   `x in xs` outside of `some` are internal.member_3(k, v, xs) and internal.member_2(x, xs);
 * - a.b is a["b"]: a ref whose operand is a constant string;
 * - each `_` is a variable of its own, named "$0", "$1", ... within its module;
 * - `p { a } { b }` (older syntax) is two rules with one head; an `else` hangs on its rule;
 * - a rule without a value has the value true; a rule without a body has the body `true`;
 * - constants (numbers, texts, and arrays, objects and sets of nothing but constants) are values.
 */
#ifndef POLICY_AST_H
#define POLICY_AST_H

#include "policy/source.h"
#include "policy/value.h"

struct term;
struct expression;

struct terms {
    const struct term **items;
    size_t count;
};
struct body {
    const struct expression **items;
    size_t count;
};

enum term_kind {
    TERM_VALUE,                /* value                                                           */
    TERM_VARIABLE,             /* name                                                            */
    TERM_REF,                  /* parts: [0] the head (any term), then the operands               */
    TERM_CALL,                 /* parts: [0] the function (a TERM_REF or TERM_VARIABLE), operands */
    TERM_ARRAY,                /* parts                                                           */
    TERM_SET,                  /* parts                                                           */
    TERM_OBJECT,               /* parts: key, value, key, value, ...                              */
    TERM_ARRAY_COMPREHENSION,  /* parts: [0] the element; body                                    */
    TERM_SET_COMPREHENSION,    /* parts: [0] the element; body                                    */
    TERM_OBJECT_COMPREHENSION, /* parts: [0] the key, [1] the value; body                         */
    TERM_TEMPLATE,             /* parts: texts (TERM_VALUE strings) and terms, in order; a constant
                                  string that stood in braces is in `parts` like a text: both
                                  print as they are                                               */
};
struct term {
    enum term_kind kind;
    struct place place;
    union {
        const struct value *value;
        const char *name;
        struct terms parts;
    };
    struct body body; /* of comprehensions */
};

/* What a reference begins with; any other term itself. */
static inline const struct term *term_head(const struct term *term)
{
    return term->kind == TERM_REF ? term->parts.items[0] : term;
}

struct with {
    struct place place;
    const struct term *target; /* TERM_REF or TERM_VARIABLE: input..., data..., or a function */
    const struct term *value;
};

enum expression_kind {
    EXPRESSION_TERM,     /* terms[0] is defined and not false; calls of eq and assign too */
    EXPRESSION_SOME,     /* terms: the declared variables */
    EXPRESSION_SOME_IN,  /* terms: [key,] value, collection */
    EXPRESSION_EVERY,    /* terms: [key,] value, collection; body */
    EXPRESSION_NOT_BODY, /* not { body } (future.keywords.not) */
};
struct expression {
    enum expression_kind kind;
    bool negated;
    struct place place;
    struct terms terms;
    struct body body;
    const struct with *withs;
    size_t with_count;
};

enum rule_kind {
    RULE_COMPLETE, /* p := value, p.q[x].r := value: one value at the end of the ref            */
    RULE_SET,      /* p contains key: an element of the set at the end of the ref               */
    RULE_FUNCTION, /* f(arguments) := value                                                     */
};
struct rule {
    enum rule_kind kind;
    bool is_default;
    struct place place; /* of the whole rule                                           */
    struct place head_place;
    const struct term *ref;   /* TERM_REF or TERM_VARIABLE, relative to the package. The older
                                 p[x] { } is RULE_SET with ref p and key x; p[x] = v { } is
                                 RULE_COMPLETE with ref p[x]; so is v1's p[x] if { } (true)  */
    const struct term *key;   /* RULE_SET                                                    */
    const struct term *value; /* the others                                                  */
    struct terms arguments;   /* RULE_FUNCTION                                               */
    struct body body;
    const struct rule *else_rule; /* value and body only are looked at; NULL: none              */
};

struct import {
    struct place place;
    const struct term *path; /* TERM_REF or TERM_VARIABLE: data.a.b, input.x, future..., rego.v1 */
    const char *alias;       /* the name it gives: that of `as`, else the last part             */
};

struct module {
    const struct source *source;
    struct place package_place;
    const struct term *package; /* TERM_REF: data.a.b                                           */
    const struct import *imports;
    size_t import_count;
    const struct rule **rules;
    size_t rule_count;
    unsigned wildcard_count; /* how many variables `$n` there are                            */
    bool v0;                 /* written in the older syntax                                  */
    bool keyword_not;        /* imports future.keywords.not: what a negated expression needs
                                computed is part of what is negated                          */
};

#endif
