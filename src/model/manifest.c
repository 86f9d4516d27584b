#include "model/manifest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"

/* ---- words ----------------------------------------------------------------------------------- */

static const char *const tiers[] = {
    [TIER_HOT] = "hot", [TIER_WARM] = "warm", [TIER_COLD] = "cold", [TIER_ARCHIVE] = "archive"};

static const char *const kinds[] = {
    [SHARD_WEIGHTS] = "weights", [SHARD_ROUTER] = "router",       [SHARD_DENSE] = "dense",
    [SHARD_EXPERT] = "expert",   [SHARD_OPTIMIZER] = "optimizer", [SHARD_OTHER] = "other",
};

static lethe_result word_index(const char *const *words, size_t count, const char *text,
                               size_t *out)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(words[i], text) != 0)
            continue;
        *out = i;
        return LETHE_OK;
    }
    return LETHE_INVALID;
}

const char *tier_name(enum tier tier)
{
    REQUIRE((size_t)tier < ARRAY_LEN(tiers));
    return tiers[tier];
}

lethe_result tier_parse(const char *text, enum tier *out)
{
    size_t index;
    TRY(word_index(tiers, ARRAY_LEN(tiers), text, &index));
    *out = (enum tier)index;
    return LETHE_OK;
}

const char *shard_kind_name(enum shard_kind kind)
{
    REQUIRE((size_t)kind < ARRAY_LEN(kinds));
    return kinds[kind];
}

lethe_result shard_kind_parse(const char *text, enum shard_kind *out)
{
    size_t index;
    TRY(word_index(kinds, ARRAY_LEN(kinds), text, &index));
    *out = (enum shard_kind)index;
    return LETHE_OK;
}

/* ---- storage --------------------------------------------------------------------------------- */

static void shard_clear(struct shard *shard)
{
    free(shard->id);
    free(shard->file);
    free(shard->name);
    free(shard->key);
    free(shard->wrapped_key);
    extent_list_clear(&shard->extents);
    tensor_list_clear(&shard->tensors);
}

void manifest_free(struct manifest *manifest)
{
    if (manifest == NULL)
        return;
    for (size_t i = 0; i < manifest->count; i++)
        shard_clear(&manifest->shards[i]);
    free(manifest->shards);
    model_files_clear(&manifest->files);
    model_experts_clear(&manifest->experts);
    free(manifest->tenant);
    free(manifest->model);
    free(manifest->created);
    free(manifest);
}

/* ---- one release on -------------------------------------------------------------------------- */

lethe_result manifest_next_release(const void *json, size_t size_bytes, const char *created,
                                   struct manifest **out, struct lethe_error *err)
{
    CLEANUP(manifest_free) struct manifest *manifest = NULL;
    *out = NULL;
    TRY(manifest_parse(json, size_bytes, &manifest, err));
    if (manifest->release >= JSON_INTEGER_MAX)
        return error_set(err, LETHE_LIMIT, "no release number is left behind %" PRIu64,
                         manifest->release);
    manifest->release++;
    free(manifest->created);
    manifest->created = strdup(created);
    if (manifest->created == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a manifest");
    *out = MOVE(manifest);
    return LETHE_OK;
}

uint64_t wrapped_key_version(const char *wrapped)
{
    uint64_t version;
    return sscanf(wrapped, "vault:v%" SCNu64 ":", &version) == 1 ? version : 0;
}

/* ---- associated data ------------------------------------------------------------------------- */

static void append_prefixed(struct buffer *out, const char *text)
{
    buffer_prefixed(out, text, strlen(text));
}

void manifest_shard_aad(const struct manifest *manifest, const struct shard *shard,
                        struct buffer *out)
{
    char size[sizeof "18446744073709551615"];
    snprintf(size, sizeof size, "%llu", (unsigned long long)shard->size);
    append_prefixed(out, "lethe-shard/1");
    append_prefixed(out, manifest->tenant);
    append_prefixed(out, manifest->model);
    append_prefixed(out, shard->id);
    append_prefixed(out, tier_name(shard->tier));
    append_prefixed(out, size);
}
