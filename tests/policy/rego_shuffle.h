/* tests/policy/rego_shuffle.h -- the same things in another order, the same for the same seed. */
#ifndef TESTS_POLICY_REGO_SHUFFLE_H
#define TESTS_POLICY_REGO_SHUFFLE_H

#include "policy/value.h"

/* Draws an order of `count` things: indexes[i] is which stands i-th. */
void shuffle_indexes(uint64_t *state, size_t *indexes, size_t count);
/* JSON, with the keys of each object in an order of their own. */
void shuffle_print_json(const struct value *value, uint64_t *state, struct buffer *out);

#endif
