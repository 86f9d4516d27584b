/* Keys that sign: the pairs in use, signing with a tenant's, finding who signed, public halves. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "base/validate.h"
#include "crypto/hash.h"
#include "kms/keeper_core.h"

static lethe_result signer_name(const char *tenant, char out[KEY_NAME_MAX + 1],
                                struct lethe_error *err)
{
    TRY(validate_identifier("tenant", tenant, NAME_PART_MAX, err));
    int length = snprintf(out, KEY_NAME_MAX + 1, "%s.signer", tenant);
    REQUIRE(length > 0 && length <= KEY_NAME_MAX);
    return LETHE_OK;
}

lethe_result keeper_load_pair(struct store *store, const char *name, uint64_t version,
                              struct sign_pair **out, struct lethe_error *err)
{
    struct key_info info;
    CLEANUP(lethe_secret_free) struct lethe_secret *material = NULL;
    TRY(keyring_info(store, name, &info, err));
    if (info.destroyed)
        return key_check_usable(&info, info.newest_version, err);
    TRY(keyring_material(store, name, version == 0 ? info.newest_version : version, &material,
                         err));
    return sign_pair_create(engine_type_signature(info.type), material, out, err);
}

/* Loaded once and kept: what callers borrow of it must stay. */
static lethe_result pair_of(struct keeper *keeper, const char *name, uint64_t version,
                            struct working_key **out, struct lethe_error *err)
{
    for (struct working_key *key = keeper->working; key != NULL; key = key->next) {
        if (key->version == version && strcmp(key->name, name) == 0) {
            *out = key;
            return LETHE_OK;
        }
    }
    CLEANUP(sign_pair_free) struct sign_pair *pair = NULL;
    TRY(keeper_load_pair(keeper->store, name, version, &pair, err));
    TRY(keeper_add_working_key(keeper, name, out, err));
    (*out)->version = version;
    (*out)->pair = MOVE(pair);
    return LETHE_OK;
}

lethe_result keeper_source_sign(void *context, const char *tenant, const void *bytes,
                                size_t size_bytes, struct signature *out, struct lethe_error *err)
{
    struct keeper *keeper = context;
    struct working_key *key = NULL;
    struct key_info info;
    char name[KEY_NAME_MAX + 1];
    TRY(signer_name(tenant, name, err));
    TRY(keeper_ensure_key(keeper, name, err));
    TRY(keyring_info(keeper->store, name, &info, err));
    TRY(pair_of(keeper, name, info.newest_version, &key, err));
    const struct audit_event event = audit_key_used(name, key->version, "signing", "allowed", 1);
    TRY(keeper_commit_for(keeper, name, &event, err));
    return sign_message(key->pair, bytes, size_bytes, out, err);
}

/* As the OpenSSF Model Signing bundle names a key: the hex SHA-256 of its PEM. */
static lethe_result has_hint(const struct sign_public *key, const char *hint, bool *has,
                             struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer pem = {0};
    uint8_t digest[SHA256_BYTES];
    char text[2 * SHA256_BYTES + 1];
    TRY(sign_public_pem(key, &pem, err));
    sha256(pem.bytes, pem.size_bytes, digest);
    hex_encode(digest, sizeof digest, text);
    *has = strcmp(text, hint) == 0;
    return LETHE_OK;
}

/* The newest version is asked first: it is the one that is mostly meant. */
static lethe_result find_signer(struct keeper *keeper, const struct key_info *info,
                                const char *hint, struct working_key **out, struct lethe_error *err)
{
    uint64_t oldest = MAX(info->min_decryption, info->min_available);
    for (uint64_t version = info->newest_version; version >= oldest; version--) {
        bool has = hint == NULL;
        TRY(pair_of(keeper, info->name, version, out, err));
        if (!has)
            TRY(has_hint(sign_pair_public((*out)->pair), hint, &has, err));
        if (has)
            return LETHE_OK;
    }
    return error_set(err, LETHE_NOT_FOUND, "no version of the key %s made this signature",
                     info->name);
}

lethe_result keeper_source_signer(void *context, const char *tenant, const char *hint,
                                  const struct sign_public **out, struct lethe_error *err)
{
    struct keeper *keeper = context;
    struct working_key *key = NULL;
    struct key_info info;
    char name[KEY_NAME_MAX + 1];
    *out = NULL;
    TRY(signer_name(tenant, name, err));
    TRY(keyring_info(keeper->store, name, &info, err));
    if (info.destroyed)
        return key_check_usable(&info, info.newest_version, err);
    TRY(find_signer(keeper, &info, hint, &key, err));
    *out = sign_pair_public(key->pair);
    return key_check_usable(&info, key->version, err);
}

lethe_result keeper_export_public(struct keeper *keeper, const char *name, struct buffer *out,
                                  struct lethe_error *err)
{
    struct key_info info;
    CLEANUP(sign_pair_free) struct sign_pair *pair = NULL;
    TRY(keyring_info(keeper->store, name, &info, err));
    if (!engine_type_signs(info.type))
        return error_set(err, LETHE_INVALID, "%s is an encryption key: it has no public half",
                         name);
    TRY(keeper_load_pair(keeper->store, name, 0, &pair, err));
    if (info.kind != KEY_LOG_SIGNER)
        return sign_public_pem(sign_pair_public(pair), out, err);

    struct audit_key key;
    uint8_t raw[SIGNATURE_PUBLIC_MAX_BYTES];
    size_t raw_bytes;
    char node[NAME_PART_MAX + 1];
    keeper_owner_of(name, node);
    snprintf(key.name, sizeof key.name, "lethe/%s", node);
    sign_public_raw(sign_pair_public(pair), raw, &raw_bytes);
    memcpy(key.public_key, raw, sizeof key.public_key);
    audit_key_text(&key, out);
    return buffer_result(out, err);
}
