/* Shards from encrypted models. */
#include "base/error.h"
#include "model/handle.h"
#include "model/load_device.h"
#include "residency/shard_core.h"

/* Keys of a home are asked for by one thread at a time (model/handle.h), and a load is on all
 * threads anyway. Nothing is locked before it. */
static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;

static const struct shard *shard_of(const struct shard_source *source)
{
    return &model_manifest(source->model->model)->shards[source->shard_index];
}

static lethe_result load(const struct shard_source *source, struct device_memory *memory,
                         unsigned threads, struct lethe_error *err)
{
    const struct model_work work = {.threads = threads};
    pthread_mutex_lock(&loading);
    lethe_result result = model_load_shard_to_device(source->model->model, source->shard_index,
                                                     source->model->keys, memory, &work, err);
    pthread_mutex_unlock(&loading);
    return result;
}

static lethe_result check_model(const struct lethe_model *model, size_t shard_index,
                                struct lethe_error *err)
{
    if (model == NULL)
        return error_set(err, LETHE_INVALID, "model: there is none");
    const struct manifest *manifest = model_manifest(model->model);
    if (shard_index >= manifest->count)
        return error_set(err, LETHE_INVALID, "shard %zu of model %s: it has %zu, from 0",
                         shard_index, manifest->model, manifest->count);
    return LETHE_OK;
}

lethe_result lethe_shard_seal_model(struct lethe_worker *worker, struct lethe_model *model,
                                    size_t shard_index, const struct lethe_placement *placement,
                                    struct lethe_shard **out, struct lethe_error *err)
{
    *out = NULL;
    TRY(check_model(model, shard_index, err));
    struct shard_source source = {.fill = load,
                                  .expected_digest = placement->expected_digest,
                                  .model = model,
                                  .shard_index = shard_index};
    const struct shard *shard = shard_of(&source);
    struct lethe_placement named = *placement;
    if (named.id == NULL)
        named.id = shard->id;
    if (named.tenant == NULL)
        named.tenant = model_manifest(model->model)->tenant;
    source.size_bytes = shard->size;
    source.manifest_digest = shard->digest;
    return shard_seal(worker, &named, &source, out, err);
}
