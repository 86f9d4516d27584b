/* policy/regex.h -- regular expressions as Go's regexp has them, and what they may cost.
 *
 * RE2 does the work (re2_regex.h). Here is what differs: (?<name>...) is read, \C (a byte, which
 * may be half a character) is refused, and nothing is found in the middle of a character. And here
 * is counted: an expression costs at most its size, in instructions, for each byte of a text, and
 * can then not be interrupted; so that product has a limit. */
#ifndef POLICY_REGEX_H
#define POLICY_REGEX_H

#include "policy/builtin.h"
#include "policy/re2_regex.h"

#define REGEX_SIZE_MAX 16384 /* bytes of an expression */
/* Bytes of text times instructions: 1 to 4 ns each at worst, in one that needs many states. */
#define REGEX_WORK_MAX ((uint64_t)1 << 28)

struct regex {
    struct re2_regex *re2;
    bool has_inner; /* \B: could be found in the middle of a character */
};

void regex_clear(struct regex *regex);
static inline void regex_clear_at_scope_end(struct regex *regex)
{
    regex_clear(regex);
}

/* For struct builtin: a constant expression, compiled once. */
void *regex_prepare(const struct value *pattern, struct builtin_preparation *left);
void regex_release(void *prepared);

/* Compiles into `own`, unless the call has it prepared; *out is the one to use. */
LETHE_MUST_CHECK lethe_result regex_open(struct builtin_call *call, const struct value *pattern,
                                         struct regex *own, const struct regex **out);
LETHE_MUST_CHECK lethe_result regex_compile(struct builtin_call *call, const char *pattern,
                                            size_t size_bytes, struct regex *out);

LETHE_MUST_CHECK lethe_result regex_matches(struct builtin_call *call, const struct regex *regex,
                                            const struct value *text, bool *out);

/* A walk through all matches that do not overlap; an empty one right behind another is left out. */
struct regex_walk {
    struct builtin_call *call;
    const struct regex *regex;
    struct re2_search search;
    size_t previous_end;
    struct re2_span *spans; /* of the match that was found: the whole, then groups */
    unsigned span_count;
};
/* with_groups: spans of groups too. */
LETHE_MUST_CHECK lethe_result regex_walk_begin(struct builtin_call *call, const struct regex *regex,
                                               const struct value *text, bool with_groups,
                                               struct regex_walk *out);
LETHE_MUST_CHECK lethe_result regex_walk_next(struct regex_walk *walk, bool *found);
/* The bytes of a span as a string; of RE2_NO_SPAN, the empty one. */
const struct value *regex_span_value(const struct regex_walk *walk, struct re2_span span);

#endif
