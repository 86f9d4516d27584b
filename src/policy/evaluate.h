/* policy/evaluate.h -- runs a plan.
 *
 * An evaluation has limits on steps, depth, memory and time; reaching one ends it with LETHE_LIMIT
 * and says which. It locks nothing and writes nothing but its own arena: one plan, many threads. */
#ifndef POLICY_EVALUATE_H
#define POLICY_EVALUATE_H

#include "policy/meter.h"
#include "policy/plan.h"

/* What is 0 is its default. */
struct evaluation_limits {
    uint64_t steps;
    uint32_t depth;      /* of rules, bodies and iterations in each other (a rule is one level, its
                            body another): it is bounded because it uses the thread's stack, of
                            which the default fits in 1 MiB */
    size_t memory_bytes; /* of the arena that results live in */
    uint64_t time_ms;
};
#define EVALUATION_STEPS_DEFAULT ((uint64_t)10000000)
#define EVALUATION_DEPTH_DEFAULT 2000
#define EVALUATION_MEMORY_DEFAULT ((size_t)64 << 20)
#define EVALUATION_TIME_DEFAULT_MS 1000

struct evaluation_options {
    const struct value *input;  /* NULL: undefined */
    struct builtin_world world; /* random NULL: random_system */
    struct evaluation_limits limits;
    const struct clock_source *clock; /* for the limit of time; NULL: clock_system */
    bool strict_errors; /* an error of a built-in ends the evaluation, instead of being undefined */
    uint8_t *covered;   /* by id of steps and rules, id_count of them: 1 when it had a solution;
                           NULL: nobody asks */
};

enum evaluation_limit { LIMIT_NONE, LIMIT_STEPS, LIMIT_DEPTH, LIMIT_MEMORY, LIMIT_TIME };

/* Why an evaluation ended with something other than LETHE_OK. */
struct evaluation_failure {
    const char *code; /* "eval_conflict_error", "eval_builtin_error", "eval_type_error",
                         "eval_limit_error", "eval_internal_error"; static */
    enum evaluation_limit limit;
    struct place place;
    char text[512]; /* without place and code */
};

/* The document at a ground path below data (virtual and base merged), as a query `data.a.b` gives
 * it. *out is NULL when it is undefined. Results live in `arena`, whose limit is set from the
 * options; the plan must live as long as they do.
 * LETHE_INVALID: an error (a conflict; with strict_errors also of a built-in). */
LETHE_MUST_CHECK lethe_result evaluate_path(const struct plan *plan,
                                            const struct value *const *path, size_t path_count,
                                            const struct evaluation_options *options,
                                            struct arena *arena, const struct value **out,
                                            struct evaluation_failure *failure);

/* Calls `found` for each solution, with the frame: slots of bindings and expressions are bound.
 * Other than LETHE_OK from it ends the evaluation and is given back. */
typedef lethe_result (*evaluate_found)(void *context, const struct value *const *slots);
LETHE_MUST_CHECK lethe_result evaluate_query(const struct plan *plan,
                                             const struct plan_query *query,
                                             const struct evaluation_options *options,
                                             struct arena *arena, evaluate_found found,
                                             void *context, struct evaluation_failure *failure);

#endif
