/* policy/builtin.h -- built-in functions: tables of them, and what one may use.
 *
 * A built-in is pure, but for what struct builtin_world gives it. Kinds of operands that the table
 * names are checked before it is called. It returns
 *   LETHE_OK       with *out, or with *out NULL: undefined, and nobody's fault;
 *   LETHE_INVALID  from builtin_fail(): an error, which makes the call undefined, or with strict
 *                  errors ends the evaluation;
 *   LETHE_LIMIT, LETHE_NO_MEMORY: the evaluation ends.
 * A constructor's NULL needs no look of its own: `return builtin_value(call, NULL or value, out)`.
 *
 * Thread rule: a built-in may run in many threads at once. */
#ifndef POLICY_BUILTIN_H
#define POLICY_BUILTIN_H

#include "base/clock.h"
#include "policy/value.h"

#define BUILTIN_OPERANDS_MAX 4

enum builtin_error_code { BUILTIN_ERROR, BUILTIN_TYPE_ERROR };
/* "eval_builtin_error", "eval_type_error" */
const char *builtin_error_code_name(enum builtin_error_code code);

struct builtin_error {
    enum builtin_error_code code;
    char text[384]; /* "name: what was wrong", UTF-8 */
};

struct builtin_call;
typedef lethe_result (*builtin_function)(struct builtin_call *call,
                                         const struct value *const *operands,
                                         const struct value **out);

/* Sets of kinds for operands; 0 is any. */
#define KIND(k) (1u << VALUE_##k)
#define KIND_ANY 0u

/* What built-ins may still prepare of one policy. Where nothing is left, a constant is not
 * prepared: the work is done at every call, on the account of the evaluation. */
struct builtin_preparation {
    uint64_t steps_left;
    size_t bytes_left; /* of memory that is in no arena */
};
#define PREPARATION_STEPS_MAX ((uint64_t)10000000) /* a second or so */
#define PREPARATION_BYTES_MAX ((size_t)512 << 20)
/* false: there is not so much left. */
bool builtin_prepare_spend(struct builtin_preparation *left, uint64_t steps, size_t bytes);

enum builtin_flag {
    BUILTIN_RELATION = 1u << 0, /* gives an array: each element of it is one result (walk)        */
    BUILTIN_VARIES = 1u << 1,   /* not a function of its operands alone (time, randomness): within
                                   one evaluation called once for equal operands                  */
    BUILTIN_V0 = 1u << 2,       /* known only in the older syntax                                 */
};

struct builtin {
    const char *name; /* "array.concat"; of operators OPA's: "plus", "internal.member_2" */
    uint8_t arity;
    uint8_t flags;
    uint8_t operand_kinds[BUILTIN_OPERANDS_MAX];
    builtin_function call;
    /* Optional: work to be done once when a policy is loaded and operand 0 is a constant (a regular
     * expression). What it gives is call->prepared, used by many threads. NULL: not possible, the
     * call does without. `release` frees it. */
    void *(*prepare)(const struct value *operand, struct builtin_preparation *left);
    void (*release)(void *prepared);
};

/* What comes from outside of a policy: a test puts its own here. */
struct builtin_world {
    uint64_t now_ns; /* time.now_ns: one moment for the whole evaluation */
    const struct random_source *random;
    const struct value *runtime;                            /* opa.runtime(): {} when NULL */
    void (*print)(void *context, const char *text, size_t); /* print(); NULL: to nobody    */
    void *print_context;
};

struct builtin_meter; /* steps and time left (policy/meter.h) */
struct builtin_call {
    const struct builtin *builtin;
    const void *prepared; /* see struct builtin */
    struct arena *arena;  /* results go here */
    const struct builtin_world *world;
    struct builtin_meter *meter;
    struct builtin_error *error;
};

/* Writes "<name of the builtin>: <text>" and gives LETHE_INVALID. */
lethe_result builtin_fail(struct builtin_call *call, enum builtin_error_code code,
                          const char *format, ...) PRINTF_LIKE(3, 4);
/* "operand <n> must be <expected> but got <kind of value>": n counts from 1. */
lethe_result builtin_fail_operand(struct builtin_call *call, unsigned n, const char *expected,
                                  const struct value *operand);
/* Puts the value in *out; NULL is the arena's failure. */
lethe_result builtin_value(struct builtin_call *call, const struct value *value,
                           const struct value **out);
static inline lethe_result builtin_undefined(const struct value **out)
{
    *out = NULL;
    return LETHE_OK;
}
/* Counts work that grows with operands: to be called in every loop over one. Also looks at the time
 * now and then. LETHE_LIMIT when there is none left. */
LETHE_MUST_CHECK lethe_result builtin_spend(struct builtin_call *call, uint64_t steps);

/* An integer operand that fits; otherwise fails with "must be integer number but got ...". */
LETHE_MUST_CHECK lethe_result builtin_integer(struct builtin_call *call, unsigned n,
                                              const struct value *operand, int64_t *out);

/* Whether operand n (from 1) may be of that kind, and which kinds it may be of, as errors say. */
bool builtin_takes(const struct builtin *builtin, unsigned n, enum value_kind kind);
void builtin_kinds_text(const struct builtin *builtin, unsigned n, struct buffer *out);

/* Checks the number and kinds of operands and calls. */
lethe_result builtin_invoke(struct builtin_call *call, const struct value *const *operands,
                            const struct value **out);

/* NULL: there is none of that name. `v0`: of the older syntax also. */
const struct builtin *builtin_find(const char *name, size_t length, bool v0);
/* All, in families: for --help and for completeness. NULL behind the last. */
const struct builtin *builtin_at(size_t index);

/* Families: one file each. X(name of the table in builtin_<name>.c) */
/* clang-format off */
#define BUILTIN_FAMILIES(X) \
    X(aggregates) \
    X(arithmetic) \
    X(arrays) \
    X(bits) \
    X(casts) \
    X(cidr) \
    X(comparison) \
    X(crypto) \
    X(encoding) \
    X(glob) \
    X(graph) \
    X(json) \
    X(letters) \
    X(numbers) \
    X(objects) \
    X(print) \
    X(random) \
    X(regex) \
    X(replace) \
    X(runtime) \
    X(search) \
    X(semver) \
    X(sets) \
    X(sprintf) \
    X(strings) \
    X(subset) \
    X(template) \
    X(time) \
    X(trim) \
    X(types) \
    X(units) \
    X(urlquery) \
    X(uuid) \
    X(walk) \
    X(yaml)
/* clang-format on */
struct builtin_family {
    const struct builtin *table;
    size_t count;
};
#define BUILTIN_FAMILY_DECLARE(name) extern const struct builtin_family builtin_##name;
BUILTIN_FAMILIES(BUILTIN_FAMILY_DECLARE)
#undef BUILTIN_FAMILY_DECLARE
/* At the end of a family's file. */
#define BUILTIN_FAMILY(name, array)                                                                \
    const struct builtin_family builtin_##name = {(array), ARRAY_LEN(array)}

#endif
