#include "crypto/digest.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>

#include "crypto/openssl.h"

static const struct {
    const char *name;
    size_t size_bytes;
} kinds[] = {
#define KIND_ROW(name, text, bytes) [DIGEST_##name] = {text, bytes},
    DIGEST_KINDS(KIND_ROW)
#undef KIND_ROW
};

bool digest_kind_parse(const char *text, size_t length, enum digest_kind *out)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (strlen(kinds[i].name) == length && memcmp(kinds[i].name, text, length) == 0) {
            *out = (enum digest_kind)i;
            return true;
        }
    }
    return false;
}

const char *digest_kind_name(enum digest_kind kind)
{
    REQUIRE((size_t)kind < ARRAY_LEN(kinds));
    return kinds[kind].name;
}

size_t digest_bytes(enum digest_kind kind)
{
    REQUIRE((size_t)kind < ARRAY_LEN(kinds));
    return kinds[kind].size_bytes;
}

lethe_result digest_compute(enum digest_kind kind, const void *bytes, size_t size_bytes,
                            uint8_t out[DIGEST_MAX_BYTES])
{
    REQUIRE((size_t)kind < ARRAY_LEN(kinds));
    OPENSSL_SECRETS_IN_SCOPE();
    if (EVP_Digest(bytes, size_bytes, out, NULL, openssl()->digests[kind], NULL) == 1)
        return LETHE_OK;
    ERR_clear_error();
    return LETHE_NO_MEMORY;
}

lethe_result digest_hmac(enum digest_kind kind, const void *key, size_t key_bytes,
                         const void *bytes, size_t size_bytes, uint8_t out[DIGEST_MAX_BYTES])
{
    REQUIRE((size_t)kind < ARRAY_LEN(kinds));
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
                                         (char *)(uintptr_t)openssl_digest_names[kind], 0),
        OSSL_PARAM_END,
    };
    const void *key_or_empty = key_bytes > 0 ? key : ""; /* NULL would mean the key of before */
    size_t written;
    OPENSSL_SECRETS_IN_SCOPE();
    CLEANUP(EVP_MAC_CTX_free) EVP_MAC_CTX *context = EVP_MAC_CTX_new(openssl()->hmac);
    if (context != NULL && EVP_MAC_init(context, key_or_empty, key_bytes, parameters) == 1 &&
        EVP_MAC_update(context, bytes, size_bytes) == 1 &&
        EVP_MAC_final(context, out, &written, DIGEST_MAX_BYTES) == 1)
        return LETHE_OK;
    ERR_clear_error();
    return LETHE_NO_MEMORY;
}
