#define OPENSSL_SUPPRESS_DEPRECATED /* SHA256_Init and its like: the only ones that need no memory \
                                     */
#include "crypto/hash.h"

#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <lethe/mem.h>

#include "crypto/openssl.h"

#define MUST(call) REQUIRE((call) == 1)

/* None of these allocates, or can fail: their many callers have no way to. */
void sha256(const void *bytes, size_t size_bytes, uint8_t out[SHA256_BYTES])
{
    SHA256_CTX context;
    MUST(SHA256_Init(&context));
    MUST(SHA256_Update(&context, bytes, size_bytes));
    MUST(SHA256_Final(out, &context));
    lethe_wipe(&context, sizeof context);
}

void sha256_padded(const void *bytes, size_t size_bytes, size_t padded_bytes,
                   uint8_t out[SHA256_BYTES])
{
    static const uint8_t zeros[256];
    SHA256_CTX context;
    REQUIRE(size_bytes <= padded_bytes);
    MUST(SHA256_Init(&context));
    MUST(SHA256_Update(&context, bytes, size_bytes));
    for (size_t left = padded_bytes - size_bytes; left > 0; left -= MIN(left, sizeof zeros))
        MUST(SHA256_Update(&context, zeros, MIN(left, sizeof zeros)));
    MUST(SHA256_Final(out, &context));
    lethe_wipe(&context, sizeof context);
}

struct sha256_stream {
    SHA256_CTX context;
};

lethe_result sha256_create(struct sha256_stream **out, struct lethe_error *err)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory to hash with");
    MUST(SHA256_Init(&(*out)->context));
    return LETHE_OK;
}

void sha256_update(struct sha256_stream *stream, const void *bytes, size_t size_bytes)
{
    MUST(SHA256_Update(&stream->context, bytes, size_bytes));
}

void sha256_finish(struct sha256_stream *stream, uint8_t out[SHA256_BYTES])
{
    MUST(SHA256_Final(out, &stream->context));
    MUST(SHA256_Init(&stream->context));
}

void sha256_free(struct sha256_stream *stream)
{
    free(stream);
}

lethe_result hmac_sha256(const void *key, size_t key_bytes, const void *bytes, size_t size_bytes,
                         uint8_t out[SHA256_BYTES])
{
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){"SHA2-256"}, 0),
        OSSL_PARAM_END,
    };
    const void *key_or_empty = key_bytes > 0 ? key : ""; /* NULL would mean the key of before */
    size_t written;
    OPENSSL_SECRETS_IN_SCOPE();
    openssl_begin();
    CLEANUP(EVP_MAC_CTX_free) EVP_MAC_CTX *context = EVP_MAC_CTX_new(openssl()->hmac);
    if (context == NULL || EVP_MAC_init(context, key_or_empty, key_bytes, parameters) != 1 ||
        EVP_MAC_update(context, bytes, size_bytes) != 1 ||
        EVP_MAC_final(context, out, &written, SHA256_BYTES) != 1)
        return openssl_failed(NULL, LETHE_NO_MEMORY, "HMAC");
    return LETHE_OK;
}

bool bytes_equal(const void *a, const void *b, size_t size_bytes)
{
    return CRYPTO_memcmp(a, b, size_bytes) == 0;
}
