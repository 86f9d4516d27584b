/* model/files_ahead.h -- keys of files that are opened one after another, got for many of them at
 * once: for whoever opens all files of a model in their order. Of a file of several shards crew.h
 * gets the keys. One thread at a time. */
#ifndef MODEL_FILES_AHEAD_H
#define MODEL_FILES_AHEAD_H

#include "model/keys_ahead.h"

struct files_ahead { /* struct files_ahead a = {0}; is empty */
    const struct model *model;
    size_t until; /* keys of the files before have been asked for */
    struct keys_ahead keys;
};
void files_ahead_clear(struct files_ahead *ahead); /* wipes what was not taken */
static inline void files_ahead_clear_at_scope_end(struct files_ahead *ahead)
{
    files_ahead_clear(ahead);
}

/* Before file `index` of a model is opened, by this access. Gives where its key is held: for
 * access.ahead. */
struct keys_ahead *files_ahead_look(struct files_ahead *ahead, const struct model *model,
                                    const struct shard_access *access, size_t index);

#endif
