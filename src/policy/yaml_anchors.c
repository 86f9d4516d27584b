#include "policy/yaml_anchors.h"

#include <string.h>

#include "policy/yaml_value.h"

/* Where the name is, or would be. */
static unsigned position_of(const struct yaml_anchors *anchors, const char *name)
{
    unsigned low = 0;
    for (unsigned high = anchors->count; low < high;) {
        unsigned middle = low + (high - low) / 2;
        if (strcmp(anchors->sorted[middle]->name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct yaml_anchor *anchor_at(const struct yaml_anchors *anchors, unsigned at,
                                     const char *name)
{
    bool is_there = at < anchors->count && strcmp(anchors->sorted[at]->name, name) == 0;
    return is_there ? anchors->sorted[at] : NULL;
}

const struct yaml_anchor *yaml_anchor_find(const struct yaml_anchors *anchors, const char *name)
{
    return anchor_at(anchors, position_of(anchors, name), name);
}

static bool make_room(struct arena *arena, struct yaml_anchors *anchors)
{
    if (anchors->count < anchors->capacity)
        return true;
    unsigned wanted = anchors->capacity == 0 ? 16 : 2 * anchors->capacity;
    size_t size = sizeof(struct yaml_anchor *);
    struct yaml_anchor **grown =
        arena_grow(arena, anchors->sorted, anchors->capacity * size, wanted * size);
    if (grown == NULL)
        return false;
    anchors->sorted = grown;
    anchors->capacity = wanted;
    return true;
}

/* Sorted, and few: what an insertion moves is no matter. */
static struct yaml_anchor *insert(struct arena *arena, struct yaml_anchors *anchors, unsigned at,
                                  const char *name)
{
    if (anchors->count == YAML_ANCHORS_MAX || !make_room(arena, anchors))
        return NULL;
    struct yaml_anchor *anchor = arena_alloc(arena, sizeof *anchor);
    const char *copy = arena_copy(arena, name, strlen(name));
    if (anchor == NULL || copy == NULL)
        return NULL;
    *anchor = (struct yaml_anchor){.name = copy};
    memmove(anchors->sorted + at + 1, anchors->sorted + at,
            (anchors->count - at) * sizeof *anchors->sorted);
    anchors->sorted[at] = anchor;
    anchors->count++;
    return anchor;
}

struct yaml_anchor *yaml_anchor_begin(struct arena *arena, struct yaml_anchors *anchors,
                                      const char *name)
{
    unsigned at = position_of(anchors, name);
    struct yaml_anchor *anchor = anchor_at(anchors, at, name);
    if (anchor == NULL)
        anchor = insert(arena, anchors, at, name);
    if (anchor == NULL)
        return NULL;
    anchor->value = NULL;
    anchor->definition++;
    return anchor;
}
