#include "kms/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "kms/client_core.h"

#define TARGET_SIZE (HTTP_TARGET_MAX + 1)

static lethe_result copy_text(const char *text, char **out, struct lethe_error *err)
{
    free(*out);
    *out = text != NULL ? strdup(text) : NULL;
    return text == NULL || *out != NULL
               ? LETHE_OK
               : error_set(err, LETHE_NO_MEMORY, "no memory for a key service");
}

lethe_result kms_client_set_engine(struct kms_client *client, const char *json,
                                   struct lethe_error *err)
{
    return copy_text(json, &client->engine, err);
}

lethe_result kms_client_open(const struct kms_client_options *options, struct kms_client **out,
                             struct lethe_error *err)
{
    *out = NULL;
    CLEANUP(kms_client_close) struct kms_client *client = calloc(1, sizeof *client);
    if (client == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a key service");
    client->log = options->log;
    client->cache_ttl_s = options->cache_ttl_s;
    client->offline_s = options->offline_s > 0 ? options->offline_s : CLIENT_OFFLINE_S;
    client->answered_ns = clock_monotonic_ns(&clock_system);
    client->evidence = options->evidence;
    TRY(copy_text(options->service, &client->service, err));
    TRY(copy_text(options->operation, &client->operation, err));
    TRY(copy_text(options->service_machine, &client->service_machine, err));
    TRY(client_service_open(client, options, err));
    client_keys_init(client);
    TRY(error_context(err, url_parse(options->address, &client->url, err),
                      "the key service's address"));
    TRY(client_proof_open(client, options, err));
    *out = MOVE(client);
    return LETHE_OK;
}

void kms_client_close(struct kms_client *client)
{
    if (client == NULL)
        return;
    client_cache_forget(client, NULL, 0);
    client_signers_clear(client);
    client_usable_clear(client);
    http_client_free(client->http);
    client_proof_clear(&client->proof);
    lethe_secret_free(client->token);
    guarded_clear(&client->request);
    guarded_clear(&client->answer);
    free(client->service);
    free(client->operation);
    free(client->engine);
    free(client->service_reference);
    free(client->service_machine);
    free(client);
}

const struct key_source *kms_client_key_source(struct kms_client *client)
{
    return &client->source;
}

void client_wipe(struct kms_client *client)
{
    guarded_wipe(&client->request);
    guarded_wipe(&client->answer);
}

/* ---- what a status means --------------------------------------------------------------------- */

static const struct {
    unsigned from;
    unsigned to;
    lethe_result result;
    const char *hint;
} statuses[] = {
    {400, 400, LETHE_INVALID, ""},
    {401, 401, LETHE_DENIED, "it wants a token or a certificate"},
    {403, 403, LETHE_DENIED,
     "a token or certificate that is valid, and a policy, must allow it (lethe token lookup); some "
     "calls are for operators on the service's own machine: without --kms"},
    {404, 404, LETHE_NOT_FOUND, ""},
    {405, 405, LETHE_INVALID, ""},
    {412, 412, LETHE_UNAVAILABLE, ""},
    {413, 413, LETHE_LIMIT, ""},
    {414, 414, LETHE_LIMIT, ""},
    {429, 429, LETHE_UNAVAILABLE, "it is asked too often: try again later"},
    {431, 431, LETHE_LIMIT, ""},
    {472, 473, LETHE_UNAVAILABLE, "this node is a standby: ask the active one"},
    {501, 501, LETHE_UNAVAILABLE, ""},
    {503, 503, LETHE_UNAVAILABLE, "if it is sealed, an operator unseals it: lethe kms status"},
    {500, 599, LETHE_UNAVAILABLE, "its log says more"},
};

lethe_result kms_client_result(unsigned status, const char *what, const void *body,
                               size_t body_bytes, struct lethe_error *err)
{
    char texts[320];
    if (status >= 200 && status <= 299)
        return LETHE_OK;
    client_answer_errors(body, body_bytes, texts, sizeof texts);
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
        if (status < statuses[i].from || status > statuses[i].to)
            continue;
        if (texts[0] == '\0' && status == 404)
            strcpy(texts, "there is nothing of this name");
        error_set(err, statuses[i].result, "%.120s: the key service answered %u%s%s", what, status,
                  texts[0] != '\0' ? ": " : "", texts);
        bool says_why = status == 403 && strstr(texts, "passphrase") != NULL;
        if (statuses[i].hint[0] != '\0' && !says_why)
            error_hint(err, "%s", statuses[i].hint);
        return statuses[i].result;
    }
    return error_set(err, LETHE_FAILED, "%.120s: the key service answered %u", what, status);
}

/* ---- calls ----------------------------------------------------------------------------------- */

static lethe_result make_target(const char *path, char target[TARGET_SIZE], struct lethe_error *err)
{
    int length = snprintf(target, TARGET_SIZE, "/v1/%s", path);
    if (length < 0 || length >= (int)TARGET_SIZE)
        return error_set(err, LETHE_INVALID, "a path has at most %u bytes", HTTP_TARGET_MAX);
    return LETHE_OK;
}

/* As the service meant it: any whole answer but "not now" shows that it is there. */
static void note_answer(struct kms_client *client, unsigned status)
{
    if (status < 500 && status != 429)
        client->answered_ns = clock_monotonic_ns(&clock_system);
}

/* What a door does without a word: an answer would be work that a stranger can ask for, or it has
 * no certificate to give one with. And what is mostly wrong on this side. */
static const struct {
    const char *text;
    const char *hint;
} troubles[] = {
    {"Connection refused", "no key service listens there: --kms, LETHE_KMS_ADDR or [kms] address "
                           "in lethe.conf say where it is"},
    {"certificate is not believed", "--ca, LETHE_KMS_CA or [kms] ca in lethe.conf name whom to "
                                    "believe: for a service of its own authority its home's "
                                    "ca.pem"},
    {"ended the connection",
     "it may be starting again, or have too many connections: lethe kms status on its machine"},
    {"TLS handshake: no answer",
     "a service that was started sealed has no certificate before it is unsealed, unless kms.conf "
     "names one: lethe kms status and lethe kms unseal on its machine, without --kms"},
};

static lethe_result call_link(struct kms_client *client, const struct http_call *call,
                              unsigned *status, struct guarded *answer, struct lethe_error *err)
{
    lethe_result result = http_client_call(client->http, call, status, answer, err);
    if (result == LETHE_OK || err == NULL || err->hint[0] != '\0')
        return result;
    for (size_t i = 0; i < ARRAY_LEN(troubles); i++)
        if (strstr(err->text, troubles[i].text) != NULL)
            error_hint(err, "%s", troubles[i].hint);
    return result;
}

lethe_result kms_client_call(struct kms_client *client, enum http_method method, const char *path,
                             const void *body, size_t body_bytes, struct guarded *answer,
                             struct lethe_error *err)
{
    char target[TARGET_SIZE];
    unsigned status = 0;
    const struct http_call call = {.method = method,
                                   .target = target,
                                   .token = client->token,
                                   .body = body,
                                   .body_bytes = body_bytes};
    client_cache_sweep(client);
    TRY(make_target(path, target, err));
    TRY(call_link(client, &call, &status, answer, err));
    note_answer(client, status);
    return kms_client_result(status, path, answer->bytes, answer->size_bytes, err);
}

lethe_result kms_client_follow(struct kms_client *client, const char *path, uint64_t idle_ms,
                               http_piece *piece, void *context, struct lethe_error *err)
{
    char target[TARGET_SIZE];
    unsigned status = 0;
    const struct http_call call = {.method = HTTP_GET, .target = target, .token = client->token};
    TRY(make_target(path, target, err));
    TRY(http_client_stream(client->http, &call, idle_ms, piece, context, &status, err));
    return kms_client_result(status, path, NULL, 0, err);
}

static lethe_result exchange(struct kms_client *client, const struct client_ask *ask,
                             unsigned *status, struct json_piece *answer, struct lethe_error *err)
{
    char target[TARGET_SIZE];
    const struct http_call call = {.method = ask->method,
                                   .target = target,
                                   .token = client->token,
                                   .body = client->request.bytes,
                                   .body_bytes = client->request.size_bytes,
                                   .timeout_ms = ask->timeout_ms,
                                   .may_repeat = !ask->is_once};
    TRY(guarded_result(&client->request, err));
    TRY(make_target(ask->path, target, err));
    TRY(call_link(client, &call, status, &client->answer, err));
    note_answer(client, *status);
    TRY(kms_client_result(*status, ask->path, client->answer.bytes, client->answer.size_bytes,
                          err));
    *answer = (struct json_piece){.kind = JSON_PIECE_NULL};
    return *status == 204 ? LETHE_OK : client_answer(&client->answer, answer, err);
}

lethe_result client_ask(struct kms_client *client, const struct client_ask *ask, unsigned *status,
                        struct json_piece *answer, struct lethe_error *err)
{
    *status = 0;
    client_cache_sweep(client);
    client_proof_refresh(client);
    guarded_wipe(&client->answer);
    lethe_result result = client_require_service(client, CLIENT_BEFORE_ASKING, err);
    if (result == LETHE_OK)
        result = exchange(client, ask, status, answer, err);
    if (result == LETHE_OK) /* the connection may have been lost, and be another one now */
        result = client_require_service(client, CLIENT_HAS_ASKED, err);
    guarded_wipe(&client->request);
    if (result != LETHE_OK)
        guarded_wipe(&client->answer);
    return result;
}

lethe_result client_post(struct kms_client *client, const char *path, unsigned *status,
                         struct json_piece *answer, struct lethe_error *err)
{
    const struct client_ask ask = {.method = HTTP_POST, .path = path};
    return client_ask(client, &ask, status, answer, err);
}

lethe_result client_get(struct kms_client *client, const char *path, struct json_piece *answer,
                        struct lethe_error *err)
{
    const struct client_ask ask = {.method = HTTP_GET, .path = path};
    unsigned status;
    guarded_wipe(&client->request);
    return client_ask(client, &ask, &status, answer, err);
}
