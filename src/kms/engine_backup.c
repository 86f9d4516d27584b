/* Whole keys out and in, sealed under the service's backup key. Formats: docs/formats.md, "Keys".
 */
#include <endian.h>
#include <inttypes.h>
#include <string.h>

#include "base/cursor.h"
#include "base/error.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "kms/engine_core.h"
#include "kms/keyring_core.h"

#define DOMAIN "lethe-key-backup/1"
#define BACKUP_KEY_PATH "engine/backup-key"
#define BACKUP_KEY_FORMAT 1
#define OVERHEAD_BYTES (AEAD_NONCE_BYTES + AEAD_TAG_BYTES)

/* ---- the backup key -------------------------------------------------------------------------- */

static lethe_result make_backup_key(struct keeper *keeper, void *context, uint64_t epoch,
                                    struct audit_event *event, struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *row = NULL;
    TRY(lethe_secret_create(1 + AEAD_KEY_BYTES, &row, err));
    uint8_t *bytes = lethe_secret_bytes(row);
    bytes[0] = BACKUP_KEY_FORMAT;
    if (random_fill(&random_system, bytes + 1, AEAD_KEY_BYTES) != LETHE_OK)
        return error_set(err, LETHE_FAILED, "there is no randomness for a key");
    TRY(store_put(keeper->store, BACKUP_KEY_PATH, bytes, 1 + AEAD_KEY_BYTES, STORE_ABSENT, err));
    *event =
        audit_key_created(BACKUP_KEY_PATH, engine_type_name(ENGINE_AES256_GCM96), 1, "", epoch);
    return LETHE_OK;
}

static lethe_result read_backup_key(struct engine *engine, struct aead_key **out,
                                    struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *row = NULL;
    TRY(store_get(engine->keeper->store, BACKUP_KEY_PATH, &row, NULL, err));
    const uint8_t *bytes = lethe_secret_bytes_const(row);
    if (lethe_secret_size(row) != 1 + AEAD_KEY_BYTES || bytes[0] != BACKUP_KEY_FORMAT)
        return keyring_damaged(BACKUP_KEY_PATH, err);
    return aead_key_create(bytes + 1, AEAD_KEY_BYTES, AEAD_BACKEND_BEST, out, err);
}

/* Somebody else may make it meanwhile, which is as good. */
static lethe_result need_backup_key(struct engine *engine, struct aead_key **out,
                                    struct lethe_error *err)
{
    lethe_result result = read_backup_key(engine, out, err);
    if (result != LETHE_NOT_FOUND)
        return result;
    result = keeper_make_change(engine->keeper, "", make_backup_key, NULL, err);
    if (result != LETHE_CONFLICT)
        TRY(result);
    return read_backup_key(engine, out, err);
}

/* ---- out ------------------------------------------------------------------------------------- */

static lethe_result append_row(struct store *store, const char *path, struct guarded *out,
                               struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *row = NULL;
    TRY(store_get(store, path, &row, NULL, err));
    guarded_prefixed(out, lethe_secret_bytes_const(row), lethe_secret_size(row));
    return LETHE_OK;
}

static lethe_result gather(struct store *store, const struct key_info *info, struct guarded *out,
                           struct lethe_error *err)
{
    char path[KEYRING_PATH_MAX];
    guarded_prefixed(out, info->name, strlen(info->name));
    keyring_key_path(info->name, path);
    TRY(append_row(store, path, out, err));
    for (uint64_t version = MAX(info->min_available, 1u); version <= info->newest_version;
         version++) {
        guarded_le64(out, version);
        keyring_version_path(info->name, version, path);
        TRY(append_row(store, path, out, err));
    }
    return guarded_result(out, err);
}

/* From engine->plain to engine->sealed. */
static lethe_result seal(struct engine *engine, const struct aead_key *key, struct lethe_error *err)
{
    const struct guarded *plain = &engine->plain;
    uint8_t *bytes = NULL;
    TRY(engine_room(&engine->sealed, plain->size_bytes + OVERHEAD_BYTES, &bytes, err));
    if (random_fill(engine->keeper->random, bytes, AEAD_NONCE_BYTES) != LETHE_OK)
        return error_set(err, LETHE_FAILED, "there is no randomness for a nonce");
    const struct aead_message message = {
        .nonce = bytes,
        .aad = DOMAIN,
        .aad_bytes = strlen(DOMAIN),
        .in = plain->bytes,
        .out = bytes + AEAD_NONCE_BYTES,
        .size_bytes = plain->size_bytes,
    };
    lethe_result result = aead_seal(key, &message, bytes + AEAD_NONCE_BYTES + plain->size_bytes);
    return result == LETHE_OK ? LETHE_OK : error_set(err, result, "sealing a backup");
}

static lethe_result back_up(struct engine *engine, const struct key_info *info,
                            struct lethe_error *err)
{
    CLEANUP(aead_key_free) struct aead_key *key = NULL;
    TRY(need_backup_key(engine, &key, err));
    TRY(engine_record_release(engine, info->name, info->newest_version, "backup", err));
    TRY(gather(engine->keeper->store, info, &engine->plain, err));
    return seal(engine, key, err);
}

lethe_result engine_backup(struct engine *engine, const char *name, struct guarded *out,
                           struct lethe_error *err)
{
    struct kept_key *key;
    TRY(kept_find(engine, name, &key, err));
    if (key->info.destroyed)
        return key_check_usable(&key->info, 1, err);
    if (!key->info.exportable || !key->info.plaintext_backup)
        return error_set(err, LETHE_INVALID, "%s is not allowed for this key",
                         key->info.exportable ? "plaintext backup" : "exporting");
    lethe_result result = back_up(engine, &key->info, err);
    guarded_clear(&engine->plain);
    TRY(result);
    guarded_base64(out, engine->sealed.bytes, engine->sealed.size_bytes);
    return guarded_result(out, err);
}

/* ---- in -------------------------------------------------------------------------------------- */

struct key_backup {
    char name[KEY_NAME_MAX + 1];
    struct key_row row;
    struct cursor versions; /* the rest, over engine->plain */
};

static lethe_result read_prefixed(struct cursor *cursor, const uint8_t **bytes,
                                  uint32_t *size_bytes)
{
    TRY(cursor_le32(cursor, size_bytes));
    return cursor_bytes(cursor, *size_bytes, bytes);
}

static lethe_result read_version(struct cursor *cursor, uint64_t expected, enum engine_type type,
                                 struct version_row *out)
{
    uint64_t version;
    uint32_t size_bytes;
    const uint8_t *bytes;
    TRY(cursor_le64(cursor, &version));
    TRY(read_prefixed(cursor, &bytes, &size_bytes));
    TRY(version_row_parse(bytes, size_bytes, out));
    return version == expected && out->material_bytes == engine_type_bytes(type) ? LETHE_OK
                                                                                 : LETHE_MALFORMED;
}

static lethe_result check_versions(const struct key_backup *backup)
{
    struct cursor cursor = backup->versions;
    struct version_row row;
    for (uint64_t version = keyring_oldest(&backup->row); version <= backup->row.newest_version;
         version++)
        TRY(read_version(&cursor, version, backup->row.type, &row));
    return cursor_left(&cursor) == 0 ? LETHE_OK : LETHE_MALFORMED;
}

static lethe_result parse(const struct guarded *plain, struct key_backup *out)
{
    struct cursor cursor = cursor_over(plain->bytes, plain->size_bytes);
    const uint8_t *bytes;
    uint32_t size_bytes;
    TRY(read_prefixed(&cursor, &bytes, &size_bytes));
    if (size_bytes > KEY_NAME_MAX || memchr(bytes, '\0', size_bytes) != NULL)
        return LETHE_MALFORMED;
    memcpy(out->name, bytes, size_bytes);
    out->name[size_bytes] = '\0';
    TRY(read_prefixed(&cursor, &bytes, &size_bytes));
    TRY(key_row_parse(bytes, size_bytes, &out->row));
    out->versions = cursor;
    return out->row.destroyed ? LETHE_MALFORMED : check_versions(out);
}

static lethe_result does_not_open(struct lethe_error *err)
{
    return error_set(err, LETHE_INTEGRITY,
                     "the backup does not open: it was changed, or is of another service");
}

static lethe_result open_sealed(struct engine *engine, struct lethe_error *err)
{
    CLEANUP(aead_key_free) struct aead_key *key = NULL;
    lethe_result result = read_backup_key(engine, &key, err);
    if (result == LETHE_NOT_FOUND || engine->sealed.size_bytes < OVERHEAD_BYTES)
        return does_not_open(err);
    TRY(result);
    const uint8_t *bytes = (const uint8_t *)engine->sealed.bytes;
    size_t plain_bytes = engine->sealed.size_bytes - OVERHEAD_BYTES;
    uint8_t *plain = guarded_extend(&engine->plain, plain_bytes);
    TRY(guarded_result(&engine->plain, err));
    const struct aead_message message = {
        .nonce = bytes,
        .aad = DOMAIN,
        .aad_bytes = strlen(DOMAIN),
        .in = bytes + AEAD_NONCE_BYTES,
        .out = plain,
        .size_bytes = plain_bytes,
    };
    return aead_open(key, &message, bytes + AEAD_NONCE_BYTES + plain_bytes) == LETHE_OK
               ? LETHE_OK
               : does_not_open(err);
}

static lethe_result open_backup(struct engine *engine, struct engine_bytes backup,
                                struct key_backup *out, struct lethe_error *err)
{
    const struct engine_text text = {.payload = backup.at, .payload_length = backup.size_bytes};
    TRY(engine_text_decode(&text, "a backup", &engine->sealed, err));
    TRY(open_sealed(engine, err));
    return parse(&engine->plain, out) == LETHE_OK ? LETHE_OK : does_not_open(err);
}

lethe_result engine_backup_name(struct engine *engine, struct engine_bytes backup,
                                char out[ENGINE_NAME_MAX + 1], struct lethe_error *err)
{
    struct key_backup opened = {0};
    lethe_result result = open_backup(engine, backup, &opened, err);
    memcpy(out, opened.name, sizeof opened.name);
    guarded_clear(&engine->plain);
    return result;
}

struct restoration {
    const char *name;
    struct key_backup *backup;
    bool force;
    bool replaced;
    struct key_row before; /* when it is replaced */
    struct key_info made;
    char fingerprint[FINGERPRINT_SIZE];
};

/* What was counted of the same bytes since the backup stays counted. */
static lethe_result keep_count(struct store *store, const char *name, uint64_t version,
                               struct version_row *row, struct lethe_error *err)
{
    struct version_row now;
    CLEANUP(lethe_secret_free) struct lethe_secret *bytes = NULL;
    lethe_result result = keyring_read_version(store, name, version, &bytes, &now, err);
    if (result == LETHE_NOT_FOUND)
        return error_forget(err);
    TRY(result);
    if (now.material_bytes == row->material_bytes &&
        bytes_equal(now.material, row->material, row->material_bytes))
        row->uses = MAX(row->uses, now.uses);
    row->written = now.written;
    return LETHE_OK;
}

static lethe_result write_versions(struct store *store, const struct restoration *restoration,
                                   struct lethe_error *err)
{
    struct cursor cursor = restoration->backup->versions;
    const struct key_row *key = &restoration->backup->row;
    for (uint64_t version = keyring_oldest(key); version <= key->newest_version; version++) {
        struct version_row row;
        TRY(read_version(&cursor, version, key->type, &row));
        TRY(keep_count(store, restoration->name, version, &row, err));
        TRY(keyring_write_version(store, restoration->name, version, &row, err));
    }
    return LETHE_OK;
}

/* Versions of the key that is replaced which the backup does not have. */
static lethe_result drop_others(struct store *store, const struct restoration *restoration,
                                struct lethe_error *err)
{
    const struct key_row *old = &restoration->before;
    const struct key_row *new = &restoration->backup->row;
    uint64_t end = old->newest_version + 1;
    TRY(keyring_drop_versions(store, restoration->name, keyring_oldest(old),
                              MIN(keyring_oldest(new), end), err));
    return keyring_drop_versions(store, restoration->name,
                                 MAX(new->newest_version + 1, keyring_oldest(old)), end, err);
}

static lethe_result look_before(struct store *store, struct restoration *restoration,
                                struct lethe_error *err)
{
    struct key_row *before = &restoration->before;
    lethe_result result = keyring_read_key(store, restoration->name, before, err);
    if (result == LETHE_NOT_FOUND)
        return error_forget(err);
    TRY(result);
    if (before->destroyed)
        return keyring_refuse_destroyed(restoration->name, err);
    if (!restoration->force)
        return error_set(err, LETHE_EXISTS, "there is a key of this name; force replaces it");
    restoration->replaced = true;
    /* Revoked is for ever, whatever a backup of before says. */
    struct key_row *row = &restoration->backup->row;
    row->revoked_through =
        MAX(row->revoked_through, MIN(before->revoked_through, row->newest_version));
    return LETHE_OK;
}

static lethe_result restore(struct keeper *keeper, void *context, uint64_t epoch,
                            struct audit_event *event, struct lethe_error *err)
{
    struct restoration *restoration = context;
    struct store *store = keeper->store;
    TRY(look_before(store, restoration, err));
    TRY(write_versions(store, restoration, err));
    if (restoration->replaced)
        TRY(drop_others(store, restoration, err));
    TRY(keyring_write_key(store, restoration->name, &restoration->backup->row, err));
    TRY(keyring_info(store, restoration->name, &restoration->made, err));
    TRY(keeper_fingerprint(keeper, &restoration->made, restoration->fingerprint, err));
    *event = audit_key_restored(restoration->name, engine_type_name(restoration->made.type),
                                restoration->made.newest_version, restoration->fingerprint,
                                restoration->replaced, epoch);
    return LETHE_OK;
}

static lethe_result open_and_restore(struct engine *engine, struct engine_bytes backup,
                                     struct restoration *restoration, struct lethe_error *err)
{
    TRY(open_backup(engine, backup, restoration->backup, err));
    if (restoration->name == NULL)
        restoration->name = restoration->backup->name;
    TRY(engine_check_new_name(restoration->name, err));
    TRY(keyring_check_type(restoration->name, restoration->backup->row.type, err));
    return engine_change(engine, restoration->name, restore, restoration, err);
}

lethe_result engine_restore(struct engine *engine, const struct engine_restore *what,
                            struct lethe_error *err)
{
    struct key_backup opened = {0};
    struct restoration restoration = {.name = what->name, .backup = &opened, .force = what->force};
    lethe_result result = open_and_restore(engine, what->backup, &restoration, err);
    guarded_clear(&engine->plain);
    return result;
}
