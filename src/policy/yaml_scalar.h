/* policy/yaml_scalar.h -- what a scalar of YAML without quotes stands for, by go-yaml's rules. */
#ifndef POLICY_YAML_SCALAR_H
#define POLICY_YAML_SCALAR_H

#include "policy/value.h"

enum scalar_kind {
    SCALAR_TEXT, /* all that is nothing else */
    SCALAR_NULL,
    SCALAR_FALSE,
    SCALAR_TRUE,
    SCALAR_NOT_FINITE, /* .inf, .nan */
    SCALAR_INTEGER,    /* to a base that is not ten: 0x1f, 0o17, 017, 0b11 */
    SCALAR_DECIMAL,
};

/* Only by its form: what is too large for a number has that of one. */
enum scalar_kind yaml_scalar_kind(const char *text, size_t size_bytes);

/* Of SCALAR_INTEGER and SCALAR_DECIMAL. What no number can hold gives a string, as go-yaml does.
 * NULL: the arena has failed. */
const struct value *yaml_scalar_number(struct arena *arena, enum scalar_kind kind, const char *text,
                                       size_t size_bytes);

#endif
