/* policy/value_make.h -- making values of what was checked already. */
#ifndef POLICY_VALUE_MAKE_H
#define POLICY_VALUE_MAKE_H

#include "policy/value.h"

/* A string whose bytes the caller writes: well-formed UTF-8. NULL when the arena has failed. */
char *value_string_begin(struct arena *arena, size_t size_bytes, struct value **made);
/* These keep the elements where they are, in the arena; as value_array and value_object do. */
const struct value *value_array_of(struct arena *arena, const struct value *const *items,
                                   size_t count);
const struct value *value_object_of(struct arena *arena, struct value_pair *pairs, size_t count,
                                    const struct value **conflict);

#endif
