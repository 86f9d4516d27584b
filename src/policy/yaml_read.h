/* policy/yaml_read.h -- the reader of YAML, between its files. */
#ifndef POLICY_YAML_READ_H
#define POLICY_YAML_READ_H

#include <yaml.h>

#include "policy/yaml_anchors.h"
#include "policy/yaml_value.h"

struct yaml_reader {
    yaml_parser_t parser;
    struct arena *arena;
    struct builtin_meter *meter;
    struct yaml_anchors anchors;
    /* The elements of all collections that are being read: those of the innermost are on top. */
    struct value_list open;
    unsigned depth;
    uint64_t merged;
    struct lethe_error *err;
};

static inline void event_clear_at_scope_end(yaml_event_t *event)
{
    yaml_event_delete(event);
}
#define EVENT CLEANUP(event_clear) yaml_event_t

/* LETHE_MALFORMED, with the place where the event begins; and likewise any result at any place. */
lethe_result yaml_reader_refuse(const struct yaml_reader *reader, const yaml_event_t *event,
                                const char *what);
lethe_result yaml_reader_refuse_at(const struct yaml_reader *reader, yaml_mark_t mark,
                                   lethe_result result, const char *what);
/* NULL is the arena's failure. */
lethe_result yaml_reader_give(const struct yaml_reader *reader, const struct value *made,
                              const struct value **out);
LETHE_MUST_CHECK lethe_result yaml_reader_spend(const struct yaml_reader *reader, uint64_t steps);
LETHE_MUST_CHECK lethe_result yaml_reader_next(struct yaml_reader *reader, yaml_event_t *event);
LETHE_MUST_CHECK lethe_result yaml_reader_push(struct yaml_reader *reader,
                                               const struct value *value);

/* What begins with the event, up to its end. */
LETHE_MUST_CHECK lethe_result yaml_reader_node(struct yaml_reader *reader,
                                               const yaml_event_t *event, const struct value **out);
/* policy/yaml_mapping.c: likewise, of a mapping. */
LETHE_MUST_CHECK lethe_result yaml_reader_mapping(struct yaml_reader *reader,
                                                  const yaml_event_t *event,
                                                  const struct value **out);

#endif
