#include "cli/key_remote.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/common.h"
#include "kms/client_json.h"
#include "kms/keyring.h"

#define PATH_SIZE (KEY_NAME_MAX + 64)

/* One call about a key, and its answer: struct remote r = {.client = ..., .name = ...}. */
struct remote {
    struct kms_client *client;
    const char *name;
    struct guarded request;
    struct guarded answer_body;
    struct json_piece answer;
};

static void remote_clear(struct remote *remote)
{
    guarded_clear(&remote->request);
    guarded_clear(&remote->answer_body);
}
static inline void remote_clear_at_scope_end(struct remote *remote)
{
    remote_clear(remote);
}

/* "BEFORE/NAME/BEHIND", with what was put into the request. */
static lethe_result call(struct remote *remote, enum http_method method, const char *before,
                         const char *behind, struct lethe_error *err)
{
    char path[PATH_SIZE];
    if (strlen(remote->name) > KEY_NAME_MAX || strpbrk(remote->name, "/?#% ") != NULL)
        return error_set(err, LETHE_INVALID, "that is not the name of a key");
    snprintf(path, sizeof path, "%s/%s%s", before, remote->name, behind);
    TRY(guarded_result(&remote->request, err));
    TRY(kms_client_call(remote->client, method, path, remote->request.bytes,
                        remote->request.size_bytes, &remote->answer_body, err));
    guarded_wipe(&remote->request);
    return client_answer(&remote->answer_body, &remote->answer, err);
}

static lethe_result read_key(struct remote *remote, struct lethe_error *err)
{
    lethe_result result = call(remote, HTTP_GET, "transit/keys", "", err);
    return result == LETHE_NOT_FOUND
               ? error_set(err, LETHE_NOT_FOUND, "the key service has no key %s", remote->name)
               : result;
}

/* ---- changes --------------------------------------------------------------------------------- */

lethe_result key_remote_create(struct kms_client *client, const char *name, struct lethe_error *err)
{
    CLEANUP(remote_clear) struct remote remote = {.client = client, .name = name};
    enum key_kind kind;
    TRY(key_name_check(name, &kind, err));
    if (kind == KEY_LOG_SIGNER)
        return error_set(err, LETHE_INVALID, "a log's key is its home's");
    lethe_result result = read_key(&remote, err);
    if (result != LETHE_NOT_FOUND)
        return result != LETHE_OK ? result
                                  : error_set(err, LETHE_EXISTS, "the key %s exists already", name);
    client_put_open(&remote.request, NULL, '{');
    client_put_text(
        &remote.request, "type",
        engine_type_name(kind == KEY_MANIFEST_SIGNER ? ENGINE_ECDSA_P256 : ENGINE_AES256_GCM96));
    client_put_close(&remote.request, '}');
    return call(&remote, HTTP_POST, "transit/keys", "", err);
}

lethe_result key_remote_rotate(struct kms_client *client, const char *name, uint64_t *version,
                               struct lethe_error *err)
{
    CLEANUP(remote_clear) struct remote remote = {.client = client, .name = name};
    CLEANUP(guarded_clear) struct guarded none = {0};
    char path[PATH_SIZE];
    TRY(read_key(&remote, err)); /* an older service answers a rotation with nothing */
    snprintf(path, sizeof path, "transit/keys/%s/rotate", name);
    TRY(kms_client_call(client, HTTP_POST, path, NULL, 0, &none, err));
    TRY(read_key(&remote, err));
    return client_answer_number(&remote.answer, "data/latest_version", version, err);
}

lethe_result key_remote_schedule(struct kms_client *client, const char *name, uint64_t every_s,
                                 struct lethe_error *err)
{
    CLEANUP(remote_clear) struct remote remote = {.client = client, .name = name};
    client_put_open(&remote.request, NULL, '{');
    client_put_number(&remote.request, "rotate_every", every_s);
    client_put_close(&remote.request, '}');
    return call(&remote, HTTP_POST, "lethe/keys", "/schedule", err);
}

lethe_result key_remote_revoke(struct kms_client *client, const char *name, const char *reason,
                               uint64_t *through, struct lethe_error *err)
{
    CLEANUP(remote_clear) struct remote remote = {.client = client, .name = name};
    client_put_open(&remote.request, NULL, '{');
    client_put_text(&remote.request, "reason", reason);
    client_put_close(&remote.request, '}');
    TRY(call(&remote, HTTP_POST, "lethe/keys", "/revoke", err));
    return client_answer_number(&remote.answer, "data/revoked_through", through, err);
}

lethe_result key_remote_minimum(struct kms_client *client, const char *model, uint64_t raise_to,
                                uint64_t *minimum, struct lethe_error *err)
{
    CLEANUP(remote_clear) struct remote remote = {.client = client, .name = model};
    if (raise_to > 0) {
        client_put_open(&remote.request, NULL, '{');
        client_put_number(&remote.request, "minimum", raise_to);
        client_put_close(&remote.request, '}');
    }
    TRY(call(&remote, raise_to > 0 ? HTTP_POST : HTTP_GET, "lethe/keys", "/minimum", err));
    return client_answer_number(&remote.answer, "data/minimum", minimum, err);
}

/* ---- looking --------------------------------------------------------------------------------- */

/* The value of the newest version in "keys". */
static lethe_result newest_of(const struct remote *remote, uint64_t *version,
                              struct json_piece *out, struct lethe_error *err)
{
    char path[64];
    TRY(client_answer_number(&remote->answer, "data/latest_version", version, err));
    snprintf(path, sizeof path, "data/keys/%" PRIu64, *version);
    if (json_piece_find(&remote->answer, path, out) != LETHE_OK)
        return error_set(err, LETHE_MALFORMED, "the key service's answer has no newest version");
    return LETHE_OK;
}

lethe_result key_remote_public(struct kms_client *client, const char *name, struct buffer *out,
                               struct lethe_error *err)
{
    CLEANUP(remote_clear) struct remote remote = {.client = client, .name = name};
    struct json_piece newest = {0};
    uint64_t version = 0;
    TRY(read_key(&remote, err));
    TRY(newest_of(&remote, &version, &newest, err));
    if (newest.kind != JSON_PIECE_OBJECT)
        return error_set(err, LETHE_INVALID, "%s is an encryption key: it has no public half",
                         name);
    return client_answer_text(&newest, "public_key", out, err);
}

/* ---- the list -------------------------------------------------------------------------------- */

struct row {
    struct buffer kind;
    char created[64];
    uint64_t version;
    uint64_t revoked_through;
    uint64_t behind; /* shards that were reported under an older version */
};

static void row_clear(struct row *row)
{
    buffer_clear(&row->kind);
}
static inline void row_clear_at_scope_end(struct row *row)
{
    row_clear(row);
}

static void read_created(const struct json_piece *newest, struct row *row)
{
    struct json_piece text;
    uint64_t created_s = 0;
    size_t length = 0;
    if (json_piece_unsigned(newest, &created_s) == LETHE_OK && created_s < 1u << 31)
        time_text_s(created_s * 1000000000u, row->created);
    else if (newest->kind == JSON_PIECE_OBJECT &&
             json_piece_find(newest, "creation_time", &text) == LETHE_OK &&
             json_piece_text(&text, row->created, sizeof row->created - 1, &length) == LETHE_OK)
        row->created[length] = '\0';
    else
        row->created[0] = '\0';
}

/* A service with no more than Vault's calls does not say what was revoked. */
static lethe_result read_row(struct remote *remote, struct row *row, struct lethe_error *err)
{
    struct json_piece newest = {0};
    TRY(read_key(remote, err));
    TRY(newest_of(remote, &row->version, &newest, err));
    read_created(&newest, row);
    TRY(client_answer_text(&remote->answer, "data/type", &row->kind, err));
    buffer_byte(&row->kind, '\0');
    TRY(buffer_result(&row->kind, err));
    lethe_result result = call(remote, HTTP_GET, "lethe/keys", "/status", NULL);
    if (result == LETHE_NOT_FOUND || result == LETHE_DENIED)
        return LETHE_OK;
    TRY(result);
    TRY(client_answer_number(&remote->answer, "data/revoked_through", &row->revoked_through, err));
    result = call(remote, HTTP_GET, "lethe/keys", "/rollout", NULL);
    if (result == LETHE_NOT_FOUND || result == LETHE_DENIED)
        return LETHE_OK;
    TRY(result);
    return client_answer_number(&remote->answer, "data/behind", &row->behind, err);
}

static void print_row(const char *name, const struct row *row)
{
    char state[48] = "active";
    if (row->revoked_through >= row->version)
        strcpy(state, "revoked");
    else if (row->revoked_through > 0)
        snprintf(state, sizeof state, "revoked through %" PRIu64, row->revoked_through);
    printf("%-40s %-17s version %-4" PRIu64 " %s  %s", name, row->kind.bytes, row->version,
           row->created, state);
    if (row->behind > 0)
        printf(", %" PRIu64 " shard%s still under older versions", row->behind,
               row->behind == 1 ? "" : "s");
    printf("\n");
}

static lethe_result add_row(json_t *rows, const char *name, const struct row *row,
                            struct lethe_error *err)
{
    json_t *json = json_pack("{s:s, s:s, s:I, s:I, s:I, s:s}", "name", name, "kind",
                             row->kind.bytes, "newest_version", (json_int_t)row->version,
                             "revoked_through", (json_int_t)row->revoked_through, "shards_behind",
                             (json_int_t)row->behind, "created", row->created);
    if (json == NULL || json_array_append_new(rows, json) != 0)
        return error_set(err, LETHE_NO_MEMORY, "no memory for the list of keys");
    return LETHE_OK;
}

static lethe_result list_names(struct kms_client *client, const struct json_piece *names,
                               json_t *rows, struct lethe_error *err)
{
    struct json_piece none;
    struct json_piece name;
    struct json_walk walk = json_walk_over(names);
    while (json_walk_next(&walk, &none, &name) == LETHE_OK) {
        CLEANUP(row_clear) struct row row = {0};
        char text[KEY_NAME_MAX + 1];
        size_t length = 0;
        CLEANUP(remote_clear) struct remote remote = {.client = client, .name = text};
        if (json_piece_text(&name, text, KEY_NAME_MAX, &length) != LETHE_OK)
            continue; /* none of ours */
        text[length] = '\0';
        TRY(read_row(&remote, &row, err));
        if (rows != NULL)
            TRY(add_row(rows, text, &row, err));
        else
            print_row(text, &row);
    }
    return LETHE_OK;
}

lethe_result key_remote_list(struct kms_client *client, bool json, struct lethe_error *err)
{
    CLEANUP(guarded_clear) struct guarded body = {0};
    CLEANUP(json_decref) json_t *rows = json ? json_array() : NULL;
    struct json_piece answer = {0};
    struct json_piece names = {0};
    lethe_result result = kms_client_call(client, HTTP_LIST, "transit/keys", NULL, 0, &body, err);
    if (result == LETHE_OK)
        result = client_answer(&body, &answer, err);
    if (result == LETHE_OK && (json_piece_find(&answer, "data/keys", &names) != LETHE_OK ||
                               names.kind != JSON_PIECE_ARRAY))
        result = error_set(err, LETHE_MALFORMED, "the key service's answer has no keys");
    if (result == LETHE_OK)
        result = list_names(client, &names, rows, err);
    if (result == LETHE_NOT_FOUND) /* there are none */
        result = LETHE_OK;
    if (result == LETHE_OK && json)
        result = common_print_keys(rows, err);
    return result;
}
