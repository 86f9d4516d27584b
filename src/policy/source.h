/* policy/source.h -- text of policies, places in it, and errors that point at them. */
#ifndef POLICY_SOURCE_H
#define POLICY_SOURCE_H

#include "base/buffer.h"
#include "policy/arena.h"

#define SOURCE_SIZE_MAX ((size_t)64 << 20)

struct source {
    const char *name; /* of the file, for errors: "authz.rego" */
    const char *text; /* UTF-8, checked by the lexer */
    size_t size_bytes;
};

/* A place: bytes [offset, offset + length) of a source. Row and column are found when needed. */
struct place {
    const struct source *source; /* NULL: made by the compiler */
    uint32_t offset;
    uint32_t length;
};
/* Both count from 1; a column is a byte, as OPA counts. */
void place_row_column(struct place place, unsigned *row, unsigned *column);

/* One error in a policy. OPA's codes. */
#define PROBLEM_CODES(X)                                                                           \
    X(PARSE, "rego_parse_error")                                                                   \
    X(COMPILE, "rego_compile_error")                                                               \
    X(UNSAFE, "rego_unsafe_var_error")                                                             \
    X(RECURSION, "rego_recursion_error")                                                           \
    X(TYPE, "rego_type_error")
enum problem_code {
#define PROBLEM_ENUM(name, text) PROBLEM_##name,
    PROBLEM_CODES(PROBLEM_ENUM)
#undef PROBLEM_ENUM
};
const char *problem_code_name(enum problem_code code);

struct problem {
    struct problem *next;
    enum problem_code code;
    struct place place;
    const char *text; /* one line, no full stop; a hint may follow in parentheses */
};

/* All problems of a load, in the order found; at most PROBLEMS_MAX are kept. */
#define PROBLEMS_MAX 10
struct problems {
    struct arena *arena;
    struct problem *first, **last; /* last: where the next is linked; NULL until the first */
    unsigned count;
};
/* No more are kept: who only looks for more may stop. */
static inline bool problems_are_full(const struct problems *problems)
{
    return problems->count >= PROBLEMS_MAX;
}
/* Notes a problem. Gives LETHE_INVALID, so that a parser reads `return problem_add(...)`. */
lethe_result problem_add(struct problems *problems, enum problem_code code, struct place place,
                         const char *format, ...) PRINTF_LIKE(4, 5);
/* "authz.rego:12:5: rego_parse_error: unexpected }", the line, and a caret under the place. */
void problem_print(const struct problem *problem, struct buffer *out);
/* The first one as an error: place, code and text in one line; LETHE_OK without any. */
LETHE_MUST_CHECK lethe_result problems_result(const struct problems *problems,
                                              struct lethe_error *err);

#endif
