#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/validate.h"
#include "service/policies.h"
#include "service/routes_transit.h"

#define VERSION_TEXT_SIZE 24

/* ---- export ---------------------------------------------------------------------------------- */

struct export_kind {
    const char *name;
    bool is_public;
    enum engine_export_kind what;
};

static lethe_result read_kind(const char *text, const struct export_kind **out,
                              struct lethe_error *err)
{
    static const struct export_kind kinds[] = {
        {"encryption-key", false, ENGINE_EXPORT_ENCRYPTION},
        {"signing-key", false, ENGINE_EXPORT_SIGNING},
        {"hmac-key", false, ENGINE_EXPORT_HMAC},
        {"public-key", true, ENGINE_EXPORT_SIGNING},
    };
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (strcmp(text, kinds[i].name) == 0) {
            *out = &kinds[i];
            return LETHE_OK;
        }
    }
    return error_set(
        err, LETHE_INVALID,
        "invalid export type: expected encryption-key, signing-key, hmac-key or public-key");
}

/* All versions that there are, or the one that is asked for. */
static lethe_result read_range(struct call *call, const struct engine_key *key, uint64_t *first,
                               uint64_t *last, struct lethe_error *err)
{
    int64_t number;
    const char *text = call_capture(call, "version");
    *first = MAX(MAX(key->min_decryption_version, key->min_available_version), 1);
    *last = key->latest_version;
    if (text[0] == '\0')
        return LETHE_OK;
    if (strcmp(text, "latest") == 0) {
        *first = *last;
        return LETHE_OK;
    }
    TRY(validate_integer("version", text, 1, INT64_MAX, &number, err));
    if ((uint64_t)number < *first || (uint64_t)number > *last)
        return error_set(err, LETHE_INVALID, "version: expected %" PRIu64 " to %" PRIu64, *first,
                         *last);
    *first = *last = (uint64_t)number;
    return LETHE_OK;
}

static lethe_result take_public(struct engine *engine, const struct engine_key *key,
                                uint64_t version, struct guarded *out, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer public = {0};
    TRY(engine_public(engine, key->name, version, &public, err));
    if (public.size_bytes == 0)
        return error_set(err, LETHE_INVALID, "a key of type %s has no public half",
                         engine_type_name(key->type));
    guarded_append(out, public.bytes, public.size_bytes);
    return LETHE_OK;
}

static lethe_result write_version(struct call *call, struct json_writer *writer,
                                  const struct engine_key *key, const struct export_kind *kind,
                                  uint64_t version, struct lethe_error *err)
{
    char number[VERSION_TEXT_SIZE];
    struct engine *engine = call_service(call)->engine;
    struct guarded *text = transit_scratch();
    const struct engine_export what = {key->name, kind->what, version};
    if (kind->is_public)
        TRY(take_public(engine, key, version, text, err));
    else
        TRY(engine_export(engine, &what, text, err));
    TRY(guarded_result(text, err));
    snprintf(number, sizeof number, "%" PRIu64, version);
    json_put_bytes(writer, number, text->bytes, text->size_bytes);
    guarded_wipe(text);
    return LETHE_OK;
}

static lethe_result write_export(struct call *call, const struct engine_key *key,
                                 struct lethe_error *err)
{
    const struct export_kind *kind;
    uint64_t first, last;
    TRY(read_kind(call_capture(call, "type"), &kind, err));
    TRY(read_range(call, key, &first, &last, err));
    struct json_writer *writer = answer_data(call);
    json_put_text(writer, "name", key->name);
    json_put_text(writer, "type", engine_type_name(key->type));
    json_begin_object(writer, "keys");
    for (uint64_t version = first; version <= last; version++)
        TRY(write_version(call, writer, key, kind, version, err));
    json_end_object(writer);
    return LETHE_OK;
}

lethe_result transit_export(struct call *call, struct lethe_error *err)
{
    struct engine_key key;
    lethe_result result =
        engine_get(call_service(call)->engine, call_capture(call, "name"), &key, err);
    if (result == LETHE_NOT_FOUND)
        return answer_missing(call);
    TRY(result);
    result = write_export(call, &key, err);
    transit_scratch_done();
    return result;
}

/* ---- backup and restore ---------------------------------------------------------------------- */

static lethe_result write_backup(struct call *call, struct lethe_error *err)
{
    struct guarded *backup = transit_scratch();
    TRY(engine_backup(call_service(call)->engine, call_capture(call, "name"), backup, err));
    TRY(guarded_result(backup, err));
    json_put_bytes(answer_data(call), "backup", backup->bytes, backup->size_bytes);
    return LETHE_OK;
}

lethe_result transit_backup(struct call *call, struct lethe_error *err)
{
    lethe_result result = write_backup(call, err);
    transit_scratch_done();
    return transit_without_key(result, "encryption key not found", err);
}

enum { RESTORE_BACKUP, RESTORE_FORCE };
const struct field transit_restore_fields[] = {
    {"backup", FIELD_TEXT, true, "what a backup gave", NULL},
    {"force", FIELD_BOOLEAN, false, "replaces a key of the same name", NULL},
    {0}};

/* Whose the key was counts as much as whose it is to become, which the policy was asked about if
 * the path says it: otherwise a tenant could use another's key under a name of its own. */
static lethe_result check_tenant(struct call *call, const char *name, struct lethe_error *err)
{
    if (call_may_see_key(call, name))
        return LETHE_OK;
    const struct audit_event event = audit_authorization_denied(
        call_caller(call)->name, "key_restore", call_path(call),
        "the backup holds another tenant's key", policies_digest(call_service(call)->policies));
    call_record(call, &event);
    return error_set(err, LETHE_DENIED, "permission denied");
}

lethe_result transit_restore(struct call *call, struct lethe_error *err)
{
    char inside[ENGINE_NAME_MAX + 1];
    const char *name = call_capture(call, "name");
    struct engine *engine = call_service(call)->engine;
    const struct field_value *backup = call_field(call, RESTORE_BACKUP);
    const struct engine_restore what = {.name = name[0] != '\0' ? name : NULL,
                                        .backup = {backup->text, backup->length},
                                        .force = call_field(call, RESTORE_FORCE)->boolean};
    TRY(engine_backup_name(engine, what.backup, inside, err));
    TRY(check_tenant(call, inside, err));
    TRY(engine_restore(engine, &what, err));
    answer_nothing(call);
    return LETHE_OK;
}
