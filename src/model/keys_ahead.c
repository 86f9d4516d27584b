#include "model/keys_ahead.h"

#include <stdlib.h>

void keys_ahead_clear(struct keys_ahead *ahead)
{
    for (size_t i = 0; i < ahead->count; i++)
        lethe_secret_free(ahead->keys[i]);
    *ahead = (struct keys_ahead){0};
}

struct lethe_secret *keys_ahead_take(struct keys_ahead *ahead, size_t shard)
{
    for (size_t i = ahead->taken; i < ahead->count; i++) {
        if (ahead->shards[i] != shard)
            continue;
        ahead->taken = i + 1; /* they are taken in order */
        return MOVE(ahead->keys[i]);
    }
    return NULL;
}

/* What is asked for, with the texts that it borrows from. */
struct question {
    struct key_unwrap items[KEYS_AHEAD_MAX];
    struct buffer aads[KEYS_AHEAD_MAX];
};

static void question_free(struct question *question)
{
    for (size_t i = 0; question != NULL && i < KEYS_AHEAD_MAX; i++)
        buffer_clear(&question->aads[i]);
    free(question);
}
DEFINE_CLEANUP(question_free, struct question *);

static lethe_result put(struct question *question, struct keys_ahead *ahead,
                        const struct model *model, const struct shard_access *access, size_t i)
{
    const struct shard *shard = &model->manifest->shards[ahead->shards[i]];
    struct buffer *aad = &question->aads[i];
    manifest_shard_aad(model->manifest, shard, aad);
    TRY(buffer_result(aad, NULL));
    question->items[i] = (struct key_unwrap){.use = {.key = shard->key,
                                                     .release = model->manifest->release,
                                                     .shard = shard->id,
                                                     .purpose = access->purpose,
                                                     .aad = aad->bytes,
                                                     .aad_bytes = aad->size_bytes},
                                             .wrapped = shard->wrapped_key,
                                             .data_key = &ahead->keys[i]};
    return LETHE_OK;
}

static lethe_result ask(struct keys_ahead *ahead, const struct model *model,
                        const struct shard_access *access)
{
    const struct key_source *keys = access->keys;
    CLEANUP(question_free) struct question *question = calloc(1, sizeof *question);
    if (question == NULL)
        return LETHE_NO_MEMORY;
    for (size_t i = 0; i < ahead->count; i++)
        TRY(put(question, ahead, model, access, i));
    return keys->unwrap_all(keys->context, question->items, ahead->count, NULL);
}

void keys_ahead_fill(struct keys_ahead *ahead, const struct model *model,
                     const struct shard_access *access, const size_t *shards, size_t count)
{
    keys_ahead_clear(ahead);
    if (access->keys->unwrap_all == NULL || count < 2)
        return;
    ahead->count = MIN(count, KEYS_AHEAD_MAX);
    for (size_t i = 0; i < ahead->count; i++)
        ahead->shards[i] = shards[i];
    if (ask(ahead, model, access) != LETHE_OK)
        keys_ahead_clear(ahead);
}

size_t keys_ahead_choose(const struct manifest *manifest, const bool *skip, size_t first,
                         size_t shards[KEYS_AHEAD_MAX])
{
    uint64_t bytes = 0;
    size_t count = 0;
    for (size_t i = first; i < manifest->count && count < KEYS_AHEAD_MAX; i++) {
        if (i != first && skip != NULL && skip[i])
            continue;
        if (count > 0 && bytes > KEYS_AHEAD_BYTES)
            break;
        bytes += manifest->shards[i].size;
        shards[count++] = i;
    }
    return count;
}
