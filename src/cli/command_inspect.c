#include <stdio.h>

#include "base/error.h"
#include "base/text.h"
#include "cli/common.h"

/* "expert 17 of layer 3", or the kind alone. */
static void describe_kind(const struct shard *shard, char out[64])
{
    if (shard->kind != SHARD_EXPERT)
        snprintf(out, 64, "%s", shard_kind_name(shard->kind));
    else
        snprintf(out, 64, "%s %llu of layer %llu", shard_kind_name(shard->kind),
                 (unsigned long long)shard->expert.index, (unsigned long long)shard->expert.layer);
}

static void print_shard(const struct shard *shard)
{
    char kind[64];
    describe_kind(shard, kind);
    char size[BYTES_TEXT_SIZE];
    char digest[TREE_DIGEST_TEXT_SIZE];
    bytes_text(shard->size, size);
    tree_digest_text(shard->digest, digest);
    printf("\n  %s  %s\n    %s, %s tier, %s, %zu tensors, %s\n", shard->id, shard->name, kind,
           tier_name(shard->tier), size, shard->tensors.count,
           model_file_type_name(shard->tensors.type));
    if (shard->extents.count > 0)
        printf("    %zu part%s of the file, from byte %llu on\n", shard->extents.count,
               shard->extents.count == 1 ? "" : "s",
               (unsigned long long)shard->extents.items[0].begin);
    printf("    key %s version %llu\n    %s\n", shard->key, (unsigned long long)shard->key_version,
           digest);
}

static void print_text(const struct model *model)
{
    const struct manifest *manifest = model_manifest(model);
    char size[BYTES_TEXT_SIZE];
    bytes_text(model_plain_bytes(model), size);
    printf("%s: model '%s' of tenant '%s', release %llu, made %s\n"
           "%zu file%s in %zu shard%s, %s in plain; signature not checked here: lethe verify\n",
           model_path(model), manifest->model, manifest->tenant,
           (unsigned long long)manifest->release, manifest->created, manifest->files.count,
           manifest->files.count == 1 ? "" : "s", manifest->count, manifest->count == 1 ? "" : "s",
           size);
    for (size_t i = 0; i < manifest->count; i++)
        print_shard(&manifest->shards[i]);
}

COMMAND_FUNCTION(inspect)
{
    CLEANUP(model_close) struct model *model = NULL;
    TRY(model_open(invocation->positional[0], &model, err));
    if (!option_given(invocation, "json")) {
        print_text(model);
        return LETHE_OK;
    }
    CLEANUP(buffer_clear) struct buffer json = {0};
    TRY(manifest_write(model_manifest(model), &json, err));
    fwrite(json.bytes, 1, json.size_bytes, stdout);
    return LETHE_OK;
}
