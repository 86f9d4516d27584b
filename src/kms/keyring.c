#include "kms/keyring.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/validate.h"
#include "crypto/hash.h"
#include "kms/keyring_core.h"

/* Of the HMAC keys of versions that have none of their own. */
#define HMAC_DOMAIN "lethe-hmac-key/1"

/* ---- names ----------------------------------------------------------------------------------- */

/* `suffix` is the last part of a name with two parts; NULL: names with three parts. */
static const struct {
    const char *suffix;
    bool has_type;
    enum engine_type type;
} kinds[] = {
    [KEY_ENCRYPTION] = {NULL, false, ENGINE_AES256_GCM96},
    [KEY_MANIFEST_SIGNER] = {"signer", true, ENGINE_ECDSA_P256},
    [KEY_LOG_SIGNER] = {"log", true, ENGINE_ED25519},
    [KEY_OTHER] = {"", false, ENGINE_AES256_GCM96}, /* no part is empty */
};

static lethe_result no_such_kind(struct lethe_error *err)
{
    return error_set(err, LETHE_INVALID,
                     "a key is called TENANT.MODEL.TIER, TENANT.signer or NODE.log, each part 1 to "
                     "%d of [A-Za-z0-9_-]",
                     NAME_PART_MAX);
}

lethe_result key_name_check(const char *name, enum key_kind *kind, struct lethe_error *err)
{
    char copy[KEY_NAME_MAX + 1];
    size_t length = strlen(name);
    if (length > KEY_NAME_MAX)
        return no_such_kind(err);
    char *rest = memcpy(copy, name, length + 1);
    char *last = NULL;
    size_t parts = 0;
    for (char *part; (part = strsep(&rest, ".")) != NULL; parts++) {
        last = part;
        if (validate_identifier("key", part, NAME_PART_MAX, NULL) != LETHE_OK)
            return no_such_kind(err);
    }
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        bool fits =
            kinds[i].suffix == NULL ? parts == 3 : parts == 2 && strcmp(last, kinds[i].suffix) == 0;
        if (fits) {
            *kind = (enum key_kind)i;
            return LETHE_OK;
        }
    }
    return no_such_kind(err);
}

static bool is_inner(char c)
{
    return c == '-' || c == '.';
}

lethe_result key_name_check_any(const char *name, enum key_kind *kind, struct lethe_error *err)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.";
    if (key_name_check(name, kind, NULL) == LETHE_OK)
        return LETHE_OK;
    size_t length = strnlen(name, KEY_NAME_MAX + 1);
    *kind = KEY_OTHER;
    if (length > 0 && length <= KEY_NAME_MAX && strspn(name, allowed) == length &&
        !is_inner(name[0]) && !is_inner(name[length - 1]))
        return LETHE_OK;
    return error_set(err, LETHE_INVALID,
                     "a key's name has 1 to %d of [A-Za-z0-9_.-], with - and . inside only",
                     KEY_NAME_MAX);
}

lethe_result keyring_check_type(const char *name, enum engine_type type, struct lethe_error *err)
{
    enum key_kind kind;
    TRY(key_name_check_any(name, &kind, err));
    if (!kinds[kind].has_type || kinds[kind].type == type)
        return LETHE_OK;
    return error_set(err, LETHE_INVALID, "a key that is called NAME.%s is of type %s, not %s",
                     kinds[kind].suffix, engine_type_name(kinds[kind].type),
                     engine_type_name(type));
}

/* ---- rows ------------------------------------------------------------------------------------ */

void keyring_key_path(const char *name, char out[KEYRING_PATH_MAX])
{
    snprintf(out, KEYRING_PATH_MAX, KEYRING_PREFIX "%s", name);
}

void keyring_version_path(const char *name, uint64_t version, char out[KEYRING_PATH_MAX])
{
    snprintf(out, KEYRING_PATH_MAX, KEYRING_PREFIX "%s/%" PRIu64, name, version);
}

lethe_result keyring_damaged(const char *name, struct lethe_error *err)
{
    return error_set(err, LETHE_INTEGRITY, "the key %s is not stored in a form that we know", name);
}

lethe_result keyring_read_key(struct store *store, const char *name, struct key_row *out,
                              struct lethe_error *err)
{
    char path[KEYRING_PATH_MAX];
    keyring_key_path(name, path);
    CLEANUP(lethe_secret_free) struct lethe_secret *row = NULL;
    lethe_result result = store_get(store, path, &row, NULL, err);
    if (result == LETHE_NOT_FOUND)
        return error_set(err, LETHE_NOT_FOUND, "there is no key %s", name);
    TRY(result);
    result = key_row_parse(lethe_secret_bytes_const(row), lethe_secret_size(row), out);
    if (result != LETHE_OK || keyring_check_type(name, out->type, NULL) != LETHE_OK)
        return keyring_damaged(name, err);
    return LETHE_OK;
}

lethe_result keyring_read_version(struct store *store, const char *name, uint64_t version,
                                  struct lethe_secret **row, struct version_row *out,
                                  struct lethe_error *err)
{
    uint64_t written;
    char path[KEYRING_PATH_MAX];
    keyring_version_path(name, version, path);
    TRY(store_get(store, path, row, &written, err));
    lethe_result result =
        version_row_parse(lethe_secret_bytes_const(*row), lethe_secret_size(*row), out);
    out->written = written;
    return result == LETHE_OK ? LETHE_OK : keyring_damaged(path, err);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* What the newest version's own row says. */
static lethe_result add_newest(struct store *store, struct key_info *info, struct lethe_error *err)
{
    struct version_row version;
    CLEANUP(lethe_secret_free) struct lethe_secret *row = NULL;
    lethe_result result =
        keyring_read_version(store, info->name, info->newest_version, &row, &version, err);
    if (result == LETHE_NOT_FOUND)
        return keyring_damaged(info->name, err);
    TRY(result);
    if (version.material_bytes != engine_type_bytes(info->type))
        return keyring_damaged(info->name, err);
    info->created_s = version.created_s;
    info->uses = version.uses;
    return LETHE_OK;
}

lethe_result keyring_info(struct store *store, const char *name, struct key_info *out,
                          struct lethe_error *err)
{
    enum key_kind kind;
    struct key_row key = {0};
    TRY(key_name_check_any(name, &kind, err));
    TRY(keyring_read_key(store, name, &key, err));
    *out = (struct key_info){.kind = kind,
                             .type = key.type,
                             .newest_version = key.newest_version,
                             .revoked_through = key.revoked_through,
                             .destroyed = key.destroyed,
                             .rotate_every_s = key.rotate_every_s,
                             .min_available = key.min_available,
                             .min_decryption = key.min_decryption,
                             .min_encryption = key.min_encryption,
                             .exportable = key.exportable,
                             .plaintext_backup = key.plaintext_backup,
                             .deletion_allowed = key.deletion_allowed,
                             .imported = key.imported};
    memcpy(out->name, name, strlen(name) + 1);
    return key.destroyed ? LETHE_OK : add_newest(store, out, err);
}

lethe_result keyring_refuse_destroyed(const char *name, struct lethe_error *err)
{
    error_set(err, LETHE_REVOKED, "the key %s was destroyed", name);
    error_hint(err,
               "nothing that it protected can be opened again, and its name does not come back");
    return LETHE_REVOKED;
}

lethe_result key_check_usable(const struct key_info *info, uint64_t version,
                              struct lethe_error *err)
{
    if (info->destroyed)
        return keyring_refuse_destroyed(info->name, err);
    if (version > info->revoked_through)
        return LETHE_OK;
    error_set(err, LETHE_REVOKED, "version %" PRIu64 " of the key %s was revoked", version,
              info->name);
    if (info->newest_version == info->revoked_through)
        error_hint(err,
                   "lethe key rotate %s makes a new version; then lethe rewrap MODEL, or lethe "
                   "reencrypt MODEL if data keys may be known",
                   info->name);
    else
        error_hint(err, "lethe rewrap MODEL, or lethe reencrypt MODEL if data keys may be known");
    return LETHE_REVOKED;
}

lethe_result key_check_opens(const struct key_info *info, uint64_t version, struct lethe_error *err)
{
    return version >= info->min_decryption
               ? LETHE_OK
               : error_set(err, LETHE_INVALID,
                           "version %" PRIu64 " of the key %s opens no more: %" PRIu64
                           " is the smallest that does",
                           version, info->name, info->min_decryption);
}

static lethe_result copy_secret(const void *bytes, size_t size_bytes, struct lethe_secret **out,
                                struct lethe_error *err)
{
    TRY(lethe_secret_create(size_bytes, out, err));
    memcpy(lethe_secret_bytes(*out), bytes, size_bytes);
    return LETHE_OK;
}

/* *row keeps what *out borrows from. */
static lethe_result find_version(struct store *store, const char *name, uint64_t version,
                                 struct lethe_secret **row, struct version_row *out,
                                 struct lethe_error *err)
{
    enum key_kind kind;
    TRY(key_name_check_any(name, &kind, err));
    lethe_result result = keyring_read_version(store, name, version, row, out, err);
    return result != LETHE_NOT_FOUND
               ? result
               : error_set(err, LETHE_NOT_FOUND, "there is no version %" PRIu64 " of a key %s",
                           version, name);
}

lethe_result keyring_material(struct store *store, const char *name, uint64_t version,
                              struct lethe_secret **out, struct lethe_error *err)
{
    *out = NULL;
    struct version_row found;
    CLEANUP(lethe_secret_free) struct lethe_secret *row = NULL;
    TRY(find_version(store, name, version, &row, &found, err));
    return copy_secret(found.material, found.material_bytes, out, err);
}

void key_version_clear(struct key_version *version)
{
    lethe_secret_free(version->material);
    lethe_secret_free(version->hmac);
    *version = (struct key_version){0};
}

static lethe_result derive_hmac(const struct lethe_secret *material, struct lethe_secret **out,
                                struct lethe_error *err)
{
    const struct hkdf_input input = {
        .hash = HKDF_SHA256,
        .key = lethe_secret_bytes_const(material),
        .key_bytes = lethe_secret_size(material),
        .info = HMAC_DOMAIN,
        .info_bytes = strlen(HMAC_DOMAIN),
    };
    TRY(lethe_secret_create(KEY_HMAC_BYTES, out, err));
    return hkdf(&input, lethe_secret_bytes(*out), KEY_HMAC_BYTES, err);
}

lethe_result keyring_version(struct store *store, const char *name, uint64_t version,
                             struct key_version *out, struct lethe_error *err)
{
    struct version_row found;
    CLEANUP(lethe_secret_free) struct lethe_secret *row = NULL;
    CLEANUP(key_version_clear) struct key_version read = {0};
    TRY(find_version(store, name, version, &row, &found, err));
    read.created_s = found.created_s;
    read.uses = found.uses;
    TRY(copy_secret(found.material, found.material_bytes, &read.material, err));
    if (found.hmac != NULL)
        TRY(copy_secret(found.hmac, KEY_HMAC_BYTES, &read.hmac, err));
    else
        TRY(derive_hmac(read.material, &read.hmac, err));
    *out = read;
    read = (struct key_version){0}; /* moved */
    return LETHE_OK;
}

struct listing {
    struct store *store;
    key_visit *visit;
    void *context;
};

static lethe_result list_row(void *context, const char *path, uint64_t version,
                             struct lethe_error *err)
{
    const struct listing *listing = context;
    const char *name = path + strlen(KEYRING_PREFIX);
    struct key_info info;
    if (strchr(name, '/') != NULL)
        return LETHE_OK; /* a version of the key before */
    TRY(keyring_info(listing->store, name, &info, err));
    return listing->visit(listing->context, &info, err);
}

lethe_result keyring_list(struct store *store, key_visit *visit, void *context,
                          struct lethe_error *err)
{
    struct listing listing = {.store = store, .visit = visit, .context = context};
    return store_list(store, KEYRING_PREFIX, list_row, &listing, err);
}

bool key_is_due(const struct key_info *info, uint64_t now_s)
{
    return info->rotate_every_s > 0 && !info->destroyed && now_s >= info->created_s &&
           now_s - info->created_s >= info->rotate_every_s;
}
