/* How far a rotation has come: what a model's data keys lie under, for the service to add up. */
#include <stdio.h>

#include "kms/client_core.h"
#include "kms/keyring.h"

#define COUNTS_MAX 64u /* of versions in one report: as the service takes */

static void put_counts(struct guarded *request, const char *model,
                       const struct kms_client_count *counts, size_t count)
{
    client_put_open(request, NULL, '{');
    client_put_text(request, "model", model);
    client_put_open(request, "counts", '[');
    for (size_t i = 0; i < MIN(count, (size_t)COUNTS_MAX); i++) {
        client_put_open(request, NULL, '{');
        client_put_number(request, "version", counts[i].version);
        client_put_number(request, "shards", counts[i].shards);
        client_put_close(request, '}');
    }
    client_put_close(request, ']');
    client_put_close(request, '}');
}

void kms_client_report(struct kms_client *client, const char *key, const char *model,
                       const struct kms_client_count *counts, size_t count)
{
    char path[CLIENT_PATH_SIZE];
    struct json_piece answer;
    unsigned status;
    enum key_kind kind;
    const struct client_ask ask = {
        .method = HTTP_POST, .path = path, .timeout_ms = CLIENT_CHECK_TIMEOUT_MS};
    if (client->speaks_transit_only || key_name_check(key, &kind, NULL) != LETHE_OK)
        return;
    snprintf(path, sizeof path, "lethe/keys/%s/usage", key);
    guarded_wipe(&client->request);
    put_counts(&client->request, model, counts, count);
    (void)!client_ask(client, &ask, &status, &answer, NULL);
    client_wipe(client);
}
