/* What may be set of a key, and which values fit together (docs: kms-api, key management). */
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "kms/engine_core.h"

#define AUTO_ROTATE_S_MIN ((uint64_t)3600)

lethe_result engine_check_auto_rotate(uint64_t auto_rotate_s, struct lethe_error *err)
{
    if (auto_rotate_s == 0 ||
        (auto_rotate_s >= AUTO_ROTATE_S_MIN && auto_rotate_s <= KEY_ROTATE_EVERY_S_MAX))
        return LETHE_OK;
    return error_set(err, LETHE_INVALID, "auto_rotate_period is 0, or at least an hour");
}

struct config_change {
    const char *name;
    const struct engine_config *config;
    uint64_t min_available; /* of a trim */
    struct key_info made;
};

/* ---- configuring ----------------------------------------------------------------------------- */

static lethe_result take_minimums(const struct engine_config *config, struct key_info *info)
{
    if (config->min_decryption_version != NULL)
        info->min_decryption = MAX(*config->min_decryption_version, 1u);
    if (config->min_encryption_version != NULL)
        info->min_encryption = *config->min_encryption_version;
    return LETHE_OK;
}

static lethe_result check_minimums(const struct key_info *info, struct lethe_error *err)
{
    const char *wrong = NULL;
    if (info->min_decryption > info->newest_version)
        wrong = "min_decryption_version may not be above the latest version";
    else if (info->min_encryption > info->newest_version)
        wrong = "min_encryption_version may not be above the latest version";
    else if (info->min_encryption > 0 && info->min_encryption < info->min_decryption)
        wrong = "min_encryption_version is 0, or at least min_decryption_version";
    else if (info->min_decryption < info->min_available)
        wrong = "min_decryption_version may not be below min_available_version";
    else if (info->min_encryption < info->min_available)
        wrong = "min_encryption_version may not be below min_available_version";
    return wrong == NULL ? LETHE_OK : error_set(err, LETHE_INVALID, "%s", wrong);
}

/* Can be switched on, and never off. */
static lethe_result take_one_way(const bool *wanted, bool *flag, const char *name,
                                 struct lethe_error *err)
{
    if (wanted == NULL)
        return LETHE_OK;
    if (*flag && !*wanted)
        return error_set(err, LETHE_INVALID, "%s cannot be switched off again", name);
    *flag = *wanted;
    return LETHE_OK;
}

static lethe_result take_config(const struct engine_config *config, struct key_info *info,
                                struct lethe_error *err)
{
    TRY(take_minimums(config, info));
    TRY(check_minimums(info, err));
    if (config->auto_rotate_s != NULL) {
        TRY(engine_check_auto_rotate(*config->auto_rotate_s, err));
        info->rotate_every_s = *config->auto_rotate_s;
    }
    if (config->deletion_allowed != NULL)
        info->deletion_allowed = *config->deletion_allowed;
    TRY(take_one_way(config->exportable, &info->exportable, "exportable", err));
    return take_one_way(config->plaintext_backup, &info->plaintext_backup, "allow_plaintext_backup",
                        err);
}

static lethe_result read_alive(struct keeper *keeper, struct config_change *change,
                               struct lethe_error *err)
{
    TRY(keyring_info(keeper->store, change->name, &change->made, err));
    return change->made.destroyed ? key_check_usable(&change->made, 1, err) : LETHE_OK;
}

static lethe_result configure(struct keeper *keeper, void *context, uint64_t epoch,
                              struct audit_event *event, struct lethe_error *err)
{
    struct config_change *change = context;
    struct key_info *made = &change->made;
    TRY(read_alive(keeper, change, err));
    TRY(take_config(change->config, made, err));
    TRY(keyring_configure(keeper->store, made, err));
    *event = audit_key_configured(change->name, made->min_decryption, made->min_encryption,
                                  made->rotate_every_s, made->deletion_allowed, made->exportable,
                                  made->plaintext_backup, epoch);
    return LETHE_OK;
}

lethe_result engine_configure(struct engine *engine, const char *name,
                              const struct engine_config *config, struct lethe_error *err)
{
    struct config_change change = {.name = name, .config = config};
    return engine_change(engine, name, configure, &change, err);
}

/* ---- trimming -------------------------------------------------------------------------------- */

static lethe_result check_trim(const struct key_info *info, uint64_t least, struct lethe_error *err)
{
    const char *wrong = NULL;
    if (least == 0)
        wrong = "min_available_version is 1 or more";
    else if (info->min_encryption == 0)
        wrong = "set min_decryption_version and min_encryption_version first: both bound what may "
                "be destroyed";
    else if (least > info->min_decryption || least > info->min_encryption)
        wrong = "min_available_version may not be above min_decryption_version or "
                "min_encryption_version";
    else if (least < info->min_available)
        wrong = "min_available_version may not go down: what was destroyed does not come back";
    return wrong == NULL ? LETHE_OK : error_set(err, LETHE_INVALID, "%s", wrong);
}

static lethe_result trim(struct keeper *keeper, void *context, uint64_t epoch,
                         struct audit_event *event, struct lethe_error *err)
{
    struct config_change *change = context;
    TRY(read_alive(keeper, change, err));
    TRY(check_trim(&change->made, change->min_available, err));
    change->made.min_available = change->min_available;
    TRY(keyring_configure(keeper->store, &change->made, err));
    *event = audit_key_trimmed(change->name, change->min_available, epoch);
    return LETHE_OK;
}

/* LETHE_BUSY: another process keeps an older state in the files. The versions are gone for
 * everyone, and the same call again overwrites what is left of them. */
lethe_result engine_trim(struct engine *engine, const char *name, uint64_t min_available_version,
                         struct lethe_error *err)
{
    struct config_change change = {.name = name, .min_available = min_available_version};
    TRY(engine_change(engine, name, trim, &change, err));
    return store_forget(engine->keeper->store, err);
}
