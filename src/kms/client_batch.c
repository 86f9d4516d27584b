/* Many items to the service in few calls: all of them, or none. What each gives is "ciphertext". */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "kms/client_core.h"

#define BATCH_MAX 1000u /* a body of some hundred KiB, and one group of records of our service */

/* Items of one key, of which one call takes up to BATCH_MAX. */
struct run {
    const struct client_batch *batch;
    size_t begin; /* the first that is not done */
    const char *key;
};

static const char *key_of(const struct client_batch *batch, size_t i)
{
    return batch->use(batch->items, i)->key;
}

static bool is_in(const struct run *run, size_t i)
{
    return strcmp(key_of(run->batch, i), run->key) == 0;
}

/* Puts the items from `begin` on; gives where the next call begins. */
static size_t put_items(struct guarded *request, const struct run *run)
{
    const struct client_batch *batch = run->batch;
    size_t taken = 0;
    size_t i = run->begin;
    client_put_open(request, NULL, '{');
    client_put_open(request, "batch_input", '[');
    for (; i < batch->count && taken < BATCH_MAX; i++) {
        if (!is_in(run, i))
            continue;
        client_put_open(request, NULL, '{');
        batch->put(request, batch->items, i);
        client_put_use(request, batch->use(batch->items, i));
        client_put_close(request, '}');
        taken++;
    }
    client_put_close(request, ']');
    client_put_close(request, '}');
    return i;
}

static lethe_result read_item(const struct json_piece *result, const struct client_batch *batch,
                              size_t i, struct lethe_error *err)
{
    struct json_piece error;
    const char *shard = batch->use(batch->items, i)->shard;
    if (json_piece_find(result, "error", &error) != LETHE_OK || error.kind == JSON_PIECE_NULL ||
        json_piece_is(&error, ""))
        return client_answer_vault(result, "ciphertext", batch->gets(batch->items, i), NULL, err);
    return error_set(err, LETHE_INTEGRITY, "shard %s: the key service cannot %s",
                     shard != NULL ? shard : "", batch->what);
}

static lethe_result read_items(const struct json_piece *answer, const struct run *run, size_t end,
                               struct lethe_error *err)
{
    struct json_walk walk;
    struct json_piece result;
    TRY(client_results(answer, &walk, err));
    for (size_t i = run->begin; i < end; i++) {
        if (!is_in(run, i))
            continue;
        TRY(client_results_next(&walk, &result, err));
        TRY(read_item(&result, run->batch, i, err));
    }
    return client_results_end(&walk, err);
}

static lethe_result run_key(struct kms_client *client, struct run *run, struct lethe_error *err)
{
    const struct client_batch *batch = run->batch;
    char path[CLIENT_PATH_SIZE];
    struct json_piece answer;
    unsigned status;
    TRY(client_key_path(batch->path, run->key, path, err));
    while (run->begin < batch->count) {
        guarded_wipe(&client->request);
        size_t end = put_items(&client->request, run);
        TRY(client_post(client, path, &status, &answer, err));
        TRY(read_items(&answer, run, end, err));
        run->begin = end;
        while (run->begin < batch->count && !is_in(run, run->begin))
            run->begin++;
    }
    return LETHE_OK;
}

/* Whether an earlier item has the same key, which was done with that one. */
static bool is_done(const struct client_batch *batch, size_t i)
{
    for (size_t j = 0; j < i; j++) {
        if (strcmp(key_of(batch, j), key_of(batch, i)) == 0)
            return true;
    }
    return false;
}

static lethe_result run_all(struct kms_client *client, const struct client_batch *batch,
                            struct lethe_error *err)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct run run = {batch, i, key_of(batch, i)};
        if (!is_done(batch, i))
            TRY(run_key(client, &run, err));
    }
    return LETHE_OK;
}

lethe_result client_batch_run(struct kms_client *client, const struct client_batch *batch,
                              struct lethe_error *err)
{
    lethe_result result = run_all(client, batch, err);
    client_wipe(client);
    for (size_t i = 0; result != LETHE_OK && i < batch->count; i++)
        buffer_truncate(batch->gets(batch->items, i), 0);
    return result;
}
