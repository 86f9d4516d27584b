/* kms/key_type.h -- what a key can be, as clients name it. */
#ifndef KMS_KEY_TYPE_H
#define KMS_KEY_TYPE_H

#include "crypto/sign.h"

/* X(name, text as clients say it, encrypts, signs, private bytes) */
#define ENGINE_TYPES(X)                                                                            \
    X(AES256_GCM96, "aes256-gcm96", true, false, 32)                                               \
    X(CHACHA20_POLY1305, "chacha20-poly1305", true, false, 32)                                     \
    X(ED25519, "ed25519", false, true, 32)                                                         \
    X(ECDSA_P256, "ecdsa-p256", false, true, 32)                                                   \
    X(ECDSA_P384, "ecdsa-p384", false, true, 48)
enum engine_type {
#define ENGINE_TYPE_ENUM(name, text, encrypts, signs, bytes) ENGINE_##name,
    ENGINE_TYPES(ENGINE_TYPE_ENUM)
#undef ENGINE_TYPE_ENUM
        ENGINE_TYPE_COUNT
};
#define ENGINE_TYPE_BYTES_MAX 48u

/* LETHE_INVALID: unknown; for RSA and derived contexts a text that says they are not offered. */
LETHE_MUST_CHECK lethe_result engine_type_parse(const char *text, enum engine_type *out,
                                                struct lethe_error *err);
const char *engine_type_name(enum engine_type type);
bool engine_type_encrypts(enum engine_type type);
bool engine_type_signs(enum engine_type type);
size_t engine_type_bytes(enum engine_type type);
/* Of a type that signs. */
enum signature_kind engine_type_signature(enum engine_type type);

#endif
