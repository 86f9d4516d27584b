/* policy/builtin_regex.h -- regex.*: those with files of their own. */
#ifndef POLICY_BUILTIN_REGEX_H
#define POLICY_BUILTIN_REGEX_H

#include "policy/builtin.h"

lethe_result regex_globs_match(struct builtin_call *call, const struct value *const *operands,
                               const struct value **out);
lethe_result regex_replace(struct builtin_call *call, const struct value *const *operands,
                           const struct value **out);
lethe_result regex_template_match(struct builtin_call *call, const struct value *const *operands,
                                  const struct value **out);

#endif
