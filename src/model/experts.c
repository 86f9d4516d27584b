#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "model/manifest.h"

void model_experts_clear(struct model_experts *experts)
{
    free(experts->items);
    free(experts->shards);
    *experts = (struct model_experts){0};
}

int expert_order(struct expert_id a, struct expert_id b)
{
    if (a.layer != b.layer)
        return a.layer < b.layer ? -1 : 1;
    return a.index < b.index ? -1 : a.index > b.index;
}

static int shard_order(const void *a, const void *b)
{
    const struct shard *left = *(const struct shard *const *)a;
    const struct shard *right = *(const struct shard *const *)b;
    int order = expert_order(left->expert, right->expert);
    return order != 0 ? order : left < right ? -1 : left > right;
}

static size_t collect(const struct manifest *manifest, const struct shard **out)
{
    size_t count = 0;
    for (size_t i = 0; i < manifest->count; i++)
        if (manifest->shards[i].kind == SHARD_EXPERT)
            out[count++] = &manifest->shards[i];
    if (count > 0)
        qsort(out, count, sizeof(const struct shard *), shard_order);
    return count;
}

static void group(const struct manifest *manifest, const struct shard *const *sorted, size_t count,
                  struct model_experts *out)
{
    for (size_t i = 0; i < count; i++) {
        const struct shard *shard = sorted[i];
        struct model_expert *last = out->count > 0 ? &out->items[out->count - 1] : NULL;
        out->shards[i] = (size_t)(shard - manifest->shards);
        if (last == NULL || expert_order(last->id, shard->expert) != 0) {
            last = &out->items[out->count++];
            *last = (struct model_expert){.id = shard->expert, .shards = &out->shards[i]};
        }
        last->size_bytes += shard->size;
        last->shard_count++;
    }
}

/* What a file holds of an expert is one shard. By file, because few experts lie in more than one,
 * but a bad manifest may say that all shards are of one expert. */
static int name_order(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static lethe_result check_files(const struct manifest *manifest, const struct model_expert *expert,
                                const char **names, struct lethe_error *err)
{
    for (size_t i = 0; i < expert->shard_count; i++)
        names[i] = manifest->shards[expert->shards[i]].name;
    qsort(names, expert->shard_count, sizeof *names, name_order);
    for (size_t i = 1; i < expert->shard_count; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            return error_set(err, LETHE_MALFORMED,
                             "field 'expert': two shards of one file are of expert %" PRIu64
                             " of layer %" PRIu64,
                             expert->id.index, expert->id.layer);
    return LETHE_OK;
}

static lethe_result find(const struct manifest *manifest, struct model_experts *experts,
                         struct lethe_error *err)
{
    CLEANUP(memory_free) const struct shard **sorted = calloc(manifest->count, sizeof *sorted);
    CLEANUP(memory_free) const char **names = calloc(manifest->count, sizeof *names);
    experts->items = calloc(manifest->count, sizeof *experts->items);
    experts->shards = calloc(manifest->count, sizeof *experts->shards);
    if (sorted == NULL || names == NULL || experts->items == NULL || experts->shards == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for the experts of a model");
    group(manifest, sorted, collect(manifest, sorted), experts);
    for (size_t i = 0; i < experts->count; i++)
        TRY(check_files(manifest, &experts->items[i], names, err));
    return LETHE_OK;
}

lethe_result model_experts_find(const struct manifest *manifest, struct model_experts *out,
                                struct lethe_error *err)
{
    *out = (struct model_experts){0};
    lethe_result result = find(manifest, out, err);
    if (result != LETHE_OK)
        model_experts_clear(out);
    return result;
}

static int id_order(const void *id, const void *expert)
{
    return expert_order(*(const struct expert_id *)id, ((const struct model_expert *)expert)->id);
}

const struct model_expert *model_expert_at(const struct model_experts *experts, struct expert_id id)
{
    return experts->count == 0
               ? NULL
               : bsearch(&id, experts->items, experts->count, sizeof *experts->items, id_order);
}
