/* policy/evaluate_memory.h -- what an evaluation has computed already.
 *
 * A table from what was asked (rules, or a built-in, and its arguments) to what came out. It lives
 * in the evaluation's arena, begins empty and grows with what is kept. A table with a limit
 * forgets: what is asked again is then computed again. */
#ifndef POLICY_EVALUATE_MEMORY_H
#define POLICY_EVALUATE_MEMORY_H

#include "policy/meter.h"
#include "policy/value.h"

struct object_entry;

struct memory_entry {
    const void *subject; /* struct plan_rules or struct builtin; NULL: the entry is free */
    const struct value **arguments;
    uint32_t argument_count;
    uint32_t hash;
    const struct value *value;           /* NULL: undefined */
    const struct object_entry *conflict; /* of an object: one key has two values (other keys need
                                            not know); NULL: none */
};
/* {0} is empty, and has no limit. */
struct memory {
    struct memory_entry *entries;
    size_t capacity; /* a power of two */
    size_t count;
    size_t capacity_max; /* a power of two; 0: none */
};
struct memory_key {
    const void *subject;
    const struct value *const *arguments;
    uint32_t argument_count;
    uint32_t hash;
};

struct memory_key memory_key_make(const void *subject, const struct value *const *arguments,
                                  uint32_t argument_count);
/* *out: the entry, until something is kept, or NULL. LETHE_LIMIT: the meter's (arguments are
 * compared). */
LETHE_MUST_CHECK lethe_result memory_find(const struct memory *memory, const struct memory_key *key,
                                          struct builtin_meter *meter,
                                          const struct memory_entry **out);
/* Keeps what came out for a key that was not found. false: the arena has failed. */
bool memory_keep(struct memory *memory, struct arena *arena, const struct memory_key *key,
                 const struct value *value, const struct object_entry *conflict);

#endif
