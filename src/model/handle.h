/* model/handle.h -- an opened model with the keys that open its shards: what a public
 * `struct lethe_model` is inside.
 *
 * The model is owned, its signature has been checked; the keys are borrowed of the home. Thread
 * rule: as model/model.h, and calls of the key source come from one thread at a time. */
#ifndef MODEL_HANDLE_H
#define MODEL_HANDLE_H

#include "model/model.h"

struct lethe_model {
    struct model *model;
    const struct key_source *keys;
};

#endif
