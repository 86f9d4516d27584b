/* Keys in use. A key is looked up by name, its versions by number; what the store says of both is
 * read once and believed until kept_forget(). Reserved uses outlive that: they are counted in the
 * store already, and would be lost with every change of something else. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "crypto/hash.h"
#include "kms/engine_core.h"

/* ---- the table ------------------------------------------------------------------------------- */

/* FNV-1a. Whoever makes names collide gets a slow list of their own keys. */
static size_t bucket_of(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *name != '\0'; name++)
        hash = (hash ^ (uint8_t)*name) * 0x100000001b3u;
    return (size_t)(hash ^ hash >> 32) % KEPT_BUCKETS;
}

static void drop_material(struct engine *engine, struct kept_version *version)
{
    engine->pairs -= version->pair != NULL;
    sign_pair_free(MOVE(version->pair));
    aead_key_free(MOVE(version->aead));
    lethe_secret_free(MOVE(version->hmac));
}

/* Versions of which uses are left stay, without material. */
static void drop_versions(struct engine *engine, struct kept_key *key, bool with_uses)
{
    for (struct kept_version **at = &key->versions; *at != NULL;) {
        struct kept_version *version = *at;
        drop_material(engine, version);
        if (version->uses_left > 0 && !with_uses) {
            at = &version->next;
            continue;
        }
        *at = version->next;
        free(version);
    }
}

static void unlink_from_order(struct engine *engine, struct kept_key *key)
{
    *(key->newer != NULL ? &key->newer->older : &engine->newest) = key->older;
    *(key->older != NULL ? &key->older->newer : &engine->oldest) = key->newer;
    key->newer = key->older = NULL;
}

static void make_newest(struct engine *engine, struct kept_key *key)
{
    key->older = engine->newest;
    *(engine->newest != NULL ? &engine->newest->newer : &engine->oldest) = key;
    engine->newest = key;
}

static void drop_info(struct engine *engine, struct kept_key *key)
{
    if (key->has_info) {
        unlink_from_order(engine, key);
        engine->with_info--;
    }
    key->has_info = false;
    drop_versions(engine, key, false);
}

static void free_key(struct engine *engine, struct kept_key *key)
{
    drop_info(engine, key);
    drop_versions(engine, key, true);
    free(key);
    engine->entries--;
}

/* Of all keys, or of those without info. */
static void free_keys(struct engine *engine, bool all)
{
    for (size_t i = 0; i < KEPT_BUCKETS; i++) {
        for (struct kept_key **at = &engine->buckets[i]; *at != NULL;) {
            struct kept_key *key = *at;
            if (key->has_info && !all) {
                at = &key->next;
                continue;
            }
            *at = key->next;
            free_key(engine, key);
        }
    }
}

void kept_clear(struct engine *engine)
{
    free_keys(engine, true);
}

static struct kept_key *look_up(const struct engine *engine, const char *name)
{
    struct kept_key *key = engine->buckets[bucket_of(name)];
    while (key != NULL && strcmp(key->info.name, name) != 0)
        key = key->next;
    return key;
}

void kept_forget(struct engine *engine, const char *name)
{
    if (name == NULL) {
        while (engine->oldest != NULL)
            drop_info(engine, engine->oldest);
        return;
    }
    struct kept_key *key = look_up(engine, name);
    if (key != NULL)
        drop_info(engine, key);
}

static lethe_result add_key(struct engine *engine, const struct key_info *info,
                            struct kept_key **out, struct lethe_error *err)
{
    if (engine->entries >= KEPT_ENTRIES_MAX)
        free_keys(engine, false);
    struct kept_key *key = calloc(1, sizeof *key);
    if (key == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a key");
    key->info = *info;
    struct kept_key **bucket = &engine->buckets[bucket_of(info->name)];
    key->next = *bucket;
    *bucket = key;
    engine->entries++;
    *out = key;
    return LETHE_OK;
}

static lethe_result read_info(struct engine *engine, const char *name, struct kept_key **key,
                              struct lethe_error *err)
{
    struct key_info info;
    TRY(engine_check_name(name, err));
    TRY(keyring_info(engine->keeper->store, name, &info, err));
    if (*key == NULL)
        TRY(add_key(engine, &info, key, err));
    if (engine->with_info >= ENGINE_KEPT_KEYS)
        drop_info(engine, engine->oldest);
    (*key)->info = info;
    (*key)->has_info = true;
    engine->with_info++;
    make_newest(engine, *key);
    return LETHE_OK;
}

lethe_result kept_find(struct engine *engine, const char *name, struct kept_key **out,
                       struct lethe_error *err)
{
    struct kept_key *key = look_up(engine, name);
    if (key == NULL || !key->has_info) {
        TRY(read_info(engine, name, &key, err));
    } else if (key != engine->newest) {
        unlink_from_order(engine, key);
        make_newest(engine, key);
    }
    *out = key;
    return LETHE_OK;
}

/* ---- versions -------------------------------------------------------------------------------- */

static void drop_pairs(struct engine *engine, struct kept_key *key)
{
    for (struct kept_version *at = key->versions; at != NULL; at = at->next) {
        if (at->pair != NULL)
            drop_material(engine, at);
    }
}

/* The key in use is the newest, and so the last to lose what it has. */
static void make_room(struct engine *engine, struct kept_key *key)
{
    size_t versions = 0;
    for (struct kept_version *at = key->versions; at != NULL; at = at->next)
        versions++;
    if (versions >= KEPT_VERSIONS_MAX)
        drop_versions(engine, key, true);
    for (struct kept_key *at = engine->oldest; at != NULL && engine->pairs >= KEPT_PAIRS_MAX;
         at = at->newer)
        drop_pairs(engine, at);
}

static struct kept_version *find_version(const struct kept_key *key, uint64_t version)
{
    struct kept_version *at = key->versions;
    while (at != NULL && at->version != version)
        at = at->next;
    return at;
}

static lethe_result add_version(struct kept_key *key, uint64_t version, struct kept_version **out,
                                struct lethe_error *err)
{
    struct kept_version *added = calloc(1, sizeof *added);
    if (added == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a key");
    added->version = version;
    snprintf(added->prefix, sizeof added->prefix, "vault:v%" PRIu64 ":", version);
    added->next = key->versions;
    key->versions = added;
    *out = added;
    return LETHE_OK;
}

static lethe_result expand(struct engine *engine, const struct key_info *info,
                           const struct lethe_secret *material, struct kept_version *out,
                           struct lethe_error *err)
{
    const uint8_t *bytes = lethe_secret_bytes_const(material);
    size_t size_bytes = lethe_secret_size(material);
    if (size_bytes != engine_type_bytes(info->type))
        return error_set(err, LETHE_INTEGRITY, "the key %s is not stored in a form that we know",
                         info->name);
    if (info->type == ENGINE_AES256_GCM96)
        return aead_key_create(bytes, size_bytes, AEAD_BACKEND_BEST, &out->aead, err);
    if (info->type == ENGINE_CHACHA20_POLY1305)
        return aead_chacha20_create(bytes, &out->aead, err);
    TRY(sign_pair_create(engine_type_signature(info->type), material, &out->pair, err));
    engine->pairs++;
    return LETHE_OK;
}

/* The uses that were reserved are of the very version: one that took its name and number since has
 * another HMAC key, which is random. */
static void keep_or_lose_uses(struct kept_version *version, const struct lethe_secret *hmac)
{
    uint8_t digest[SHA256_BYTES];
    uint64_t identity;
    sha256(lethe_secret_bytes_const(hmac), lethe_secret_size(hmac), digest);
    memcpy(&identity, digest, sizeof identity);
    if (version->identity != identity)
        version->uses_left = version->block = 0;
    version->identity = identity;
}

static lethe_result load(struct engine *engine, struct kept_key *key, struct kept_version *version,
                         struct lethe_error *err)
{
    CLEANUP(key_version_clear) struct key_version read = {0};
    TRY(keyring_version(engine->keeper->store, key->info.name, version->version, &read, err));
    TRY(expand(engine, &key->info, read.material, version, err));
    keep_or_lose_uses(version, read.hmac);
    version->created_s = read.created_s;
    version->hmac = MOVE(read.hmac);
    return LETHE_OK;
}

lethe_result kept_version(struct engine *engine, struct kept_key *key, uint64_t version,
                          struct kept_version **out, struct lethe_error *err)
{
    struct kept_version *found = find_version(key, version);
    if (found == NULL || found->hmac == NULL) {
        make_room(engine, key);
        found = find_version(key, version);
        if (found == NULL)
            TRY(add_version(key, version, &found, err));
        TRY(load(engine, key, found, err));
    }
    *out = found;
    return LETHE_OK;
}

/* ---- uses ------------------------------------------------------------------------------------ */

#define SOON_NS ((uint64_t)8 * 1000000000u)

/* A block that was used up soon is followed by a larger one, so that a busy key does not wait for
 * the disk more than every few seconds. */
static uint64_t next_block(const struct kept_version *version, uint64_t now_ns)
{
    bool soon = now_ns - version->reserved_ns < SOON_NS;
    uint64_t next = soon ? version->block * 4 : version->block / 4;
    return MAX(MIN(next, KEPT_RESERVED_MAX), KEY_USES_RESERVED);
}

static lethe_result reserve(struct engine *engine, const struct kept_key *key,
                            struct kept_version *version, struct lethe_error *err)
{
    uint64_t now_ns = clock_monotonic_ns(engine->keeper->clock);
    uint64_t block = next_block(version, now_ns);
    const char *name = key->info.name;
    lethe_result result = keeper_reserve(engine->keeper, name, version->version, block, err);
    if (result == LETHE_LIMIT && block > KEY_USES_RESERVED) {
        block = KEY_USES_RESERVED;
        result = keeper_reserve(engine->keeper, name, version->version, block, err);
    }
    if (result == LETHE_NOT_FOUND) /* since it was looked at */
        return error_set(err, result, "there is no such key");
    TRY(result);
    version->block = version->uses_left = block;
    version->reserved_ns = now_ns;
    return LETHE_OK;
}

lethe_result kept_take_use(struct engine *engine, const struct kept_key *key,
                           struct kept_version *version, struct lethe_error *err)
{
    if (version->uses_left == 0)
        TRY(reserve(engine, key, version, err));
    version->uses_left--;
    return LETHE_OK;
}
