/* policy/index.h -- which of many rules can hold at all.
 *
 * Where many rules of one path each ask that one place of the input (or one argument) equals a
 * constant, only those whose constant it is, and those that do not ask, need to be tried. The index
 * is a sorted table of those constants. What it leaves out could not have had a solution. */
#ifndef POLICY_INDEX_H
#define POLICY_INDEX_H

#include "policy/plan.h"

/* NULL: no index helps, or the arena has failed. */
const struct plan_index *index_create(struct arena *arena, const struct plan_rules *rules);

/* What the index looks at: a path into the input (path_count keys), or an argument. */
struct index_subject {
    bool is_argument;
    uint32_t argument;
    const struct value *const *path;
    size_t path_count;
};
const struct index_subject *index_subject(const struct plan_index *index);

/* The rules to be tried, in order, when the subject has this value (NULL: undefined). */
struct index_rules {
    const struct plan_rule *const *items;
    size_t count;
};
struct index_rules index_find(const struct plan_index *index, const struct value *subject);

#endif
