/* policy/builtin_json.h -- json.*: what its files share. */
#ifndef POLICY_BUILTIN_JSON_H
#define POLICY_BUILTIN_JSON_H

#include "policy/builtin.h"

/* A path as an array of keys: "a/b~1c" (RFC 6901, but the slash in front may be missing) or an
 * array already. *out is NULL for what is neither. */
LETHE_MUST_CHECK lethe_result json_path(struct builtin_call *call, const struct value *path,
                                        const struct value **out);

lethe_result json_filter(struct builtin_call *call, const struct value *const *operands,
                         const struct value **out);
lethe_result json_remove(struct builtin_call *call, const struct value *const *operands,
                         const struct value **out);
lethe_result json_patch(struct builtin_call *call, const struct value *const *operands,
                        const struct value **out);

#endif
