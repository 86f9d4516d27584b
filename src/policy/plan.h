/* policy/plan.h -- a policy made ready to run: what policy/compile.h makes and policy/evaluate.h
 * runs.
 *
 * A body is a sequence of steps, in an order in which every variable is bound before it is needed
 * (that is what "safe" means), so that whether a variable is bound is known here and not looked up
 * when it runs. Variables are slots of a frame: one frame for each run of a rule, function or
 * query; what is nested in it (comprehensions, not, every) uses the same frame. A step either
 * fails, which goes back to the last step that has another solution, or lets the next one run, once
 * for each solution it has.
 *
 * A plan is immutable once it is made, and is run by many threads at once. It lives in the arena
 * that it was made in and points into the modules it was made of. */
#ifndef POLICY_PLAN_H
#define POLICY_PLAN_H

#include "policy/ast.h"
#include "policy/builtin.h"

struct step;
struct plan_node;
struct plan_rules;
struct plan_index; /* policy/index.h */

/* ---- values a step reads ---- */

struct operand {
    const struct value *constant; /* NULL: it is in a slot */
    uint32_t slot;
};

/* ---- references ---- */

enum walk_root { ROOT_OPERAND, ROOT_INPUT, ROOT_DATA };
/* One step down into a collection: to one key, or to all of them, each put in a slot. */
struct walk_element {
    bool binds;         /* every key in turn is put in `slot` (of a set: every element) */
    uint32_t slot;      /* when it binds */
    struct operand key; /* when it does not */
};

/* ---- with ---- */

enum with_kind { WITH_INPUT, WITH_DATA, WITH_BUILTIN, WITH_FUNCTION };
struct plan_with {
    enum with_kind kind;
    /* INPUT, DATA: the path below it, which may be empty (the whole document). */
    const struct value *const *path;
    size_t path_count;
    const struct builtin *builtin;     /* BUILTIN: what is replaced */
    const struct plan_rules *function; /* FUNCTION: likewise */
    /* By what: a value (as an operand), or a function: of the policy or built in. */
    struct operand value;
    const struct plan_rules *by_function;
    const struct builtin *by_builtin;
};

/* ---- steps ---- */

/* What a step does. One that gives a value puts it in `slot`. */
enum step_kind {
    STEP_ASSIGN,    /* slot := operands[0] */
    STEP_EQUAL,     /* fails unless operands[0] = operands[1] */
    STEP_TRUE,      /* fails when operands[0] is false */
    STEP_WALK,      /* slot := what is at the end of `walk`; once for each way there */
    STEP_CALL,      /* slot := builtin(operands); of a relation, each element of its array */
    STEP_APPLY,     /* slot := function(operands) of the policy; both fail when it is undefined */
    STEP_ARRAY,     /* slot := [operands] */
    STEP_SET,       /* slot := {operands} */
    STEP_OBJECT,    /* slot := {operands: key, value, ...}; two values of a key are a conflict */
    STEP_IS_ARRAY,  /* fails unless operands[0] is an array of `count` elements */
    STEP_IS_OBJECT, /* fails unless operands[0] is an object of `count` keys */
    STEP_NOT,       /* fails when `inner` has a solution */
    STEP_COLLECT,   /* slot := all that `inner` yields: elements, or keys and values (likewise) */
    STEP_EVERY,     /* fails unless `inner` has a solution for every key (slot) and value
                       (inner.slot2) of operands[0], and when that is no collection */
    STEP_WITH,      /* what comes after it runs with the replacements, up to a STEP_WITHOUT */
    STEP_WITHOUT,   /* what comes after it runs without them again */
    STEP_YIELD,     /* a solution of whatever this sequence belongs to */
};
#define NO_SLOT UINT32_MAX

struct step {
    enum step_kind kind;
    uint32_t id;    /* counts through the plan, for coverage */
    uint32_t slot;  /* what it gives; NO_SLOT: nobody wants it (WALK, CALL, APPLY) */
    uint32_t count; /* IS_ARRAY, IS_OBJECT */
    struct place place;
    const struct step *next; /* NULL of YIELD, and of WITH, which goes on at with.start */
    const struct operand *operands;
    uint32_t operand_count;
    union {
        struct {
            enum walk_root root; /* ROOT_OPERAND: operands[0] */
            uint32_t element_count;
            const struct walk_element *elements;
            /* ROOT_DATA: the node of the tree that the first `node_depth` elements, constants all,
             * lead to without passing one with rules; for when nothing is replaced by `with`. */
            const struct plan_node *node;
            uint32_t node_depth;
        } walk;
        struct {
            const struct builtin *builtin;
            void *prepared;
        } call;
        const struct plan_rules *function; /* APPLY */
        struct {
            enum value_kind kind;     /* COLLECT: VALUE_ARRAY, VALUE_SET, VALUE_OBJECT */
            uint32_t slot2;           /* EVERY: of the value */
            const struct step *start; /* ends with YIELD */
        } inner;                      /* NOT, COLLECT, EVERY */
        struct {
            const struct plan_with *items;
            size_t count;
            const struct step *start; /* the sequence goes on here */
        } with;
    };
};

/* ---- rules ---- */

/* One definition. Its sequence ends in a YIELD whose operands are the `suffix_count` operands of
 * the rule's ref behind its ground path (a function has none), then its value, or of RULE_SET the
 * element. */
struct plan_rule {
    const struct rule *source;
    enum rule_kind kind;
    uint32_t id;         /* for coverage: counts on from the steps */
    uint32_t slot_count; /* of its frame; slots 0 .. argument_count-1 hold the arguments */
    uint32_t argument_count;
    uint32_t suffix_count;
    const struct step *start;
    const struct value *constant; /* unless NULL: every solution has this value, so that the first
                                     is enough (RULE_COMPLETE without suffix, RULE_FUNCTION) */
    const struct plan_rule *else_rule; /* runs when this has no solution; has the same arguments */
};

/* All definitions of one ground path. They are all functions or none is; complete rules without a
 * suffix are with none of the others (the compiler has checked). */
struct plan_rules {
    const char *path;    /* "data.test.p" */
    enum rule_kind kind; /* RULE_SET: only those without suffix; RULE_COMPLETE with
                            suffix_max > 0: an object, with rules of both kinds inside */
    uint32_t suffix_max;
    uint32_t argument_count;
    uint32_t number; /* 0 .. plan->rules_count-1 */
    const struct plan_rule *const *rules;
    size_t count;
    const struct plan_rule *default_rule; /* NULL: none */
    const struct plan_index *index;       /* NULL: every rule is to be tried */
};

/* The tree of packages and rules: where data.a.b.c leads, beside the base documents. */
struct plan_node {
    const struct value *key;
    const struct plan_node *parent;          /* NULL: data itself */
    const struct plan_node *const *children; /* sorted by key */
    size_t child_count;
    const struct plan_rules *rules; /* NULL: none ends here. There may be children below them */
    uint32_t number;                /* 0 .. plan->node_count-1 */
};
/* NULL: there is none. */
const struct plan_node *plan_child(const struct plan_node *node, const struct value *key);

struct plan {
    const struct plan_node *root; /* data */
    const struct value *data;     /* base documents: an object */
    const struct module *const *modules;
    size_t module_count;
    bool v0;
    size_t rules_count, node_count, id_count;
};

struct plan_query {
    const struct step *start; /* ends with a YIELD without operands */
    uint32_t slot_count;
    struct plan_binding {
        const char *name; /* variables that the query names, but for wildcards; sorted by name */
        uint32_t slot;
    } * bindings;
    size_t binding_count;
    struct plan_expression {
        struct place place;
        uint32_t slot; /* of its value; NO_SLOT: `true` (an assignment, some, every, not, ...) */
    } * expressions;
    size_t expression_count;
};

#endif
