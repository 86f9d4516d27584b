/* policy/yaml_anchors.h -- what the anchors of one document stand for. */
#ifndef POLICY_YAML_ANCHORS_H
#define POLICY_YAML_ANCHORS_H

#include "policy/value.h"

struct yaml_anchor {
    const char *name;
    const struct value *value; /* NULL: it is being read */
    uint64_t definition;       /* grows whenever the name is given to something else */
};

/* {0} is empty. All in an arena. */
struct yaml_anchors {
    struct yaml_anchor **sorted; /* by name */
    unsigned count, capacity;
};

/* The name stands for what begins here from now on. NULL: there are YAML_ANCHORS_MAX already, or
 * the arena has failed. */
struct yaml_anchor *yaml_anchor_begin(struct arena *arena, struct yaml_anchors *anchors,
                                      const char *name);
/* NULL: there is none of that name. */
const struct yaml_anchor *yaml_anchor_find(const struct yaml_anchors *anchors, const char *name);

#endif
