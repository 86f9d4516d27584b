/* policy/builtin_work.h -- what built-ins share: work that is counted, texts that are bounded. */
#ifndef POLICY_BUILTIN_WORK_H
#define POLICY_BUILTIN_WORK_H

#include "policy/builtin.h"

#define WORK_BYTES_PER_STEP 64 /* copied or compared at once, in about the time of one step */

/* Counts a value's weight, that is every element at any depth: before anything that looks at all of
 * it. */
LETHE_MUST_CHECK lethe_result builtin_spend_value(struct builtin_call *call,
                                                  const struct value *value);

/* Why a constructor gave NULL. */
lethe_result builtin_failed(const struct builtin_call *call);

/* Whether a result of that size would fit: LETHE_LIMIT, and the arena has failed, when not. */
LETHE_MUST_CHECK lethe_result builtin_room(struct builtin_call *call, size_t size_bytes);
/* Appends to a text that will be a result. LETHE_LIMIT when the arena could not hold the whole. */
LETHE_MUST_CHECK lethe_result builtin_append(struct builtin_call *call, struct buffer *text,
                                             const void *bytes, size_t size_bytes);
/* The value as a Rego term; `bare`: a string as it is, without quotes. */
LETHE_MUST_CHECK lethe_result builtin_append_term(struct builtin_call *call, struct buffer *text,
                                                  const struct value *value, bool bare);
lethe_result builtin_text(struct builtin_call *call, const struct buffer *text,
                          const struct value **out);

/* What an operation on numbers gave; `done` is whether it did. */
lethe_result builtin_number(struct builtin_call *call, bool done, const struct number *number,
                            const struct value **out);

/* A list with room for `count` elements; false: the arena has failed. */
bool builtin_list(struct builtin_call *call, size_t count, struct value_list *list);

/* "operand 1 must be array of strings but got array containing number", unless each element of an
 * array or set is of that kind; counts them. */
LETHE_MUST_CHECK lethe_result builtin_elements(struct builtin_call *call, unsigned n,
                                               const struct value *collection,
                                               enum value_kind expected);

/* Operand n as the number of an operation on integers: any integer, however large. */
LETHE_MUST_CHECK lethe_result builtin_whole(struct builtin_call *call, unsigned n,
                                            const struct value *operand);

#endif
