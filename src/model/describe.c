#include "model/describe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "model/array.h"
#include "model/split.h"
#include "model/tink.h"

static lethe_result no_memory(struct lethe_error *err)
{
    return error_set(err, LETHE_NO_MEMORY, "no memory for a manifest");
}

void description_clear(struct description *description)
{
    manifest_free(description->manifest);
    free(description->source_of);
    *description = (struct description){0};
}

/* ---- the model ------------------------------------------------------------------------------- */

/* "dir/llama-3.1.Q4_K.gguf" is "llama-3-1-Q4_K", the directory "llama-3.1" is "llama-3-1". */
static void model_name_from(const char *path, char out[NAME_PART_MAX + 1])
{
    CLEANUP(memory_free) char *resolved = realpath(path, NULL);
    const char *base = basename(resolved != NULL ? resolved : path);
    struct stat status;
    bool is_file = stat(path, &status) == 0 && S_ISREG(status.st_mode);
    const char *suffix = is_file ? strrchr(base, '.') : NULL;
    size_t length = suffix != NULL && suffix != base ? (size_t)(suffix - base) : strlen(base);
    length = MIN(length, NAME_PART_MAX);
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
    for (size_t i = 0; i < length; i++)
        out[i] = strchr(letters, base[i]) != NULL ? base[i] : '-';
    out[length] = '\0';
    if (length == 0)
        strcpy(out, "model");
}

static lethe_result name_manifest(const struct encrypt_options *options, struct manifest *manifest,
                                  struct lethe_error *err)
{
    char model[NAME_PART_MAX + 1];
    char created[TIME_TEXT_SIZE];
    if (options->model == NULL)
        model_name_from(options->sources[0], model);
    time_text_s(clock_wall_ns(options->clock), created);
    manifest->release = 1;
    manifest->tenant = strdup(options->tenant);
    manifest->model = strdup(options->model != NULL ? options->model : model);
    manifest->created = strdup(created);
    if (manifest->tenant == NULL || manifest->model == NULL || manifest->created == NULL)
        return no_memory(err);
    return LETHE_OK;
}

/* ---- its shards ------------------------------------------------------------------------------ */

/* Behind all others, and empty. */
static lethe_result add_shard(struct description *d, size_t source, struct lethe_error *err)
{
    struct manifest *manifest = d->manifest;
    if (manifest->count == MANIFEST_SHARDS_MAX)
        return error_set(err, LETHE_LIMIT, "more than %u shards", MANIFEST_SHARDS_MAX);
    size_t *source_of =
        array_grow(d->source_of, manifest->count, &d->source_capacity, sizeof *source_of);
    if (source_of != NULL)
        d->source_of = source_of;
    struct shard *shards =
        array_grow(manifest->shards, manifest->count, &d->shard_capacity, sizeof *shards);
    if (shards != NULL)
        manifest->shards = shards;
    if (source_of == NULL || shards == NULL)
        return no_memory(err);
    source_of[manifest->count] = source;
    shards[manifest->count++] = (struct shard){0};
    return LETHE_OK;
}

static lethe_result size_shard(const struct source *source, struct shard *shard,
                               struct lethe_error *err)
{
    shard->size = shard->extents.count > 0 ? extent_list_bytes(&shard->extents)
                                           : (uint64_t)source->status.st_size;
    if (shard->size <= JSON_INTEGER_MAX &&
        tink_cipher_size(&tink_shard_parameters, shard->size, &shard->cipher_size) == LETHE_OK)
        return LETHE_OK;
    return error_set(err, LETHE_LIMIT, "%s is too large for a shard", source->path);
}

/* The part is moved, or what is left of it is cleared by its owner. */
static lethe_result describe_part(struct description *d, size_t index, const struct source *source,
                                  struct split_part *part, struct lethe_error *err)
{
    TRY(add_shard(d, index, err));
    struct shard *shard = &d->manifest->shards[d->manifest->count - 1];
    shard->kind = part->kind;
    shard->expert = part->expert;
    shard->extents = part->extents;
    shard->tensors = part->tensors;
    part->extents = (struct extent_list){0}; /* moved */
    part->tensors = (struct tensor_list){0}; /* moved */
    return size_shard(source, shard, err);
}

static lethe_result describe_whole(struct description *d, size_t index, struct source *source,
                                   struct lethe_error *err)
{
    struct split_part whole = {.kind = source->kind, .tensors = source->tensors};
    source->tensors = (struct tensor_list){0}; /* moved */
    lethe_result result = describe_part(d, index, source, &whole, err);
    tensor_list_clear(&whole.tensors);
    return result;
}

/* An optimizer's state has the names of the weights, but nobody loads an expert of it. */
static lethe_result describe_source(struct description *d, size_t index, struct source *source,
                                    bool split_it, struct lethe_error *err)
{
    CLEANUP(split_clear) struct split split = {0};
    if (split_it && source->kind == SHARD_WEIGHTS)
        TRY(error_context(
            err, split_experts(&source->tensors, (uint64_t)source->status.st_size, &split, err),
            "%s", source->path));
    if (split.count == 0)
        return describe_whole(d, index, source, err);
    d->split_files++;
    for (size_t i = 0; i < split.count; i++)
        TRY(describe_part(d, index, source, &split.items[i], err));
    return LETHE_OK;
}

static lethe_result name_shard(const struct source *source, const struct manifest *manifest,
                               struct shard *shard, int id_digits, struct lethe_error *err)
{
    size_t index = (size_t)(shard - manifest->shards);
    shard->name = strdup(source->name);
    if (shard->name == NULL || asprintf(&shard->id, "%0*zu", id_digits, index) < 0 ||
        asprintf(&shard->file, SHARD_DIRECTORY "/%s.tink", shard->id) < 0 ||
        asprintf(&shard->key, "%s.%s.%s", manifest->tenant, manifest->model,
                 tier_name(shard->tier)) < 0)
        return no_memory(err);
    return LETHE_OK;
}

static lethe_result describe(const struct encrypt_options *options, struct source_list *sources,
                             struct description *d, struct lethe_error *err)
{
    struct manifest *manifest = d->manifest = calloc(1, sizeof *d->manifest);
    if (manifest == NULL)
        return no_memory(err);
    TRY(name_manifest(options, manifest, err));
    for (size_t i = 0; i < sources->count; i++)
        TRY(describe_source(d, i, &sources->items[i], options->split == SPLIT_EXPERTS, err));
    int id_digits = MAX(4, snprintf(NULL, 0, "%zu", manifest->count - 1));
    for (size_t i = 0; i < manifest->count; i++) {
        manifest->shards[i].tier = options->tier;
        TRY(name_shard(&sources->items[d->source_of[i]], manifest, &manifest->shards[i], id_digits,
                       err));
    }
    return LETHE_OK;
}

lethe_result describe_sources(const struct encrypt_options *options, struct source_list *sources,
                              struct description *out, struct lethe_error *err)
{
    *out = (struct description){0};
    lethe_result result = describe(options, sources, out, err);
    if (result != LETHE_OK)
        description_clear(out);
    return result;
}
