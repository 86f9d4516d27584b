#include "model/files_ahead.h"

void files_ahead_clear(struct files_ahead *ahead)
{
    keys_ahead_clear(&ahead->keys);
    *ahead = (struct files_ahead){0};
}

/* No key waits longer than KEYS_AHEAD_BYTES of work take (Z-2). */
static size_t choose(struct files_ahead *ahead, size_t index, size_t shards[KEYS_AHEAD_MAX])
{
    const struct model_files *files = &ahead->model->manifest->files;
    uint64_t bytes = 0;
    size_t count = 0;
    size_t i = index;
    for (; i < files->count && count < KEYS_AHEAD_MAX && bytes <= KEYS_AHEAD_BYTES; i++) {
        bytes += files->items[i].size_bytes;
        if (files->items[i].shard_count == 1)
            shards[count++] = files->items[i].shards[0];
    }
    ahead->until = i;
    return count;
}

struct keys_ahead *files_ahead_look(struct files_ahead *ahead, const struct model *model,
                                    const struct shard_access *access, size_t index)
{
    size_t shards[KEYS_AHEAD_MAX];
    if (ahead->model != model)
        files_ahead_clear(ahead);
    ahead->model = model;
    if (index >= ahead->until) {
        size_t count = choose(ahead, index, shards);
        keys_ahead_fill(&ahead->keys, model, access, shards, count);
    }
    return &ahead->keys;
}
