/* What a model's data keys lie under, said to the key service: a rotation is over when nobody says
 * that anything needs the old version. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "home/home.h"

#define VERSIONS_MAX 64u
#define MODEL_NAME_MAX 512u

/* Of one key, of which a model has one for each tier. */
struct tally {
    const char *key;
    struct kms_client_count counts[VERSIONS_MAX];
    size_t count;
};

static void add(struct tally *tally, uint64_t version)
{
    size_t i = 0;
    while (i < tally->count && tally->counts[i].version != version)
        i++;
    if (i == VERSIONS_MAX)
        return;
    if (i == tally->count)
        tally->counts[tally->count++] = (struct kms_client_count){.version = version};
    tally->counts[i].shards++;
}

/* "NODE:/PATH": copies on other machines, and in other places, are rotated each for itself. */
static bool name_of(const struct home *home, const struct model *model,
                    char name[MODEL_NAME_MAX + 1])
{
    char *path = realpath(model_path(model), NULL);
    int length = path == NULL ? -1 : snprintf(name, MODEL_NAME_MAX + 1, "%s:%s", home->node, path);
    free(path);
    return length > 0 && length <= (int)MODEL_NAME_MAX;
}

void home_report_usage(struct home *home, const struct model *model)
{
    const struct manifest *manifest = model_manifest(model);
    struct tally tallies[TIER_COUNT] = {0};
    char name[MODEL_NAME_MAX + 1];
    if (home->client == NULL || !name_of(home, model, name))
        return;
    for (size_t i = 0; i < manifest->count; i++) {
        const struct shard *shard = &manifest->shards[i];
        tallies[shard->tier].key = shard->key;
        add(&tallies[shard->tier], shard->key_version);
    }
    for (size_t i = 0; i < TIER_COUNT; i++) {
        if (tallies[i].key != NULL)
            kms_client_report(home->client, tallies[i].key, name, tallies[i].counts,
                              tallies[i].count);
    }
}

void home_report_usage_at(struct home *home, const char *path)
{
    CLEANUP(model_close) struct model *model = NULL;
    if (home->client != NULL && model_open(path, &model, NULL) == LETHE_OK)
        home_report_usage(home, model);
}
