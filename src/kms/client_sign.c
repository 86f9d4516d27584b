/* Signatures of manifests by the service, and the public keys that check them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "base/validate.h"
#include "crypto/hash.h"
#include "kms/client_core.h"

static lethe_result signer_path(const char *before, const char *tenant, const char *behind,
                                char path[CLIENT_PATH_SIZE], struct lethe_error *err)
{
    TRY(validate_identifier("tenant", tenant, NAME_PART_MAX, err));
    int length = snprintf(path, CLIENT_PATH_SIZE, "%s%s.signer%s", before, tenant, behind);
    REQUIRE(length > 0 && length < (int)CLIENT_PATH_SIZE);
    return LETHE_OK;
}

/* ---- signing --------------------------------------------------------------------------------- */

static lethe_result ask_to_sign(struct kms_client *client, const char *path, const void *bytes,
                                size_t size_bytes, struct signature *out, struct lethe_error *err)
{
    struct json_piece answer;
    unsigned status;
    CLEANUP(buffer_clear) struct buffer signature = {0};
    guarded_wipe(&client->request);
    client_put_open(&client->request, NULL, '{');
    client_put_base64(&client->request, "input", bytes, size_bytes);
    client_put_close(&client->request, '}');
    TRY(client_post(client, path, &status, &answer, err));
    TRY(client_answer_vault(&answer, "data/signature", NULL, &signature, err));
    return signature_from_bytes(signature.bytes, signature.size_bytes, out, err);
}

/* LETHE_EXISTS: it is there, and is not why the signature was refused. */
static lethe_result make_signer(struct kms_client *client, const char *tenant,
                                struct lethe_error *err)
{
    char path[CLIENT_PATH_SIZE];
    struct json_piece answer;
    unsigned status;
    TRY(signer_path("transit/keys/", tenant, "", path, err));
    lethe_result result = client_get(client, path, &answer, err);
    if (result != LETHE_NOT_FOUND)
        return result == LETHE_OK ? LETHE_EXISTS : result;
    client_put_open(&client->request, NULL, '{');
    client_put_text(&client->request, "type", "ecdsa-p256");
    client_put_close(&client->request, '}');
    return client_post(client, path, &status, &answer, err);
}

lethe_result client_sign(void *context, const char *tenant, const void *bytes, size_t size_bytes,
                         struct signature *out, struct lethe_error *err)
{
    struct kms_client *client = context;
    char path[CLIENT_PATH_SIZE];
    TRY(signer_path("transit/sign/", tenant, "/sha2-256", path, err));
    lethe_result result = ask_to_sign(client, path, bytes, size_bytes, out, err);
    if (result == LETHE_INVALID || result == LETHE_NOT_FOUND) {
        struct lethe_error make_error = {0};
        lethe_result made = make_signer(client, tenant, &make_error);
        if (made == LETHE_OK)
            result = ask_to_sign(client, path, bytes, size_bytes, out, err);
        else if (made != LETHE_EXISTS && err != NULL)
            *err = make_error;
        if (made != LETHE_OK && made != LETHE_EXISTS)
            result = made;
    }
    client_wipe(client);
    return result;
}

/* ---- public keys ----------------------------------------------------------------------------- */

void client_signers_clear(struct kms_client *client)
{
    for (struct client_signer *signer; (signer = client->signers) != NULL;) {
        client->signers = signer->next;
        sign_public_free(signer->key);
        free(signer);
    }
}

static struct client_signer *find_signer(const struct kms_client *client, const char *name,
                                         uint64_t version)
{
    struct client_signer *signer = client->signers;
    while (signer != NULL && (signer->version != version || strcmp(signer->name, name) != 0))
        signer = signer->next;
    return signer;
}

/* As the OpenSSF Model Signing bundle names a key: the hex SHA-256 of its PEM, as we write it. */
static lethe_result hint_of(const struct sign_public *key, char out[65], struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer pem = {0};
    uint8_t digest[SHA256_BYTES];
    TRY(sign_public_pem(key, &pem, err));
    sha256(pem.bytes, pem.size_bytes, digest);
    hex_encode(digest, sizeof digest, out);
    return LETHE_OK;
}

/* A version's key is the same for ever: another one under its number is refused. */
static lethe_result add_signer(struct kms_client *client, const char *name, uint64_t version,
                               const struct buffer *pem, struct lethe_error *err)
{
    CLEANUP(sign_public_free) struct sign_public *key = NULL;
    char hint[65];
    TRY(sign_public_from_pem(pem->bytes, pem->size_bytes, &key, err));
    TRY(hint_of(key, hint, err));
    struct client_signer *known = find_signer(client, name, version);
    if (known != NULL)
        return strcmp(known->hint, hint) == 0
                   ? LETHE_OK
                   : error_set(err, LETHE_INTEGRITY,
                               "the key service shows another public key for %s than before", name);
    struct client_signer *signer = calloc(1, sizeof *signer);
    if (signer == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a public key");
    REQUIRE(strlen(name) < sizeof signer->name);
    memcpy(signer->name, name, strlen(name) + 1);
    memcpy(signer->hint, hint, sizeof hint);
    signer->version = version;
    signer->key = MOVE(key);
    signer->next = client->signers;
    client->signers = signer;
    return LETHE_OK;
}

static lethe_result read_version(const struct json_piece *name, uint64_t *out,
                                 struct lethe_error *err)
{
    char text[24];
    size_t length = 0;
    int64_t number = 0;
    if (json_piece_text(name, text, sizeof text - 1, &length) == LETHE_OK) {
        text[length] = '\0';
        if (validate_integer("version", text, 1, INT64_MAX, &number, NULL) == LETHE_OK) {
            *out = (uint64_t)number;
            return LETHE_OK;
        }
    }
    return error_set(err, LETHE_MALFORMED, "the key service's answer has a version that is none");
}

/* One version of the answer: remembered, and whether it is the one that is looked for. */
struct search {
    const char *name;
    const char *hint; /* NULL: the newest */
    uint64_t version; /* 0: nothing found yet */
};

static lethe_result read_signer(struct kms_client *client, struct search *search,
                                const struct json_piece *name, const struct json_piece *value,
                                struct lethe_error *err)
{
    uint64_t version = 0;
    CLEANUP(buffer_clear) struct buffer pem = {0};
    TRY(read_version(name, &version, err));
    TRY(client_answer_text(value, "public_key", &pem, err));
    TRY(add_signer(client, search->name, version, &pem, err));
    const struct client_signer *signer = find_signer(client, search->name, version);
    bool fits =
        search->hint == NULL ? version > search->version : strcmp(signer->hint, search->hint) == 0;
    if (fits)
        search->version = version;
    return LETHE_OK;
}

static lethe_result read_signers(struct kms_client *client, struct search *search,
                                 const struct json_piece *answer, struct lethe_error *err)
{
    struct json_piece keys;
    struct json_piece name;
    struct json_piece value;
    if (json_piece_find(answer, "data/keys", &keys) != LETHE_OK || keys.kind != JSON_PIECE_OBJECT)
        return error_set(err, LETHE_MALFORMED, "the key service's answer has no keys");
    struct json_walk walk = json_walk_over(&keys);
    while (json_walk_next(&walk, &name, &value) == LETHE_OK)
        TRY(error_context(err, read_signer(client, search, &name, &value, err), "%s",
                          search->name));
    if (search->version == 0)
        return error_set(err, LETHE_NOT_FOUND, "no version of the key %s made this signature",
                         search->name);
    return LETHE_OK;
}

lethe_result client_signer(void *context, const char *tenant, const char *hint,
                           const struct sign_public **out, struct lethe_error *err)
{
    struct kms_client *client = context;
    char path[CLIENT_PATH_SIZE];
    struct json_piece answer;
    *out = NULL;
    TRY(signer_path("transit/keys/", tenant, "", path, err));
    struct search search = {.name = path + strlen("transit/keys/"), .hint = hint};
    TRY(client_get(client, path, &answer, err));
    lethe_result result = read_signers(client, &search, &answer, err);
    client_wipe(client);
    TRY(result);
    TRY(client_ask_usable(client, search.name, search.version, err));
    *out = find_signer(client, search.name, search.version)->key;
    return LETHE_OK;
}
