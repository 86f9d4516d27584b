/* policy/evaluate_inside.h -- the inside of an evaluation, for the files that work on it.
 *
 * evaluate.c begins and ends one, evaluate_steps.c runs sequences of steps in frames that
 * evaluate_frames.c gives, evaluate_walk.c follows references. evaluate_rules.c finds the one value
 * of rules, evaluate_documents.c the sets and objects that rules make together, and
 * evaluate_object.c puts the latter together. evaluate_call.c calls functions, evaluate_with.c
 * replaces what `with` says, evaluate_memory.c remembers what was computed, and evaluate_equal.c
 * compares, at a price. */
#ifndef POLICY_EVALUATE_INSIDE_H
#define POLICY_EVALUATE_INSIDE_H

#include "policy/evaluate.h"
#include "policy/evaluate_memory.h"
#include "policy/index.h"

/* For what would take stack from its caller, which calls it seldom and itself in the end. */
#define NOT_INLINED __attribute__((noinline))

/* What came of running steps. */
enum outcome {
    OUTCOME_NEXT,   /* it holds: what comes after it is to run                         */
    OUTCOME_MORE,   /* no (further) solution: whatever came before may have another    */
    OUTCOME_STOP,   /* nobody wants another solution                                   */
    OUTCOME_FAILED, /* the evaluation has ended: evaluation->result, ->failure say why */
};

struct run;
/* Who takes the solutions of a sequence: first in a struct with what it needs. MORE, STOP, FAILED.
 */
struct sink {
    enum outcome (*yield)(struct run *run, const struct step *step);
};

/* One run of a rule, function or query: its frame, and whose solutions are being looked for. */
struct run {
    struct evaluation *evaluation;
    const struct value **slots;
    struct sink *sink;
};

/* Frames are given back in the order opposite to that in which they were taken. */
struct frame_chunk {
    struct frame_chunk *newer;
    size_t capacity;
    const struct value *slots[];
};
struct frame_stack {
    struct frame_chunk *chunk;
    size_t used; /* of this chunk */
};

/* What `with` has put in place of functions: the newest first. */
struct replaced_function {
    const struct replaced_function *older;
    const struct plan_with *with;
    const struct value *value; /* NULL: by a function */
};
/* Places of the tree that `with` has put a value over, with all that is below. */
struct hidden_node {
    const struct hidden_node *older;
    const struct plan_node *node;
};

/* What steps see of the world, and what was computed from it. There is one for the evaluation, and
 * one more for each `with` that is being evaluated. */
struct scope {
    struct scope *outer;
    const struct value *input; /* NULL: undefined */
    const struct value *data;  /* base documents; NULL: none, all is replaced by `with` */
    const struct hidden_node *hidden;
    const struct replaced_function *functions;
    struct scope *plain; /* the same without replaced functions, once it was needed */
    struct memory documents, calls;
};

struct evaluation {
    const struct plan *plan;
    const struct evaluation_options *options;
    struct arena *arena;
    struct builtin_meter meter;
    struct builtin_world world;
    struct frame_stack frames;
    struct scope *scope;
    struct memory varying; /* results of built-ins that are no functions of their operands */
    struct evaluation_limits limits; /* none of them 0 */
    uint32_t depth;
    struct evaluation_failure *failure;
    lethe_result result;
};

static inline const struct value *operand_value(const struct run *run,
                                                const struct operand *operand)
{
    return operand->constant != NULL ? operand->constant : run->slots[operand->slot];
}
static inline void slot_set(struct run *run, uint32_t slot, const struct value *value)
{
    if (slot != NO_SLOT)
        run->slots[slot] = value;
}

/* ---- evaluate.c ---- */

/* Each gives OUTCOME_FAILED. */
enum outcome evaluation_conflict(struct evaluation *evaluation, struct place place,
                                 const char *text);
enum outcome evaluation_builtin_error(struct evaluation *evaluation, struct place place,
                                      const struct builtin_error *error);
/* The meter or the arena has refused, or a built-in gave something other than LETHE_INVALID. */
enum outcome evaluation_exhausted(struct evaluation *evaluation, struct place place,
                                  lethe_result result);
bool evaluation_too_deep(struct evaluation *evaluation, struct place place); /* false */
/* false: too deep, and the evaluation has failed. Each true is followed by a leave. */
static inline bool evaluation_enter(struct evaluation *evaluation, struct place place)
{
    if (evaluation->depth >= evaluation->limits.depth)
        return evaluation_too_deep(evaluation, place);
    evaluation->depth++;
    return true;
}
static inline void evaluation_leave(struct evaluation *evaluation)
{
    evaluation->depth--;
}
/* A value that is large takes time to compare, sort or print, whoever does it: this makes it cost
 * steps. NEXT or FAILED. */
enum outcome evaluation_weigh(struct evaluation *evaluation, struct place place,
                              const struct value *value);
/* The step or rule with this id had a solution. */
static inline void evaluation_cover(const struct evaluation *evaluation, uint32_t id)
{
    uint8_t *covered = evaluation->options->covered;
    if (covered != NULL && id < evaluation->plan->id_count)
        covered[id] = 1;
}

/* ---- evaluate_frames.c ---- */

/* Slots that are all NULL. NULL: the arena has failed. They are given back, with all that was taken
 * after them, by setting evaluation->frames to what it was before. */
const struct value **frame_take(struct evaluation *evaluation, size_t count);

/* ---- evaluate_steps.c ---- */

/* Runs a sequence for all its solutions: MORE, STOP or FAILED. */
enum outcome evaluate_steps(struct run *run, const struct step *step);
/* The step holds: runs what comes after it. For steps with more than one solution. */
enum outcome evaluate_rest(struct run *run, const struct step *step);
/* An arena's NULL is a failure; otherwise puts the value in the step's slot and goes on. */
enum outcome step_give(struct run *run, const struct step *step, const struct value *value);

/* ---- evaluate_walk.c ---- */

/* What iterating over a collection gives: of an array the index (NULL: the arena has failed), of an
 * object the key, of a set the element. */
const struct value *element_key(struct arena *arena, const struct value *collection, uint32_t i);
static inline const struct value *element_value(const struct value *collection, uint32_t i)
{
    return collection->kind == VALUE_OBJECT ? collection->pairs[i].value : collection->items[i];
}

enum outcome step_walk(struct run *run, const struct step *step);

/* Where a walk is: in a value (node NULL); or at a node of the tree of packages and rules, with the
 * base document of the same path (which may be NULL) when the node has no document by rules. */
struct position {
    const struct plan_node *node;
    const struct value *value;
};
struct position position_data(const struct evaluation *evaluation);
/* Goes to one key below: NEXT, MORE (there is nothing), FAILED. */
enum outcome position_down(struct evaluation *evaluation, struct position *position,
                           const struct value *key);
/* All that is there, packages and rules and base documents together: likewise. */
enum outcome position_value(struct evaluation *evaluation, struct position position,
                            const struct value **out);

/* ---- evaluate_rules.c ---- */

/* Whoever takes the solutions of rules. */
struct rule_sink {
    struct sink sink;
    const struct plan_rule *rule; /* whose turn it is, or its else */
    bool held;                    /* it had a solution */
};
/* Runs a rule or, while none holds, its else: MORE, STOP (from the sink) or FAILED. */
enum outcome run_chain(struct evaluation *evaluation, const struct plan_rule *rule,
                       const struct value *const *arguments, struct rule_sink *sink);
/* Those that the index does not leave out. */
struct index_rules rules_to_try(const struct evaluation *evaluation, const struct plan_rules *rules,
                                const struct value *const *arguments);
struct place rule_place(const struct plan_rule *rule);
/* The one value of complete rules or of a function: NEXT, MORE (undefined), FAILED. */
enum outcome complete_value(struct evaluation *evaluation, const struct plan_rules *rules,
                            const struct value *const *arguments, const struct value **out);
/* Likewise, remembered by its arguments. */
enum outcome evaluate_function(struct evaluation *evaluation, const struct plan_rules *rules,
                               const struct value *const *arguments, const struct value **out);

/* ---- evaluate_documents.c ---- */

/* A function is no document. */
static inline bool node_is_document(const struct plan_node *node)
{
    return node->rules != NULL && node->rules->kind != RULE_FUNCTION;
}
/* NULL where `with` has put a value over the node, or there is none. */
static inline const struct plan_node *node_visible(const struct evaluation *evaluation,
                                                   const struct plan_node *node)
{
    const struct hidden_node *hidden = evaluation->scope->hidden;
    for (; hidden != NULL && node != NULL; hidden = hidden->older)
        if (hidden->node == node)
            return NULL;
    return node;
}
/* The document that the rules of a node make, with the rules below it, remembered: NEXT, MORE
 * (undefined), FAILED. */
enum outcome evaluate_document(struct evaluation *evaluation, const struct plan_node *node,
                               const struct value **out);
/* Likewise what is at one key of it. Where the index tells which rules make that key, only those
 * are run; that other keys have two values is then nobody's concern. */
enum outcome evaluate_document_at(struct evaluation *evaluation, const struct plan_node *node,
                                  const struct value *key, const struct value **out);

/* ---- evaluate_object.c ---- */

/* One solution of one rule of an object. */
struct object_entry {
    const struct value *const *path; /* where in the object it belongs */
    size_t length;                   /* of the path */
    const struct value *value;       /* what is there, or an element of the set there */
    const struct plan_rule *rule;    /* NULL: of another document, complete in itself */
};
struct object_entries {
    struct object_entry *items;
    size_t count, capacity;
};
bool object_entries_append(struct arena *arena, struct object_entries *entries,
                           const struct object_entry *entry);
/* Puts them together: NEXT, FAILED, or MORE when one place has two values; *conflict is then a rule
 * that gave one of them. */
enum outcome object_make(struct evaluation *evaluation, struct object_entries *entries,
                         const struct value **out, const struct object_entry **conflict);

/* ---- evaluate_call.c ---- */

enum outcome step_call(struct run *run, const struct step *step);
enum outcome step_apply(struct run *run, const struct step *step);

/* ---- evaluate_with.c ---- */

enum outcome step_with(struct run *run, const struct step *step);
enum outcome step_without(struct run *run, const struct step *step);
/* NULL: it is what it was. One of the two is what was called. */
const struct replaced_function *replacement_of(const struct scope *scope,
                                               const struct builtin *builtin,
                                               const struct plan_rules *function);
/* What a function sees that stands for another. NULL: the arena has failed. */
struct scope *scope_plain(struct evaluation *evaluation);
#endif
