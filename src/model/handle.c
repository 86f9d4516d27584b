#include "model/handle.h"

#include <stdlib.h>

#include <lethe/model.h>

void lethe_model_close(struct lethe_model *model)
{
    if (model == NULL)
        return;
    model_close(model->model);
    free(model);
}

size_t lethe_model_shard_count(const struct lethe_model *model)
{
    return model_manifest(model->model)->count;
}

void lethe_model_shard(const struct lethe_model *model, size_t index, struct lethe_model_shard *out)
{
    const struct manifest *manifest = model_manifest(model->model);
    REQUIRE(index < manifest->count);
    const struct shard *shard = &manifest->shards[index];
    *out = (struct lethe_model_shard){.id = shard->id,
                                      .name = shard->name,
                                      .kind = shard_kind_name(shard->kind),
                                      .size_bytes = shard->size};
}

size_t lethe_model_expert(const struct lethe_model *model, uint64_t layer, uint64_t index,
                          size_t *shards, size_t capacity)
{
    const struct model_expert *expert = model_expert_at(
        &model_manifest(model->model)->experts, (struct expert_id){.layer = layer, .index = index});
    size_t count = expert != NULL ? expert->shard_count : 0;
    for (size_t i = 0; i < MIN(count, capacity); i++)
        shards[i] = expert->shards[i];
    return count;
}
