/* Opening a bundle: envelope, key, signature; and only then what was signed. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "model/oms_format.h"

#define READ_FIELDS(object, what, fields, err)                                                     \
    json_read_fields(object, "model.sig: " what, fields, ARRAY_LEN(fields), err)

struct envelope {
    json_t *json; /* owns the texts below */
    const char *hint;
    const char *key_pem; /* base64; bundles before model-signing v1.1 */
    const char *payload; /* base64 */
    const char *signature;
};
static void envelope_clear_at_scope_end(struct envelope *envelope)
{
    json_decref(envelope->json);
}

/* Some writers say null, where the schema means that a field is absent. */
static void drop_null(const json_t *object, const char *name)
{
    if (json_is_null(json_object_get(object, name)))
        json_object_del((json_t *)object, name);
}

static lethe_result expect_text(const char *what, const char *found, const char *expected,
                                struct lethe_error *err)
{
    if (strcmp(found, expected) != 0)
        return error_set(err, LETHE_MALFORMED, "model.sig: %s is not \"%s\"", what, expected);
    return LETHE_OK;
}

/* ---- envelope -------------------------------------------------------------------------------- */

static lethe_result read_key(const json_t *object, struct envelope *out, struct lethe_error *err)
{
    const char *key_details = NULL; /* repeats what the key says itself */
    const struct json_field fields[] = {
        {"hint", JSON_FIELD_TEXT, true, &out->hint},
        {"rawBytes", JSON_FIELD_TEXT, true, &out->key_pem},
        {"keyDetails", JSON_FIELD_TEXT, true, &key_details},
    };
    TRY(READ_FIELDS(object, "publicKey", fields, err));
    if ((out->hint == NULL) == (out->key_pem == NULL))
        return error_set(err, LETHE_MALFORMED,
                         "model.sig: publicKey has neither hint nor rawBytes, or both");
    return LETHE_OK;
}

static lethe_result read_material(const json_t *object, struct envelope *out,
                                  struct lethe_error *err)
{
    const json_t *key = NULL;
    const json_t *log_entries = NULL;
    const struct json_field fields[] = {
        {"publicKey", JSON_FIELD_OBJECT, true, &key},
        {"tlogEntries", JSON_FIELD_ARRAY, true, &log_entries},
    };
    drop_null(object, "tlogEntries");
    TRY(READ_FIELDS(object, "verificationMaterial", fields, err));
    if (key == NULL)
        return error_set(err, LETHE_MALFORMED,
                         "model.sig: it is not signed with a plain public key");
    if (json_array_size(log_entries) != 0)
        return error_set(err, LETHE_MALFORMED, "model.sig: log entries cannot be checked here");
    return read_key(key, out, err);
}

/* keyid is authenticated by nothing, and chooses nothing. */
static lethe_result read_signature(const json_t *signatures, struct envelope *out,
                                   struct lethe_error *err)
{
    const char *key_id = NULL;
    const struct json_field fields[] = {
        {"sig", JSON_FIELD_TEXT, false, &out->signature},
        {"keyid", JSON_FIELD_TEXT, true, &key_id},
    };
    if (json_array_size(signatures) != 1)
        return error_set(err, LETHE_MALFORMED, "model.sig: %zu signatures instead of one",
                         json_array_size(signatures));
    const json_t *signature = json_array_get(signatures, 0);
    drop_null(signature, "keyid");
    return READ_FIELDS(signature, "signature", fields, err);
}

static lethe_result read_envelope(const void *bundle, size_t size_bytes, struct envelope *out,
                                  struct lethe_error *err)
{
    const char *media_type;
    const char *payload_type;
    const json_t *material;
    const json_t *dsse;
    const json_t *signatures;
    const struct json_field outer[] = {
        {"mediaType", JSON_FIELD_TEXT, false, &media_type},
        {"verificationMaterial", JSON_FIELD_OBJECT, false, &material},
        {"dsseEnvelope", JSON_FIELD_OBJECT, false, &dsse},
    };
    const struct json_field inner[] = {
        {"payload", JSON_FIELD_TEXT, false, &out->payload},
        {"payloadType", JSON_FIELD_TEXT, false, &payload_type},
        {"signatures", JSON_FIELD_ARRAY, false, &signatures},
    };
    if (size_bytes > OMS_BUNDLE_MAX)
        return error_set(err, LETHE_MALFORMED, "model.sig: %zu bytes, where %zu are allowed",
                         size_bytes, OMS_BUNDLE_MAX);
    TRY(error_context(err, json_parse(bundle, size_bytes, &out->json, err), "model.sig"));
    TRY(READ_FIELDS(out->json, "bundle", outer, err));
    TRY(expect_text("mediaType", media_type, OMS_MEDIA_TYPE, err));
    TRY(read_material(material, out, err));
    TRY(READ_FIELDS(dsse, "dsseEnvelope", inner, err));
    TRY(expect_text("payloadType", payload_type, OMS_PAYLOAD_TYPE, err));
    return read_signature(signatures, out, err);
}

/* ---- key and signature ----------------------------------------------------------------------- */

static lethe_result other_key(struct lethe_error *err)
{
    error_set(err, LETHE_INTEGRITY, "model.sig: it was signed with another key");
    error_hint(err, "give the public key of whoever signed the model");
    return LETHE_INTEGRITY;
}

/* The key is the caller's choice; the bundle must agree, so that a wrong key is named as such. */
static lethe_result check_key(const struct envelope *envelope, const struct sign_public *signer,
                              struct lethe_error *err)
{
    if (envelope->hint != NULL) {
        char hint[OMS_HINT_SIZE];
        TRY(oms_hint(signer, hint, err));
        return strcmp(envelope->hint, hint) == 0 ? LETHE_OK : other_key(err);
    }
    REQUIRE(envelope->key_pem != NULL); /* read_key() saw one of them */
    CLEANUP(buffer_clear) struct buffer pem = {0};
    CLEANUP(buffer_clear) struct buffer encoded = {0};
    TRY(sign_public_pem(signer, &pem, err));
    base64_append(&encoded, pem.bytes, pem.size_bytes);
    TRY(buffer_result(&encoded, err));
    return strcmp(envelope->key_pem, encoded.bytes) == 0 ? LETHE_OK : other_key(err);
}

static lethe_result decode_payload(const char *text, struct buffer *out, struct lethe_error *err)
{
    size_t length = strlen(text);
    size_t capacity_bytes = length / 4 * 3;
    size_t size_bytes;
    CLEANUP(memory_free) uint8_t *payload = malloc(capacity_bytes + 1);
    if (payload == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for the payload of model.sig");
    if (base64_decode(text, length, payload, capacity_bytes, &size_bytes) != LETHE_OK)
        return error_set(err, LETHE_MALFORMED, "model.sig: the payload is not strict base64");
    buffer_append(out, payload, size_bytes);
    return buffer_result(out, err);
}

static lethe_result decode_signature(const char *text, struct signature *out,
                                     struct lethe_error *err)
{
    uint8_t bytes[SIGNATURE_MAX_BYTES];
    size_t size_bytes;
    if (base64_decode(text, strlen(text), bytes, sizeof bytes, &size_bytes) != LETHE_OK)
        return error_set(err, LETHE_MALFORMED,
                         "model.sig: the signature is not strict base64 of at most %zu bytes",
                         sizeof bytes);
    return signature_from_bytes(bytes, size_bytes, out, err);
}

static lethe_result check_signature(const struct buffer *payload, const struct signature *signature,
                                    const struct sign_public *signer, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer signed_bytes = {0};
    oms_pae(payload->bytes, payload->size_bytes, &signed_bytes);
    TRY(buffer_result(&signed_bytes, err));
    return error_context(
        err, sign_verify(signer, signed_bytes.bytes, signed_bytes.size_bytes, signature, err),
        "model.sig");
}

/* ---- the whole bundle ------------------------------------------------------------------------ */

static bool is_ecdsa(const struct sign_public *signer)
{
    return sign_public_kind(signer) != SIGNATURE_ED25519;
}

static lethe_result verify(const struct envelope *envelope, const struct sign_public *signer,
                           struct buffer *payload, struct signature *signature,
                           struct lethe_error *err)
{
    TRY(check_key(envelope, signer, err));
    TRY(decode_payload(envelope->payload, payload, err));
    TRY(decode_signature(envelope->signature, signature, err));
    return check_signature(payload, signature, signer, err);
}

lethe_result oms_peek_hint(const void *bundle, size_t size_bytes, char out[OMS_HINT_SIZE],
                           struct lethe_error *err)
{
    CLEANUP(envelope_clear) struct envelope envelope = {0};
    out[0] = '\0';
    TRY(read_envelope(bundle, size_bytes, &envelope, err));
    if (envelope.hint != NULL && strlen(envelope.hint) < OMS_HINT_SIZE)
        strcpy(out, envelope.hint);
    return LETHE_OK;
}

lethe_result oms_open(const void *bundle, size_t size_bytes, const struct sign_public *signer,
                      struct oms_list *out, struct lethe_error *err)
{
    *out = (struct oms_list){0};
    CLEANUP(envelope_clear) struct envelope envelope = {0};
    CLEANUP(buffer_clear) struct buffer payload = {0};
    CLEANUP(buffer_clear) struct buffer rewritten = {0};
    CLEANUP(oms_list_clear) struct oms_list list = {0};
    struct signature signature;
    if (!is_ecdsa(signer))
        return error_set(err, LETHE_INVALID, "model.sig is checked with an ECDSA key, not with %s",
                         signature_kind_name(sign_public_kind(signer)));
    TRY(read_envelope(bundle, size_bytes, &envelope, err));
    TRY(verify(&envelope, signer, &payload, &signature, err));
    TRY(oms_statement_read(payload.bytes, payload.size_bytes, &list, err));
    TRY(oms_bundle(&payload, &signature, signer, &rewritten, err));
    list.as_written =
        rewritten.size_bytes == size_bytes && memcmp(rewritten.bytes, bundle, size_bytes) == 0;
    *out = list;
    list = (struct oms_list){0}; /* moved */
    return LETHE_OK;
}
