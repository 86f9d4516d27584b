/* Data keys that are kept for a while (K-10): each alone in a closed region, wiped when it expires,
 * when its key is revoked, and with the client. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "crypto/hash.h"
#include "kms/client_core.h"
#include "kms/transit.h"

#define NS_PER_S 1000000000u
/* Each takes pages of locked memory, of which an ordinary user has few. More are not kept. */
#define KEPT_MAX 256u

struct client_kept {
    struct client_kept *next;
    char key[KEY_NAME_MAX + 1];
    uint64_t version;
    uint8_t what[SHA256_BYTES]; /* of all that the service was asked with */
    size_t size_bytes;
    uint64_t expires_ns; /* monotonic */
    struct lethe_region *region;
};

/* The same words to the service, the same key back: the purpose is not one of them. */
static lethe_result digest_of(const struct key_use *use, const char *wrapped,
                              uint8_t out[SHA256_BYTES], struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    buffer_prefixed(&text, use->key, strlen(use->key));
    buffer_prefixed(&text, use->aad, use->aad_bytes);
    buffer_prefixed(&text, wrapped, strlen(wrapped));
    buffer_format(&text, "%llu", (unsigned long long)use->release);
    TRY(buffer_result(&text, err));
    sha256(text.bytes, text.size_bytes, out);
    return LETHE_OK;
}

static void record(const struct kms_client *client, const char *key,
                   const struct audit_event *event)
{
    char tenant[KEY_NAME_MAX + 1];
    if (client->log == NULL)
        return;
    snprintf(tenant, sizeof tenant, "%.*s", (int)strcspn(key, "."), key);
    const struct audit_who who = {.actor = client->log->actor, .tenant = tenant, .session = ""};
    audit_emit(client->log->log, &who, event);
}

/* Takes it out of the list and wipes it. */
static void drop(struct kms_client *client, struct client_kept **at)
{
    struct client_kept *kept = *at;
    *at = kept->next;
    lethe_region_open(kept->region);
    bool wiped = lethe_region_wipe(kept->region, NULL) == LETHE_OK;
    lethe_region_free(kept->region);
    const struct audit_event event = audit_key_expired(kept->key, kept->version, wiped);
    record(client, kept->key, &event);
    free(kept);
}

void client_cache_sweep(struct kms_client *client)
{
    uint64_t now_ns = clock_monotonic_ns(&clock_system);
    for (struct client_kept **at = &client->kept; *at != NULL;) {
        if ((*at)->expires_ns <= now_ns)
            drop(client, at);
        else
            at = &(*at)->next;
    }
}

void client_cache_forget(struct kms_client *client, const char *key, uint64_t version)
{
    for (struct client_kept **at = &client->kept; *at != NULL;) {
        if (key == NULL || ((*at)->version == version && strcmp((*at)->key, key) == 0))
            drop(client, at);
        else
            at = &(*at)->next;
    }
}

static lethe_result copy_out(struct client_kept *kept, struct lethe_secret **out,
                             struct lethe_error *err)
{
    TRY(lethe_secret_create(kept->size_bytes, out, err));
    lethe_region_open(kept->region);
    memcpy(lethe_secret_bytes(*out), lethe_region_bytes(kept->region), kept->size_bytes);
    lethe_region_close(kept->region);
    return LETHE_OK;
}

/* A key that is kept is used only as long as one that was just released would be. */
lethe_result client_cache_find(struct kms_client *client, const struct key_use *use,
                               const char *wrapped, struct lethe_secret **out,
                               struct lethe_error *err)
{
    uint8_t what[SHA256_BYTES];
    uint64_t version;
    *out = NULL;
    client_cache_sweep(client);
    if (client->kept == NULL || strcmp(use->purpose, KEY_PURPOSE_REENCRYPT) == 0)
        return LETHE_NOT_FOUND;
    TRY(digest_of(use, wrapped, what, err));
    struct client_kept *kept = client->kept;
    while (kept != NULL && memcmp(kept->what, what, sizeof what) != 0)
        kept = kept->next;
    if (kept == NULL)
        return LETHE_NOT_FOUND;
    lethe_result usable = kms_client_check_usable(client, kept->key, kept->version, err);
    if (usable == LETHE_OK)
        return copy_out(kept, out, err);
    TRY(transit_version(wrapped, &version, err));
    client_cache_forget(client, use->key, version);
    return usable == LETHE_NOT_FOUND ? LETHE_REVOKED : usable;
}

static size_t count_kept(const struct kms_client *client)
{
    size_t count = 0;
    for (const struct client_kept *kept = client->kept; kept != NULL; kept = kept->next)
        count++;
    return count;
}

static void kept_free(struct client_kept *kept)
{
    if (kept == NULL)
        return;
    lethe_region_free(kept->region);
    free(kept);
}
DEFINE_CLEANUP(kept_free, struct client_kept *);

lethe_result client_cache_keep(struct kms_client *client, const struct key_use *use,
                               const char *wrapped, const struct lethe_secret *data_key,
                               struct lethe_error *err)
{
    const struct lethe_region_options options = {.class_ = LETHE_CLASS_KEY,
                                                 .label = {.id = "kept key"}};
    if (client->cache_ttl_s == 0 || strcmp(use->purpose, KEY_PURPOSE_REENCRYPT) == 0 ||
        count_kept(client) >= KEPT_MAX)
        return LETHE_OK;
    CLEANUP(kept_free) struct client_kept *kept = calloc(1, sizeof *kept);
    if (kept == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a key");
    TRY(digest_of(use, wrapped, kept->what, err));
    TRY(transit_version(wrapped, &kept->version, err));
    TRY(lethe_region_create(lethe_secret_size(data_key), &options, &kept->region, err));
    REQUIRE(strlen(use->key) <= KEY_NAME_MAX); /* it was asked for */
    memcpy(kept->key, use->key, strlen(use->key) + 1);
    kept->size_bytes = lethe_secret_size(data_key);
    kept->expires_ns = clock_monotonic_ns(&clock_system) + client->cache_ttl_s * NS_PER_S;
    lethe_region_open(kept->region);
    memcpy(lethe_region_bytes(kept->region), lethe_secret_bytes_const(data_key), kept->size_bytes);
    lethe_region_close(kept->region);
    const struct audit_event event = audit_key_cached(use->key, kept->version, client->cache_ttl_s);
    record(client, use->key, &event);
    kept->next = client->kept;
    client->kept = MOVE(kept);
    return LETHE_OK;
}
