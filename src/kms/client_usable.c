/* Whether a version of a key may still be used: asked of the service, at most once a second. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "kms/client_core.h"

#define NS_PER_MS 1000000u
#define NS_PER_S 1000000000u

static lethe_result get_shortly(struct kms_client *client, const char *path,
                                struct json_piece *answer, struct lethe_error *err)
{
    const struct client_ask ask = {
        .method = HTTP_GET, .path = path, .timeout_ms = CLIENT_CHECK_TIMEOUT_MS};
    unsigned status;
    guarded_wipe(&client->request);
    return client_ask(client, &ask, &status, answer, err);
}

static lethe_result read_status(const struct json_piece *answer, const char *key, uint64_t version,
                                struct lethe_error *err)
{
    struct json_piece usable;
    struct json_piece reason;
    if (json_piece_find(answer, "data/usable", &usable) != LETHE_OK)
        return error_set(err, LETHE_MALFORMED, "the key service's answer has no usable");
    if (usable.kind == JSON_PIECE_TRUE)
        return LETHE_OK;
    if (json_piece_find(answer, "data/reason", &reason) == LETHE_OK &&
        json_piece_is(&reason, "no such version"))
        return error_set(err, LETHE_NOT_FOUND, "the key %s has no version %" PRIu64, key, version);
    return error_set(err, LETHE_REVOKED, "version %" PRIu64 " of the key %s was revoked", version,
                     key);
}

/* A service with no more than Vault's own calls says which versions still open. */
static lethe_result ask_transit(struct kms_client *client, const char *key, uint64_t version,
                                struct lethe_error *err)
{
    char path[CLIENT_PATH_SIZE];
    struct json_piece answer;
    uint64_t latest = 0;
    uint64_t smallest = 0;
    snprintf(path, sizeof path, "transit/keys/%s", key);
    TRY(get_shortly(client, path, &answer, err));
    TRY(client_answer_number(&answer, "data/latest_version", &latest, err));
    TRY(client_answer_number(&answer, "data/min_decryption_version", &smallest, err));
    if (version > latest)
        return error_set(err, LETHE_NOT_FOUND, "the key %s has no version %" PRIu64, key, version);
    if (version < smallest)
        return error_set(err, LETHE_REVOKED, "version %" PRIu64 " of the key %s opens no more",
                         version, key);
    return LETHE_OK;
}

static bool is_answer(lethe_result result)
{
    return result == LETHE_OK || result == LETHE_REVOKED || result == LETHE_NOT_FOUND;
}

/* A service that does not know or does not allow our own call is asked by Vault's from then on, if
 * that one is answered. One that refuses this node may not answer a second time at all: it makes
 * those wait who failed to prove themselves. */
static lethe_result ask_status(struct kms_client *client, const char *key, uint64_t version,
                               struct lethe_error *err)
{
    char path[CLIENT_PATH_SIZE];
    struct json_piece answer;
    struct lethe_error why = {0};
    if (client->speaks_transit_only)
        return ask_transit(client, key, version, err);
    snprintf(path, sizeof path, "lethe/keys/%s/status?version=%" PRIu64, key, version);
    lethe_result result = get_shortly(client, path, &answer, err);
    if (result == LETHE_OK)
        return read_status(&answer, key, version, err);
    if (result != LETHE_NOT_FOUND && result != LETHE_DENIED)
        return result;
    lethe_result by_transit = ask_transit(client, key, version, &why);
    if (!is_answer(by_transit) && result == LETHE_DENIED)
        return result;
    client->speaks_transit_only = result == LETHE_NOT_FOUND && by_transit == LETHE_OK;
    if (err != NULL)
        *err = why;
    return by_transit;
}

lethe_result client_ask_usable(struct kms_client *client, const char *key, uint64_t version,
                               struct lethe_error *err)
{
    enum key_kind kind; /* a name out of a manifest must not lead to another path */
    TRY(key_name_check(key, &kind, err));
    lethe_result result = ask_status(client, key, version, err);
    client_wipe(client);
    if (result == LETHE_REVOKED)
        client_cache_forget(client, key, version);
    if (result != LETHE_DENIED)
        return result;
    error_set(err, LETHE_REVOKED, "the key service does not let this node look at the key %s", key);
    error_hint(err, "its identity or token was revoked, or no policy lets it read "
                    "lethe/keys/NAME/status");
    return LETHE_REVOKED;
}

/* ---- at most once a second ------------------------------------------------------------------- */

void client_usable_clear(struct kms_client *client)
{
    for (struct client_usable *usable; (usable = client->usable) != NULL;) {
        client->usable = usable->next;
        free(usable);
    }
}

static struct client_usable *find_usable(struct kms_client *client, const char *key,
                                         uint64_t version)
{
    struct client_usable *usable = client->usable;
    while (usable != NULL && (usable->version != version || strcmp(usable->name, key) != 0))
        usable = usable->next;
    if (usable != NULL)
        return usable;
    usable = calloc(1, sizeof *usable);
    if (usable == NULL)
        return NULL;
    memcpy(usable->name, key, strlen(key) + 1);
    usable->version = version;
    usable->next = client->usable;
    client->usable = usable;
    return usable;
}

static bool is_recent(uint64_t then_ns, uint64_t now_ns)
{
    return then_ns != 0 && now_ns - then_ns < (uint64_t)CLIENT_ASK_AGAIN_MS * NS_PER_MS;
}

static lethe_result out_of_reach(const struct kms_client *client, const char *key, uint64_t now_ns,
                                 struct lethe_error *err)
{
    uint64_t since_s = (now_ns - client->answered_ns) / NS_PER_S;
    if (since_s < client->offline_s)
        return LETHE_OK;
    error_set(err, LETHE_UNAVAILABLE,
              "the key service has been out of reach for %" PRIu64
              " s: the key %s may be used no more",
              since_s, key);
    error_hint(err, "[kms] offline in lethe.conf says for how long it may");
    return LETHE_UNAVAILABLE;
}

lethe_result kms_client_check_usable(struct kms_client *client, const char *key, uint64_t version,
                                     struct lethe_error *err)
{
    enum key_kind kind; /* before it is copied into a row */
    TRY(key_name_check(key, &kind, err));
    uint64_t now_ns = clock_monotonic_ns(&clock_system);
    struct client_usable *usable = find_usable(client, key, version);
    client_cache_sweep(client);
    if (usable == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a key's status");
    if (is_recent(usable->asked_ns, now_ns))
        return usable->result == LETHE_OK
                   ? LETHE_OK
                   : error_set(err, usable->result, "the key %s may be used no more", key);
    if (is_recent(client->failed_ns, now_ns))
        return out_of_reach(client, key, now_ns, err);
    lethe_result result = client_ask_usable(client, key, version, err);
    now_ns = clock_monotonic_ns(&clock_system);
    if (!is_answer(result)) {
        client->failed_ns = now_ns;
        return out_of_reach(client, key, now_ns, err);
    }
    usable->asked_ns = now_ns;
    usable->result = result;
    return result;
}
