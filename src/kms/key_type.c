#include "kms/key_type.h"

#include <string.h>

#include "base/error.h"

static const struct {
    const char *name;
    bool encrypts;
    bool signs;
    size_t private_bytes;
} types[] = {
#define TYPE_ROW(name, text, encrypts, signs, bytes)                                               \
    [ENGINE_##name] = {text, encrypts, signs, bytes},
    ENGINE_TYPES(TYPE_ROW)
#undef TYPE_ROW
};

static const enum signature_kind signatures[ENGINE_TYPE_COUNT] = {
    [ENGINE_ED25519] = SIGNATURE_ED25519,
    [ENGINE_ECDSA_P256] = SIGNATURE_ECDSA_P256,
    [ENGINE_ECDSA_P384] = SIGNATURE_ECDSA_P384,
};

lethe_result engine_type_parse(const char *text, enum engine_type *out, struct lethe_error *err)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (strcmp(types[i].name, text) == 0) {
            *out = (enum engine_type)i;
            return LETHE_OK;
        }
    }
    if (strncmp(text, "rsa-", 4) == 0)
        return error_set(err, LETHE_INVALID, "RSA keys are not offered");
    error_set(err, LETHE_INVALID,
              "unknown key type: expected aes256-gcm96, chacha20-poly1305, ed25519, "
              "ecdsa-p256 or ecdsa-p384");
    return LETHE_INVALID;
}

const char *engine_type_name(enum engine_type type)
{
    REQUIRE((size_t)type < ARRAY_LEN(types));
    return types[type].name;
}

bool engine_type_encrypts(enum engine_type type)
{
    REQUIRE((size_t)type < ARRAY_LEN(types));
    return types[type].encrypts;
}

bool engine_type_signs(enum engine_type type)
{
    REQUIRE((size_t)type < ARRAY_LEN(types));
    return types[type].signs;
}

size_t engine_type_bytes(enum engine_type type)
{
    REQUIRE((size_t)type < ARRAY_LEN(types));
    return types[type].private_bytes;
}

enum signature_kind engine_type_signature(enum engine_type type)
{
    REQUIRE(engine_type_signs(type));
    return signatures[type];
}
