/* policy/builtin_text.h -- what built-ins that read and make texts share. */
#ifndef POLICY_BUILTIN_TEXT_H
#define POLICY_BUILTIN_TEXT_H

#include "policy/builtin.h"

#define TEXT_BYTES_PER_STEP 16 /* that a loop over a text may look at for one step */

/* Counts a pass over so many bytes. */
LETHE_MUST_CHECK lethe_result text_spend(struct builtin_call *call, uint64_t size_bytes);

/* A string of bytes that something was decoded to, as the result of the call. A string of Rego is
 * UTF-8: a byte that is not becomes U+FFFD, which is also what it would be in every output. */
LETHE_MUST_CHECK lethe_result text_result(struct builtin_call *call, const struct buffer *text,
                                          const struct value **out);

/* To be asked while a result grows: LETHE_LIMIT when it is already more than the arena can take. */
LETHE_MUST_CHECK lethe_result text_fits(struct builtin_call *call, const struct buffer *text);

/* For what is too large to be looked at: the evaluation ends, as if its steps were used up. An
 * error would make the call undefined, and who writes the text could so keep a rule from holding.
 */
LETHE_MUST_CHECK lethe_result text_over_limit(struct builtin_call *call);

/* "operand <n> ... <term>": the value as errors quote it, cut where it is long. */
struct text_quoted {
    char text[128];
};
struct text_quoted text_quote(const struct value *value);

#endif
