#include "kms/keyring.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/validate.h"
#include "kms/key_rows.h"

/* ---- kinds and names ------------------------------------------------------------------------- */

/* `suffix` is the last part of a name with two parts; NULL: names with three parts. */
static const struct {
    const char *name;
    const char *suffix;
    enum signature_kind signature;
} kinds[] = {
    [KEY_ENCRYPTION] = {"aes256-gcm96", NULL, SIGNATURE_ED25519 /* not used */},
    [KEY_MANIFEST_SIGNER] = {"ecdsa-p256", "signer", SIGNATURE_ECDSA_P256},
    [KEY_LOG_SIGNER] = {"ed25519", "log", SIGNATURE_ED25519},
};

const char *key_kind_name(enum key_kind kind)
{
    REQUIRE((size_t)kind < ARRAY_LEN(kinds));
    return kinds[kind].name;
}

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

/* ---- rows ------------------------------------------------------------------------------------ */

#define PREFIX "keys/"
#define VERSION_PATH_MAX (sizeof PREFIX + KEY_NAME_MAX + 24)

static void key_path(const char *name, char out[VERSION_PATH_MAX])
{
    snprintf(out, VERSION_PATH_MAX, PREFIX "%s", name);
}

static void version_path(const char *name, uint64_t version, char out[VERSION_PATH_MAX])
{
    snprintf(out, VERSION_PATH_MAX, PREFIX "%s/%" PRIu64, name, version);
}

static lethe_result damaged(const char *name, struct lethe_error *err)
{
    return error_set(err, LETHE_INTEGRITY, "the key %s is not stored in a form that we know", name);
}

static lethe_result read_key_row(struct store *store, const char *name, struct key_row *out,
                                 struct lethe_error *err)
{
    char path[VERSION_PATH_MAX];
    key_path(name, path);
    CLEANUP(lethe_secret_free) struct lethe_secret *row = NULL;
    lethe_result result = store_get(store, path, &row, NULL, err);
    if (result == LETHE_NOT_FOUND)
        return error_set(err, LETHE_NOT_FOUND, "there is no key %s", name);
    TRY(result);
    return key_row_parse(row, out) == LETHE_OK ? LETHE_OK : damaged(name, err);
}

/* *row keeps what *out borrows from. */
static lethe_result read_version_row(struct store *store, const char *path,
                                     struct lethe_secret **row, struct version_row *out,
                                     struct lethe_error *err)
{
    uint64_t written;
    TRY(store_get(store, path, row, &written, err));
    lethe_result result = version_row_parse(*row, out);
    out->written = written;
    return result == LETHE_OK ? LETHE_OK : damaged(path, err);
}

static lethe_result write_key_row(struct store *store, const char *name, const struct key_row *key,
                                  struct lethe_error *err)
{
    char path[VERSION_PATH_MAX];
    uint8_t row[KEY_ROW_BYTES];
    key_row_format(key, row);
    key_path(name, path);
    return store_put(store, path, row, sizeof row, STORE_ANY, err);
}

/* Over what version->written says; 0: over nothing. */
static lethe_result write_version_row(struct store *store, const char *path,
                                      const struct version_row *version, struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *row = NULL;
    TRY(lethe_secret_create(VERSION_ROW_BYTES, &row, err));
    version_row_format(version, lethe_secret_bytes(row));
    return store_put(store, path, lethe_secret_bytes_const(row), VERSION_ROW_BYTES,
                     version->written, err);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* What the newest version's own row says. */
static lethe_result add_newest(struct store *store, struct key_info *info, struct lethe_error *err)
{
    struct version_row version;
    char path[VERSION_PATH_MAX];
    version_path(info->name, info->newest_version, path);
    CLEANUP(lethe_secret_free) struct lethe_secret *row = NULL;
    lethe_result result = read_version_row(store, path, &row, &version, err);
    if (result == LETHE_NOT_FOUND)
        return damaged(info->name, err);
    TRY(result);
    info->created_s = version.created_s;
    info->uses = version.uses;
    return LETHE_OK;
}

lethe_result keyring_info(struct store *store, const char *name, struct key_info *out,
                          struct lethe_error *err)
{
    enum key_kind kind;
    struct key_row key = {0};
    TRY(key_name_check(name, &kind, err));
    TRY(read_key_row(store, name, &key, err));
    if (key.kind != kind)
        return damaged(name, err);
    *out = (struct key_info){.kind = kind,
                             .newest_version = key.newest_version,
                             .revoked_through = key.revoked_through,
                             .destroyed = key.destroyed,
                             .rotate_every_s = key.rotate_every_s};
    memcpy(out->name, name, strlen(name) + 1);
    return key.destroyed ? LETHE_OK : add_newest(store, out, err);
}

static lethe_result refuse_destroyed(const char *name, struct lethe_error *err)
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
        return refuse_destroyed(info->name, err);
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

lethe_result keyring_material(struct store *store, const char *name, uint64_t version,
                              struct lethe_secret **out, struct lethe_error *err)
{
    *out = NULL;
    enum key_kind kind;
    char path[VERSION_PATH_MAX];
    struct version_row found;
    TRY(key_name_check(name, &kind, err));
    version_path(name, version, path);
    CLEANUP(lethe_secret_free) struct lethe_secret *row = NULL;
    lethe_result result = read_version_row(store, path, &row, &found, err);
    if (result == LETHE_NOT_FOUND)
        return error_set(err, LETHE_NOT_FOUND, "there is no version %" PRIu64 " of a key %s",
                         version, name);
    TRY(result);
    TRY(lethe_secret_create(KEY_MATERIAL_BYTES, out, err));
    memcpy(lethe_secret_bytes(*out), found.material, KEY_MATERIAL_BYTES);
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
    const char *name = path + strlen(PREFIX);
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
    return store_list(store, PREFIX, list_row, &listing, err);
}

/* ---- writing --------------------------------------------------------------------------------- */

static lethe_result make_material(enum key_kind kind, struct lethe_secret **out,
                                  struct lethe_error *err)
{
    if (kind != KEY_ENCRYPTION)
        return sign_generate(kinds[kind].signature, out, err);
    TRY(lethe_secret_create(KEY_MATERIAL_BYTES, out, err));
    return random_fill(&random_system, lethe_secret_bytes(*out), KEY_MATERIAL_BYTES) == LETHE_OK
               ? LETHE_OK
               : error_set(err, LETHE_FAILED, "there is no randomness for a key");
}

static lethe_result add_version(struct store *store, const char *name, const struct key_row *key,
                                uint64_t now_s, struct lethe_error *err)
{
    char path[VERSION_PATH_MAX];
    CLEANUP(lethe_secret_free) struct lethe_secret *material = NULL;
    TRY(make_material(key->kind, &material, err));
    const struct version_row version = {.created_s = now_s,
                                        .material = lethe_secret_bytes_const(material)};
    version_path(name, key->newest_version, path);
    TRY(write_version_row(store, path, &version, err));
    return write_key_row(store, name, key, err);
}

lethe_result keyring_create(struct store *store, const char *name, uint64_t now_s,
                            struct lethe_error *err)
{
    struct key_row key = {.newest_version = 1};
    struct key_row existing;
    TRY(key_name_check(name, &key.kind, err));
    lethe_result result = read_key_row(store, name, &existing, err);
    if (result == LETHE_OK && existing.destroyed)
        return refuse_destroyed(name, err);
    if (result == LETHE_OK)
        return error_set(err, LETHE_EXISTS, "the key %s is there already", name);
    if (result != LETHE_NOT_FOUND)
        return result;
    return add_version(store, name, &key, now_s, err);
}

/* A key whose state may change. */
static lethe_result read_changeable(struct store *store, const char *name, struct key_row *out,
                                    struct lethe_error *err)
{
    enum key_kind kind;
    TRY(key_name_check(name, &kind, err));
    TRY(read_key_row(store, name, out, err));
    if (out->destroyed)
        return refuse_destroyed(name, err);
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
    return write_key_row(store, name, &key, err);
}

bool key_is_due(const struct key_info *info, uint64_t now_s)
{
    return info->rotate_every_s > 0 && !info->destroyed && now_s >= info->created_s &&
           now_s - info->created_s >= info->rotate_every_s;
}

lethe_result keyring_revoke(struct store *store, const char *name, struct lethe_error *err)
{
    struct key_row key;
    TRY(read_changeable(store, name, &key, err));
    key.revoked_through = key.newest_version;
    return write_key_row(store, name, &key, err);
}

lethe_result keyring_destroy(struct store *store, const char *name, struct lethe_error *err)
{
    struct key_row key;
    char path[VERSION_PATH_MAX];
    TRY(read_changeable(store, name, &key, err));
    for (uint64_t version = 1; version <= key.newest_version; version++) {
        version_path(name, version, path);
        TRY(store_delete(store, path, STORE_ANY, err));
    }
    key.revoked_through = key.newest_version;
    key.destroyed = true;
    return write_key_row(store, name, &key, err);
}

lethe_result keyring_reserve(struct store *store, const char *name, uint64_t *version,
                             struct lethe_error *err)
{
    struct key_row key = {0};
    struct version_row row = {0};
    char path[VERSION_PATH_MAX];
    TRY(read_key_row(store, name, &key, err));
    version_path(name, key.newest_version, path);
    CLEANUP(lethe_secret_free) struct lethe_secret *secret = NULL;
    TRY(read_version_row(store, path, &secret, &row, err));
    if (row.uses > KEY_USES_MAX - KEY_USES_RESERVED) {
        error_set(err, LETHE_LIMIT,
                  "version %" PRIu64 " of the key %s has encrypted as often as one "
                  "may",
                  key.newest_version, name);
        error_hint(err, "rotate the key");
        return LETHE_LIMIT;
    }
    row.uses += KEY_USES_RESERVED;
    *version = key.newest_version;
    return write_version_row(store, path, &row, err);
}
