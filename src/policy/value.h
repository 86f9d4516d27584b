/* policy/value.h -- values of Rego: JSON, and sets.
 *
 * A value never changes once it is made, lives in an arena, and may be shared by other values of
 * that arena or of one that lives longer. Sets and objects are sorted, so that everything that
 * iterates does so in one order, whatever order the input had; looking up is a binary search.
 *
 * Constructors give NULL when the arena has failed or an element is NULL, so that calls can be
 * nested and checked once (arena_result). Thread rule: values may be read by any thread. */
#ifndef POLICY_VALUE_H
#define POLICY_VALUE_H

#include "policy/number.h"

#define VALUE_DEPTH_MAX 512 /* arrays, sets and objects in each other; more is LETHE_LIMIT */
/* Values share their parts: a short policy can say what would take years to go through. */
#define VALUE_WEIGHT_MAX ((uint64_t)1 << 28)

/* In the order in which values of different kinds compare. */
enum value_kind {
    VALUE_NULL,
    VALUE_BOOLEAN,
    VALUE_NUMBER,
    VALUE_STRING,
    VALUE_ARRAY,
    VALUE_OBJECT,
    VALUE_SET,
};
#define VALUE_KIND_COUNT 7
/* "null", "boolean", ...: as type_name() and errors say. */
const char *value_kind_name(enum value_kind kind);

struct value_pair {
    const struct value *key;
    const struct value *value;
};

struct value {
    uint8_t kind;   /* enum value_kind */
    uint16_t depth; /* 0: no collection; else 1 + that of the deepest element */
    uint32_t count; /* bytes of a string, elements of a collection */
    union {
        bool boolean;
        struct number number;
        const char *string; /* UTF-8, well-formed; may hold NUL; a NUL behind it */
        struct {
            union {
                const struct value *const *items; /* of arrays; of sets: sorted, each once */
                const struct value_pair *pairs;   /* of objects: sorted by key, each once */
            };
            uint64_t weight_of_elements;
        };
    };
};

extern const struct value value_null, value_true, value_false;
extern const struct value value_empty_array, value_empty_object, value_empty_set,
    value_empty_string;

static inline const struct value *value_boolean(bool boolean)
{
    return boolean ? &value_true : &value_false;
}
const struct value *value_small(struct arena *arena, int64_t number);
const struct value *value_number(struct arena *arena, const struct number *number);
/* Copies the bytes, which are well-formed UTF-8 (checked: NULL and arena->failure LETHE_MALFORMED
 * otherwise; who takes bytes from outside checks before). */
const struct value *value_string(struct arena *arena, const char *bytes, size_t size_bytes);
const struct value *value_text(struct arena *arena, const char *text); /* up to its NUL */
/* The bytes of a buffer, as value_string; NULL and the arena failed when the buffer did. */
const struct value *value_buffer(struct arena *arena, const struct buffer *text);

/* A list that grows in an arena, to make collections of. {0} is empty. A list of pairs likewise. */
struct value_list {
    const struct value **items;
    size_t count, capacity;
};
struct value_pairs {
    struct value_pair *items;
    size_t count, capacity;
};
/* false: the arena has failed, or the value is NULL. */
bool value_list_append(struct arena *arena, struct value_list *list, const struct value *value);
bool value_pairs_append(struct arena *arena, struct value_pairs *pairs, const struct value *key,
                        const struct value *value);

/* These take over what is in the list (which is then {0}), sorting it where it is. */
const struct value *value_array(struct arena *arena, struct value_list *list);
const struct value *value_set(struct arena *arena, struct value_list *list);
/* Two values for one key: the first stays when they are equal; otherwise *conflict (unless NULL)
 * gets the key, and the later one stays. Set *conflict to NULL before. */
const struct value *value_object(struct arena *arena, struct value_pairs *pairs,
                                 const struct value **conflict);

int value_compare(const struct value *a, const struct value *b); /* total order: <0, 0, >0 */
static inline bool value_equal(const struct value *a, const struct value *b)
{
    return a == b || value_compare(a, b) == 0;
}

/* The element of an array at a whole number, the value of an object's key, or the element of a set
 * that equals `key`; NULL when there is none, or `container` is no collection. */
const struct value *value_get(const struct value *container, const struct value *key);
const struct value *value_get_text(const struct value *object, const char *key);
/* The object with one key set to a value, or without a key: a copy of the list of its pairs. */
const struct value *value_with(struct arena *arena, const struct value *object,
                               const struct value *key, const struct value *value);
const struct value *value_without(struct arena *arena, const struct value *object,
                                  const struct value *key);

static inline bool value_is(const struct value *value, enum value_kind kind)
{
    return value->kind == kind;
}
static inline bool value_is_false(const struct value *value)
{
    return value->kind == VALUE_BOOLEAN && !value->boolean;
}
bool value_is_text(const struct value *value, const char *text);

/* How much it is to go through all of it, to compare or print it: one for each value within, as
 * often as it is there, and one for each 64 bytes of text. At most VALUE_WEIGHT_MAX. */
static inline uint64_t value_weight(const struct value *value)
{
    if (value->kind >= VALUE_ARRAY)
        return 1 + value->weight_of_elements;
    return value->kind == VALUE_STRING ? 1 + value->count / 64 : 1;
}

/* ---- JSON (policy/json.c) ---- */

/* Reads one JSON document (RFC 8259; UTF-8, no lone surrogates, depth VALUE_DEPTH_MAX, no key
 * twice). LETHE_MALFORMED with line and column; LETHE_LIMIT, LETHE_NO_MEMORY of the arena. */
LETHE_MUST_CHECK lethe_result value_parse_json(struct arena *arena, const char *text,
                                               size_t size_bytes, const struct value **out,
                                               struct lethe_error *err);
/* Compact JSON as OPA's: a set is a sorted array, a key that is no string is the text of its JSON,
 * and keys are sorted by their texts, of equal ones the last. */
void value_print_json(const struct value *value, struct buffer *out);
/* Each element on a line of its own; `indent` in front of each but the first. */
void value_print_json_pretty(const struct value *value, const char *indent, struct buffer *out);
/* As a Rego term: {1, 2}, set(), {"a": 1}. */
void value_print_term(const struct value *value, struct buffer *out);

#endif
