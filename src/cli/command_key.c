#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/common.h"
#include "cli/key_remote.h"
#include "model/tink.h"

/* ---- key list ----------------------------------------------------------------------------------
 */

static const char *state_of(const struct key_info *info, char out[48])
{
    if (info->destroyed)
        return "destroyed";
    if (info->revoked_through == 0)
        return "active";
    if (info->revoked_through == info->newest_version)
        return "revoked";
    snprintf(out, 48, "revoked through %llu", (unsigned long long)info->revoked_through);
    return out;
}

static lethe_result print_key(void *context, const struct key_info *info, struct lethe_error *err)
{
    char created[TIME_TEXT_SIZE];
    char state[48];
    time_text_s(info->created_s * 1000000000u, created);
    printf("%-40s %-13s version %-4llu %s  %llu uses reserved  %s", info->name,
           engine_type_name(info->type), (unsigned long long)info->newest_version, created,
           (unsigned long long)info->uses, state_of(info, state));
    if (info->rotate_every_s > 0 && !info->destroyed)
        printf(", new every %llu days", (unsigned long long)info->rotate_every_s / (24 * 3600));
    printf("\n");
    return LETHE_OK;
}

struct json_list {
    struct keeper *keeper;
    json_t *rows;
};

static lethe_result add_key_json(void *context, const struct key_info *info,
                                 struct lethe_error *err)
{
    const struct json_list *list = context;
    char created[TIME_TEXT_SIZE];
    char fingerprint[FINGERPRINT_SIZE] = ""; /* of nothing */
    if (!info->destroyed)
        TRY(keeper_fingerprint(list->keeper, info, fingerprint, err));
    time_text_s(info->created_s * 1000000000u, created);
    json_t *row =
        json_pack("{s:s, s:s, s:I, s:I, s:b, s:s, s:I, s:I, s:s}", "name", info->name, "kind",
                  engine_type_name(info->type), "newest_version", (json_int_t)info->newest_version,
                  "revoked_through", (json_int_t)info->revoked_through, "destroyed",
                  info->destroyed, "created", created, "uses", (json_int_t)info->uses,
                  "rotate_every_s", (json_int_t)info->rotate_every_s, "fingerprint", fingerprint);
    if (row == NULL || json_array_append_new(list->rows, row) != 0)
        return error_set(err, LETHE_NO_MEMORY, "no memory for the list of keys");
    return LETHE_OK;
}

static lethe_result list_json(struct home *home, struct lethe_error *err)
{
    CLEANUP(json_decref) json_t *rows = json_array();
    struct json_list list = {home->keeper, rows};
    TRY(keeper_list(home->keeper, add_key_json, &list, err));
    return common_print_keys(rows, err);
}

COMMAND_FUNCTION(key_list)
{
    CLEANUP(home_abandon) struct home *home = NULL;
    TRY(common_open_home(invocation, &home, err));
    bool json = option_given(invocation, "json");
    lethe_result result;
    if (home->client != NULL)
        result = key_remote_list(home->client, json, err);
    else if (json)
        result = list_json(home, err);
    else
        result = keeper_list(home->keeper, print_key, NULL, err);
    return home_finish(&home, result, err);
}

/* ---- key export --------------------------------------------------------------------------------
 */

static lethe_result export_public(struct home *home, const char *name, const char *output,
                                  struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    enum key_kind kind; /* a log is signed here, whoever keeps the other keys */
    bool remote = home->client != NULL &&
                  (key_name_check(name, &kind, NULL) != LETHE_OK || kind != KEY_LOG_SIGNER);
    lethe_result result = remote ? key_remote_public(home->client, name, &text, err)
                                 : keeper_export_public(home->keeper, name, &text, err);
    if (result == LETHE_NOT_FOUND)
        error_hint(err, "lethe key list names them all");
    TRY(result);
    return common_write_text(output, &text, 0644, err);
}

static lethe_result find_shard(const struct manifest *manifest, const char *id,
                               const struct shard **out, struct lethe_error *err)
{
    for (size_t i = 0; i < manifest->count; i++) {
        if (strcmp(manifest->shards[i].id, id) == 0) {
            *out = &manifest->shards[i];
            return LETHE_OK;
        }
    }
    error_set(err, LETHE_NOT_FOUND, "the model has no such shard");
    error_hint(err, "lethe inspect MODEL lists its shards");
    return LETHE_NOT_FOUND;
}

/* The keyset goes from guarded memory straight to the file. */
static lethe_result write_keyset(const struct lethe_secret *data_key, const char *output,
                                 struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *keyset = NULL;
    TRY(tink_keyset_json(&tink_shard_parameters, data_key, &keyset, err));
    return file_write_atomic(AT_FDCWD, output, lethe_secret_bytes_const(keyset),
                             lethe_secret_size(keyset), 0600, false, err);
}

static lethe_result export_shard(struct home *home, const struct invocation *invocation,
                                 struct lethe_error *err)
{
    CLEANUP(model_close) struct model *model = NULL;
    TRY(model_open(invocation->positional[0], &model, err));
    TRY(common_check_signature(home, model, err));
    const struct manifest *manifest = model_manifest(model);
    const struct shard *shard;
    TRY(find_shard(manifest, option_text(invocation, "shard"), &shard, err));

    CLEANUP(buffer_clear) struct buffer aad = {0};
    manifest_shard_aad(manifest, shard, &aad);
    TRY(buffer_result(&aad, err));
    const struct key_use use = {.key = shard->key,
                                .release = manifest->release,
                                .shard = shard->id,
                                .purpose = "export",
                                .aad = aad.bytes,
                                .aad_bytes = aad.size_bytes};
    const struct key_source *keys = home_keys(home);
    CLEANUP(lethe_secret_free) struct lethe_secret *data_key = NULL;
    TRY(keys->unwrap(keys->context, &use, shard->wrapped_key, &data_key, err));
    return write_keyset(data_key, option_text(invocation, "output"), err);
}

static lethe_result check_export_options(const struct invocation *invocation,
                                         struct lethe_error *err)
{
    bool shard = option_given(invocation, "shard");
    if (shard == option_given(invocation, "public"))
        return error_set(err, LETHE_INVALID, "give either NAME --public, or --shard ID MODEL");
    if (!shard && option_given(invocation, "tink-keyset"))
        return error_set(err, LETHE_INVALID, "--tink-keyset goes with --shard ID MODEL");
    if (!shard)
        return LETHE_OK;
    if (!option_given(invocation, "tink-keyset"))
        return error_set(err, LETHE_INVALID, "a data key is exported with --tink-keyset");
    const char *output = option_text(invocation, "output");
    if (output == NULL || strcmp(output, "-") == 0)
        return error_set(err, LETHE_INVALID,
                         "a data key is a secret: name a file for it with -o FILE");
    return LETHE_OK;
}

COMMAND_FUNCTION(key_export)
{
    TRY(check_export_options(invocation, err));
    CLEANUP(home_abandon) struct home *home = NULL;
    TRY(common_open_home(invocation, &home, err));
    lethe_result result = option_given(invocation, "shard")
                              ? export_shard(home, invocation, err)
                              : export_public(home, invocation->positional[0],
                                              option_text(invocation, "output"), err);
    return home_finish(&home, result, err);
}
