#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/text.h"
#include "service/routes_transit.h"

#define KEY_MISSING "no existing key named %s could be found"
#define ROTATION_LEAST_S 3600u
#define VERSION_TEXT_SIZE 24
#define NS_PER_S 1000000000u

/* ---- the object that describes a key --------------------------------------------------------- */

/* As Vault calls it beside a public key. */
static const char *curve_of(enum engine_type type)
{
    switch (type) {
    case ENGINE_ECDSA_P256:
        return "P-256";
    case ENGINE_ECDSA_P384:
        return "P-384";
    default:
        return engine_type_name(type);
    }
}

static lethe_result write_public_version(struct call *call, struct json_writer *writer,
                                         const struct engine_key *key, uint64_t version,
                                         const struct engine_version *is, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer public = {0};
    char number[VERSION_TEXT_SIZE], created[TIME_TEXT_SIZE];
    TRY(engine_public(call_service(call)->engine, key->name, version, &public, err));
    snprintf(number, sizeof number, "%" PRIu64, version);
    time_text_s(is->created_s * NS_PER_S, created);
    json_begin_object(writer, number);
    json_put_text(writer, "name", curve_of(key->type));
    json_put_bytes(writer, "public_key", public.bytes, public.size_bytes);
    json_put_text(writer, "certificate_chain", "");
    json_put_text(writer, "creation_time", created);
    json_end_object(writer);
    return LETHE_OK;
}

static lethe_result write_version(struct call *call, struct json_writer *writer,
                                  const struct engine_key *key, uint64_t version,
                                  struct lethe_error *err)
{
    struct engine_version is;
    char number[VERSION_TEXT_SIZE];
    TRY(engine_version(call_service(call)->engine, key->name, version, &is, err));
    if (engine_type_signs(key->type))
        return write_public_version(call, writer, key, version, &is, err);
    snprintf(number, sizeof number, "%" PRIu64, version);
    json_put_integer(writer, number, (int64_t)is.created_s);
    return LETHE_OK;
}

static lethe_result write_versions(struct call *call, struct json_writer *writer,
                                   const struct engine_key *key, struct lethe_error *err)
{
    uint64_t first = MAX(MAX(key->min_decryption_version, key->min_available_version), 1);
    json_begin_object(writer, "keys");
    for (uint64_t version = first; version <= key->latest_version && !key->destroyed; version++)
        TRY(write_version(call, writer, key, version, err));
    json_end_object(writer);
    return LETHE_OK;
}

static void write_numbers(struct json_writer *writer, const struct engine_key *key)
{
    const struct {
        const char *name;
        uint64_t number;
    } rows[] = {{"latest_version", key->latest_version},
                {"min_available_version", key->min_available_version},
                {"min_decryption_version", key->min_decryption_version},
                {"min_encryption_version", key->min_encryption_version},
                {"auto_rotate_period", key->auto_rotate_s}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        json_put_integer(writer, rows[i].name, (int64_t)rows[i].number);
}

static void write_flags(struct json_writer *writer, const struct engine_key *key)
{
    const struct {
        const char *name;
        bool flag;
    } rows[] = {{"derived", false},
                {"exportable", key->exportable},
                {"allow_plaintext_backup", key->plaintext_backup},
                {"deletion_allowed", key->deletion_allowed},
                {"supports_encryption", engine_type_encrypts(key->type)},
                {"supports_decryption", engine_type_encrypts(key->type)},
                {"supports_signing", engine_type_signs(key->type)},
                {"supports_derivation", false},
                {"imported_key", key->imported},
                {"soft_deleted", false}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        json_put_boolean(writer, rows[i].name, rows[i].flag);
}

/* Beside what Vault says: what only keys here can be. */
static void write_revocation(struct json_writer *writer, const struct engine_key *key)
{
    if (key->revoked_through > 0)
        json_put_integer(writer, "revoked_through", (int64_t)key->revoked_through);
    if (key->destroyed)
        json_put_boolean(writer, "destroyed", true);
}

lethe_result transit_write_key(struct call *call, const char *name, struct lethe_error *err)
{
    struct engine_key key;
    TRY(engine_get(call_service(call)->engine, name, &key, err));
    struct json_writer *writer = answer_data(call);
    json_put_text(writer, "name", key.name);
    json_put_text(writer, "type", engine_type_name(key.type));
    write_flags(writer, &key);
    write_numbers(writer, &key);
    write_revocation(writer, &key);
    return write_versions(call, writer, &key, err);
}

bool transit_key_exists(struct call *call)
{
    struct engine_key key;
    return engine_get(call_service(call)->engine, call_capture(call, "name"), &key, NULL) ==
           LETHE_OK;
}

/* ---- create, read, list, delete -------------------------------------------------------------- */

enum {
    CREATE_TYPE,
    CREATE_DERIVED,
    CREATE_CONVERGENT,
    CREATE_EXPORTABLE,
    CREATE_BACKUP,
    CREATE_ROTATE,
    CREATE_CONTEXT,
};
const struct field transit_create_fields[] = {
    {"type", FIELD_TEXT, false,
     "aes256-gcm96, chacha20-poly1305, ed25519, ecdsa-p256 or ecdsa-p384", NULL},
    {"derived", FIELD_BOOLEAN, false, "not offered", NULL},
    {"convergent_encryption", FIELD_BOOLEAN, false, "not offered", NULL},
    {"exportable", FIELD_BOOLEAN, false, "the key may be taken out", NULL},
    {"allow_plaintext_backup", FIELD_BOOLEAN, false, "the key may be backed up", NULL},
    {"auto_rotate_period", FIELD_DURATION, false, "0, or at least an hour", NULL},
    {"context", FIELD_TEXT, false, "for derived keys, which are not offered", NULL},
    {0}};

static lethe_result read_rotation(const struct field_value *value, uint64_t *out,
                                  struct lethe_error *err)
{
    *out = 0;
    if (!value->given || value->integer == 0)
        return LETHE_OK;
    return transit_number(value, "auto_rotate_period (0, or seconds)", ROTATION_LEAST_S,
                          KEY_ROTATE_EVERY_S_MAX, out, err);
}

static lethe_result refuse_derived(struct call *call, struct lethe_error *err)
{
    static const struct {
        size_t field;
        const char *name;
    } refused[] = {{CREATE_DERIVED, "derived"}, {CREATE_CONVERGENT, "convergent_encryption"}};
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        if (call_field(call, refused[i].field)->boolean)
            return error_set(err, LETHE_INVALID,
                             "%s: this service has no derived keys; use associated_data",
                             refused[i].name);
    if (call_field(call, CREATE_CONTEXT)->length > 0)
        return error_set(err, LETHE_INVALID, "context: this service has no derived keys");
    return LETHE_OK;
}

lethe_result transit_create(struct call *call, struct lethe_error *err)
{
    char type[32] = "";
    bool existed = false;
    const char *name = call_capture(call, "name");
    struct engine_create_options options = {
        .type = ENGINE_AES256_GCM96,
        .exportable = call_field(call, CREATE_EXPORTABLE)->boolean,
        .plaintext_backup = call_field(call, CREATE_BACKUP)->boolean,
    };
    TRY(refuse_derived(call, err));
    TRY(field_copy(call_field(call, CREATE_TYPE), "type", type, sizeof type, err));
    if (type[0] != '\0')
        TRY(engine_type_parse(type, &options.type, err));
    TRY(read_rotation(call_field(call, CREATE_ROTATE), &options.auto_rotate_s, err));
    TRY(engine_create_key(call_service(call)->engine, name, &options, &existed, err));
    TRY(transit_write_key(call, name, err));
    if (existed)
        answer_warning(call, "a key of this name exists already, and stays as it is");
    return LETHE_OK;
}

lethe_result transit_read(struct call *call, struct lethe_error *err)
{
    lethe_result result = transit_write_key(call, call_capture(call, "name"), err);
    return result == LETHE_NOT_FOUND ? answer_missing(call) : result;
}

struct listing {
    struct call *call;
    struct json_writer *writer;
};

static lethe_result list_one(void *context, const struct engine_key *key, struct lethe_error *err)
{
    struct listing *listing = context;
    (void)err;
    if (!call_may_see_key(listing->call, key->name))
        return LETHE_OK;
    if (listing->writer == NULL) {
        listing->writer = answer_data(listing->call);
        json_begin_array(listing->writer, "keys");
    }
    json_put_text(listing->writer, NULL, key->name);
    return LETHE_OK;
}

lethe_result transit_list(struct call *call, struct lethe_error *err)
{
    struct listing listing = {.call = call};
    TRY(engine_list(call_service(call)->engine, list_one, &listing, err));
    if (listing.writer == NULL)
        return answer_missing(call);
    json_end_array(listing.writer);
    return LETHE_OK;
}

static lethe_result without_key(struct call *call, lethe_result result, struct lethe_error *err)
{
    return result == LETHE_NOT_FOUND
               ? error_set(err, LETHE_INVALID, KEY_MISSING, call_capture(call, "name"))
               : result;
}

lethe_result transit_delete(struct call *call, struct lethe_error *err)
{
    const char *name = call_capture(call, "name");
    struct engine *engine = call_service(call)->engine;
    TRY(without_key(call, engine_delete(engine, name, err), err));
    answer_nothing(call);
    return LETHE_OK;
}

/* ---- config, rotate, trim -------------------------------------------------------------------- */

enum {
    CONFIG_DECRYPTION,
    CONFIG_ENCRYPTION,
    CONFIG_DELETION,
    CONFIG_EXPORTABLE,
    CONFIG_BACKUP,
    CONFIG_ROTATE,
};
const struct field transit_config_fields[] = {
    {"min_decryption_version", FIELD_INTEGER, false, "older versions open no more", NULL},
    {"min_encryption_version", FIELD_INTEGER, false, "older versions encrypt no more", NULL},
    {"deletion_allowed", FIELD_BOOLEAN, false, "the key may be deleted", NULL},
    {"exportable", FIELD_BOOLEAN, false, "the key may be taken out, from now on", NULL},
    {"allow_plaintext_backup", FIELD_BOOLEAN, false, "the key may be backed up, from now on", NULL},
    {"auto_rotate_period", FIELD_DURATION, false, "0, or at least an hour", NULL},
    {0}};

static const bool *given_flag(struct call *call, size_t field)
{
    const struct field_value *value = call_field(call, field);
    return value->given ? &value->boolean : NULL;
}

lethe_result transit_config(struct call *call, struct lethe_error *err)
{
    uint64_t decryption, encryption, rotate;
    const struct field_value *minimum_decryption = call_field(call, CONFIG_DECRYPTION);
    const struct field_value *minimum_encryption = call_field(call, CONFIG_ENCRYPTION);
    TRY(transit_number(minimum_decryption, "min_decryption_version", 0, INT64_MAX, &decryption,
                       err));
    TRY(transit_number(minimum_encryption, "min_encryption_version", 0, INT64_MAX, &encryption,
                       err));
    TRY(read_rotation(call_field(call, CONFIG_ROTATE), &rotate, err));
    const struct engine_config config = {
        .min_decryption_version = minimum_decryption->given ? &decryption : NULL,
        .min_encryption_version = minimum_encryption->given ? &encryption : NULL,
        .auto_rotate_s = call_field(call, CONFIG_ROTATE)->given ? &rotate : NULL,
        .deletion_allowed = given_flag(call, CONFIG_DELETION),
        .exportable = given_flag(call, CONFIG_EXPORTABLE),
        .plaintext_backup = given_flag(call, CONFIG_BACKUP),
    };
    const char *name = call_capture(call, "name");
    struct engine *engine = call_service(call)->engine;
    TRY(without_key(call, engine_configure(engine, name, &config, err), err));
    return transit_write_key(call, name, err);
}

lethe_result transit_rotate(struct call *call, struct lethe_error *err)
{
    const char *name = call_capture(call, "name");
    struct engine *engine = call_service(call)->engine;
    TRY(without_key(call, engine_rotate(engine, name, err), err));
    char tenant[KEY_NAME_MAX + 1];
    call_key_tenant(name, tenant);
    service_publish_text(call_service(call), "key_rotated", tenant, "key", name);
    return transit_write_key(call, name, err);
}

enum { TRIM_VERSION };
const struct field transit_trim_fields[] = {
    {"min_available_version", FIELD_INTEGER, true, "versions below it are destroyed", NULL}, {0}};

lethe_result transit_trim(struct call *call, struct lethe_error *err)
{
    uint64_t version = 0;
    const char *name = call_capture(call, "name");
    struct engine *engine = call_service(call)->engine;
    TRY(transit_number(call_field(call, TRIM_VERSION), "min_available_version", 0, INT64_MAX,
                       &version, err));
    TRY(without_key(call, engine_trim(engine, name, version, err), err));
    return transit_write_key(call, name, err);
}
