/* policy/builtin_crypto.c -- crypto.*: digests and authentication codes of texts, in hex */
#include "policy/builtin.h"

#include <limits.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/text.h"

#define BYTES_PER_STEP 64 /* hashed in about the time of a step */

static lethe_result give_hex(struct builtin_call *call, const uint8_t *bytes, unsigned size_bytes,
                             const struct value **out)
{
    char hex[2 * EVP_MAX_MD_SIZE + 1];
    hex_encode(bytes, size_bytes, hex);
    return builtin_value(call, value_text(call->arena, hex), out);
}

static lethe_result digest(struct builtin_call *call, const struct value *text,
                           const EVP_MD *algorithm, const struct value **out)
{
    uint8_t bytes[EVP_MAX_MD_SIZE];
    unsigned size_bytes = 0;
    TRY(builtin_spend(call, 1 + text->count / BYTES_PER_STEP));
    if (EVP_Digest(text->string, text->count, bytes, &size_bytes, algorithm, NULL) != 1)
        return builtin_fail(call, BUILTIN_ERROR, "libcrypto does not offer this digest here");
    return give_hex(call, bytes, size_bytes, out);
}

/* operands: message, key */
static lethe_result hmac(struct builtin_call *call, const struct value *const *operands,
                         const EVP_MD *algorithm, const struct value **out)
{
    const struct value *message = operands[0], *key = operands[1];
    uint8_t bytes[EVP_MAX_MD_SIZE];
    unsigned size_bytes = 0;
    TRY(builtin_spend(call, 1 + ((uint64_t)message->count + key->count) / BYTES_PER_STEP));
    if (key->count > INT_MAX)
        return builtin_fail(call, BUILTIN_ERROR, "a key of more than %d bytes", INT_MAX);
    if (HMAC(algorithm, key->string, (int)key->count, (const uint8_t *)message->string,
             message->count, bytes, &size_bytes) == NULL)
        return builtin_fail(call, BUILTIN_ERROR, "libcrypto does not offer this digest here");
    return give_hex(call, bytes, size_bytes, out);
}

static lethe_result crypto_md5(struct builtin_call *call, const struct value *const *operands,
                               const struct value **out)
{
    return digest(call, operands[0], EVP_md5(), out);
}

static lethe_result crypto_sha1(struct builtin_call *call, const struct value *const *operands,
                                const struct value **out)
{
    return digest(call, operands[0], EVP_sha1(), out);
}

static lethe_result crypto_sha256(struct builtin_call *call, const struct value *const *operands,
                                  const struct value **out)
{
    return digest(call, operands[0], EVP_sha256(), out);
}

static lethe_result hmac_md5(struct builtin_call *call, const struct value *const *operands,
                             const struct value **out)
{
    return hmac(call, operands, EVP_md5(), out);
}

static lethe_result hmac_sha1(struct builtin_call *call, const struct value *const *operands,
                              const struct value **out)
{
    return hmac(call, operands, EVP_sha1(), out);
}

static lethe_result hmac_sha256(struct builtin_call *call, const struct value *const *operands,
                                const struct value **out)
{
    return hmac(call, operands, EVP_sha256(), out);
}

static lethe_result hmac_sha512(struct builtin_call *call, const struct value *const *operands,
                                const struct value **out)
{
    return hmac(call, operands, EVP_sha512(), out);
}

/* In a time that says nothing about where two codes of one length differ. */
static lethe_result hmac_equal(struct builtin_call *call, const struct value *const *operands,
                               const struct value **out)
{
    const struct value *a = operands[0], *b = operands[1];
    TRY(builtin_spend(call, 1 + a->count / BYTES_PER_STEP));
    bool equal = a->count == b->count && CRYPTO_memcmp(a->string, b->string, a->count) == 0;
    return builtin_value(call, value_boolean(equal), out);
}

#define ONE_TEXT .arity = 1, .operand_kinds = {KIND(STRING)}
#define TWO_TEXTS .arity = 2, .operand_kinds = {KIND(STRING), KIND(STRING)}
static const struct builtin table[] = {
    {.name = "crypto.hmac.equal", TWO_TEXTS, .call = hmac_equal},
    {.name = "crypto.hmac.md5", TWO_TEXTS, .call = hmac_md5},
    {.name = "crypto.hmac.sha1", TWO_TEXTS, .call = hmac_sha1},
    {.name = "crypto.hmac.sha256", TWO_TEXTS, .call = hmac_sha256},
    {.name = "crypto.hmac.sha512", TWO_TEXTS, .call = hmac_sha512},
    {.name = "crypto.md5", ONE_TEXT, .call = crypto_md5},
    {.name = "crypto.sha1", ONE_TEXT, .call = crypto_sha1},
    {.name = "crypto.sha256", ONE_TEXT, .call = crypto_sha256},
};
BUILTIN_FAMILY(crypto, table);
