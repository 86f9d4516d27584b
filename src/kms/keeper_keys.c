#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "kms/keeper_core.h"
#include "kms/transit.h"

#define ALLOWED "allowed"

/* ---- names ----------------------------------------------------------------------------------- */

void keeper_log_key_name(const char *node, char out[KEY_NAME_MAX + 1])
{
    int length = snprintf(out, KEY_NAME_MAX + 1, "%s.log", node);
    REQUIRE(length > 0 && length <= KEY_NAME_MAX);
}

void keeper_owner_of(const char *name, char out[NAME_PART_MAX + 1])
{
    size_t length = strcspn(name, ".");
    if (name[length] == '\0' || length > NAME_PART_MAX)
        length = 0;
    memcpy(out, name, length);
    out[length] = '\0';
}

lethe_result keeper_check_encryption_name(const char *name, struct lethe_error *err)
{
    enum key_kind kind;
    TRY(key_name_check(name, &kind, err));
    return kind == KEY_ENCRYPTION
               ? LETHE_OK
               : error_set(err, LETHE_INVALID, "%s is not the name of an encryption key", name);
}

/* ---- keys in use ----------------------------------------------------------------------------- */

static struct working_key *find_working_key(const struct keeper *keeper, const char *name)
{
    struct working_key *key = keeper->working;
    while (key != NULL && strcmp(key->name, name) != 0)
        key = key->next;
    return key;
}

lethe_result keeper_add_working_key(struct keeper *keeper, const char *name,
                                    struct working_key **out, struct lethe_error *err)
{
    struct working_key *key = calloc(1, sizeof *key);
    if (key == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a key");
    memcpy(key->name, name, strlen(name) + 1);
    key->next = keeper->working;
    keeper->working = key;
    *out = key;
    return LETHE_OK;
}

static void free_working_key(struct working_key *key)
{
    sign_pair_free(key->pair);
    free(key);
}

void keeper_keys_clear(struct keeper *keeper)
{
    for (struct working_key *key; (key = keeper->working) != NULL;) {
        keeper->working = key->next;
        free_working_key(key);
    }
}

void keeper_keys_forget(struct keeper *keeper, const char *name)
{
    for (struct working_key **at = &keeper->working; *at != NULL;) {
        struct working_key *key = *at;
        if (strcmp(key->name, name) != 0) {
            at = &key->next;
            continue;
        }
        *at = key->next;
        free_working_key(key);
    }
}

/* ---- making keys ----------------------------------------------------------------------------- */

struct creation {
    const char *name;
    char fingerprint[FINGERPRINT_SIZE];
};

static lethe_result create_in_transaction(struct keeper *keeper, void *context, uint64_t epoch,
                                          struct audit_event *event, struct lethe_error *err)
{
    struct creation *creation = context;
    const char *name = creation->name;
    struct key_info made;
    TRY(keyring_create(keeper->store, name, keeper_now_s(keeper), err));
    TRY(keyring_info(keeper->store, name, &made, err));
    TRY(keeper_fingerprint(keeper, &made, creation->fingerprint, err));
    *event = audit_key_created(name, engine_type_name(made.type), made.newest_version,
                               creation->fingerprint, epoch);
    return LETHE_OK;
}

/* Somebody else may have made it meanwhile, which is as good. */
lethe_result keeper_ensure_key(struct keeper *keeper, const char *name, struct lethe_error *err)
{
    struct key_info info;
    struct creation creation = {.name = name};
    char tenant[NAME_PART_MAX + 1];
    lethe_result result = keyring_info(keeper->store, name, &info, err);
    if (result == LETHE_OK) {
        TRY(key_check_usable(&info, info.newest_version, err));
        return keeper_rotate_if_due(keeper, &info, err);
    }
    if (result != LETHE_NOT_FOUND)
        return result;
    keeper_owner_of(name, tenant);
    result = keeper_make_change(keeper, tenant, create_in_transaction, &creation, err);
    return result == LETHE_EXISTS ? LETHE_OK : result;
}

static lethe_result source_ensure(void *context, const char *key, struct lethe_error *err)
{
    TRY(keeper_check_encryption_name(key, err));
    return keeper_ensure_key(context, key, err);
}

/* ---- wrapping -------------------------------------------------------------------------------- */

/* A client may have made a key of such a name for something else. */
static lethe_result check_wraps(const struct key_info *info, struct lethe_error *err)
{
    return info->type == ENGINE_AES256_GCM96
               ? LETHE_OK
               : error_set(err, LETHE_INVALID, "the key %s is of type %s: models take aes256-gcm96",
                           info->name, engine_type_name(info->type));
}

/* Nothing that others remember of rows has changed by this, so that keeper_look() does not see it.
 */
lethe_result keeper_reserve(struct keeper *keeper, const char *name, uint64_t version,
                            uint64_t uses, struct lethe_error *err)
{
    TRY(keeper_begin(keeper, err));
    CLEANUP(store_rollback) struct store *transaction = keeper->store;
    bool had_looked = keeper->looked_epoch == store_epoch(transaction);
    TRY(keyring_reserve_many(transaction, name, version, uses, err));
    TRY(store_commit(transaction, err));
    if (had_looked)
        keeper->looked_epoch = store_epoch(transaction);
    return LETHE_OK;
}

static lethe_result reserve_uses(struct keeper *keeper, struct working_key *key,
                                 struct lethe_error *err)
{
    TRY(keeper_reserve(keeper, key->name, key->version, KEY_USES_RESERVED, err));
    key->uses_reserved += KEY_USES_RESERVED;
    return LETHE_OK;
}

lethe_result keeper_take_uses(struct keeper *keeper, const char *name, uint64_t count,
                              uint64_t *version, struct lethe_error *err)
{
    struct key_info info;
    struct working_key *key = find_working_key(keeper, name);
    TRY(keyring_info(keeper->store, name, &info, err));
    TRY(check_wraps(&info, err));
    TRY(key_check_usable(&info, info.newest_version, err));
    if (key == NULL)
        TRY(keeper_add_working_key(keeper, name, &key, err));
    if (key->version != info.newest_version)
        key->uses_reserved = 0;
    key->version = info.newest_version;
    while (key->uses_reserved < count)
        TRY(reserve_uses(keeper, key, err));
    key->uses_reserved -= count;
    *version = key->version;
    return LETHE_OK;
}

lethe_result keeper_commit_for(struct keeper *keeper, const char *name,
                               const struct audit_event *event, struct lethe_error *err)
{
    char tenant[NAME_PART_MAX + 1];
    keeper_owner_of(name, tenant);
    const struct audit_who who = keeper_who(keeper, tenant);
    TRY(keeper_settle_owed(keeper, err));
    return audit_commit(keeper->log, &who, event, err);
}

static lethe_result source_wrap(void *context, const struct key_use *use,
                                const struct lethe_secret *data_key, struct buffer *wrapped,
                                struct lethe_error *err)
{
    struct keeper *keeper = context;
    struct transit_binding binding = {.aad = use->aad, .aad_bytes = use->aad_bytes};
    CLEANUP(lethe_secret_free) struct lethe_secret *material = NULL;
    TRY(keeper_check_encryption_name(use->key, err));
    TRY(keeper_take_uses(keeper, use->key, 1, &binding.version, err));
    TRY(keyring_material(keeper->store, use->key, binding.version, &material, err));
    const struct audit_event event =
        audit_key_used(use->key, binding.version, use->purpose, ALLOWED, 1);
    TRY(keeper_commit_for(keeper, use->key, &event, err));
    binding.key = material;
    return transit_wrap(&binding, keeper->random, data_key, wrapped, err);
}

/* ---- unwrapping ------------------------------------------------------------------------------ */

lethe_result keeper_check_release(struct keeper *keeper, const struct key_use *use,
                                  struct lethe_error *err)
{
    char model[KEY_NAME_MAX + 1];
    uint64_t minimum;
    size_t tier = (size_t)(strrchr(use->key, '.') - use->key);
    memcpy(model, use->key, tier);
    model[tier] = '\0';
    TRY(release_minimum(keeper->store, model, &minimum, err));
    if (use->release >= minimum)
        return LETHE_OK;
    error_set(err, LETHE_DENIED, "release %llu of %s is below the minimum, which is %llu",
              (unsigned long long)use->release, model, (unsigned long long)minimum);
    error_hint(err, "an older manifest was put back; get the newest one of this model");
    return LETHE_DENIED;
}

lethe_result keeper_check_use(struct keeper *keeper, const struct key_use *use, uint64_t version,
                              struct lethe_error *err)
{
    struct key_info info;
    TRY(keyring_info(keeper->store, use->key, &info, err));
    TRY(check_wraps(&info, err));
    if (info.destroyed || strcmp(use->purpose, KEY_PURPOSE_REENCRYPT) != 0)
        TRY(key_check_usable(&info, version, err));
    TRY(key_check_opens(&info, version, err));
    return keeper_check_release(keeper, use, err);
}

static lethe_result open_wrapped(struct keeper *keeper, const struct key_use *use,
                                 const char *wrapped, uint64_t *version,
                                 struct lethe_secret **data_key, struct lethe_error *err)
{
    struct transit_binding binding = {.aad = use->aad, .aad_bytes = use->aad_bytes};
    CLEANUP(lethe_secret_free) struct lethe_secret *material = NULL;
    TRY(transit_version(wrapped, &binding.version, err));
    *version = binding.version;
    TRY(keeper_check_use(keeper, use, binding.version, err));
    TRY(keyring_material(keeper->store, use->key, binding.version, &material, err));
    binding.key = material;
    return transit_unwrap(&binding, wrapped, data_key, err);
}

static lethe_result record_release(struct keeper *keeper, const struct key_use *use,
                                   uint64_t version, struct lethe_error *err)
{
    const struct audit_event event = audit_key_released(
        use->key, version, use->purpose, keeper_actor(keeper), NULL, NULL, use->shard);
    return keeper_commit_for(keeper, use->key, &event, err);
}

/* The refusal stands whether or not it gets on record. */
static void record_refusal(struct keeper *keeper, const struct key_use *use, uint64_t version,
                           lethe_result reason)
{
    const struct audit_event event =
        audit_key_denied(use->key, version, use->purpose, keeper_actor(keeper), NULL, NULL,
                         use->shard, lethe_result_sentence(reason));
    (void)!keeper_commit_for(keeper, use->key, &event, NULL);
}

static lethe_result source_unwrap(void *context, const struct key_use *use, const char *wrapped,
                                  struct lethe_secret **data_key, struct lethe_error *err)
{
    struct keeper *keeper = context;
    uint64_t version = 0;
    *data_key = NULL;
    TRY(keeper_check_encryption_name(use->key, err));
    CLEANUP(lethe_secret_free) struct lethe_secret *opened = NULL;
    lethe_result result = open_wrapped(keeper, use, wrapped, &version, &opened, err);
    if (result != LETHE_OK) {
        record_refusal(keeper, use, version, result);
        return result;
    }
    TRY(record_release(keeper, use, version, err));
    *data_key = MOVE(opened);
    return LETHE_OK;
}

void keeper_keys_init(struct keeper *keeper)
{
    keeper->source = (struct key_source){
        .ensure = source_ensure,
        .wrap = source_wrap,
        .wrap_all = keeper_source_wrap_all,
        .unwrap = source_unwrap,
        .unwrap_all = keeper_source_unwrap_all,
        .rewrap = keeper_source_rewrap,
        .newest = keeper_source_newest,
        .sign = keeper_source_sign,
        .signer = keeper_source_signer,
        .context = keeper,
    };
}

lethe_result keeper_fingerprint(struct keeper *keeper, const struct key_info *info,
                                char out[FINGERPRINT_SIZE], struct lethe_error *err)
{
    char log_key[KEY_NAME_MAX + 1];
    keeper_log_key_name(keeper->log_signer.key.name + strlen(LOG_ORIGIN_PREFIX), log_key);
    return key_fingerprint(keeper->store, log_key, info, out, err);
}

/* ---- looking --------------------------------------------------------------------------------- */

lethe_result keeper_list(struct keeper *keeper, key_visit *visit, void *context,
                         struct lethe_error *err)
{
    return keyring_list(keeper->store, visit, context, err);
}
