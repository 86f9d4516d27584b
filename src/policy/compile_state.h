/* policy/compile_state.h -- what the compiler's files share; nobody else includes it.
 *
 * Four passes. compile_tree.c makes the tree of packages and rules, in which compile_conflict.c
 * finds what contradicts itself. Then, rule by rule (compile_rule.c, compile_query.c), a body is
 * flattened into core expressions over numbered variables, in the order in which they were written:
 * compile_lower.c, _names, _term, _unify, _call, _not, _text, _with. compile_order.c takes them in
 * an order in which everything is bound before it is needed, and compile_emit.c, _match and _walk
 * make the steps of each as it is taken. compile_recursion.c looks at the finished plan.
 *
 * Nothing here checks the arena after each allocation that only it reads: what fails there is
 * noticed through compile_failed() before anything is read. */
#ifndef POLICY_COMPILE_STATE_H
#define POLICY_COMPILE_STATE_H

#include "policy/compile.h"

/* Of a package or a rule's ref: trees are walked as deep as they are. */
#define PATH_PARTS_MAX 256
#define NO_VARIABLE UINT32_MAX

/* ---- lists in the arena ---- */

struct list {
    void **items;
    size_t count, capacity;
};
struct numbers {
    uint32_t *items;
    size_t count, capacity;
};
bool list_add(struct arena *arena, struct list *list, void *item);
bool numbers_add(struct arena *arena, struct numbers *list, uint32_t number);

/* ---- the tree while it grows ---- */

/* One definition at a node. */
struct tree_rule {
    const struct rule *rule;
    const struct module *module;
    const struct tree_node *package;
    struct tree_node *node;
    const struct term *const *suffix; /* of the ref, behind its ground prefix */
    size_t suffix_count;
    struct tree_rule *next;
};
struct tree_node {
    struct plan_node plan; /* first: a plan_node of this plan is a tree_node */
    struct tree_node *first_child, *last_child, *sibling;
    struct tree_rule *first_rule, *last_rule;
    size_t rule_count;
    struct plan_rules *rules; /* what is made of them */
    const struct plan_rule **items;
    const struct module *package_of; /* a module whose package this is */
    struct place package_place;
    bool names_rule; /* the first part of a rule's ref in the package above */
};

/* ---- names ---- */

enum occurrence {
    OCCURRENCE_SEEN,
    OCCURRENCE_ASSIGNED,
    OCCURRENCE_DECLARED,
    OCCURRENCE_ARGUMENT,
};
struct name;
struct binding {
    struct binding *hidden; /* of the same name, further out */
    struct binding *same_scope;
    struct name *name;
    uint32_t scope;
    uint32_t variable;
    enum occurrence occurrence;
    bool unused; /* declared by `some`, and not mentioned yet */
    struct place place;
};
/* What a name of a module or package stands for: a path below data or input. */
struct global {
    enum walk_root root;
    const struct value *const *path;
    size_t count;
};
struct name {
    struct name *bucket_next;
    const char *text;
    size_t length;
    const struct value *value;         /* the same as a string */
    struct binding *binding;           /* the innermost */
    uint32_t announced;                /* bodies around here that declare it, here or further on */
    uint32_t implicit, implicit_frame; /* its variable where nothing declares it */
    const struct global *import;
    const struct module *import_of; /* the module in which `import` holds */
};
struct names {
    struct name **buckets;
    size_t bucket_count, count;
};

/* ---- core expressions ---- */

enum pattern_kind {
    PATTERN_CONSTANT,
    PATTERN_VARIABLE,
    PATTERN_ARRAY,
    PATTERN_SET,
    PATTERN_OBJECT, /* items: key, value, ... */
};
struct pattern {
    enum pattern_kind kind;
    uint32_t variable;
    const struct value *constant;
    const struct pattern **items;
    size_t count;
};

enum core_kind {
    CORE_UNIFY,   /* operands[0] = operands[1]                                         */
    CORE_EQUAL,   /* operands[0] == operands[1], both bound                            */
    CORE_TRUE,    /* operands[0] is not false                                          */
    CORE_WALK,    /* out = what is at the end of root and elements                     */
    CORE_CALL,    /* out = builtin or function (operands)                              */
    CORE_NOT,     /* body has no solution                                              */
    CORE_COLLECT, /* out = what body yields: operands                                  */
    CORE_EVERY,   /* body holds for every key (operands[1]) and value (operands[2]) of
                     operands[0]                                                       */
};
struct core_with {
    const struct plan_with *items;
    const struct pattern **values; /* of each item; NULL where it has none */
    size_t count;
};
struct core_body;
struct core {
    enum core_kind kind;
    struct place place;
    const struct core_with *with;
    const struct pattern **operands; /* of WALK: [0] the root, unless it is input or data */
    size_t operand_count;
    const struct pattern *out; /* NULL: nobody wants it */
    union {
        struct {
            enum walk_root root;
            const struct pattern **elements;
            size_t element_count;
        } walk;
        struct {
            const struct builtin *builtin;
            const struct plan_rules *function;
        } call;
        struct {
            struct core_body *body;
            enum value_kind kind;
            const uint32_t *needs; /* variables to be bound before */
            size_t need_count;
        } inner;
    };
    bool done;
};

/* The core expressions of one body, and which variables it mentions: `direct` not counting bodies
 * inside of it, `inside` in those. */
struct core_body {
    struct list cores;
    struct numbers direct, inside;
    struct list closures; /* the cores among them that have a body of their own */
};

/* ---- one rule or query ---- */

struct variable {
    const char *name; /* NULL: generated */
    struct place place;
    struct core *definer; /* of a generated one: what it is the out of */
    struct operand operand;
    bool bound;
    bool reported;
    bool inner; /* made in the body of a `not` */
    uint32_t mentions;
    uint32_t stamp, taken;
};
struct frame {
    struct variable *variables;
    size_t count, capacity;
    uint32_t slot_count;
};

struct prepared {
    struct prepared *next;
    const struct builtin *builtin;
    void *prepared;
};
struct plan_whole {
    struct plan plan; /* first: what compile.h gives out */
    struct prepared *prepared;
};

struct compiler {
    struct arena *arena;
    struct problems *problems;
    struct plan_whole *whole; /* NULL for queries: nothing is kept that is not the arena's */
    const struct plan *plan;
    struct tree_node *root;
    const struct module *module; /* whose rule this is; NULL in a query */
    const struct tree_node *package;
    bool v0, keyword_not;
    struct names names;
    struct list definitions; /* every tree_rule, module by module */
    struct list rules;       /* every plan_rule */
    /* of the rule or query at hand */
    struct frame frame;
    uint32_t frame_number;
    struct binding *scope_bindings; /* of the innermost scope */
    uint32_t scope, scope_count;
    uint32_t declaring_from; /* 1 + the first variable that the `some ... in` at hand declares,
                                which may name one more than once; 0: none is at hand */
    uint32_t stamp, taken;
    struct core_body *body; /* being filled */
    const struct core_with *with;
    struct numbers bound; /* in the order in which they were */
    /* steps */
    const struct step **tail;
    const struct core_with *open_with;
    uint32_t step_count;
    struct step scratch; /* written to when there is no memory for a step */
    struct builtin_preparation preparation;
    uint64_t looks;
    bool exhausted;
};

/* Ordering a body and searching for recursion look at some things again and again: at most that
 * often in a policy, which is a second or so. */
#define COMPILE_LOOKS_MAX ((uint64_t)50000000)
/* false: that was too often. */
bool compile_look(struct compiler *c, struct place place);

/* Something is wrong, and what was made is not to be read. */
static inline bool compile_failed(const struct compiler *c)
{
    return c->arena->failure != LETHE_OK || c->exhausted;
}
/* LETHE_INVALID when problems were noted, else the arena's. */
LETHE_MUST_CHECK lethe_result compile_result(const struct compiler *c);

/* ---- compile_tree.c ---- */

LETHE_MUST_CHECK lethe_result tree_build(struct compiler *c, const struct module *const *modules,
                                         size_t count);
void tree_number(struct compiler *c, struct plan *plan);
const struct tree_node *tree_package(const struct compiler *c, const struct term *package);
/* "data.a.b", also where keys are no names: data.a["b c"]. */
const char *tree_path(struct arena *arena, const struct plan_node *node);
/* The next node, depth first; NULL at the end of what is below `top`. */
struct tree_node *tree_next(const struct tree_node *node, const struct tree_node *top);

/* ---- compile_conflict.c, compile_shadow.c ---- */

void conflict_check(struct compiler *c);
/* `input` and `data` mean what they mean, and two imports are not called the same. */
void shadow_check(struct compiler *c, const struct module *module);
bool shadows_root(struct compiler *c, const char *name, const char *what, struct place place);

/* ---- compile_names.c ---- */

struct name *name_intern(struct compiler *c, const char *text);
/* Its imports hold while c->module is what it is now. */
void names_import(struct compiler *c, const struct module *module);
void frame_begin(struct compiler *c);
uint32_t variable_new(struct compiler *c, const char *name, struct place place);
struct scope {
    struct binding *bindings;
    uint32_t number;
};
struct scope scope_open(struct compiler *c);
void scope_close(struct compiler *c, struct scope outer);
/* Notes a problem when the name is already used in this scope. */
uint32_t name_declare(struct compiler *c, const char *text, struct place place,
                      enum occurrence occurrence);
/* As name_declare, by `some`: a problem when nothing mentions it before the scope is closed. */
void name_declare_some(struct compiler *c, const char *text, struct place place);
struct found_name {
    uint32_t variable;
    const struct global *global;
};
/* What a name stands for, if anything. */
bool name_find(struct compiler *c, struct name *name, struct found_name *out);
/* The same for a mention of it, which makes a variable of a name that stands for nothing: a
 * variable (*variable), or a global; `input` and `data` are globals. */
const struct global *name_resolve(struct compiler *c, const char *text, struct place place,
                                  uint32_t *variable);
/* The names that `body` declares hide rules and imports in all of it. */
void body_announce(struct compiler *c, const struct body *body, int change);

/* ---- compile_term.c ---- */

const struct pattern *pattern_constant(struct compiler *c, const struct value *value);
const struct pattern *pattern_variable(struct compiler *c, uint32_t variable);
const struct pattern *pattern_generated(struct compiler *c,
                                        struct place place); /* a new variable */
const struct pattern **patterns_new(struct compiler *c, size_t count);
const struct pattern *term_lower(struct compiler *c, const struct term *term);
/* Declares the variables of a pattern: left of := (ASSIGNED: nothing else may be in it), and of
 * `in` (DECLARED). */
void term_declare(struct compiler *c, const struct term *term, enum occurrence occurrence);
struct core *core_add(struct compiler *c, enum core_kind kind, struct place place,
                      size_t operand_count);
/* A walk to a term, with room for `more` elements behind, which the caller fills. */
struct core *walk_lower(struct compiler *c, const struct term *term, size_t more);
/* out of a core: a generated variable that it defines. */
const struct pattern *core_define(struct compiler *c, struct core *core);

/* ---- compile_unify.c ---- */

void core_unify(struct compiler *c, const struct pattern *a, const struct pattern *b,
                struct place place);

/* ---- compile_call.c ---- */

/* What a call calls: one of both; none when nothing has that name. */
struct callee {
    const struct builtin *builtin;
    const struct plan_rules *function;
    const char *name;
};
struct callee callee_find(struct compiler *c, const struct term *function);
uint32_t callee_arity(const struct callee *callee);
/* A call whose operands are there: its value. */
const struct pattern *call_value(struct compiler *c, const struct callee *callee,
                                 const struct pattern **operands, size_t count, struct place place);
bool call_is(const struct term *term, const char *name);
const struct pattern *call_lower(struct compiler *c, const struct term *term);
const struct pattern **operands_lower(struct compiler *c, const struct term *term);
/* What a call says as a statement, with its operands there. */
void call_holds(struct compiler *c, const struct term *term, const struct pattern **operands);
void core_true(struct compiler *c, const struct pattern *pattern, struct place place);

/* ---- compile_text.c ---- */

const struct pattern *template_lower(struct compiler *c, const struct term *term);
void print_lower(struct compiler *c, const struct term *term);

/* ---- compile_lower.c, compile_not.c, compile_with.c ---- */

/* A body of its own inside of the current one. body_leave gives it to a new core expression of the
 * outer body. */
struct nest {
    struct core_body *body;
    const struct core_with *with;
};
struct nest body_enter(struct compiler *c);
struct core *body_leave(struct compiler *c, struct nest outer, enum core_kind kind,
                        struct place place, size_t operand_count);
/* To be called when all of a body is there: finds out what bodies inside of it need. */
void body_finish(struct compiler *c, struct core_body *body);
void body_lower(struct compiler *c, const struct body *body);
const struct pattern *comprehension_lower(struct compiler *c, const struct term *term);
void expression_lower(struct compiler *c, const struct expression *expression);
/* As if it were not negated. */
void positive_lower(struct compiler *c, const struct expression *expression);
void negated_lower(struct compiler *c, const struct expression *expression);
const struct core_with *with_lower(struct compiler *c, const struct expression *expression);

/* ---- compile_order.c ---- */

/* Emits all of a body; what it binds stays bound until body_unbind. Problems for what is unsafe. */
void body_order(struct compiler *c, struct core_body *body);
bool pattern_is_bound(struct compiler *c, const struct pattern *pattern);
/* Notes a problem for each variable of it that is not bound. */
void pattern_check(struct compiler *c, const struct pattern *pattern, struct place place);
/* Variables are bound in an order; those that came after `mark` no longer are. */
void variable_bind(struct compiler *c, uint32_t variable, struct operand operand);
void variables_unbind(struct compiler *c, size_t mark);

/* ---- compile_emit.c, compile_match.c ---- */

struct step *step_add(struct compiler *c, enum step_kind kind, struct place place);
void step_operands(struct compiler *c, struct step *step, const struct operand *operands,
                   size_t count);
uint32_t slot_new(struct compiler *c);
struct operand operand_slot(uint32_t slot);
struct operand operand_constant(const struct value *value);
/* A bound pattern as an operand; collections with variables are built. */
struct operand pattern_operand(struct compiler *c, const struct pattern *pattern,
                               struct place place);
/* A value against a pattern, whose unbound variables it binds. */
void match_emit(struct compiler *c, struct operand value, const struct pattern *pattern,
                struct place place);
void equal_emit(struct compiler *c, struct operand a, struct operand b, struct place place);
void never_emit(struct compiler *c, struct place place);
void walk_emit(struct compiler *c, const struct core *core);
/* The slot that an out goes to; out_match then matches it with what is no unbound variable. */
uint32_t out_slot(struct compiler *c, const struct pattern *out);
void out_match(struct compiler *c, uint32_t slot, const struct pattern *out, struct place place);
/* NULL, or a `_`: nobody reads what it is bound to. */
bool is_wildcard(const struct compiler *c, const struct pattern *pattern);
void core_emit(struct compiler *c, const struct core *core);
void with_switch(struct compiler *c, const struct core_with *with, struct place place);
struct step *yield_emit(struct compiler *c, const struct pattern *const *patterns, size_t count,
                        struct place place);

/* ---- compile_rule.c, compile_recursion.c ---- */

LETHE_MUST_CHECK lethe_result rules_declare(struct compiler *c, struct plan *plan);
LETHE_MUST_CHECK lethe_result rules_compile(struct compiler *c);
LETHE_MUST_CHECK lethe_result recursion_check(struct compiler *c);

#endif
