/* Data keys wrapped anew by the service, many in one call: all of them, or none. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "kms/client_core.h"

#define BATCH_MAX 1000u /* a body of some hundred KiB, and one group of records of our service */

/* Items of one key, of which one call takes up to BATCH_MAX. */
struct batch {
    const struct key_rewrap *items;
    size_t count; /* of all items */
    size_t begin; /* the first that is not done */
    const char *key;
};

/* Whether an item belongs to the batch: it is of the batch's key. */
static bool is_in(const struct batch *batch, size_t i)
{
    return strcmp(batch->items[i].use.key, batch->key) == 0;
}

/* Puts the items from `begin` on; gives where the next call begins. */
static size_t put_items(struct guarded *request, const struct batch *batch)
{
    size_t taken = 0;
    size_t i = batch->begin;
    client_put_open(request, NULL, '{');
    client_put_open(request, "batch_input", '[');
    for (; i < batch->count && taken < BATCH_MAX; i++) {
        if (!is_in(batch, i))
            continue;
        client_put_open(request, NULL, '{');
        client_put_text(request, "ciphertext", batch->items[i].wrapped);
        client_put_use(request, &batch->items[i].use);
        client_put_close(request, '}');
        taken++;
    }
    client_put_close(request, ']');
    client_put_close(request, '}');
    return i;
}

static lethe_result read_item(const struct json_piece *result, const struct key_rewrap *item,
                              struct lethe_error *err)
{
    struct json_piece error;
    CLEANUP(buffer_clear) struct buffer text = {0};
    if (json_piece_find(result, "error", &error) != LETHE_OK || error.kind == JSON_PIECE_NULL ||
        json_piece_is(&error, ""))
        return client_answer_vault(result, "ciphertext", item->rewrapped, NULL, err);
    TRY(client_answer_text(result, "error", &text, err));
    return error_set(err, LETHE_INTEGRITY, "shard %s: the key service cannot open its wrapped key",
                     item->use.shard != NULL ? item->use.shard : "");
}

static lethe_result read_items(const struct json_piece *answer, const struct batch *batch,
                               size_t end, struct lethe_error *err)
{
    struct json_walk walk;
    struct json_piece result;
    TRY(client_results(answer, &walk, err));
    for (size_t i = batch->begin; i < end; i++) {
        if (!is_in(batch, i))
            continue;
        TRY(client_results_next(&walk, &result, err));
        TRY(read_item(&result, &batch->items[i], err));
    }
    return client_results_end(&walk, err);
}

static lethe_result rewrap_key(struct kms_client *client, struct batch *batch,
                               struct lethe_error *err)
{
    char path[CLIENT_PATH_SIZE];
    struct json_piece answer;
    unsigned status;
    enum key_kind kind;
    TRY(key_name_check(batch->key, &kind, err));
    snprintf(path, sizeof path, "transit/rewrap/%s", batch->key);
    while (batch->begin < batch->count) {
        guarded_wipe(&client->request);
        size_t end = put_items(&client->request, batch);
        TRY(client_post(client, path, &status, &answer, err));
        TRY(read_items(&answer, batch, end, err));
        for (batch->begin = end; batch->begin < batch->count; batch->begin++) {
            if (is_in(batch, batch->begin))
                break;
        }
    }
    return LETHE_OK;
}

/* Whether an earlier item has the same key, which was done with that one. */
static bool is_done(const struct key_rewrap *items, size_t i)
{
    for (size_t j = 0; j < i; j++) {
        if (strcmp(items[j].use.key, items[i].use.key) == 0)
            return true;
    }
    return false;
}

static lethe_result rewrap_all(struct kms_client *client, const struct key_rewrap *items,
                               size_t count, struct lethe_error *err)
{
    for (size_t i = 0; i < count; i++) {
        struct batch batch = {items, count, i, items[i].use.key};
        if (!is_done(items, i))
            TRY(rewrap_key(client, &batch, err));
    }
    return LETHE_OK;
}

lethe_result client_rewrap(void *context, const struct key_rewrap *items, size_t count,
                           struct lethe_error *err)
{
    struct kms_client *client = context;
    lethe_result result = rewrap_all(client, items, count, err);
    client_wipe(client);
    for (size_t i = 0; result != LETHE_OK && i < count; i++)
        buffer_truncate(items[i].rewrapped, 0);
    return result;
}
