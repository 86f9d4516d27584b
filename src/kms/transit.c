#include "kms/transit.h"

#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"

#define PREFIX "vault:v"
#define PLAIN_MAX 64u
#define OVERHEAD_BYTES (AEAD_NONCE_BYTES + AEAD_TAG_BYTES)
#define PAYLOAD_MAX (PLAIN_MAX + OVERHEAD_BYTES)

static lethe_result binding_key(const struct transit_binding *binding, struct aead_key **out,
                                struct lethe_error *err)
{
    return aead_key_create(lethe_secret_bytes_const(binding->key), lethe_secret_size(binding->key),
                           AEAD_BACKEND_BEST, out, err);
}

lethe_result transit_wrap(const struct transit_binding *binding, const struct random_source *random,
                          const struct lethe_secret *plain, struct buffer *out,
                          struct lethe_error *err)
{
    size_t size_bytes = lethe_secret_size(plain);
    if (size_bytes > PLAIN_MAX)
        return error_set(err, LETHE_INVALID, "a data key has 1 to %u bytes, not %zu", PLAIN_MAX,
                         size_bytes);
    uint8_t payload[PAYLOAD_MAX];
    if (random_fill(random, payload, AEAD_NONCE_BYTES) != LETHE_OK)
        return error_set(err, LETHE_FAILED, "there is no randomness for a nonce");
    CLEANUP(aead_key_free) struct aead_key *key = NULL;
    TRY(binding_key(binding, &key, err));
    const struct aead_message message = {
        .nonce = payload,
        .aad = binding->aad,
        .aad_bytes = binding->aad_bytes,
        .in = lethe_secret_bytes_const(plain),
        .out = payload + AEAD_NONCE_BYTES,
        .size_bytes = size_bytes,
    };
    lethe_result result = aead_seal(key, &message, payload + AEAD_NONCE_BYTES + size_bytes);
    if (result != LETHE_OK)
        return error_set(err, result, "a data key could not be wrapped");
    buffer_format(out, PREFIX "%" PRIu64 ":", binding->version);
    base64_append(out, payload, size_bytes + OVERHEAD_BYTES);
    return buffer_result(out, err);
}

/* Gives the version and where the payload starts. */
static lethe_result parse(const char *text, uint64_t *version, const char **payload,
                          struct lethe_error *err)
{
    const char *at = text;
    uint64_t number = 0;
    bool good = strncmp(at, PREFIX, strlen(PREFIX)) == 0;
    if (good) {
        at += strlen(PREFIX);
        good = *at >= '1' && *at <= '9';
        for (; good && *at >= '0' && *at <= '9'; at++)
            good = !__builtin_mul_overflow(number, 10, &number) &&
                   !__builtin_add_overflow(number, (uint64_t)(*at - '0'), &number);
    }
    if (!good || *at != ':')
        return error_set(err, LETHE_MALFORMED,
                         "a wrapped key starts with \"" PREFIX "N:\", N its key's version");
    *version = number;
    *payload = at + 1;
    return LETHE_OK;
}

lethe_result transit_version(const char *text, uint64_t *version, struct lethe_error *err)
{
    const char *payload;
    return parse(text, version, &payload, err);
}

static lethe_result decode(const char *text, uint8_t payload[PAYLOAD_MAX], size_t *size_bytes,
                           struct lethe_error *err)
{
    uint64_t version;
    const char *base64 = "";
    TRY(parse(text, &version, &base64, err));
    if (base64_decode(base64, strlen(base64), payload, PAYLOAD_MAX, size_bytes) != LETHE_OK ||
        *size_bytes <= OVERHEAD_BYTES)
        return error_set(err, LETHE_MALFORMED, "a wrapped key ends in the base64 of %u to %u bytes",
                         OVERHEAD_BYTES + 1, PAYLOAD_MAX);
    return LETHE_OK;
}

lethe_result transit_unwrap(const struct transit_binding *binding, const char *text,
                            struct lethe_secret **out, struct lethe_error *err)
{
    *out = NULL;
    uint8_t payload[PAYLOAD_MAX];
    size_t size_bytes;
    TRY(decode(text, payload, &size_bytes, err));
    size_t plain_bytes = size_bytes - OVERHEAD_BYTES;
    CLEANUP(aead_key_free) struct aead_key *key = NULL;
    TRY(binding_key(binding, &key, err));
    CLEANUP(lethe_secret_free) struct lethe_secret *plain = NULL;
    TRY(lethe_secret_create(plain_bytes, &plain, err));
    const struct aead_message message = {
        .nonce = payload,
        .aad = binding->aad,
        .aad_bytes = binding->aad_bytes,
        .in = payload + AEAD_NONCE_BYTES,
        .out = lethe_secret_bytes(plain),
        .size_bytes = plain_bytes,
    };
    lethe_result result = aead_open(key, &message, payload + AEAD_NONCE_BYTES + plain_bytes);
    if (result != LETHE_OK)
        return error_set(
            err, result,
            "a wrapped key does not open: it was changed, or belongs to something else");
    *out = MOVE(plain);
    return LETHE_OK;
}
