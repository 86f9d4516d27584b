/* Keys as bytes, for those who may have them: on record before they are there. */
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "crypto/x509.h"
#include "kms/engine_core.h"

lethe_result engine_record_release(struct engine *engine, const char *name, uint64_t version,
                                   const char *purpose, struct lethe_error *err)
{
    struct keeper *keeper = engine->keeper;
    const struct audit_event event =
        audit_key_released(name, version, purpose, keeper_actor(keeper), NULL, NULL, "");
    return keeper_commit_for(keeper, name, &event, err);
}

static lethe_result check_kind(enum engine_type type, enum engine_export_kind what,
                               struct lethe_error *err)
{
    bool fits =
        what == ENGINE_EXPORT_HMAC ||
        (what == ENGINE_EXPORT_SIGNING ? engine_type_signs(type) : engine_type_encrypts(type));
    return fits ? LETHE_OK
                : error_set(err, LETHE_INVALID, "a key of type %s has no %s key",
                            engine_type_name(type),
                            what == ENGINE_EXPORT_SIGNING ? "signing" : "encryption");
}

/* Seed and public key, as Go's libraries have them. */
static lethe_result append_ed25519(const struct kept_version *version,
                                   const struct lethe_secret *seed, struct guarded *out,
                                   struct lethe_error *err)
{
    uint8_t raw[SIGNATURE_PUBLIC_MAX_BYTES];
    size_t raw_bytes;
    CLEANUP(lethe_secret_free) struct lethe_secret *both = NULL;
    sign_public_raw(sign_pair_public(version->pair), raw, &raw_bytes);
    size_t seed_bytes = lethe_secret_size(seed);
    TRY(lethe_secret_create(seed_bytes + raw_bytes, &both, err));
    memcpy(lethe_secret_bytes(both), lethe_secret_bytes_const(seed), seed_bytes);
    memcpy(lethe_secret_bytes(both) + seed_bytes, raw, raw_bytes);
    guarded_base64(out, lethe_secret_bytes_const(both), seed_bytes + raw_bytes);
    return LETHE_OK;
}

static lethe_result append_pem(const struct kept_version *version, struct guarded *out,
                               struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *pem = NULL;
    TRY(x509_private_pem(version->pair, true, &pem, err));
    guarded_append(out, lethe_secret_bytes_const(pem), lethe_secret_size(pem));
    return LETHE_OK;
}

static lethe_result append_key(struct engine *engine, const struct kept_key *key,
                               const struct kept_version *version, struct guarded *out,
                               struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *material = NULL;
    if (version->pair != NULL && key->info.type != ENGINE_ED25519)
        return append_pem(version, out, err);
    TRY(keyring_material(engine->keeper->store, key->info.name, version->version, &material, err));
    if (version->pair != NULL)
        return append_ed25519(version, material, out, err);
    guarded_base64(out, lethe_secret_bytes_const(material), lethe_secret_size(material));
    return LETHE_OK;
}

lethe_result engine_export(struct engine *engine, const struct engine_export *what,
                           struct guarded *out, struct lethe_error *err)
{
    struct kept_key *key;
    struct kept_version *kept = NULL;
    size_t before = out->size_bytes;
    TRY(kept_find(engine, what->name, &key, err));
    if (!key->info.exportable)
        return error_set(err, LETHE_INVALID, "the key is not exportable");
    TRY(check_kind(key->info.type, what->kind, err));
    TRY(engine_pick(engine, key, what->version, ENGINE_READS, &kept, err));
    TRY(engine_record_release(engine, what->name, kept->version, "export", err));
    if (what->kind == ENGINE_EXPORT_HMAC)
        guarded_base64(out, lethe_secret_bytes_const(kept->hmac), KEY_HMAC_BYTES);
    else
        TRY(append_key(engine, key, kept, out, err));
    lethe_result result = guarded_result(out, err);
    if (result != LETHE_OK)
        guarded_truncate(out, before);
    return result;
}
