#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/text.h"
#include "kms/usage.h"
#include "service/routes_transit.h"

/* lethe/keys: what Vault has no calls for. Names of keys as in transit/keys. */

#define REASON_MAX 256u

/* ---- whether a version may be used ------------------------------------------------------------
 */

enum { STATUS_VERSION };
static const struct field status_fields[] = {
    {"version", FIELD_INTEGER, false, "0 or none: the latest", NULL}, {0}};

static const char *why_unusable(const struct engine_key *key, uint64_t version)
{
    if (key->destroyed)
        return "destroyed";
    if (version > key->latest_version)
        return "no such version";
    if (version <= key->revoked_through)
        return "revoked";
    if (version < key->min_available_version)
        return "trimmed";
    if (version < key->min_decryption_version)
        return "below min_decryption_version";
    return "";
}

static lethe_result key_status(struct call *call, struct lethe_error *err)
{
    struct engine_key key;
    uint64_t version = 0;
    TRY(transit_number(call_field(call, STATUS_VERSION), "version", 0, INT64_MAX, &version, err));
    lethe_result result =
        engine_get(call_service(call)->engine, call_capture(call, "name"), &key, err);
    if (result == LETHE_NOT_FOUND)
        return answer_missing(call);
    TRY(result);
    if (version == 0)
        version = key.latest_version;
    const char *reason = why_unusable(&key, version);
    struct json_writer *writer = answer_data(call);
    json_put_text(writer, "name", key.name);
    json_put_integer(writer, "version", (int64_t)version);
    json_put_integer(writer, "latest_version", (int64_t)key.latest_version);
    json_put_integer(writer, "revoked_through", (int64_t)key.revoked_through);
    json_put_boolean(writer, "usable", reason[0] == '\0');
    json_put_text(writer, "reason", reason);
    return LETHE_OK;
}

/* ---- revoking -------------------------------------------------------------------------------- */

enum { REVOKE_REASON };
static const struct field revoke_fields[] = {{"reason", FIELD_TEXT, true, "for the record", NULL},
                                             {0}};

/* Whoever holds a key of it hears so at once, and asks for the key's status. */
static void tell_revoked(struct call *call, const struct key_info *key)
{
    char members[KEY_NAME_MAX + 64], tenant[KEY_NAME_MAX + 1];
    call_key_tenant(key->name, tenant);
    snprintf(members, sizeof members, "\"key\":\"%s\",\"through_version\":%" PRIu64, key->name,
             key->revoked_through);
    service_publish(call_service(call), "key_revoked", tenant, members);
}

static lethe_result key_revoke(struct call *call, struct lethe_error *err)
{
    struct key_info key;
    char reason[REASON_MAX];
    struct service *service = call_service(call);
    const char *name = call_capture(call, "name");
    TRY(field_copy(call_field(call, REVOKE_REASON), "reason", reason, sizeof reason, err));
    lethe_result result = keeper_revoke_key(service->keeper, name, reason, &key, err);
    engine_forget(service->engine, name);
    if (result == LETHE_NOT_FOUND)
        return answer_missing(call);
    TRY(result);
    tell_revoked(call, &key);
    struct json_writer *writer = answer_data(call);
    json_put_text(writer, "name", key.name);
    json_put_integer(writer, "revoked_through", (int64_t)key.revoked_through);
    return LETHE_OK;
}

/* ---- schedule -------------------------------------------------------------------------------- */

enum { SCHEDULE_EVERY };
static const struct field schedule_fields[] = {
    {"rotate_every", FIELD_DURATION, true, "how old a version may become; 0: as old as it will",
     NULL},
    {0}};

static lethe_result key_schedule(struct call *call, struct lethe_error *err)
{
    uint64_t every_s = 0;
    const char *name = call_capture(call, "name");
    TRY(transit_number(call_field(call, SCHEDULE_EVERY), "rotate_every", 0, KEY_ROTATE_EVERY_S_MAX,
                       &every_s, err));
    struct service *service = call_service(call);
    lethe_result result = keeper_schedule_key(service->keeper, name, every_s, err);
    engine_forget(service->engine, name);
    if (result == LETHE_NOT_FOUND)
        return answer_missing(call);
    TRY(result);
    return transit_write_key(call, name, err);
}

/* ---- the smallest release that is given keys ---------------------------------------------------
 */

enum { MINIMUM_RELEASE };
static const struct field minimum_fields[] = {
    {"minimum", FIELD_INTEGER, true, "releases below it get no keys; only ever raised", NULL}, {0}};

static lethe_result model_named(struct call *call, char model[RELEASE_NAME_MAX + 1],
                                struct lethe_error *err)
{
    const char *name = call_capture(call, "name");
    if (transit_model_of(name, model))
        return LETHE_OK;
    if (strlen(name) > RELEASE_NAME_MAX)
        return error_set(err, LETHE_INVALID, "expected TENANT.MODEL, or the name of its key");
    strcpy(model, name);
    return LETHE_OK;
}

static lethe_result write_minimum(struct call *call, const char *model, struct lethe_error *err)
{
    uint64_t minimum;
    TRY(keeper_release_minimum(call_service(call)->keeper, model, &minimum, err));
    struct json_writer *writer = answer_data(call);
    json_put_text(writer, "model", model);
    json_put_integer(writer, "minimum", (int64_t)minimum);
    return LETHE_OK;
}

static lethe_result minimum_read(struct call *call, struct lethe_error *err)
{
    char model[RELEASE_NAME_MAX + 1];
    TRY(model_named(call, model, err));
    return write_minimum(call, model, err);
}

static lethe_result minimum_raise(struct call *call, struct lethe_error *err)
{
    char model[RELEASE_NAME_MAX + 1];
    uint64_t minimum = 0;
    TRY(transit_number(call_field(call, MINIMUM_RELEASE), "minimum", 1, INT64_MAX, &minimum, err));
    TRY(model_named(call, model, err));
    TRY(keeper_raise_release_minimum(call_service(call)->keeper, model, minimum, err));
    return write_minimum(call, model, err);
}

/* ---- how far a rotation has come ---------------------------------------------------------------
 */

enum { COUNT_VERSION, COUNT_SHARDS };
static const struct field count_items[] = {
    {"version", FIELD_INTEGER, true, "of the key", NULL},
    {"shards", FIELD_INTEGER, true, "whose data keys lie under it", NULL},
    {0}};
enum { USAGE_MODEL, USAGE_COUNTS };
static const struct field usage_fields[] = {
    {"model", FIELD_TEXT, true, "where the model lies, or what it is called", NULL},
    {"counts", FIELD_ITEMS, true, "takes the place of what was said of it before", count_items},
    {0}};

static lethe_result read_counts(const struct field_value *list,
                                struct usage_count counts[USAGE_VERSIONS_MAX], size_t *count,
                                struct lethe_error *err)
{
    const char *at = NULL;
    CLEANUP(guarded_clear) struct guarded scratch = {0};
    for (*count = 0;; ++*count) {
        struct field_value values[FIELDS_MAX] = {0};
        lethe_result result = field_item_next(count_items, list, &at, &scratch, values, err);
        if (result == LETHE_NOT_FOUND)
            return LETHE_OK;
        TRY(result);
        if (*count == USAGE_VERSIONS_MAX)
            return error_set(err, LETHE_INVALID, "counts: expected %u at most", USAGE_VERSIONS_MAX);
        TRY(transit_number(&values[COUNT_VERSION], "version", 1, INT64_MAX, &counts[*count].version,
                           err));
        TRY(transit_number(&values[COUNT_SHARDS], "shards", 1, INT64_MAX, &counts[*count].shards,
                           err));
    }
}

static lethe_result key_usage(struct call *call, struct lethe_error *err)
{
    size_t count;
    struct usage_count counts[USAGE_VERSIONS_MAX];
    char model[USAGE_MODEL_MAX + 1];
    TRY(field_copy(call_field(call, USAGE_MODEL), "model", model, sizeof model, err));
    TRY(read_counts(call_field(call, USAGE_COUNTS), counts, &count, err));
    lethe_result result = usage_report(call_service(call)->keeper, call_capture(call, "name"),
                                       model, counts, count, err);
    if (result == LETHE_NOT_FOUND)
        return answer_missing(call);
    TRY(result);
    answer_nothing(call);
    return LETHE_OK;
}

struct rollout {
    struct json_writer *writer;
    struct buffer totals; /* struct usage_count, one for each version */
};

static void add_total(struct rollout *rollout, const struct usage_count *count)
{
    struct usage_count *totals = (struct usage_count *)(void *)rollout->totals.bytes;
    size_t known = rollout->totals.size_bytes / sizeof *totals;
    for (size_t i = 0; i < known; i++) {
        if (totals[i].version == count->version) {
            totals[i].shards += count->shards;
            return;
        }
    }
    buffer_append(&rollout->totals, count, sizeof *count);
}

static lethe_result write_usage(void *context, const struct usage *usage, struct lethe_error *err)
{
    struct rollout *rollout = context;
    char reported[TIME_TEXT_SIZE];
    (void)err;
    time_text_s(usage->reported_s * 1000000000u, reported);
    json_begin_object(rollout->writer, NULL);
    json_put_text(rollout->writer, "model", usage->model);
    json_put_integer(rollout->writer, "version", (int64_t)usage->count.version);
    json_put_integer(rollout->writer, "shards", (int64_t)usage->count.shards);
    json_put_text(rollout->writer, "reported", reported);
    json_end_object(rollout->writer);
    add_total(rollout, &usage->count);
    return LETHE_OK;
}

static void write_totals(const struct rollout *rollout, uint64_t latest_version)
{
    const struct usage_count *totals = (const struct usage_count *)(void *)rollout->totals.bytes;
    size_t count = rollout->totals.size_bytes / sizeof *totals;
    uint64_t behind = 0;
    json_begin_object(rollout->writer, "shards");
    for (size_t i = 0; i < count; i++) {
        char version[24];
        snprintf(version, sizeof version, "%" PRIu64, totals[i].version);
        json_put_integer(rollout->writer, version, (int64_t)totals[i].shards);
        behind += totals[i].version < latest_version ? totals[i].shards : 0;
    }
    json_end_object(rollout->writer);
    json_put_integer(rollout->writer, "behind", (int64_t)behind);
}

static lethe_result key_rollout(struct call *call, struct lethe_error *err)
{
    struct engine_key key;
    struct rollout rollout = {0};
    struct service *service = call_service(call);
    lethe_result result = engine_get(service->engine, call_capture(call, "name"), &key, err);
    if (result == LETHE_NOT_FOUND)
        return answer_missing(call);
    TRY(result);
    rollout.writer = answer_data(call);
    json_put_text(rollout.writer, "name", key.name);
    json_put_integer(rollout.writer, "latest_version", (int64_t)key.latest_version);
    json_begin_array(rollout.writer, "models");
    result = usage_read(service->keeper, key.name, write_usage, &rollout, err);
    json_end_array(rollout.writer);
    if (result == LETHE_OK)
        result = buffer_result(&rollout.totals, err);
    if (result == LETHE_OK)
        write_totals(&rollout, key.latest_version);
    buffer_clear(&rollout.totals);
    return result;
}

/* ---------------------------------------------------------------------------------------------- */

const struct route routes_keys[] = {
    {CALL_GET, "lethe/keys/:name/status", 0, "key_status", NULL, status_fields, key_status,
     "Whether a version of a key may be used, and why not"},
    {CALL_POST, "lethe/keys/:name/revoke", ROUTE_ADMIN, "key_revoke", NULL, revoke_fields,
     key_revoke, "From now on no version that there is opens, encrypts or verifies"},
    {CALL_POST, "lethe/keys/:name/schedule", 0, "key_schedule", NULL, schedule_fields, key_schedule,
     "How old a version may become before the next one takes over"},
    {CALL_GET, "lethe/keys/:name/minimum", 0, "minimum_read", NULL, NULL, minimum_read,
     "The smallest release of a model that is given keys"},
    {CALL_POST, "lethe/keys/:name/minimum", 0, "minimum_raise", NULL, minimum_fields, minimum_raise,
     "Raises it"},
    {CALL_GET, "lethe/keys/:name/rollout", 0, "key_rollout", NULL, NULL, key_rollout,
     "How many shards of which models lie under which version"},
    {CALL_POST, "lethe/keys/:name/usage", 0, "key_usage", NULL, usage_fields, key_usage,
     "Says so of one model"},
    {0}};
