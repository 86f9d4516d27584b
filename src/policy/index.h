/* policy/index.h -- which of many rules can hold at all.
 *
 * Where many rules of one path each ask that one place of the input (or one argument) equals a
 * constant, only those whose constant it is, and those that do not ask, need to be tried. The index
 * is a sorted table of those constants. Likewise where many rules each give one key of an object,
 * or one element of a set, and one is asked for. What it leaves out could not have had a solution.
 */
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
/* NULL: it tells by the key only. */
const struct index_subject *index_subject(const struct plan_index *index);
/* false: not even by the key. */
bool index_knows_keys(const struct plan_index *index);

/* Rules to be tried, in order: index_next() gives one after the other, then NULL. */
struct index_rules {
    const struct plan_rule *const *rules;
    const uint32_t *own, *any; /* places among the rules */
    size_t own_count, any_count;
    size_t all_next, all_count; /* without an index */
};
struct index_rules index_all(const struct plan_rules *rules);
/* When the subject has this value (NULL: undefined). */
struct index_rules index_find(const struct plan_index *index, const struct plan_rules *rules,
                              const struct value *subject);
/* When this key of the object, or element of the set, is asked for. */
struct index_rules index_find_key(const struct plan_index *index, const struct plan_rules *rules,
                                  const struct value *key);
size_t index_rules_left(const struct index_rules *rules);
const struct plan_rule *index_next(struct index_rules *rules);

#endif
