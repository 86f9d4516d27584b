#include "kms/engine.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "kms/engine_core.h"

lethe_result engine_open(struct keeper *keeper, struct engine **out, struct lethe_error *err)
{
    struct engine *engine = calloc(1, sizeof *engine);
    *out = engine;
    if (engine == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for the keys in use");
    engine->keeper = keeper;
    return LETHE_OK;
}

void engine_close(struct engine *engine)
{
    if (engine == NULL)
        return;
    kept_clear(engine);
    guarded_clear(&engine->plain);
    buffer_clear(&engine->sealed);
    free(engine);
}

void engine_forget(struct engine *engine, const char *name)
{
    kept_forget(engine, name);
}

/* ---- looking --------------------------------------------------------------------------------- */

/* What the log's key signs is the log's: here it does not exist. */
lethe_result engine_check_name(const char *name, struct lethe_error *err)
{
    enum key_kind kind;
    if (key_name_check_any(name, &kind, NULL) == LETHE_OK && kind != KEY_LOG_SIGNER)
        return LETHE_OK;
    return error_set(err, LETHE_NOT_FOUND, "there is no such key");
}

static void describe(const struct key_info *info, struct engine_key *out)
{
    *out = (struct engine_key){.type = info->type,
                               .latest_version = info->newest_version,
                               .min_available_version = info->min_available,
                               .min_decryption_version = info->min_decryption,
                               .min_encryption_version = info->min_encryption,
                               .revoked_through = info->revoked_through,
                               .auto_rotate_s = info->rotate_every_s,
                               .destroyed = info->destroyed,
                               .exportable = info->exportable,
                               .plaintext_backup = info->plaintext_backup,
                               .deletion_allowed = info->deletion_allowed,
                               .imported = info->imported};
    memcpy(out->name, info->name, sizeof out->name);
}

lethe_result engine_get(struct engine *engine, const char *name, struct engine_key *out,
                        struct lethe_error *err)
{
    struct kept_key *key;
    TRY(kept_find(engine, name, &key, err));
    describe(&key->info, out);
    return LETHE_OK;
}

struct listing {
    engine_visit *visit;
    void *context;
};

static lethe_result list_key(void *context, const struct key_info *info, struct lethe_error *err)
{
    const struct listing *listing = context;
    struct engine_key key;
    if (info->kind == KEY_LOG_SIGNER)
        return LETHE_OK;
    describe(info, &key);
    return listing->visit(listing->context, &key, err);
}

lethe_result engine_list(struct engine *engine, engine_visit *visit, void *context,
                         struct lethe_error *err)
{
    struct listing listing = {.visit = visit, .context = context};
    return keyring_list(engine->keeper->store, list_key, &listing, err);
}

static lethe_result check_there(const struct key_info *info, uint64_t version,
                                struct lethe_error *err)
{
    if (info->destroyed)
        return key_check_usable(info, version, err);
    if (version > 0 && version >= info->min_available && version <= info->newest_version)
        return LETHE_OK;
    return error_set(err, LETHE_NOT_FOUND, "the key %s has no version %" PRIu64, info->name,
                     version);
}

lethe_result engine_version(struct engine *engine, const char *name, uint64_t version,
                            struct engine_version *out, struct lethe_error *err)
{
    struct kept_key *key;
    CLEANUP(key_version_clear) struct key_version read = {0};
    TRY(kept_find(engine, name, &key, err));
    TRY(check_there(&key->info, version, err));
    TRY(keyring_version(engine->keeper->store, name, version, &read, err));
    *out = (struct engine_version){.created_s = read.created_s, .uses = read.uses};
    return LETHE_OK;
}

lethe_result engine_public(struct engine *engine, const char *name, uint64_t version,
                           struct buffer *out, struct lethe_error *err)
{
    struct kept_key *key;
    struct kept_version *kept;
    uint8_t raw[SIGNATURE_PUBLIC_MAX_BYTES];
    size_t raw_bytes;
    TRY(kept_find(engine, name, &key, err));
    TRY(check_there(&key->info, version, err));
    if (!engine_type_signs(key->info.type))
        return LETHE_OK;
    TRY(kept_version(engine, key, version, &kept, err));
    const struct sign_public *public_key = sign_pair_public(kept->pair);
    if (key->info.type != ENGINE_ED25519)
        return sign_public_pem(public_key, out, err);
    sign_public_raw(public_key, raw, &raw_bytes);
    base64_append(out, raw, raw_bytes);
    return buffer_result(out, err);
}

/* ---- which version --------------------------------------------------------------------------- */

static lethe_result check_version(const struct key_info *info, uint64_t version,
                                  enum engine_work work, struct lethe_error *err)
{
    uint64_t least = MAX(info->min_decryption, info->min_available);
    if (work == ENGINE_MAKES)
        least = MAX(least, info->min_encryption);
    if (version > info->newest_version)
        return error_set(err, LETHE_INVALID, "version %" PRIu64 " is above the latest, %" PRIu64,
                         version, info->newest_version);
    if (version < least)
        return error_set(err, LETHE_INVALID,
                         "version %" PRIu64 " is below the smallest that may be used, %" PRIu64,
                         version, least);
    return LETHE_OK;
}

lethe_result engine_pick(struct engine *engine, struct kept_key *key, uint64_t wanted,
                         enum engine_work work, struct kept_version **out, struct lethe_error *err)
{
    const struct key_info *info = &key->info;
    uint64_t version = wanted == 0 ? info->newest_version : wanted;
    if (info->destroyed)
        return key_check_usable(info, version, err);
    TRY(check_version(info, version, work, err));
    if (work != ENGINE_RENEWS)
        TRY(key_check_usable(info, version, err));
    return kept_version(engine, key, version, out, err);
}
