/* The table that a model asks, over HTTP: ensure, wrap, unwrap, newest. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "kms/client_core.h"
#include "kms/transit.h"

/* ---- paths and bodies ------------------------------------------------------------------------ */

/* None that is valid needs encoding. */
lethe_result client_key_path(const char *before, const char *key, char path[CLIENT_PATH_SIZE],
                             struct lethe_error *err)
{
    enum key_kind kind;
    TRY(key_name_check(key, &kind, err));
    if (kind != KEY_ENCRYPTION)
        return error_set(err, LETHE_INVALID, "%s is not the name of an encryption key", key);
    int length = snprintf(path, CLIENT_PATH_SIZE, "%s%s", before, key);
    REQUIRE(length > 0 && length < (int)CLIENT_PATH_SIZE);
    return LETHE_OK;
}

void client_put_use(struct guarded *out, const struct key_use *use)
{
    client_put_base64(out, "associated_data", use->aad, use->aad_bytes);
    client_put_text(out, "purpose", use->purpose);
    client_put_number(out, "release", use->release);
    client_put_text(out, "shard", use->shard != NULL ? use->shard : "");
}

/* ---- ensure ---------------------------------------------------------------------------------- */

/* Who may use keys but not make them asks whether it is there. */
static lethe_result source_ensure(void *context, const char *key, struct lethe_error *err)
{
    struct kms_client *client = context;
    char path[CLIENT_PATH_SIZE];
    struct json_piece answer;
    unsigned status;
    TRY(client_key_path("transit/keys/", key, path, err));
    guarded_wipe(&client->request);
    client_put_open(&client->request, NULL, '{');
    client_put_text(&client->request, "type", "aes256-gcm96");
    client_put_close(&client->request, '}');
    lethe_result result = client_post(client, path, &status, &answer, err);
    if (result == LETHE_DENIED && client_get(client, path, &answer, NULL) == LETHE_OK)
        result = LETHE_OK;
    client_wipe(client);
    return result;
}

/* ---- wrap ------------------------------------------------------------------------------------ */

static lethe_result source_wrap(void *context, const struct key_use *use,
                                const struct lethe_secret *data_key, struct buffer *wrapped,
                                struct lethe_error *err)
{
    struct kms_client *client = context;
    struct guarded *request = &client->request;
    char path[CLIENT_PATH_SIZE];
    struct json_piece answer;
    unsigned status;
    TRY(client_key_path("transit/encrypt/", use->key, path, err));
    guarded_wipe(request);
    client_put_open(request, NULL, '{');
    client_put_base64(request, "plaintext", lethe_secret_bytes_const(data_key),
                      lethe_secret_size(data_key));
    client_put_use(request, use);
    client_put_close(request, '}');
    lethe_result result = client_post(client, path, &status, &answer, err);
    if (result == LETHE_OK)
        result = client_answer_vault(&answer, "data/ciphertext", wrapped, NULL, err);
    client_wipe(client);
    return result;
}

/* ---- unwrap ---------------------------------------------------------------------------------- */

static lethe_result ask_for_key(struct kms_client *client, const char *path,
                                const struct key_use *use, const char *wrapped,
                                struct lethe_secret **data_key, struct lethe_error *err)
{
    struct guarded *request = &client->request;
    struct json_piece answer;
    unsigned status;
    guarded_wipe(request);
    client_put_open(request, NULL, '{');
    client_put_text(request, "ciphertext", wrapped);
    client_put_use(request, use);
    client_put_close(request, '}');
    TRY(client_post(client, path, &status, &answer, err));
    return client_answer_secret(&answer, "data/plaintext", data_key, err);
}

/* "Bad request" and "denied" may be about the key, of which the service says more elsewhere. */
lethe_result client_explain(struct kms_client *client, const struct key_use *use, uint64_t version,
                            lethe_result refused, struct lethe_error *err)
{
    struct lethe_error why = {0};
    lethe_result usable = LETHE_OK;
    if (refused != LETHE_INVALID && refused != LETHE_DENIED && refused != LETHE_NOT_FOUND)
        return refused;
    if (strcmp(use->purpose, KEY_PURPOSE_REENCRYPT) != 0)
        usable = client_ask_usable(client, use->key, version, &why);
    if (usable == LETHE_NOT_FOUND || (usable == LETHE_REVOKED && refused == LETHE_INVALID) ||
        (usable == LETHE_REVOKED && why.hint[0] == '\0')) {
        if (err != NULL)
            *err = why;
        return usable;
    }
    if (refused != LETHE_INVALID)
        return refused;
    if (err != NULL)
        err->code = LETHE_INTEGRITY;
    return LETHE_INTEGRITY;
}

static bool was_refused(const struct kms_client *client, const struct key_use *use)
{
    const struct client_refusal *refusal = &client->refusal;
    return strcmp(refusal->key, use->key) == 0 && strcmp(refusal->purpose, use->purpose) == 0 &&
           refusal->release == use->release &&
           clock_monotonic_ns(&clock_system) - refusal->at_ns <
               CLIENT_REFUSAL_MS * UINT64_C(1000000);
}

/* By evidence of this machine. */
static lethe_result release_one(struct kms_client *client, const struct key_use *use,
                                const char *wrapped, struct lethe_secret **data_key,
                                struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *opened = NULL;
    const struct key_unwrap item = {.use = *use, .wrapped = wrapped, .data_key = &opened};
    const struct client_shards shards = {.items = &item, .count = 1};
    if (was_refused(client, use)) {
        if (err != NULL)
            *err = client->refusal.error;
        return LETHE_DENIED;
    }
    TRY(client_release(client, &shards, err));
    TRY(client_cache_keep(client, use, wrapped, opened, err));
    *data_key = MOVE(opened);
    return LETHE_OK;
}

static lethe_result source_unwrap(void *context, const struct key_use *use, const char *wrapped,
                                  struct lethe_secret **data_key, struct lethe_error *err)
{
    struct kms_client *client = context;
    uint64_t version;
    char path[CLIENT_PATH_SIZE];
    *data_key = NULL;
    TRY(client_key_path("transit/decrypt/", use->key, path, err));
    TRY(transit_version(wrapped, &version, err));
    lethe_result result = client_cache_find(client, use, wrapped, data_key, err);
    if (result != LETHE_NOT_FOUND)
        return result;
    if (client_releases(client, use))
        return release_one(client, use, wrapped, data_key, err);
    CLEANUP(lethe_secret_free) struct lethe_secret *opened = NULL;
    result = ask_for_key(client, path, use, wrapped, &opened, err);
    client_wipe(client);
    if (result != LETHE_OK)
        return client_explain(client, use, version, result, err);
    TRY(client_cache_keep(client, use, wrapped, opened, err));
    *data_key = MOVE(opened);
    return LETHE_OK;
}

/* ---- newest ---------------------------------------------------------------------------------- */

static lethe_result source_newest(void *context, const char *key, uint64_t *version,
                                  struct lethe_error *err)
{
    struct kms_client *client = context;
    char path[CLIENT_PATH_SIZE];
    struct json_piece answer;
    TRY(client_key_path("transit/keys/", key, path, err));
    lethe_result result = client_get(client, path, &answer, err);
    if (result == LETHE_OK)
        result = client_answer_number(&answer, "data/latest_version", version, err);
    client_wipe(client);
    return result;
}

void client_keys_init(struct kms_client *client)
{
    client->source = (struct key_source){
        .ensure = source_ensure,
        .wrap = source_wrap,
        .wrap_all = client_wrap_all,
        .unwrap = source_unwrap,
        .unwrap_all = client_unwrap_all,
        .rewrap = client_rewrap,
        .newest = source_newest,
        .sign = client_sign,
        .signer = client_signer,
        .context = client,
    };
}
