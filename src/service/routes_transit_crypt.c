#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "service/routes_transit.h"

#define KEY_MISSING "encryption key not found"
#define PURPOSE_REENCRYPT "reencrypt" /* model/key_source.h: opens what was revoked, too */

/* What an item has, and a call too. */
enum { ITEM_NONCE = ITEM_COMMON, ITEM_AAD, ITEM_OWN };
#define CRYPT_FIELDS(text, type, what)                                                             \
    {text, type, false, what, NULL},                                                               \
        {"context", FIELD_TEXT, false, "for derived keys, which are not offered", NULL},           \
        {"reference", FIELD_TEXT, false, "comes back with the item's result", NULL},               \
        {"key_version", FIELD_INTEGER, false, "0: the latest", NULL},                              \
        {"nonce", FIELD_TEXT, false, "not offered: nonces are random", NULL},                      \
    {                                                                                              \
        "associated_data", FIELD_BASE64, false, "authenticated, and not encrypted", NULL           \
    }
#define BATCH_FIELD(items)                                                                         \
    {                                                                                              \
        "batch_input", FIELD_ITEMS, false, "many items in one call", items                         \
    }
#define PARTIAL_FIELD                                                                              \
    {                                                                                              \
        "partial_failure_response_code", FIELD_INTEGER, false,                                     \
            "status when some items failed, and some did not", NULL                                \
    }

static lethe_result read_use(struct transit_work *work, const struct transit_item *item,
                             struct lethe_error *err)
{
    size_t at;
    TRY(transit_read_use(work, item, err));
    if (transit_field(item, ITEM_NONCE)->length > 0)
        return error_set(err, LETHE_INVALID, "nonce: nonces are random here, and never given");
    TRY(transit_decode(work, transit_field(item, ITEM_AAD), "associated_data", &at, err));
    size_t aad_bytes = work->bytes->size_bytes - at;
    work->use.aad =
        (struct engine_bytes){aad_bytes > 0 ? work->bytes->bytes + at : NULL, aad_bytes};
    return LETHE_OK;
}

/* ---- encrypt --------------------------------------------------------------------------------- */

enum { ENCRYPT_TYPE = ITEM_OWN, ENCRYPT_CONVERGENT, ENCRYPT_BATCH, ENCRYPT_PARTIAL };
static const struct field encrypt_items[] = {CRYPT_FIELDS("plaintext", FIELD_BASE64, "base64"),
                                             {0}};
const struct field transit_encrypt_fields[] = {
    CRYPT_FIELDS("plaintext", FIELD_BASE64, "base64"),
    {"type", FIELD_TEXT, false, "of a key that the call makes", NULL},
    {"convergent_encryption", FIELD_BOOLEAN, false, "not offered", NULL},
    BATCH_FIELD(encrypt_items),
    PARTIAL_FIELD,
    {0}};

typedef lethe_result make_ciphertext(struct engine *engine, const struct engine_use *use,
                                     struct guarded *out, uint64_t *version,
                                     struct lethe_error *err);
static lethe_result write_ciphertext(struct transit_work *work, make_ciphertext *make,
                                     struct lethe_error *err)
{
    json_open_text(work->writer, "ciphertext");
    TRY(make(work->engine, &work->use, work->writer->out, &work->version, err));
    json_close_text(work->writer);
    json_put_integer(work->writer, "key_version", (int64_t)work->version);
    return LETHE_OK;
}

static lethe_result encrypt_item(struct transit_work *work, const struct transit_item *item,
                                 struct lethe_error *err)
{
    size_t start;
    const struct field_value *text = transit_field(item, ITEM_TEXT);
    if (!text->given)
        return error_set(err, LETHE_INVALID, "missing plaintext to encrypt");
    TRY(transit_decode(work, text, "plaintext", &start, err));
    size_t size_bytes = work->bytes->size_bytes;
    TRY(read_use(work, item, err)); /* which may move the plaintext */
    work->use.input = (struct engine_bytes){work->bytes->bytes, size_bytes};
    return write_ciphertext(work, engine_encrypt, err);
}

/* Where that is allowed, a key that is not there is made by its first use. */
static lethe_result upsert(struct call *call, struct lethe_error *err)
{
    bool existed;
    struct engine_create_options options = {.type = ENGINE_AES256_GCM96};
    char type[32] = "";
    TRY(field_copy(call_field(call, ENCRYPT_TYPE), "type", type, sizeof type, err));
    if (type[0] != '\0')
        TRY(engine_type_parse(type, &options.type, err));
    return engine_create_key(call_service(call)->engine, call_capture(call, "name"), &options,
                             &existed, err);
}

static bool has_key(struct call *call)
{
    struct engine_key key;
    return engine_get(call_service(call)->engine, call_capture(call, "name"), &key, NULL) ==
           LETHE_OK;
}

bool transit_can_encrypt(struct call *call)
{
    return !call_service(call)->options.upsert || has_key(call);
}

lethe_result transit_encrypt(struct call *call, struct lethe_error *err)
{
    static const struct transit_operation operation = {
        "encrypt", KEY_MISSING, 0, encrypt_items, ENCRYPT_BATCH, ENCRYPT_PARTIAL, encrypt_item};
    struct transit_work work;
    if (call_field(call, ENCRYPT_CONVERGENT)->boolean)
        return error_set(err, LETHE_INVALID,
                         "convergent_encryption: this service has no convergent keys");
    if (call_service(call)->options.upsert && !has_key(call))
        TRY(upsert(call, err));
    transit_begin(&work, call, &operation);
    return transit_run(&work, err);
}

/* ---- decrypt --------------------------------------------------------------------------------- */

enum { DECRYPT_SHARD = ITEM_OWN, DECRYPT_PURPOSE, DECRYPT_RELEASE, DECRYPT_BATCH, DECRYPT_PARTIAL };
#define SHARD_FIELD                                                                                \
    {                                                                                              \
        "shard", FIELD_TEXT, false, "whose data key it is, for the record", NULL                   \
    }
static const struct field decrypt_items[] = {
    CRYPT_FIELDS("ciphertext", FIELD_TEXT, "vault:v<N>:<base64>"), SHARD_FIELD, {0}};
const struct field transit_decrypt_fields[] = {
    CRYPT_FIELDS("ciphertext", FIELD_TEXT, "vault:v<N>:<base64>"),
    SHARD_FIELD,
    {"purpose", FIELD_TEXT, false, "what a data key is for: load, decrypt, verify, export", NULL},
    {"release", FIELD_INTEGER, false, "number of the model's release that it is of", NULL},
    BATCH_FIELD(decrypt_items),
    PARTIAL_FIELD,
    {0}};

static lethe_result decrypt_item(struct transit_work *work, const struct transit_item *item,
                                 struct lethe_error *err)
{
    const struct field_value *text = transit_field(item, ITEM_TEXT);
    if (!text->given || text->length == 0)
        return error_set(err, LETHE_INVALID, "missing ciphertext to decrypt");
    TRY(read_use(work, item, err));
    work->use.input = (struct engine_bytes){text->text, text->length};
    work->use.as_base64 = true;
    json_open_text(work->writer, "plaintext");
    TRY(engine_decrypt(work->engine, &work->use, work->writer->out, &work->version, err));
    json_close_text(work->writer);
    return LETHE_OK;
}

/* Only who owns keys may open with one that was revoked, and only to encrypt anew. */
static bool may_renew(struct call *call)
{
    return call_is_admin(call) || call_caller(call)->is_root;
}

static lethe_result read_purpose(struct transit_work *work, const char *purpose,
                                 struct lethe_error *err)
{
    static const char *const releases[] = {"load", "decrypt", "verify", "export"};
    for (size_t i = 0; i < ARRAY_LEN(releases); i++)
        if (strcmp(purpose, releases[i]) == 0)
            return LETHE_OK;
    if (strcmp(purpose, PURPOSE_REENCRYPT) != 0)
        return error_set(err, LETHE_INVALID,
                         "purpose: expected load, decrypt, verify, export or " PURPOSE_REENCRYPT);
    work->use.renew = may_renew(work->call);
    return LETHE_OK;
}

/* Under a model's key lie data keys, whatever the caller says that he wants of it. */
static lethe_result check_release(struct transit_work *work, const char *model,
                                  struct lethe_error *err)
{
    uint64_t release = 0, minimum = 0;
    TRY(transit_number(call_field(work->call, DECRYPT_RELEASE), "release", 0, INT64_MAX, &release,
                       err));
    TRY(keeper_release_minimum(call_service(work->call)->keeper, model, &minimum, err));
    if (release >= minimum)
        return LETHE_OK;
    return error_set(err, LETHE_DENIED,
                     "release %" PRIu64 " of %s is below the minimum, which is %" PRIu64, release,
                     model, minimum);
}

/* Where machines must attest themselves, nobody but an operator gets a data key in another way. */
static lethe_result check_attested(const struct transit_work *work, struct lethe_error *err)
{
    if (!call_service(work->call)->options.attest.only ||
        call_caller(work->call)->kind == CALLER_ADMIN)
        return LETHE_OK;
    return error_set(err, LETHE_DENIED,
                     "this service gives keys of models to attested machines only: lethe/release");
}

static lethe_result begin_release(struct transit_work *work, struct lethe_error *err)
{
    char model[RELEASE_NAME_MAX + 1];
    struct transit_release *release = &work->release;
    bool is_models = transit_model_of(work->use.name, model);
    const struct field_value *purpose = call_field(work->call, DECRYPT_PURPOSE);
    if (purpose->length == 0 && !is_models)
        return LETHE_OK;
    release->is_one = true;
    strcpy(release->purpose, "decrypt");
    if (purpose->length > 0)
        TRY(field_copy(purpose, "purpose", release->purpose, sizeof release->purpose, err));
    TRY(read_purpose(work, release->purpose, err));
    if (!is_models)
        return LETHE_OK;
    lethe_result result = check_attested(work, err);
    if (result == LETHE_OK)
        result = check_release(work, model, err);
    return result == LETHE_DENIED ? transit_refuse(work, result) : result;
}

lethe_result transit_decrypt(struct call *call, struct lethe_error *err)
{
    static const struct transit_operation operation = {
        "decrypt",     KEY_MISSING,     DECRYPT_SHARD, decrypt_items,
        DECRYPT_BATCH, DECRYPT_PARTIAL, decrypt_item};
    struct transit_work work;
    transit_begin(&work, call, &operation);
    TRY(begin_release(&work, err));
    return transit_run(&work, err);
}

/* ---- rewrap ---------------------------------------------------------------------------------- */

enum { REWRAP_BATCH = ITEM_OWN };
static const struct field rewrap_items[] = {
    CRYPT_FIELDS("ciphertext", FIELD_TEXT, "vault:v<N>:<base64>"), {0}};
const struct field transit_rewrap_fields[] = {
    CRYPT_FIELDS("ciphertext", FIELD_TEXT, "vault:v<N>:<base64>"), BATCH_FIELD(rewrap_items), {0}};

/* What was revoked is rewrapped; what the key's owner lets nobody open any more is not. */
static lethe_result allow_revoked(struct transit_work *work, const struct field_value *text,
                                  struct lethe_error *err)
{
    struct engine_key key;
    TRY(engine_get(work->engine, work->use.name, &key, err));
    work->use.renew = transit_version_of(text->text, text->length) >= key.min_decryption_version;
    return LETHE_OK;
}

static lethe_result rewrap_item(struct transit_work *work, const struct transit_item *item,
                                struct lethe_error *err)
{
    const struct field_value *text = transit_field(item, ITEM_TEXT);
    if (!text->given || text->length == 0)
        return error_set(err, LETHE_INVALID, "missing ciphertext to rewrap");
    TRY(read_use(work, item, err));
    TRY(allow_revoked(work, text, err));
    work->use.input = (struct engine_bytes){text->text, text->length};
    return write_ciphertext(work, engine_rewrap, err);
}

lethe_result transit_rewrap(struct call *call, struct lethe_error *err)
{
    static const struct transit_operation operation = {
        "rewrap", KEY_MISSING, 0, rewrap_items, REWRAP_BATCH, 0, rewrap_item};
    struct transit_work work;
    transit_begin(&work, call, &operation);
    return transit_run(&work, err);
}

/* ---- datakey --------------------------------------------------------------------------------- */

/* `bits` stands where others have their text. */
const struct field transit_datakey_fields[] = {
    CRYPT_FIELDS("bits", FIELD_INTEGER, "128, 256 or 512"), {0}};

static lethe_result read_bits(const struct transit_item *item, size_t *bytes,
                              struct lethe_error *err)
{
    uint64_t bits = 256;
    TRY(transit_number(transit_field(item, ITEM_TEXT), "bits", 128, 512, &bits, err));
    if (bits != 128 && bits != 256 && bits != 512)
        return error_set(err, LETHE_INVALID, "bits: expected 128, 256 or 512");
    *bytes = (size_t)bits / 8;
    return LETHE_OK;
}

static lethe_result datakey_item(struct transit_work *work, const struct transit_item *item,
                                 struct lethe_error *err)
{
    size_t size_bytes;
    const struct random_source *random = call_service(work->call)->options.keeper.random;
    TRY(read_bits(item, &size_bytes, err));
    uint8_t *key = guarded_extend(work->bytes, size_bytes);
    TRY(guarded_result(work->bytes, err));
    if (random_fill(random != NULL ? random : &random_system, key, size_bytes) != LETHE_OK)
        return error_set(err, LETHE_FAILED, "there is no randomness for a key");
    TRY(read_use(work, item, err));
    key = work->bytes->bytes; /* reading may have moved it */
    work->use.input = (struct engine_bytes){key, size_bytes};
    TRY(write_ciphertext(work, engine_encrypt, err));
    if (strcmp(call_capture(work->call, "kind"), "plaintext") == 0)
        json_put_base64(work->writer, "plaintext", key, size_bytes);
    return LETHE_OK;
}

lethe_result transit_datakey(struct call *call, struct lethe_error *err)
{
    static const struct transit_operation operation = {"datakey", KEY_MISSING, 0,           NULL,
                                                       0,         0,           datakey_item};
    struct transit_work work;
    const char *kind = call_capture(call, "kind");
    if (strcmp(kind, "plaintext") != 0 && strcmp(kind, "wrapped") != 0)
        return error_set(err, LETHE_INVALID, "datakey: expected plaintext or wrapped in the path");
    transit_begin(&work, call, &operation);
    return transit_run(&work, err);
}
