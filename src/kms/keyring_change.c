/* What changes keys. All of it happens inside a transaction of the caller's. */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "kms/keyring_core.h"

/* ---- rows ------------------------------------------------------------------------------------ */

lethe_result keyring_write_key(struct store *store, const char *name, const struct key_row *key,
                               struct lethe_error *err)
{
    char path[KEYRING_PATH_MAX];
    uint8_t row[KEY_ROW_BYTES];
    key_row_format(key, row);
    keyring_key_path(name, path);
    return store_put(store, path, row, sizeof row, STORE_ANY, err);
}

lethe_result keyring_write_version(struct store *store, const char *name, uint64_t version,
                                   const struct version_row *row, struct lethe_error *err)
{
    char path[KEYRING_PATH_MAX];
    CLEANUP(lethe_secret_free) struct lethe_secret *bytes = NULL;
    TRY(lethe_secret_create(VERSION_ROW_MAX, &bytes, err));
    size_t size_bytes = version_row_format(row, lethe_secret_bytes(bytes));
    keyring_version_path(name, version, path);
    return store_put(store, path, lethe_secret_bytes_const(bytes), size_bytes, row->written, err);
}

lethe_result keyring_drop_versions(struct store *store, const char *name, uint64_t first,
                                   uint64_t end, struct lethe_error *err)
{
    char path[KEYRING_PATH_MAX];
    for (uint64_t version = first; version < end; version++) {
        keyring_version_path(name, version, path);
        TRY(store_delete(store, path, STORE_ANY, err));
    }
    return LETHE_OK;
}

/* ---- making ---------------------------------------------------------------------------------- */

static lethe_result draw(size_t size_bytes, struct lethe_secret **out, struct lethe_error *err)
{
    TRY(lethe_secret_create(size_bytes, out, err));
    return random_fill(&random_system, lethe_secret_bytes(*out), size_bytes) == LETHE_OK
               ? LETHE_OK
               : error_set(err, LETHE_FAILED, "there is no randomness for a key");
}

static lethe_result make_material(enum engine_type type, struct lethe_secret **out,
                                  struct lethe_error *err)
{
    return engine_type_signs(type) ? sign_generate(engine_type_signature(type), out, err)
                                   : draw(engine_type_bytes(type), out, err);
}

static lethe_result add_version(struct store *store, const char *name, const struct key_row *key,
                                uint64_t now_s, struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *material = NULL;
    CLEANUP(lethe_secret_free) struct lethe_secret *hmac = NULL;
    TRY(make_material(key->type, &material, err));
    TRY(draw(KEY_HMAC_BYTES, &hmac, err));
    const struct version_row version = {.created_s = now_s,
                                        .material = lethe_secret_bytes_const(material),
                                        .material_bytes = lethe_secret_size(material),
                                        .hmac = lethe_secret_bytes_const(hmac)};
    TRY(keyring_write_version(store, name, key->newest_version, &version, err));
    return keyring_write_key(store, name, key, err);
}

lethe_result keyring_create_with(struct store *store, const char *name,
                                 const struct key_options *options, uint64_t now_s,
                                 struct lethe_error *err)
{
    const struct key_row key = {.type = options->type,
                                .newest_version = 1,
                                .min_decryption = 1,
                                .rotate_every_s = options->rotate_every_s,
                                .exportable = options->exportable,
                                .plaintext_backup = options->plaintext_backup};
    struct key_row existing;
    REQUIRE(options->rotate_every_s <= KEY_ROTATE_EVERY_S_MAX);
    TRY(keyring_check_type(name, options->type, err));
    lethe_result result = keyring_read_key(store, name, &existing, err);
    if (result == LETHE_OK && existing.destroyed)
        return keyring_refuse_destroyed(name, err);
    if (result == LETHE_OK)
        return error_set(err, LETHE_EXISTS, "the key %s is there already", name);
    if (result != LETHE_NOT_FOUND)
        return result;
    return add_version(store, name, &key, now_s, err);
}

lethe_result keyring_create(struct store *store, const char *name, uint64_t now_s,
                            struct lethe_error *err)
{
    static const enum engine_type types[] = {[KEY_ENCRYPTION] = ENGINE_AES256_GCM96,
                                             [KEY_MANIFEST_SIGNER] = ENGINE_ECDSA_P256,
                                             [KEY_LOG_SIGNER] = ENGINE_ED25519};
    enum key_kind kind;
    TRY(key_name_check(name, &kind, err));
    const struct key_options options = {.type = types[kind]};
    return keyring_create_with(store, name, &options, now_s, err);
}

/* ---- changing -------------------------------------------------------------------------------- */

/* A key whose state may change. */
static lethe_result read_changeable(struct store *store, const char *name, struct key_row *out,
                                    struct lethe_error *err)
{
    enum key_kind kind;
    TRY(key_name_check_any(name, &kind, err));
    TRY(keyring_read_key(store, name, out, err));
    if (out->destroyed)
        return keyring_refuse_destroyed(name, err);
    if (kind != KEY_LOG_SIGNER)
        return LETHE_OK;
    error_set(err, LETHE_INVALID, "%s is the key of the log, which stays what it is", name);
    error_hint(err, "it is what others know the log by; a new log takes a new home");
    return LETHE_INVALID;
}

lethe_result keyring_rotate(struct store *store, const char *name, uint64_t now_s,
                            struct lethe_error *err)
{
    struct key_row key;
    TRY(read_changeable(store, name, &key, err));
    key.newest_version++;
    return add_version(store, name, &key, now_s, err);
}

lethe_result keyring_schedule(struct store *store, const char *name, uint64_t rotate_every_s,
                              struct lethe_error *err)
{
    struct key_row key;
    REQUIRE(rotate_every_s <= KEY_ROTATE_EVERY_S_MAX);
    TRY(read_changeable(store, name, &key, err));
    key.rotate_every_s = rotate_every_s;
    return keyring_write_key(store, name, &key, err);
}

lethe_result keyring_revoke(struct store *store, const char *name, struct lethe_error *err)
{
    struct key_row key;
    TRY(read_changeable(store, name, &key, err));
    key.revoked_through = key.newest_version;
    return keyring_write_key(store, name, &key, err);
}

lethe_result keyring_destroy(struct store *store, const char *name, struct lethe_error *err)
{
    struct key_row key;
    TRY(read_changeable(store, name, &key, err));
    TRY(keyring_drop_versions(store, name, keyring_oldest(&key), key.newest_version + 1, err));
    key.revoked_through = key.newest_version;
    key.destroyed = true;
    return keyring_write_key(store, name, &key, err);
}

lethe_result keyring_configure(struct store *store, const struct key_info *info,
                               struct lethe_error *err)
{
    struct key_row key;
    TRY(read_changeable(store, info->name, &key, err));
    TRY(keyring_drop_versions(store, info->name, keyring_oldest(&key), info->min_available, err));
    key.min_available = info->min_available;
    key.min_decryption = info->min_decryption;
    key.min_encryption = info->min_encryption;
    key.rotate_every_s = info->rotate_every_s;
    key.exportable = info->exportable;
    key.plaintext_backup = info->plaintext_backup;
    key.deletion_allowed = info->deletion_allowed;
    return keyring_write_key(store, info->name, &key, err);
}

lethe_result keyring_delete(struct store *store, const char *name, struct lethe_error *err)
{
    struct key_row key;
    char path[KEYRING_PATH_MAX];
    TRY(read_changeable(store, name, &key, err));
    TRY(keyring_drop_versions(store, name, keyring_oldest(&key), key.newest_version + 1, err));
    keyring_key_path(name, path);
    return store_delete(store, path, STORE_ANY, err);
}

/* ---- counting uses --------------------------------------------------------------------------- */

lethe_result keyring_reserve_many(struct store *store, const char *name, uint64_t version,
                                  uint64_t uses, struct lethe_error *err)
{
    struct version_row row = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *secret = NULL;
    REQUIRE(uses <= KEY_USES_MAX);
    TRY(keyring_read_version(store, name, version, &secret, &row, err));
    if (row.uses > KEY_USES_MAX - uses) {
        error_set(err, LETHE_LIMIT,
                  "version %" PRIu64 " of the key %s has encrypted as often as one may", version,
                  name);
        error_hint(err, "rotate the key");
        return LETHE_LIMIT;
    }
    row.uses += uses;
    return keyring_write_version(store, name, version, &row, err);
}
