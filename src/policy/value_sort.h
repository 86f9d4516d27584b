/* policy/value_sort.h -- sorting what sets and objects are made of. */
#ifndef POLICY_VALUE_SORT_H
#define POLICY_VALUE_SORT_H

#include "policy/value.h"

/* Both keep the order of equal ones. false: the arena has failed. At worst n log n comparisons, and
 * n of those that are in order already. */
bool value_sort_items(struct arena *arena, const struct value **items, size_t count);
bool value_sort_pairs(struct arena *arena, struct value_pair *pairs, size_t count);

#endif
