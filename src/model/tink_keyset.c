/* The JSON form of a Tink keyset: a protocol buffer with the key, in base64, in JSON. The whole
 * text is as secret as the key, so none of the general writers (base/buffer, base/text) may touch
 * it: each piece is written once, in its place, in guarded memory. */
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "model/tink.h"

/* One key in a keyset needs an id, but nothing depends on it: streams carry no key id. */
#define KEY_ID "1"

static const char before_key[] =
    "{\"primaryKeyId\":" KEY_ID ",\"key\":[{\"keyData\":{\"typeUrl\":"
    "\"type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey\",\"value\":\"";
static const char behind_key[] = "\",\"keyMaterialType\":\"SYMMETRIC\"},\"status\":\"ENABLED\","
                                 "\"keyId\":" KEY_ID ",\"outputPrefixType\":\"RAW\"}]}\n";

/* google.crypto.tink.HashType */
static const uint8_t proto_hash[] = {[HKDF_SHA1] = 1, [HKDF_SHA256] = 3, [HKDF_SHA512] = 4};

/* Protocol buffer tags: field number << 3 | wire type (0 varint, 2 length-delimited). */
enum {
    PARAMS_SEGMENT_BYTES = 1 << 3 | 0,
    PARAMS_DERIVED_KEY_BYTES = 2 << 3 | 0,
    PARAMS_HASH = 3 << 3 | 0,
    KEY_PARAMS = 2 << 3 | 2,
    KEY_VALUE = 3 << 3 | 2,
};
#define VARINT_MAX 5u
#define PARAMS_MAX (3 * (1 + VARINT_MAX))
#define KEY_MAX 64u

static size_t put_varint(uint8_t *out, uint32_t value)
{
    size_t size = 0;
    for (; value >= 0x80; value >>= 7)
        out[size++] = (uint8_t)(value | 0x80);
    out[size++] = (uint8_t)value;
    return size;
}

static size_t put_field(uint8_t *out, uint8_t tag, uint32_t value)
{
    out[0] = tag;
    return 1 + put_varint(out + 1, value);
}

/* message AesGcmHkdfStreamingKey { version = 0 (absent); params; key_value } */
static size_t put_key(const struct tink_parameters *parameters, const struct lethe_secret *key,
                      uint8_t *out)
{
    uint8_t params[PARAMS_MAX];
    size_t params_bytes = put_field(params, PARAMS_SEGMENT_BYTES, parameters->segment_bytes);
    params_bytes +=
        put_field(params + params_bytes, PARAMS_DERIVED_KEY_BYTES, parameters->derived_key_bytes);
    params_bytes += put_field(params + params_bytes, PARAMS_HASH, proto_hash[parameters->hash]);

    size_t size = put_field(out, KEY_PARAMS, (uint32_t)params_bytes);
    memcpy(out + size, params, params_bytes);
    size += params_bytes;
    size += put_field(out + size, KEY_VALUE, (uint32_t)lethe_secret_size(key));
    memcpy(out + size, lethe_secret_bytes_const(key), lethe_secret_size(key));
    return size + lethe_secret_size(key);
}

/* RFC 4648 section 4. */
static void put_base64(uint8_t *out, const uint8_t *bytes, size_t size_bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size_bytes; i += 3, out += 4) {
        size_t left = size_bytes - i;
        uint32_t group = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                         (left > 2 ? bytes[i + 2] : 0);
        out[0] = (uint8_t)digits[group >> 18];
        out[1] = (uint8_t)digits[group >> 12 & 63];
        out[2] = left > 1 ? (uint8_t)digits[group >> 6 & 63] : '=';
        out[3] = left > 2 ? (uint8_t)digits[group & 63] : '=';
    }
}

lethe_result tink_keyset_json(const struct tink_parameters *parameters,
                              const struct lethe_secret *key, struct lethe_secret **out,
                              struct lethe_error *err)
{
    *out = NULL;
    if (lethe_secret_size(key) > KEY_MAX)
        return error_set(err, LETHE_INVALID, "a stream key of %zu bytes: at most %u are exported",
                         lethe_secret_size(key), KEY_MAX);
    CLEANUP(lethe_secret_free) struct lethe_secret *proto = NULL;
    TRY(lethe_secret_create(2 * (1 + VARINT_MAX) + PARAMS_MAX + KEY_MAX, &proto, err));
    size_t proto_bytes = put_key(parameters, key, lethe_secret_bytes(proto));

    size_t before = sizeof before_key - 1;
    size_t value = BASE64_LENGTH(proto_bytes);
    size_t behind = sizeof behind_key - 1;
    TRY(lethe_secret_create(before + value + behind, out, err));
    uint8_t *text = lethe_secret_bytes(*out);
    memcpy(text, before_key, before);
    put_base64(text + before, lethe_secret_bytes(proto), proto_bytes);
    memcpy(text + before + value, behind_key, behind);
    return LETHE_OK;
}
