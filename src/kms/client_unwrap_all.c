/* Data keys opened by the service, many in one call: all of them, or none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "kms/client_core.h"
#include "kms/transit.h"

#define BATCH_MAX 256u /* keys that come together in one answer */

/* Items that one call can take: of one key, one release, for one purpose. */
struct batch {
    const struct key_unwrap *items;
    size_t count;  /* of all items */
    size_t first;  /* which says for what */
    size_t *taken; /* of `room` */
    size_t room;
    size_t taken_count;
};

static bool fits(const struct key_use *use, const struct key_use *first)
{
    return strcmp(use->key, first->key) == 0 && strcmp(use->purpose, first->purpose) == 0 &&
           use->release == first->release;
}

/* Those that have no key yet, and belong together. */
static void choose(struct batch *batch, size_t room)
{
    const struct key_use *first = &batch->items[batch->first].use;
    size_t bytes = 0;
    batch->taken_count = 0;
    for (size_t i = batch->first; i < batch->count && batch->taken_count < room; i++) {
        if (*batch->items[i].data_key != NULL || !fits(&batch->items[i].use, first))
            continue;
        bytes += client_shard_bytes(&batch->items[i]);
        if (batch->taken_count > 0 && bytes > CLIENT_SHARD_BYTES_MAX)
            break;
        batch->taken[batch->taken_count++] = i;
    }
}

static void put(struct guarded *request, const struct batch *batch)
{
    const struct key_use *first = &batch->items[batch->first].use;
    client_put_open(request, NULL, '{');
    client_put_text(request, "purpose", first->purpose);
    client_put_number(request, "release", first->release);
    client_put_open(request, "batch_input", '[');
    for (size_t i = 0; i < batch->taken_count; i++) {
        const struct key_unwrap *item = &batch->items[batch->taken[i]];
        client_put_open(request, NULL, '{');
        client_put_text(request, "ciphertext", item->wrapped);
        client_put_base64(request, "associated_data", item->use.aad, item->use.aad_bytes);
        client_put_text(request, "shard", item->use.shard != NULL ? item->use.shard : "");
        client_put_close(request, '}');
    }
    client_put_close(request, ']');
    client_put_close(request, '}');
}

static lethe_result read_item(struct kms_client *client, const struct json_piece *result,
                              const struct key_unwrap *item, struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *opened = NULL;
    TRY(client_answer_secret(result, "plaintext", &opened, err));
    TRY(client_cache_keep(client, &item->use, item->wrapped, opened, err));
    *item->data_key = MOVE(opened);
    return LETHE_OK;
}

static lethe_result read_items(struct kms_client *client, const struct json_piece *answer,
                               const struct batch *batch, struct lethe_error *err)
{
    struct json_walk walk;
    struct json_piece result;
    TRY(client_results(answer, &walk, err));
    for (size_t i = 0; i < batch->taken_count; i++) {
        TRY(client_results_next(&walk, &result, err));
        TRY(read_item(client, &result, &batch->items[batch->taken[i]], err));
    }
    return client_results_end(&walk, err);
}

static lethe_result release_many(struct kms_client *client, const struct client_shards *shards,
                                 struct lethe_error *err)
{
    struct lethe_error why = {0};
    struct client_refusal *refusal = &client->refusal;
    const struct key_use *use = &shards->items[shards->taken[0]].use;
    *refusal = (struct client_refusal){0};
    lethe_result result = client_release(client, shards, &why);
    if (result == LETHE_DENIED) {
        snprintf(refusal->key, sizeof refusal->key, "%s", use->key);
        snprintf(refusal->purpose, sizeof refusal->purpose, "%s", use->purpose);
        refusal->release = use->release;
        refusal->at_ns = clock_monotonic_ns(&clock_system);
        refusal->error = why;
    }
    if (result != LETHE_OK && err != NULL)
        *err = why;
    return result;
}

/* By evidence of this machine: one piece of it for all of them. */
static lethe_result ask_release(struct kms_client *client, struct batch *batch,
                                struct lethe_error *err)
{
    choose(batch, batch->room);
    const struct client_shards shards = {batch->items, batch->taken, batch->taken_count};
    TRY(release_many(client, &shards, err));
    for (size_t i = 0; i < batch->taken_count; i++) {
        const struct key_unwrap *item = &batch->items[batch->taken[i]];
        TRY(client_cache_keep(client, &item->use, item->wrapped, *item->data_key, err));
    }
    return LETHE_OK;
}

static lethe_result ask(struct kms_client *client, struct batch *batch, struct lethe_error *err)
{
    char path[CLIENT_PATH_SIZE];
    struct json_piece answer;
    unsigned status;
    if (client_releases(client, &batch->items[batch->first].use))
        return ask_release(client, batch, err);
    TRY(client_key_path("transit/decrypt/", batch->items[batch->first].use.key, path, err));
    choose(batch, MIN(batch->room, (size_t)BATCH_MAX));
    guarded_wipe(&client->request);
    put(&client->request, batch);
    TRY(client_post(client, path, &status, &answer, err));
    return read_items(client, &answer, batch, err);
}

/* What is kept is not asked for. */
static lethe_result find_kept(struct kms_client *client, const struct key_unwrap *item,
                              struct lethe_error *err)
{
    uint64_t version;
    TRY(transit_version(item->wrapped, &version, err));
    lethe_result result = client_cache_find(client, &item->use, item->wrapped, item->data_key, err);
    return result == LETHE_NOT_FOUND ? LETHE_OK : result;
}

static lethe_result unwrap_all(struct kms_client *client, struct batch *batch,
                               struct lethe_error *err)
{
    for (size_t i = 0; i < batch->count; i++)
        TRY(find_kept(client, &batch->items[i], err));
    for (; batch->first < batch->count; batch->first++) {
        if (*batch->items[batch->first].data_key == NULL)
            TRY(ask(client, batch, err));
    }
    return LETHE_OK;
}

lethe_result client_unwrap_all(void *context, const struct key_unwrap *items, size_t count,
                               struct lethe_error *err)
{
    struct kms_client *client = context;
    struct batch batch = {
        .items = items, .count = count, .room = MIN(count, (size_t)CLIENT_RELEASE_MAX)};
    for (size_t i = 0; i < count; i++)
        *items[i].data_key = NULL;
    batch.taken = calloc(MAX(batch.room, (size_t)1), sizeof *batch.taken);
    lethe_result result = batch.taken != NULL
                              ? unwrap_all(client, &batch, err)
                              : error_set(err, LETHE_NO_MEMORY, "no memory for a list of keys");
    free(batch.taken);
    client_wipe(client);
    for (size_t i = 0; result != LETHE_OK && i < count; i++) {
        lethe_secret_free(*items[i].data_key);
        *items[i].data_key = NULL;
    }
    return result;
}
